//! Operations per second where entries are inserted, and so evicted.

use std::hint::black_box;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::goal::{Baseline, Goal, PeerGoal};
use super::keys::{NewKeys, STREAM, Streams, scatter};
use super::question::{Contender, Crew, Measurement, Question};
use super::units::REFERENCE;
use crate::arena::{Bell, repeat};
use crate::peers::{Lookup, Peer, Store};

/// How many different keys [`Fill`] has, and how many of them fit.
pub(super) const MANY: u64 = 1_000_000;
const MANY_FIT: u64 = MANY / 10;

/// How many different keys [`Mixed`] has, and how many of them fit.
pub(super) const FEW: u64 = 100_000;
const FEW_FIT: u64 = FEW / 10;

/// A cache that is full already.
fn full<P: Peer>(capacity: u64, keys: impl Iterator<Item = u64>) -> P {
    let cache = P::with_capacity(capacity);
    keys.for_each(|key| cache.insert(key, key));
    cache
}

/// A read, and an insert if it missed; both together are one operation.
pub(super) struct Fill {
    pub(super) crew: Crew,
    /// For each thread, of [`MANY`] different keys.
    pub(super) streams: Streams,
}

impl Question for Fill {
    fn measurements(&self) -> Vec<Measurement> {
        let title = format!("get-or-insert, {MANY} keys, Zipf 0.9, capacity {MANY_FIT}");
        let goals: &[_] = match self.crew.threads {
            2 => &[
                ("clockhand get", Goal::AtLeast(2.0, Baseline::Named(REFERENCE))),
                ("clockhand get", Goal::AtLeast(1.0, Baseline::Named("scc"))),
            ],
            _ => &[],
        };
        vec![Measurement::throughput(title, self.crew.threads, goals)]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        P::EVICTS.then(|| {
            let cache = full::<P>(MANY_FIT, (0..MANY_FIT).map(scatter));
            // Some of the stream's end beforehand, so that what is timed finds a cache that has settled.
            let some = self.streams[0].iter().rev().take(2 * MANY_FIT as usize);
            let mut lookup = cache.lookup();
            some.for_each(|key| get_or_insert(&cache, &mut lookup, *key));
            drop(lookup);
            let streams = Arc::clone(&self.streams);
            let fill = move |cache: &P, id: usize, bell: &Bell| {
                let mut lookup = cache.lookup();
                repeat(&streams[id], bell, |batch| {
                    batch.iter().for_each(|key| get_or_insert(cache, &mut lookup, *key));
                })
            };
            self.crew.contender::<P, P>(cache, fill, P::refusals)
        })
    }
}

#[inline]
fn get_or_insert<P: Peer>(cache: &P, lookup: &mut P::Lookup<'_>, key: u64) {
    if lookup.get(&key).is_none() {
        cache.insert(key, key);
    }
}

/// Gets and inserts in a fixed proportion, whatever the gets find.
pub(super) struct Mixed {
    pub(super) crew: Crew,
    /// For each thread, of [`FEW`] different keys.
    pub(super) streams: Streams,
    /// Of a hundred operations, the others being gets.
    pub(super) inserts: usize,
}

impl Mixed {
    /// How many operations of a hundred are inserts, in each of the questions.
    pub(super) const INSERTS: [usize; 2] = [5, 50];
}

impl Question for Mixed {
    fn measurements(&self) -> Vec<Measurement> {
        let (gets, inserts) = (100 - self.inserts, self.inserts);
        let title =
            format!("{gets} % get, {inserts} % insert, {FEW} keys, Zipf 0.99, capacity {FEW_FIT}");
        vec![Measurement::throughput(title, self.crew.threads, &[])]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let (streams, inserts) = (Arc::clone(&self.streams), self.inserts);
        // Inserts are spread evenly; the keys are random.
        let mix = move |cache: &P, id: usize, bell: &Bell| {
            let mut lookup = cache.lookup();
            let (mut sum, mut due) = (0_u64, 0);
            let done = repeat(&streams[id], bell, |batch| {
                for key in batch {
                    due += inserts;
                    if due >= 100 {
                        due -= 100;
                        cache.insert(*key, *key);
                    } else if let Some(value) = lookup.get(key) {
                        sum = sum.wrapping_add(value);
                    }
                }
            });
            black_box(sum);
            done
        };
        P::EVICTS.then(|| {
            let cache = full::<P>(FEW_FIT, (0..FEW_FIT).map(scatter));
            self.crew.contender::<P, P>(cache, mix, P::refusals)
        })
    }
}

/// Every insert is of a new key into a full cache, and evicts.
pub(super) struct Churn {
    pub(super) crew: Crew,
}

impl Churn {
    const CAPACITY: u64 = 10_000;
}

impl Question for Churn {
    fn measurements(&self) -> Vec<Measurement> {
        let goals: &[PeerGoal] = match self.crew.threads {
            1 => &[("clockhand get", Goal::AtLeast(1.0, Baseline::Named(REFERENCE)))],
            2 => &[("clockhand get", Goal::AtLeast(2.0, Baseline::Named(REFERENCE)))],
            _ => &[],
        };
        let title = format!("insert churn, capacity {}", Self::CAPACITY);
        vec![Measurement::throughput(title, self.crew.threads, goals)]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        (P::WRITES && P::EVICTS).then(|| {
            let keys = NewKeys::of(self.crew.threads);
            let others = keys.others().take(10 * Self::CAPACITY as usize);
            let cache = full::<P>(Self::CAPACITY, others);
            let insert = move |cache: &P, id: usize, bell: &Bell| {
                keys.use_up(id, bell, |keys| keys.iter().for_each(|key| cache.insert(*key, *key)))
            };
            self.crew.contender::<P, P>(cache, insert, P::refusals)
        })
    }
}

/// Every insert is of a new key and a random weight into a full cache: it evicts several entries, or none.
pub(super) struct Weighted {
    pub(super) crew: Crew,
}

impl Weighted {
    /// Entries that the cache holds, about.
    const ENTRIES: u64 = 10_000;
    /// Weights are from 1 to this, all of them as likely.
    const HEAVIEST: u32 = 1000;
    const CAPACITY: u64 = Self::ENTRIES * (1 + Self::HEAVIEST as u64) / 2;
}

impl Question for Weighted {
    fn measurements(&self) -> Vec<Measurement> {
        let (heaviest, capacity) = (Self::HEAVIEST, Self::CAPACITY);
        let title = format!("weighted inserts, weights 1 to {heaviest}, capacity {capacity}");
        vec![Measurement::throughput(title, self.crew.threads, &[])]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let cache = P::weighing::<u32>(Self::CAPACITY, Self::ENTRIES)?;
        let mut random = SmallRng::seed_from_u64(0);
        let weights = (0..STREAM).map(|_| random.random_range(1..=Self::HEAVIEST));
        let (weights, keys) = (weights.collect::<Vec<_>>(), NewKeys::of(self.crew.threads));
        keys.others().zip(&weights).for_each(|(key, weight)| cache.insert(key, *weight));
        let insert = move |cache: &P::Weighing<u32>, id: usize, bell: &Bell| {
            let mut weights = weights.iter().cycle();
            keys.use_up(id, bell, |keys| {
                keys.iter().zip(&mut weights).for_each(|(key, weight)| cache.insert(*key, *weight));
            })
        };
        Some(self.crew.contender::<P, _>(cache, insert, Store::refusals))
    }
}

//! Operations per second of reads alone: of many keys with Zipf's law, of one hot key, of keys that are not there, and of
//! many keys at a time.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::goal::{Baseline, Goal, PeerGoal};
use super::keys::{STREAM, Streams, scatter};
use super::question::{Contender, Crew, Measurement, Question};
use super::units::REFERENCE;
use crate::arena::{Bell, rate, repeat, work_for};
use crate::failure::Failure;
use crate::peers::{Lookup, Peer};

/// A cache of these keys, with room for twice as many, so that also a sharded cache, whose shards fill unevenly, holds all.
fn holding<P: Peer>(keys: u64) -> P {
    let cache = P::with_capacity(2 * keys);
    (0..keys).for_each(|at| cache.insert(scatter(at), at));
    cache
}

/// Keys of the questions with few of them.
pub(super) const FEW: u64 = 10_000;

/// Keys of the questions with many of them.
pub(super) const MANY: u64 = 1_000_000;

/// Every read finds its key, or none does.
pub(super) struct Reads {
    crew: Crew,
    title: String,
    goals: &'static [PeerGoal],
    keys: u64,
    hit: bool,
    streams: Streams,
}

impl Reads {
    /// Reads that hit, with a stream of the first `keys` keys for each thread.
    pub(super) fn hits(keys: u64, streams: &Streams, crew: Crew) -> Self {
        let goals: &[_] = match (keys, crew.threads) {
            (FEW, 1) => &[
                ("clockhand get", Goal::AtLeast(1.2, Baseline::Named(REFERENCE))),
                ("clockhand Reader", Goal::AtLeast(1.0, Baseline::Named("papaya map"))),
            ],
            (FEW, 2) => &[
                ("clockhand get", Goal::AtLeast(2.5, Baseline::Named(REFERENCE))),
                ("clockhand Reader", Goal::AtLeast(4.0, Baseline::Named(REFERENCE))),
            ],
            (MANY, 2) => &[("clockhand Reader", Goal::AtLeast(1.5, Baseline::BestCache))],
            _ => &[],
        };
        let title = format!("hit read, {keys} keys, Zipf 0.99");
        Self { crew, title, goals, keys, hit: true, streams: Arc::clone(streams) }
    }

    /// Reads of one key, which all threads share.
    pub(super) fn hot_key(crew: Crew) -> Self {
        let goals: &[_] = match crew.threads {
            2 => &[
                ("clockhand get", Goal::AtLeast(2.0, Baseline::Named("TinyUFO"))),
                ("clockhand get", Goal::AtLeast(6.0, Baseline::Named(REFERENCE))),
            ],
            _ => &[],
        };
        let title = "hit read, one hot key".into();
        let streams = Arc::new(vec![vec![scatter(0); STREAM]; crew.threads]);
        Self { crew, title, goals, keys: FEW, hit: true, streams }
    }

    /// Reads of keys that were never put in.
    pub(super) fn misses(crew: Crew) -> Self {
        let absent = |id: u64| MANY + id * STREAM as u64;
        let stream = |id| (absent(id)..absent(id + 1)).map(scatter).collect();
        let streams = Arc::new((0..crew.threads as u64).map(stream).collect());
        let title = format!("miss, beside {FEW} keys");
        Self { crew, title, goals: &[], keys: FEW, hit: false, streams }
    }
}

impl Question for Reads {
    fn measurements(&self) -> Vec<Measurement> {
        vec![Measurement::throughput(self.title.clone(), self.crew.threads, self.goals)]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let (cache, streams) = (holding::<P>(self.keys), Arc::clone(&self.streams));
        let (Crew { threads, time }, hit) = (self.crew, self.hit);
        let [lost, reads] = [0; 2].map(|none| Arc::new(AtomicU64::new(none)));
        let counted = [&lost, &reads].map(Arc::clone);
        let turn = move || {
            let shifts = work_for(time, threads, |id, bell| read(&cache, &streams[id], bell))?;
            let sum = |nth: usize| shifts.iter().map(|shift| shift.result[nth]).sum::<u64>();
            let [reads, hits] = [0, 1].map(sum);
            judge::<P>(hit, reads, hits)?;
            counted[0].fetch_add(if hit { reads - hits } else { 0 }, Ordering::Relaxed);
            counted[1].fetch_add(reads, Ordering::Relaxed);
            Ok(vec![rate(&shifts, |[reads, _]| *reads)])
        };
        let remark = move || {
            let [lost, reads] = [&lost, &reads].map(|count| count.load(Ordering::Relaxed) as f64);
            let percent = 100.0 * lost / reads;
            (lost > 0.0).then(|| format!("{percent:.2} % of its reads missed: it lost keys"))
        };
        Some(Contender::new::<P>(turn, remark))
    }
}

/// No cache may find what was never put in, and clockhand keeps what it has room for.
fn judge<P: Peer>(hit: bool, reads: u64, hits: u64) -> Result<(), Failure> {
    let broken = |what| Err(Failure::Broken(format!("{} {what}", P::NAME)));
    match hit {
        true if hits < reads && P::ID == "clockhand" => broken("lost keys it has room for"),
        false if hits > 0 => broken("found keys that were never put in"),
        _ => Ok(()),
    }
}

/// How many keys were read until the bell, and how many of them were found.
fn read(cache: &impl Peer, keys: &[u64], bell: &Bell) -> [u64; 2] {
    let mut lookup = cache.lookup();
    let (mut hits, mut sum) = (0, 0_u64);
    let reads = repeat(keys, bell, |batch| {
        for key in batch {
            if let Some(value) = lookup.get(key) {
                hits += 1;
                sum = sum.wrapping_add(value);
            }
        }
    });
    black_box(sum);
    [reads, hits]
}

/// Every read finds its key; there are [`MANY`], and several are asked for at a time: by clockhand's `get_many`, and one
/// by one where there is no such thing.
pub(super) struct Batches {
    pub(super) crew: Crew,
    pub(super) streams: Streams,
}

impl Batches {
    /// Keys that are asked for at a time; each divides a batch.
    const SIZES: [usize; 2] = [16, 64];
}

impl Question for Batches {
    fn measurements(&self) -> Vec<Measurement> {
        let goals: &[_] = match self.crew.threads {
            2 => &[("clockhand Reader", Goal::AtLeast(2.5, Baseline::BestCache))],
            _ => &[],
        };
        let title = |size| format!("hit read, {size} keys at a time, {MANY} keys, Zipf 0.99");
        let measurement = |size| Measurement::throughput(title(size), self.crew.threads, goals);
        Self::SIZES.map(measurement).to_vec()
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let (cache, streams) = (holding::<P>(MANY), Arc::clone(&self.streams));
        let Crew { threads, time } = self.crew;
        let turn = move || {
            let rate_of = |size| {
                let work = |id: usize, bell: &Bell| read_many(&cache, &streams[id], size, bell);
                Ok(rate(&work_for(time, threads, work)?, |reads| *reads))
            };
            Self::SIZES.into_iter().map(rate_of).collect()
        };
        Some(Contender::new::<P>(turn, || None))
    }
}

/// How many keys were read until the bell.
fn read_many(cache: &impl Peer, keys: &[u64], size: usize, bell: &Bell) -> u64 {
    let mut lookup = cache.lookup();
    let mut sum = 0_u64;
    let reads = repeat(keys, bell, |batch| {
        for some in batch.chunks_exact(size) {
            lookup.get_many(some, |value| sum = sum.wrapping_add(value));
        }
    });
    black_box(sum);
    reads
}

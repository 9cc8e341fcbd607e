//! Get-or-insert: what a cache does all day, reads and the inserts that their misses cause.

use std::sync::Arc;
use std::time::Duration;

use super::goal::{Goal, Rival};
use super::keys::{Streams, scatter};
use super::question::{About, Contender, Question, refused};
use super::units::REFERENCE;
use crate::arena::{BATCH, Bell, rate, work_for};
use crate::peers::{Lookup, Peer};

/// How many different keys there are.
pub(super) const KEYS: u64 = 1_000_000;

const CAPACITY: u64 = KEYS / 10;

/// A read, and an insert if it missed; both together are one operation.
pub(super) struct Fill {
    streams: Streams,
    threads: usize,
    time: Duration,
}

impl Fill {
    /// With a stream of keys, of [`KEYS`] different ones, for each thread.
    pub(super) fn new(streams: &Streams, threads: usize, time: Duration) -> Self {
        Self { streams: Arc::clone(streams), threads, time }
    }
}

impl Question for Fill {
    fn abouts(&self) -> Vec<About> {
        let title = format!("get-or-insert, {KEYS} keys, Zipf 0.9, capacity {CAPACITY}");
        let goals: &[_] = match self.threads {
            2 => &[
                ("clockhand get", Goal::AtLeast(2.0, Rival::Named(REFERENCE))),
                ("clockhand get", Goal::AtLeast(1.0, Rival::Named("scc"))),
            ],
            _ => &[],
        };
        vec![About::throughput(title, self.threads, goals)]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        if !P::EVICTS {
            return None;
        }
        let cache = Arc::new(P::with_capacity(CAPACITY));
        (0..CAPACITY).for_each(|at| cache.insert(scatter(at), at));
        settle(&*cache, &self.streams[0]);
        let (streams, threads, time) = (Arc::clone(&self.streams), self.threads, self.time);
        let asked = Arc::clone(&cache);
        let turn = move || {
            let work = |id: usize, bell: &Bell| fill(&*cache, &streams[id], bell);
            Ok(vec![rate(&work_for(time, threads, work)?, |done| *done)])
        };
        Some(Contender::new::<P>(turn, move || refused(&*asked)))
    }
}

/// Takes some of the stream's end beforehand, so that what is timed finds a cache that has settled.
fn settle<P: Peer>(cache: &P, keys: &[u64]) {
    let mut lookup = cache.lookup();
    let some = keys.iter().rev().take(2 * CAPACITY as usize);
    some.for_each(|key| get_or_insert(cache, &mut lookup, *key));
}

/// How many operations were done until the bell.
fn fill<P: Peer>(cache: &P, keys: &[u64], bell: &Bell) -> u64 {
    let mut lookup = cache.lookup();
    let mut done = 0;
    for batch in keys.chunks_exact(BATCH).cycle() {
        for key in batch {
            get_or_insert(cache, &mut lookup, *key);
        }
        done += BATCH as u64;
        if bell.rang() {
            break;
        }
    }
    done
}

#[inline]
fn get_or_insert<P: Peer>(cache: &P, lookup: &mut P::Lookup<'_>, key: u64) {
    if lookup.get(&key).is_none() {
        cache.insert(key, key);
    }
}

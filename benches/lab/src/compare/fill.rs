//! Get-or-insert: what a cache does all day, reads and the inserts that their misses cause.

use std::sync::Arc;
use std::time::Duration;

use super::arena::{BATCH, Bell, rate, work_for};
use super::keys::{scatter, zipf_streams};
use super::question::{About, Contender, Question, Unit, refused};
use crate::peers::{Lookup, Peer};

const KEYS: u64 = 100_000;
const CAPACITY: u64 = 10_000;

/// A read, and an insert if it missed; both together are one operation.
pub(super) struct Fill {
    streams: Arc<Vec<Vec<u64>>>,
    time: Duration,
}

impl Fill {
    pub(super) fn new(threads: usize, time: Duration) -> Self {
        Self { streams: zipf_streams(KEYS, 0.9, threads).into(), time }
    }
}

impl Question for Fill {
    fn about(&self) -> About {
        let title = format!("get-or-insert, {KEYS} keys, Zipf 0.9, capacity {CAPACITY}");
        About { title, threads: self.streams.len(), unit: Unit::Throughput, goals: &[] }
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let cache = Arc::new(P::with_capacity(CAPACITY));
        (0..CAPACITY).for_each(|at| cache.insert(scatter(at), at));
        let (streams, time) = (Arc::clone(&self.streams), self.time);
        let asked = Arc::clone(&cache);
        let turn = move || {
            let work = |id: usize, bell: &Bell| fill(&*cache, &streams[id], bell);
            Ok(rate(&work_for(time, streams.len(), work)?, |done| *done))
        };
        let remark = move || refused(&*asked);
        P::EVICTS.then(|| Contender {
            peer: P::NAME,
            turn: Box::new(turn),
            remark: Box::new(remark),
        })
    }
}

/// How many operations were done until the bell.
fn fill(cache: &impl Peer, keys: &[u64], bell: &Bell) -> u64 {
    let mut lookup = cache.lookup();
    let mut done = 0;
    for batch in keys.chunks_exact(BATCH).cycle() {
        if bell.rang() {
            break;
        }
        for key in batch {
            if lookup.get(key).is_none() {
                cache.insert(*key, *key);
            }
        }
        done += BATCH as u64;
    }
    done
}

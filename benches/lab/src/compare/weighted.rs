//! Inserts of entries that weigh something: the cache is full and every key is new, so every insert
//! evicts, sometimes several entries and sometimes none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::keys::{STREAM, scatter};
use super::question::{About, Contender, Question};
use crate::arena::{BATCH, Bell, rate, work_for};
use crate::peers::{Peer, Weigh};

/// Entries that the cache holds, about.
const ENTRIES: u64 = 10_000;

/// Weights are from 1 to this, all of them as likely.
const HEAVIEST: u32 = 1000;

const CAPACITY: u64 = ENTRIES * (1 + HEAVIEST as u64) / 2;

/// Indices of one thread's keys, apart from those of the others.
const REALM: u64 = 1 << 48;

/// Every insert is of a new key and a random weight into a full cache.
pub(super) struct Weighted {
    weights: Arc<Vec<u32>>,
    threads: usize,
    time: Duration,
}

impl Weighted {
    pub(super) fn new(threads: usize, time: Duration) -> Self {
        let mut random = SmallRng::seed_from_u64(0);
        let weights = (0..STREAM).map(|_| random.random_range(1..=HEAVIEST)).collect();
        Self { weights: Arc::new(weights), threads, time }
    }
}

impl Question for Weighted {
    fn abouts(&self) -> Vec<About> {
        let title = format!("weighted inserts, weights 1 to {HEAVIEST}, capacity {CAPACITY}");
        vec![About::throughput(title, self.threads, &[])]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let cache = Arc::new(P::Weighing::<u32>::with_bound(CAPACITY, ENTRIES)?);
        let (weights, threads, time) = (Arc::clone(&self.weights), self.threads, self.time);
        let own = threads as u64 * REALM;
        (own..).zip(weights.iter()).for_each(|(at, weight)| cache.insert(scatter(at), *weight));
        let next = (0..threads as u64).map(|id| CachePadded::new(AtomicU64::new(id * REALM)));
        let next = next.collect::<Vec<_>>();
        let asked = Arc::clone(&cache);
        let turn = move || {
            let work = |id: usize, bell: &Bell| insert(&*cache, &weights, &next[id], bell);
            Ok(vec![rate(&work_for(time, threads, work)?, |inserts| *inserts)])
        };
        let remark = move || {
            let refusals = asked.refusals();
            (refusals > 0).then(|| format!("refused {refusals} insertions"))
        };
        Some(Contender::new::<P>(turn, remark))
    }
}

/// How many inserts were done until the bell.
fn insert(cache: &impl Weigh<u32>, weights: &[u32], next: &AtomicU64, bell: &Bell) -> u64 {
    let first = next.load(Ordering::Relaxed);
    let mut index = first;
    for batch in weights.chunks_exact(BATCH).cycle() {
        for weight in batch {
            cache.insert(scatter(index), *weight);
            index += 1;
        }
        if bell.rang() {
            break;
        }
    }
    next.store(index, Ordering::Relaxed);
    index - first
}

//! Reads of many keys at a time: clockhand's `get_many`, and one by one where there is no such thing.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use super::goal::{Goal, Rival};
use super::keys::{Streams, scatter};
use super::question::{About, Contender, Question};
use super::read::MANY;
use crate::arena::{BATCH, Bell, rate, work_for};
use crate::peers::{Lookup, Peer};

/// Keys that are asked for at a time; each divides [`BATCH`].
pub(super) const SIZES: [usize; 2] = [16, 64];

/// Every read finds its key; there are many of them.
pub(super) struct Batches {
    streams: Streams,
    threads: usize,
    time: Duration,
}

impl Batches {
    /// With a stream of keys, of [`MANY`] different ones, for each thread.
    pub(super) fn new(streams: &Streams, threads: usize, time: Duration) -> Self {
        Self { streams: Arc::clone(streams), threads, time }
    }
}

impl Question for Batches {
    fn abouts(&self) -> Vec<About> {
        let goals: &[_] = match self.threads {
            2 => &[("clockhand Reader", Goal::AtLeast(2.5, Rival::BestCache))],
            _ => &[],
        };
        let title = |size| format!("hit read, {size} keys at a time, {MANY} keys, Zipf 0.99");
        SIZES.map(|size| About::throughput(title(size), self.threads, goals)).to_vec()
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let cache = P::with_capacity(2 * MANY);
        (0..MANY).for_each(|at| cache.insert(scatter(at), at));
        let (streams, threads, time) = (Arc::clone(&self.streams), self.threads, self.time);
        let turn = move || {
            let rate_of = |size| {
                let work = |id: usize, bell: &Bell| read(&cache, &streams[id], size, bell);
                Ok(rate(&work_for(time, threads, work)?, |reads| *reads))
            };
            SIZES.into_iter().map(rate_of).collect()
        };
        Some(Contender::new::<P>(turn, || None))
    }
}

/// How many keys were read until the bell.
fn read(cache: &impl Peer, keys: &[u64], size: usize, bell: &Bell) -> u64 {
    let mut lookup = cache.lookup();
    let (mut reads, mut sum) = (0, 0_u64);
    for batch in keys.chunks_exact(BATCH).cycle() {
        for some in batch.chunks_exact(size) {
            lookup.get_many(some, |value| sum = sum.wrapping_add(value));
        }
        reads += BATCH as u64;
        if bell.rang() {
            break;
        }
    }
    black_box(sum);
    reads
}

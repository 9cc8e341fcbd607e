//! Reads and writes in a fixed proportion, whatever the reads find.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{Streams, scatter};
use super::question::{About, Contender, Question, refused};
use crate::arena::{BATCH, Bell, rate, work_for};
use crate::peers::{Lookup, Peer};

/// How many different keys there are.
pub(super) const KEYS: u64 = 100_000;

const CAPACITY: u64 = KEYS / 10;

/// How many operations of a hundred are inserts, in each of the questions.
pub(super) const PERCENT: [usize; 2] = [5, 50];

/// So many operations of a hundred are inserts, the others are reads.
pub(super) struct Mixed {
    streams: Streams,
    inserts_percent: usize,
    threads: usize,
    time: Duration,
}

impl Mixed {
    /// With a stream of keys, of [`KEYS`] different ones, for each thread.
    pub(super) fn new(
        streams: &Streams,
        inserts_percent: usize,
        threads: usize,
        time: Duration,
    ) -> Self {
        Self { streams: Arc::clone(streams), inserts_percent, threads, time }
    }
}

impl Question for Mixed {
    fn abouts(&self) -> Vec<About> {
        let inserts = self.inserts_percent;
        let title = format!(
            "{} % get, {inserts} % insert, {KEYS} keys, Zipf 0.99, capacity {CAPACITY}",
            100 - inserts
        );
        vec![About::throughput(title, self.threads, &[])]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        if !P::EVICTS {
            return None;
        }
        let cache = Arc::new(P::with_capacity(CAPACITY));
        (0..CAPACITY).for_each(|at| cache.insert(scatter(at), at));
        let &Self { inserts_percent, threads, time, .. } = self;
        let (streams, asked) = (Arc::clone(&self.streams), Arc::clone(&cache));
        let turn = move || {
            let work = |id: usize, bell: &Bell| mix(&*cache, &streams[id], inserts_percent, bell);
            Ok(vec![rate(&work_for(time, threads, work)?, |done| *done)])
        };
        Some(Contender::new::<P>(turn, move || refused(&*asked)))
    }
}

/// How many operations were done until the bell. Inserts are spread evenly; the keys are random.
fn mix(cache: &impl Peer, keys: &[u64], inserts_percent: usize, bell: &Bell) -> u64 {
    let mut lookup = cache.lookup();
    let (mut done, mut sum, mut due) = (0, 0_u64, 0);
    for batch in keys.chunks_exact(BATCH).cycle() {
        for key in batch {
            due += inserts_percent;
            if due >= 100 {
                due -= 100;
                cache.insert(*key, *key);
            } else if let Some(value) = lookup.get(key) {
                sum = sum.wrapping_add(value);
            }
        }
        done += BATCH as u64;
        if bell.rang() {
            break;
        }
    }
    black_box(sum);
    done
}

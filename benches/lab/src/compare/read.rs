//! Reads that hit: many keys with Zipf's law, or one hot key.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::arena::{BATCH, Bell, rate, work_for};
use super::keys::{STREAM, scatter, zipf_streams};
use super::question::{About, Contender, Goal, Question, Unit};
use crate::failure::Failure;
use crate::peers::{Lookup, Peer};

const KEYS: u64 = 10_000;

/// Twice the keys, so that also a sharded cache, whose shards fill unevenly, holds all of them.
const CAPACITY: u64 = 2 * KEYS;

/// Every read finds its key.
pub(super) struct HitRead {
    about: About,
    streams: Arc<Vec<Vec<u64>>>,
    time: Duration,
}

impl HitRead {
    pub(super) fn zipf(threads: usize, time: Duration) -> Self {
        let goals: &[_] = match threads {
            2 => &[
                ("clockhand get", Goal::RatioAtLeast(2.0)),
                ("clockhand Reader", Goal::RatioAtLeast(3.0)),
            ],
            _ => &[],
        };
        let title = format!("hit read, {KEYS} keys, Zipf 0.99");
        let about = About { title, threads, unit: Unit::Throughput, goals };
        Self { about, streams: zipf_streams(KEYS, 0.99, threads).into(), time }
    }

    pub(super) fn hot_key(threads: usize, time: Duration) -> Self {
        let goals = &[
            ("clockhand get", Goal::RatioAtLeast(5.0)),
            ("clockhand Reader", Goal::RatioAtLeast(5.0)),
        ];
        let title = "hit read, one hot key".into();
        let about = About { title, threads, unit: Unit::Throughput, goals };
        Self { about, streams: vec![vec![scatter(0); STREAM]; threads].into(), time }
    }
}

impl Question for HitRead {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let cache = P::with_capacity(CAPACITY);
        (0..KEYS).for_each(|at| cache.insert(scatter(at), at));
        let (streams, time) = (Arc::clone(&self.streams), self.time);
        let misses = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&misses);
        let turn = move || {
            let shifts =
                work_for(time, streams.len(), |id, bell| read(&cache, &streams[id], bell))?;
            let missed = shifts.iter().map(|shift| shift.result.reads - shift.result.hits).sum();
            if missed > 0 && P::ID == "clockhand" {
                return Err(Failure::Broken(format!("{} lost keys it has room for", P::NAME)));
            }
            counted.fetch_add(missed, Ordering::Relaxed);
            Ok(rate(&shifts, |done| done.reads))
        };
        let remark = move || {
            let misses = misses.load(Ordering::Relaxed);
            (misses > 0).then(|| format!("lost keys it has room for: {misses} reads missed"))
        };
        Some(Contender { peer: P::NAME, turn: Box::new(turn), remark: Box::new(remark) })
    }
}

/// What one thread did until the bell.
struct Done {
    reads: u64,
    hits: u64,
}

fn read(cache: &impl Peer, keys: &[u64], bell: &Bell) -> Done {
    let mut lookup = cache.lookup();
    let (mut done, mut sum) = (Done { reads: 0, hits: 0 }, 0_u64);
    for batch in keys.chunks_exact(BATCH).cycle() {
        if bell.rang() {
            break;
        }
        for key in batch {
            if let Some(value) = lookup.get(key) {
                done.hits += 1;
                sum = sum.wrapping_add(value);
            }
        }
        done.reads += BATCH as u64;
    }
    black_box(sum);
    done
}

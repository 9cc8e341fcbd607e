//! Latency of reads beside writes, with more threads than most machines have cores.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::arena::{BATCH, Bell, work_for};
use super::keys::{scatter, zipf_streams};
use super::question::{About, Contender, Goal, Question, Unit, refused};
use crate::latency::{Quantiles, Sampler};
use crate::peers::{Lookup, Peer};

const THREADS: usize = 8;
const KEYS: u64 = 100_000;
const CAPACITY: u64 = 10_000;
const INSERTS_PERCENT: u32 = 5;
const SAMPLED_ONE_IN: u32 = 8;

/// One prepared operation.
#[derive(Debug, Clone, Copy)]
enum Step {
    Get(u64),
    GetOrInsert(u64),
    Insert(u64),
}

/// Threads that read and write, with their reads timed.
pub(super) struct Mix {
    about: About,
    streams: Arc<Vec<Vec<Step>>>,
    time: Duration,
}

impl Mix {
    /// 95 reads to 5 inserts: mostly reads, whose locks are seldom taken in vain.
    pub(super) fn mostly_reads(time: Duration) -> Self {
        let title =
            format!("get p99.9, 95 % get, {INSERTS_PERCENT} % insert, {KEYS} keys, Zipf 0.99");
        let mut random = SmallRng::seed_from_u64(0);
        let step = |key| match random.random_ratio(INSERTS_PERCENT, 100) {
            true => Step::Insert(key),
            false => Step::Get(key),
        };
        Self::new(title, &[], 0.99, step, time)
    }

    /// A cache at work: a read, and an insert if it missed.
    pub(super) fn get_or_insert(time: Duration) -> Self {
        let title = format!("get p99.9, get-or-insert, {KEYS} keys, Zipf 0.9");
        let goals = &[
            ("clockhand get", Goal::RatioAtMost(0.05)),
            ("clockhand Reader", Goal::RatioAtMost(0.05)),
        ];
        Self::new(title, goals, 0.9, Step::GetOrInsert, time)
    }

    fn new(
        title: String,
        goals: &'static [(&'static str, Goal)],
        exponent: f64,
        mut step: impl FnMut(u64) -> Step,
        time: Duration,
    ) -> Self {
        let about = About { title, threads: THREADS, unit: Unit::Latency, goals };
        let streams = zipf_streams(KEYS, exponent, THREADS).into_iter();
        let streams = streams.map(|keys| keys.into_iter().map(&mut step).collect());
        Self { about, streams: Arc::new(streams.collect()), time }
    }
}

impl Question for Mix {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let cache = Arc::new(P::with_capacity(CAPACITY));
        (0..CAPACITY).for_each(|at| cache.insert(scatter(at), at));
        let (streams, time) = (Arc::clone(&self.streams), self.time);
        let asked = Arc::clone(&cache);
        let turn = move || {
            let work = |id: usize, bell: &Bell| mix(&*cache, &streams[id], id as u64, bell);
            let shifts = work_for(time, THREADS, work)?;
            Ok(Quantiles::of(shifts.iter().map(|shift| &shift.result)).p999 as f64)
        };
        let remark = move || refused(&*asked);
        P::EVICTS.then(|| Contender {
            peer: P::NAME,
            turn: Box::new(turn),
            remark: Box::new(remark),
        })
    }
}

/// The latencies of the reads that were sampled until the bell.
fn mix(cache: &impl Peer, steps: &[Step], seed: u64, bell: &Bell) -> Histogram<u64> {
    let mut lookup = cache.lookup();
    let mut sampler = Sampler::new(SAMPLED_ONE_IN, seed);
    for batch in steps.chunks_exact(BATCH).cycle() {
        if bell.rang() {
            break;
        }
        for step in batch {
            match *step {
                Step::Insert(key) => cache.insert(key, key),
                Step::Get(key) => {
                    black_box(sampler.run(|| lookup.get(&key)));
                }
                Step::GetOrInsert(key) => {
                    if sampler.run(|| lookup.get(&key)).is_none() {
                        cache.insert(key, key);
                    }
                }
            }
        }
    }
    sampler.finish()
}

//! Latency of reads and writes beside each other, also with more threads than there are cores.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::goal::{Baseline, Goal, PeerGoal};
use super::keys::{scatter, zipf_streams};
use super::question::{Contender, Measurement, Question, refused};
use super::units::{Group, QUANTILES, REFERENCE, Unit};
use crate::arena::{Bell, repeat, work_for};
use crate::latency::{Quantiles, Sampler};
use crate::peers::{Lookup, Peer};

const KEYS: u64 = 100_000;
const CAPACITY: u64 = 10_000;
const INSERTS_PERCENT: u32 = 5;
/// Every operation is timed.
const SAMPLED_ONE_IN: u32 = 1;

/// The operations that are timed.
const OPERATIONS: [&str; 2] = ["get", "insert"];

/// One prepared operation.
#[derive(Debug, Clone, Copy)]
enum Step {
    Get(u64),
    GetOrInsert(u64),
    Insert(u64),
}

/// Threads that read and write, and are timed.
pub(super) struct Latency {
    title: String,
    outnumbered: bool,
    streams: Arc<Vec<Vec<Step>>>,
    time: Duration,
}

impl Latency {
    /// 95 reads to 5 inserts: mostly reads, whose locks are seldom taken in vain.
    pub(super) fn mostly_reads(threads: usize, outnumbered: bool, time: Duration) -> Self {
        let reads = 100 - INSERTS_PERCENT;
        let title = format!("{reads} % get, {INSERTS_PERCENT} % insert, {KEYS} keys, Zipf 0.99");
        let mut random = SmallRng::seed_from_u64(0);
        let step = |key| match random.random_ratio(INSERTS_PERCENT, 100) {
            true => Step::Insert(key),
            false => Step::Get(key),
        };
        Self { title, outnumbered, streams: steps(0.99, threads, step), time }
    }

    /// A cache at work: a read, and an insert if it missed.
    pub(super) fn get_or_insert(threads: usize, outnumbered: bool, time: Duration) -> Self {
        let title = format!("get-or-insert, {KEYS} keys, Zipf 0.9");
        Self { title, outnumbered, streams: steps(0.9, threads, Step::GetOrInsert), time }
    }
}

/// Goals are about threads that are descheduled, so there are some only where these outnumber the
/// cores.
fn goals(measure: &str) -> &'static [PeerGoal] {
    match measure {
        "get p99.9" => &[
            ("clockhand get", Goal::Within(2000.0)),
            ("clockhand get", Goal::AtMost(1.0, Baseline::Named("TinyUFO"))),
        ],
        "insert p99.9" => &[("clockhand get", Goal::AtMost(0.1, Baseline::Named(REFERENCE)))],
        _ => &[],
    }
}

fn steps(exponent: f64, threads: usize, mut step: impl FnMut(u64) -> Step) -> Arc<Vec<Vec<Step>>> {
    let streams = zipf_streams(KEYS, exponent, threads);
    Arc::new(streams.iter().map(|keys| keys.iter().copied().map(&mut step).collect()).collect())
}

impl Question for Latency {
    fn measurements(&self) -> Vec<Measurement> {
        let measurement = |measure: String| Measurement {
            group: Group::Latency,
            title: self.title.clone(),
            goals: if self.outnumbered { goals(&measure) } else { &[] },
            measure,
            threads: self.streams.len(),
            unit: Unit::Latency,
        };
        let measures = OPERATIONS.iter().flat_map(|operation| {
            QUANTILES.iter().map(move |quantile| format!("{operation} {quantile}"))
        });
        measures.map(measurement).collect()
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        if !P::EVICTS {
            return None;
        }
        let cache = Arc::new(P::with_capacity(CAPACITY));
        (0..CAPACITY).for_each(|at| cache.insert(scatter(at), at));
        let (streams, time) = (Arc::clone(&self.streams), self.time);
        let asked = Arc::clone(&cache);
        let turn = move || {
            let work = |id: usize, bell: &Bell| mix(&*cache, &streams[id], id as u64, bell);
            let shifts = work_for(time, streams.len(), work)?;
            let gets = Quantiles::of(shifts.iter().map(|shift| &shift.result.0));
            let inserts = Quantiles::of(shifts.iter().map(|shift| &shift.result.1));
            Ok([figures(&gets), figures(&inserts)].concat())
        };
        Some(Contender::new::<P>(turn, move || refused(asked.refusals())))
    }
}

/// In the order of [`QUANTILES`].
fn figures(of: &Quantiles) -> [f64; QUANTILES.len()] {
    [of.p50, of.p99, of.p999, of.p9999, of.max].map(|ns| ns as f64)
}

/// The latencies of the gets and of the inserts that were timed until the bell.
fn mix(
    cache: &impl Peer,
    steps: &[Step],
    seed: u64,
    bell: &Bell,
) -> (Histogram<u64>, Histogram<u64>) {
    let mut lookup = cache.lookup();
    let mut gets = Sampler::new(SAMPLED_ONE_IN, 2 * seed);
    let mut inserts = Sampler::new(SAMPLED_ONE_IN, 2 * seed + 1);
    repeat(steps, bell, |batch| {
        for step in batch {
            match *step {
                Step::Insert(key) => inserts.run(|| cache.insert(key, key)),
                Step::Get(key) => {
                    black_box(gets.run(|| lookup.get(&key)));
                }
                Step::GetOrInsert(key) => {
                    if gets.run(|| lookup.get(&key)).is_none() {
                        inserts.run(|| cache.insert(key, key));
                    }
                }
            }
        }
    });
    (gets.finish(), inserts.finish())
}

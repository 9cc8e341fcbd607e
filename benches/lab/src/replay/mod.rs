//! Replays a trace: look each key up, insert it on a miss.
//!
//! First one pass over an empty cache, exactly as the trace is, which gives the hit ratio. Then
//! repeated passes over the warm cache, which give throughput and latency. A watcher samples the
//! cache's usage all the while.

mod capacity;
mod course;
mod player;
mod watch;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

pub(crate) use self::capacity::Capacity;
use self::course::Course;
pub(crate) use self::player::ReadPath;
use self::player::{Replayed, play};
use self::watch::watched;
use crate::cli::{seconds, threads};
use crate::failure::Failure;
use crate::latency::{Quantiles, clock_cost};
use crate::report::{Latency, Pass, Replay, Spread};
use crate::team::{self, MOST_THREADS, cores};
use crate::trace::Trace;
use crate::words::{Words, unusable, words};

/// The value of a key as one word: its weight, and a stamp that shows whose value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Body(u64);

impl Body {
    fn new(key: u64, weight: u32) -> Self {
        Self(u64::from(weight) << 32 | u64::from(Self::stamp(key)))
    }

    fn weight(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn is_of(self, key: u64) -> bool {
        self.0 as u32 == Self::stamp(key)
    }

    #[inline]
    fn stamp(key: u64) -> u32 {
        key as u32 ^ (key >> 32) as u32
    }
}

/// The options of `replay`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Traces (NAME.u64.zst); without any, the built-in one
    pub(crate) files: Vec<PathBuf>,
    /// Capacity in entries, or in bytes when the trace has sizes; with %, a share of what would hold
    /// the whole trace
    #[arg(long, value_name = "N|N%", default_value = "10%", allow_hyphen_values = true)]
    capacity: Capacity,
    /// Threads that share the accesses; as many as cores by default
    #[arg(long, value_name = "N", value_parser = threads, default_value_t = cores().min(MOST_THREADS), hide_default_value = true, allow_hyphen_values = true)]
    threads: usize,
    /// Which read operation to use
    #[arg(long, value_enum, default_value = "get")]
    read: ReadPath,
    /// How long to repeat the passes for throughput and latency; 0 repeats once
    #[arg(long = "seconds", value_name = "S", value_parser = seconds, default_value = "2", allow_hyphen_values = true)]
    time: Duration,
    /// Let every entry weigh 1, also when the trace has sizes
    #[arg(long)]
    pub(crate) unit_weights: bool,
    /// Print one JSON object per trace, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// One operation in this many is timed.
pub(crate) const SAMPLED_ONE_IN: u32 = 64;

/// The repeated passes are measured in at most this many rounds, so that there is a spread.
const ROUNDS: u32 = 10;

/// Seeds of the cache's hasher: fixed, so that one thread replays the same way twice.
const HASH_SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Replays one trace and reports it under `name`.
pub(crate) fn replay(
    name: String,
    trace: &Trace,
    options: &Options,
    bar: &ProgressBar,
) -> Result<Replay, Failure> {
    let footprint = trace.footprint();
    let capacity = options.capacity.of(footprint.weight);
    let cache = build(capacity, trace.sizes().is_some())?;
    let course = Course::new(trace.keys().len());
    let too_many = |error: io::Error| too_many_threads(options.threads, &error);
    let work = || run_passes(&cache, trace, &course, options, bar);
    let (passes, peaks) = watched(&cache, &course, bar, work).map_err(too_many)?;
    let passes = passes?;
    let usage = cache.usage();
    let stats = cache.stats();
    let mut report = Replay {
        trace: name,
        accesses: trace.keys().len() as u64,
        unique_keys: footprint.unique_keys,
        weighted: trace.sizes().is_some(),
        footprint: footprint.weight,
        capacity,
        threads: options.threads,
        read: options.read,
        hits: passes.cold.hits,
        misses: passes.cold.misses,
        hit_ratio: passes.cold.hit_ratio,
        cold: passes.cold,
        warm: passes.warm,
        throughput: passes.throughput,
        latency: passes.latency,
        peak_charge: peaks.charge.max(usage.charged),
        peak_retired: peaks.retired.max(usage.retired),
        retired_capacity: usage.retired_capacity,
        usage_samples: peaks.samples + 1,
        resident_entries: usage.entries as u64,
        resident_charge: usage.charged,
        evictions: stats.evictions,
        refusals: stats.refusals,
        broken: Vec::new(),
    };
    report.broken = broken(&report, passes.wrong, (stats.hits, stats.misses));
    Ok(report)
}

fn build(capacity: u64, weighted: bool) -> Result<Words, Failure> {
    let [a, b, c, d] = HASH_SEEDS;
    let builder = words(capacity).hasher(ahash::RandomState::with_seeds(a, b, c, d));
    let builder =
        if weighted { builder.weigher(|_, body| u64::from(Body(*body).weight())) } else { builder };
    builder.build().map_err(unusable)
}

/// The passes of one replay, measured.
struct Passes {
    cold: Pass,
    warm: Pass,
    throughput: Spread,
    latency: Latency,
    wrong: u64,
}

fn run_passes(
    cache: &Words,
    trace: &Trace,
    course: &Course,
    options: &Options,
    bar: &ProgressBar,
) -> Result<Passes, Failure> {
    let round = |passes| {
        course.extend(passes);
        let shifts =
            team::run(options.threads, |id| play(cache, trace, course, options.read, id), || ());
        let shifts = shifts.map_err(|error| too_many_threads(options.threads, &error))?;
        let seconds = team::elapsed(&shifts).as_secs_f64();
        Ok::<_, Failure>((seconds, Replayed::sum(shifts.into_iter().map(|shift| shift.result))))
    };
    let (cold_seconds, cold) = round(1)?;
    let (rounds, passes) = plan(options.time.as_secs_f64() / cold_seconds.max(1e-9));
    bar.inc_length(u64::from(rounds) * passes * trace.keys().len() as u64);
    let mut warm = Replayed::default();
    let (mut seconds, mut rates) = (0.0, Vec::new());
    for _ in 0..rounds {
        let (took, replayed) = round(passes)?;
        rates.push(replayed.accesses() as f64 / took);
        seconds += took;
        warm.add(replayed);
    }
    Ok(Passes {
        wrong: cold.wrong + warm.wrong,
        cold: Pass::of(1, cold.hits, cold.misses, cold_seconds),
        warm: Pass::of(u64::from(rounds) * passes, warm.hits, warm.misses, seconds),
        throughput: Spread::of(&rates),
        latency: Latency {
            clock_ns: clock_cost(),
            sampled_one_in: SAMPLED_ONE_IN,
            get_ns: Quantiles::of(&warm.gets),
            insert_ns: Quantiles::of(&warm.inserts),
        },
    })
}

fn too_many_threads(threads: usize, error: &io::Error) -> Failure {
    Failure::Input(format!("cannot start {threads} threads: {error}; give fewer with --threads"))
}

/// Rounds, and passes in each, for about `passes` passes.
fn plan(passes: f64) -> (u32, u64) {
    let rounds = passes.round().clamp(1.0, f64::from(ROUNDS));
    let each = (passes / rounds).round().max(1.0);
    (rounds as u32, each as u64)
}

/// The promises of the cache that this replay saw broken.
fn broken(report: &Replay, wrong: u64, counted: (u64, u64)) -> Vec<String> {
    let mut broken = Vec::new();
    if wrong > 0 {
        broken.push(format!("{wrong} lookups returned the value of another key"));
    }
    if report.peak_charge > report.capacity {
        broken.push(format!("the charge reached {} of {}", report.peak_charge, report.capacity));
    }
    if report.peak_retired > report.retired_capacity {
        broken.push(format!(
            "{} were retired where {} may be",
            report.peak_retired, report.retired_capacity
        ));
    }
    let replayed = (report.cold.hits + report.warm.hits, report.cold.misses + report.warm.misses);
    if replayed != counted {
        broken.push(format!(
            "the cache counted {} hits and {} misses where {} and {} were seen",
            counted.0, counted.1, replayed.0, replayed.1
        ));
    }
    broken
}

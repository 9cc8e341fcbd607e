//! Writes of more threads than processors into caches with default settings: how many are refused, and whether a bound
//! is broken or an update lost.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use clockhand::{Compute, Computed, Usage};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::cli::threads;
use crate::failure::Failure;
use crate::measure::{Column, table_of};
use crate::progress;
use crate::report::grouped;
use crate::team;
use crate::words::unusable;

type Blocks = clockhand::Cache<u64, Vec<u8>, ahash::RandomState>;

/// The options of `refusals`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Threads that write
    #[arg(long, value_name = "N", value_parser = threads, default_value = "8", allow_hyphen_values = true)]
    threads: usize,
    /// Writes of each row, of all threads together
    #[arg(long, value_name = "N", default_value = "1000000")]
    operations: u64,
    /// Only rows whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    only: String,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the threads do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Insert,
    /// Only what is not there.
    GetOrInsert,
    /// Each adds one to the same counter.
    Count,
    /// Each reads through a reader that it does not park before it inserts.
    BesideReaders,
    /// Another thread holds a guard.
    BesideGuard,
}

/// A cache, and what is written there. Each value is as large as what it weighs.
#[derive(Debug, Clone, Copy)]
struct Row {
    name: &'static str,
    writes: Writes,
    capacity: u64,
    bytes: usize,
    keys: u64,
}

const MIB: u64 = 1 << 20;

const fn row(
    name: &'static str,
    writes: Writes,
    (capacity, bytes, keys): (u64, usize, u64),
) -> Row {
    Row { name, writes, capacity, bytes, keys }
}

const ROWS: [Row; 12] = [
    row("insert 300 B into 1 MiB", Writes::Insert, (MIB, 300, 20_000)),
    row("insert 100 KiB into 64 MiB", Writes::Insert, (64 * MIB, 100 << 10, 4_000)),
    row("insert 256 KiB where two fit", Writes::Insert, (600 << 10, 256 << 10, 10)),
    row("get or insert 300 B, 1 MiB", Writes::GetOrInsert, (MIB, 300, 20_000)),
    row("get or insert 100 KiB, 64 MiB", Writes::GetOrInsert, (64 * MIB, 100 << 10, 4_000)),
    row("get or insert 256 KiB, two fit", Writes::GetOrInsert, (600 << 10, 256 << 10, 10)),
    row("count in a cache for one", Writes::Count, (8, 8, 1)),
    row("count in a cache for 1,000", Writes::Count, (8_000, 8, 1)),
    row("insert beside own readers, 64", Writes::BesideReaders, (64, 1, 256)),
    row("insert beside own readers, 1,000", Writes::BesideReaders, (1_000, 1, 4_000)),
    row("insert beside a guard, 64", Writes::BesideGuard, (64, 1, 256)),
    row("insert beside a guard, 10,000", Writes::BesideGuard, (10_000, 1, 40_000)),
];

/// What came of a row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub name: &'static str,
    pub operations: u64,
    pub refused: u64,
    /// Updates of a counter that the cache has confirmed, and that are not there.
    pub lost: u64,
    /// Samples in which a bound was exceeded.
    pub beyond: u64,
    pub peak_retired: u64,
    pub retired_capacity: u64,
}

/// All rows.
#[derive(Debug, Serialize)]
pub(crate) struct Refusals {
    pub rows: Vec<Outcome>,
}

impl Refusals {
    /// How often a promise was broken. That nothing is refused is none, on a machine with more threads than processors.
    pub(crate) fn broken(&self) -> u64 {
        self.rows.iter().map(|row| row.lost + row.beyond).sum()
    }
}

/// Writes each row.
pub(crate) fn run(options: &Options, quiet: bool) -> Result<Refusals, Failure> {
    let rows = ROWS.iter().filter(|row| row.name.contains(&options.only));
    let bar = progress::bar("refusals".into(), rows.clone().count() as u64, "rows", quiet);
    let outcomes = rows.map(|row| {
        let outcome = row.run(options);
        bar.inc(1);
        outcome
    });
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>();
    bar.finish_and_clear();
    Ok(Refusals { rows: outcomes? })
}

/// What the samples have shown.
#[derive(Debug, Default)]
struct Samples {
    beyond: AtomicU64,
    peak_retired: AtomicU64,
}

impl Samples {
    fn take(&self, usage: &Usage) {
        let is_beyond = usage.retired > usage.retired_capacity
            || usage.charged + usage.lingering > usage.capacity;
        self.beyond.fetch_add(is_beyond.into(), Ordering::Relaxed);
        self.peak_retired.fetch_max(usage.retired, Ordering::Relaxed);
    }
}

/// Writes of a thread from one sample of the usage to the next.
const SAMPLED: u64 = 64;

impl Row {
    fn run(&self, options: &Options) -> Result<Outcome, Failure> {
        let cache: Blocks = clockhand::Cache::builder()
            .capacity(self.capacity)
            .hasher(ahash::RandomState::new())
            .weigher(|_, value: &Vec<u8>| value.len() as u64)
            .build()
            .map_err(unusable)?;
        let samples = Samples::default();
        let guard = (self.writes == Writes::BesideGuard).then(|| cache.pin());
        let each = options.operations.div_ceil(options.threads as u64);
        let work = |id| self.write(&cache, (id as u64, each), &samples);
        let confirmed = team::run(options.threads, work, || ())
            .map_err(Failure::machine("cannot start threads"))?;
        drop(guard);
        let confirmed: u64 = confirmed.iter().map(|shift| shift.result).sum();
        let counted = cache.get(&0).map_or(0, |value| count(&value));
        let lost = if self.writes == Writes::Count { confirmed.abs_diff(counted) } else { 0 };
        Ok(Outcome {
            name: self.name,
            operations: each * options.threads as u64,
            refused: cache.stats().refusals,
            lost,
            beyond: samples.beyond.into_inner(),
            peak_retired: samples.peak_retired.into_inner(),
            retired_capacity: cache.usage().retired_capacity,
        })
    }

    /// What one thread does; how many of its updates the cache has confirmed.
    fn write(&self, cache: &Blocks, (id, operations): (u64, u64), samples: &Samples) -> u64 {
        let (mut random, mut reader) = (SmallRng::seed_from_u64(id), cache.reader());
        let value = |key: u64| vec![key as u8; self.bytes];
        let mut confirmed = 0;
        for nth in 0..operations {
            let key = random.random_range(0..self.keys);
            match self.writes {
                Writes::Insert | Writes::BesideGuard => cache.insert(key, value(key)),
                Writes::GetOrInsert => {
                    if cache.read(&key, |_| ()).is_none() {
                        cache.insert(key, value(key));
                    }
                }
                Writes::Count => {
                    let next = |old: Option<&Vec<u8>>| old.map_or(0, |old| count(old)) + 1;
                    let put = |old: Option<&Vec<u8>>| Compute::Put(next(old).to_le_bytes().into());
                    let done = cache.compute(0, put);
                    confirmed += u64::from(matches!(done, Computed::Inserted | Computed::Replaced));
                }
                Writes::BesideReaders => {
                    let lent = reader.get(&random.random_range(0..self.keys));
                    cache.insert(key, value(key));
                    std::hint::black_box(lent);
                }
            }
            if nth % SAMPLED == 0 {
                samples.take(&cache.usage());
            }
        }
        confirmed
    }
}

/// The number in a counter's value.
fn count(value: &[u8]) -> u64 {
    value.try_into().map_or(0, u64::from_le_bytes)
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: [Column<'_, Outcome>; 7] = [
            ("writes", &|row| row.name.into()),
            ("how many", &|row| grouped(row.operations)),
            ("refused", &|row| grouped(row.refused)),
            ("lost", &|row| grouped(row.lost)),
            ("beyond a bound", &|row| grouped(row.beyond)),
            ("peak retired", &|row| grouped(row.peak_retired)),
            ("retired capacity", &|row| grouped(row.retired_capacity)),
        ];
        writeln!(f, "{}", table_of(&columns, 1, &self.rows))
    }
}

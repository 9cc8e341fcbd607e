//! Exactly once: a log with redelivery, consumed with `clockhand::dedup` and with sets used the obvious
//! ways. What is counted is how often a message was processed twice, or not at all.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::RandomState;
use clap::Args;
use clockhand::dedup::{Deduplicator, Outcome};
use serde::Serialize;

use crate::cli::contestants;
use crate::failure::Failure;
use crate::measure::{Column, table_of};
use crate::races::step;
use crate::report::grouped;
use crate::team::{self, MOST_THREADS, cores};

/// How long an id is remembered.
const TTL: Duration = Duration::from_secs(300);
/// One delivery in this many is of the message before.
const REDELIVERED: u64 = 10;
/// Of the messages that are delivered twice, one in this many fails the first time.
const FAILING: u64 = 16;

/// What a consumer did with a delivery.
enum Delivered {
    /// Processed, or known already: acknowledged.
    Acknowledged,
    /// The log delivers it again.
    Again,
}

/// Processing a message; an error the first time, for some.
type Process<'a> = &'a dyn Fn() -> Result<(), ()>;

/// When each message was added.
type Times = HashMap<u64, Instant, RandomState>;

/// A way to process each message once.
type Consumer<'a> = &'a (dyn Fn(u64, Process<'_>) -> Delivered + Sync);

fn answer(result: Result<(), ()>) -> Delivered {
    if result.is_ok() { Delivered::Acknowledged } else { Delivered::Again }
}

/// The obvious way: is it new? Then process it, and add it. Each step is safe by itself.
fn check_then_add(
    is_known: impl Fn(u64) -> bool + Sync,
    add: impl Fn(u64) + Sync,
) -> impl Fn(u64, Process<'_>) -> Delivered + Sync {
    move |id, process| {
        if is_known(id) {
            return Delivered::Acknowledged;
        }
        let result = process();
        if result.is_ok() {
            add(id);
        }
        answer(result)
    }
}

/// What one way came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Way {
    pub name: &'static str,
    /// Over all threads.
    pub deliveries_per_second: f64,
    /// Messages that were processed more than once, and those that were not processed.
    pub twice: u64,
    pub lost: u64,
}

/// All ways at the same work.
#[derive(Debug, Serialize)]
pub(crate) struct Ways {
    pub messages: u64,
    pub threads: usize,
    pub ways: Vec<Way>,
}

impl Ways {
    /// How often `clockhand` failed.
    pub(crate) fn broken(&self) -> u64 {
        self.ways.iter().filter(|way| way.name == "clockhand").map(|way| way.twice + way.lost).sum()
    }
}

/// The options of `dedup`: what is consumed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Log {
    /// Deliveries of the log, redeliveries after a failure apart
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    deliveries: u64,
    /// Threads that consume it; as many as cores by default, and two at least
    #[arg(long, value_name = "N", value_parser = contestants, default_value_t = cores().clamp(2, MOST_THREADS), hide_default_value = true, allow_hyphen_values = true)]
    threads: usize,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl Log {
    /// The message of a delivery: every tenth is the one before, once more.
    fn message(nth: u64) -> u64 {
        nth / REDELIVERED * (REDELIVERED - 1) + (nth % REDELIVERED).min(REDELIVERED - 2)
    }

    fn messages(self) -> u64 {
        self.deliveries.checked_sub(1).map_or(0, |last| Self::message(last) + 1)
    }

    fn consume(self, name: &'static str, consume: Consumer<'_>) -> Result<Way, Failure> {
        let processed: Vec<AtomicU8> = (0..self.messages()).map(|_| AtomicU8::new(0)).collect();
        let failed: Vec<AtomicU8> =
            (0..self.messages().div_ceil(REDELIVERED - 1)).map(|_| AtomicU8::new(0)).collect();
        let next = AtomicU64::new(0);
        let process = |id: u64| {
            let (row, last) = (id / (REDELIVERED - 1), id % (REDELIVERED - 1) == REDELIVERED - 2);
            let first = || failed[row as usize].swap(1, Ordering::Relaxed) == 0;
            if last && row.is_multiple_of(FAILING) && first() {
                return Err(());
            }
            processed[id as usize].fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let work = |_| {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= self.deliveries {
                    return;
                }
                let id = Self::message(nth);
                while let Delivered::Again = consume(id, &|| process(id)) {
                    std::thread::yield_now();
                }
            }
        };
        let shifts = team::run(self.threads, work, || {})
            .map_err(Failure::machine("cannot start the threads"))?;
        let count = |wanted: fn(u8) -> bool| {
            processed.iter().filter(|times| wanted(times.load(Ordering::Relaxed))).count() as u64
        };
        Ok(Way {
            name,
            deliveries_per_second: self.deliveries as f64 / team::elapsed(&shifts).as_secs_f64(),
            twice: count(|times| times > 1),
            lost: count(|times| times == 0),
        })
    }
}

/// Consumes the log in every way.
pub(crate) fn run(log: Log) -> Result<Ways, Failure> {
    let seen = Deduplicator::builder().capacity(log.messages().max(1)).ttl(TTL).build();
    let seen = seen.map_err(|error| Failure::Input(error.to_string()))?;
    let claim = |id, process: Process<'_>| match seen.process(id, process) {
        Outcome::Processed(()) | Outcome::Duplicate => Delivered::Acknowledged,
        _ => Delivered::Again,
    };
    let [locked, added_first] = [(); 2].map(|()| Mutex::new(Times::default()));
    let is_live = |times: &Times, id| times.get(&id).is_some_and(|added| added.elapsed() < TTL);
    let add = |id| _ = step(&locked).insert(id, Instant::now());
    // One lock over check and add, before the message is processed.
    let add_first = |id, process: Process<'_>| {
        let mut times = step(&added_first);
        if is_live(&times, id) {
            return Delivered::Acknowledged;
        }
        times.insert(id, Instant::now());
        drop(times);
        answer(process())
    };
    let mut ways = vec![
        log.consume("clockhand", &claim)?,
        log.consume(
            "mutex, check then add",
            &check_then_add(|id| is_live(&step(&locked), id), add),
        )?,
        log.consume("mutex, add first", &add_first)?,
    ];
    ways.extend(peers(log)?);
    Ok(Ways { messages: log.messages(), threads: log.threads, ways })
}

/// Other caches and maps, used the obvious way.
#[cfg(feature = "peers")]
fn peers(log: Log) -> Result<Vec<Way>, Failure> {
    let map = dashmap::DashMap::<u64, Instant, RandomState>::default();
    let is_live = |id| map.get(&id).is_some_and(|added| added.elapsed() < TTL);
    let moka = moka::sync::Cache::builder().max_capacity(log.messages()).time_to_live(TTL);
    let moka = moka.build_with_hasher(RandomState::new());
    let by_map = check_then_add(is_live, |id| _ = map.insert(id, Instant::now()));
    let by_moka = check_then_add(|id| moka.contains_key(&id), |id| moka.insert(id, ()));
    Ok(vec![
        log.consume("dashmap, check then add", &by_map)?,
        log.consume("moka, check then add", &by_moka)?,
    ])
}

#[cfg(not(feature = "peers"))]
fn peers(_: Log) -> Result<Vec<Way>, Failure> {
    Ok(Vec::new())
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: [Column<'_, Way>; 4] = [
            ("way", &|way| way.name.into()),
            ("deliveries/s", &|way| grouped(way.deliveries_per_second as u64)),
            ("processed twice", &|way| grouped(way.twice)),
            ("never processed", &|way| grouped(way.lost)),
        ];
        let table = table_of(&columns, columns.len(), &self.ways);
        let (messages, threads) = (grouped(self.messages), self.threads);
        writeln!(f, "{messages} messages, a tenth of the deliveries twice, {threads} threads")?;
        writeln!(f, "{table}")?;
        writeln!(f, "Adding first and processing then is one step, but what fails is lost.")
    }
}

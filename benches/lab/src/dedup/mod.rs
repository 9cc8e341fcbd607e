//! Exactly once: a log with redelivery, consumed with `clockhand::dedup` and with sets used the obvious
//! ways. What is counted is how often a message was processed twice, or not at all.

#[cfg(feature = "peers")]
mod peers;
mod ways;

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use clockhand::dedup::Deduplicator;
use serde::Serialize;

use self::ways::{Claims, Locked, LockedAddFirst};
use crate::failure::Failure;
use crate::measure::table;
use crate::report::grouped;
use crate::team;

/// How long an id is remembered.
const TTL: Duration = Duration::from_secs(300);
/// Every so many deliveries, one is of the message before.
const REDELIVERED: u64 = 10;
/// Of the messages that are delivered twice, one in so many fails the first time.
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

/// A way to process each message once.
trait Consumer: Sync {
    fn consume(&self, id: u64, process: Process<'_>) -> Delivered;
}

fn answer(result: Result<(), ()>) -> Delivered {
    if result.is_ok() { Delivered::Acknowledged } else { Delivered::Again }
}

/// What one way came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Way {
    /// Its name.
    pub name: &'static str,
    /// Deliveries per second, over all threads.
    pub deliveries_per_second: f64,
    /// Messages that were processed more than once.
    pub twice: u64,
    /// Messages that were not processed.
    pub lost: u64,
}

/// All ways at the same work.
#[derive(Debug, Serialize)]
pub(crate) struct Ways {
    /// Different messages.
    pub messages: u64,
    /// Threads that consume them.
    pub threads: usize,
    /// One for each.
    pub ways: Vec<Way>,
}

impl Ways {
    /// How often `clockhand` failed.
    pub(crate) fn broken(&self) -> u64 {
        self.ways.iter().filter(|way| way.name == "clockhand").map(|way| way.twice + way.lost).sum()
    }
}

/// What is consumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    /// Deliveries of the log, redeliveries after a failure apart.
    pub deliveries: u64,
    /// Threads.
    pub threads: usize,
}

impl Log {
    /// The message of a delivery: every tenth is the one before, once more.
    fn message(nth: u64) -> u64 {
        nth / REDELIVERED * (REDELIVERED - 1) + (nth % REDELIVERED).min(REDELIVERED - 2)
    }

    fn messages(self) -> u64 {
        self.deliveries.checked_sub(1).map_or(0, |last| Self::message(last) + 1)
    }

    fn consume(self, name: &'static str, consumer: &dyn Consumer) -> Result<Way, Failure> {
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
                while let Delivered::Again = consumer.consume(id, &|| process(id)) {
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
    let seen = seen.map_err(|e| Failure::Input(e.to_string()))?;
    let times = || Mutex::new(HashMap::with_hasher(ahash::RandomState::new()));
    #[cfg_attr(not(feature = "peers"), expect(unused_mut, reason = "the peers are added"))]
    let mut ways = vec![
        log.consume("clockhand", &Claims(seen))?,
        log.consume("mutex, check then add", &Locked(times()))?,
        log.consume("mutex, add first", &LockedAddFirst(times()))?,
    ];
    #[cfg(feature = "peers")]
    ways.extend(peers::consume(log)?);
    Ok(Ways { messages: log.messages(), threads: log.threads, ways })
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["way", "deliveries/s", "processed twice", "never processed"];
        let row = |way: &Way| {
            let counts = [way.deliveries_per_second as u64, way.twice, way.lost];
            std::iter::once(way.name.to_string()).chain(counts.map(grouped))
        };
        let table = table(&header, header.len(), self.ways.iter().map(row));
        let (messages, threads) = (grouped(self.messages), self.threads);
        writeln!(f, "{messages} messages, a tenth of the deliveries twice, {threads} threads")?;
        writeln!(f, "{table}")?;
        writeln!(f, "Adding first and processing then is one step, but what fails is lost.")
    }
}

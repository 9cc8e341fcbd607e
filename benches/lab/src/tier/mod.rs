//! What a second tier costs: operations per second, how long one takes, and how often the server is asked, beside the plain
//! client and the `cached` crate's store.
//!
//! All callers are threads that wait for each answer. Round trips are those that the server has counted: the times that it
//! had something to read.

mod report;
mod server;
mod ways;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;

pub use self::report::{Row, Tiers};
use self::server::Server;
use self::ways::{Asks, WAYS, Way};
use crate::failure::Failure;
use crate::measure::Machine;
use crate::progress;

/// Keys that are read again and again.
const KEYS: u64 = 300;
/// Keys of a bulk.
pub(crate) const BULK: u64 = 100;
/// Instances, each with a connection of its own and a thread that asks.
const INSTANCES: [usize; 2] = [1, 5];

/// The options of `tier`.
#[derive(Debug, Args)]
pub struct Order {
    /// A server to use, which gets keys below `{clockhand-lab}`; without it, one is started
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// How long each cell of the table is measured, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=600_000), allow_negative_numbers = true)]
    time_ms: u64,
    /// Bytes of a value
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000), allow_negative_numbers = true)]
    bytes: u64,
    /// Write the report as one JSON object to this file; `-` prints it instead of the text
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A key that is in the cache of the instance.
    First,
    /// A key that the server has, and the instance has not.
    Second,
    /// A key that is nowhere: it is loaded and stored.
    Miss,
    /// A hundred keys that the server has, and the instance has not.
    Bulk,
    /// A value is written.
    Write,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "hit in the cache",
            Self::Second => "hit in Redis",
            Self::Miss => "miss",
            Self::Bulk => "100 hits in Redis",
            Self::Write => "write",
        }
    }
}

/// Measures all.
///
/// # Errors
///
/// [`Failure::Input`] without a server, [`Failure::Machine`] when the system refuses a thread.
pub fn run(order: &Order, quiet: bool) -> Result<Tiers, Failure> {
    let own = if order.redis.is_none() { Some(Server::start()?) } else { None };
    let url = order.redis.clone().or_else(|| own.as_ref().map(Server::url)).unwrap_or_default();
    let cells = WAYS.iter().map(|way| way.operations.len()).sum::<usize>() * INSTANCES.len();
    let bar = progress::bar(String::new(), cells as u64, "cells", quiet);
    let plan = Plan {
        url,
        time: Duration::from_millis(order.time_ms),
        value: (0..order.bytes).map(|nth| nth as u8).collect(),
    };
    let (rows, machine) = Machine::beside(&bar, || -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        for instances in INSTANCES {
            for way in &WAYS {
                for &operation in way.operations {
                    bar.set_message(way.name);
                    rows.push(measure(&plan, way, operation, instances)?);
                    bar.inc(1);
                }
            }
        }
        Ok(rows)
    });
    Ok(Tiers { machine: machine.lines([format!("values of {} bytes", order.bytes)]), rows: rows? })
}

/// What is the same for all.
pub(crate) struct Plan {
    pub(crate) url: String,
    time: Duration,
    pub(crate) value: Vec<u8>,
}

fn measure(plan: &Plan, way: &Way, operation: Operation, instances: usize) -> Result<Row, Failure> {
    let mut server = server::Observer::connect(&plan.url)?;
    server.forget()?;
    let mut all = Vec::new();
    for nth in 0..instances {
        let mut asks = (way.make)(plan, nth as u64)?;
        for key in 0..KEYS {
            asks.ask(Operation::Write, key)?;
        }
        all.push(asks);
    }
    // What the last one has written, the others were told to forget.
    for asks in &mut all {
        for key in 0..KEYS {
            asks.ask(Operation::Second, key)?;
        }
    }
    let before = server.reads()?;
    let began = Instant::now();
    let shifts = thread::scope(|scope| -> Result<Vec<Histogram<u64>>, Failure> {
        let mut running = Vec::new();
        for (nth, asks) in all.iter_mut().enumerate() {
            let shift = move || work(plan, &mut **asks, operation, nth as u64);
            let thread = thread::Builder::new().spawn_scoped(scope, shift);
            running.push(thread.map_err(Failure::machine("cannot start a thread"))?);
        }
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    })?;
    let took = began.elapsed();
    let mut times = histogram();
    shifts.iter().for_each(|shift| times.add(shift).unwrap_or_default());
    let trips = server.reads()?.saturating_sub(before);
    let operations = times.len();
    Ok(Row {
        operation: operation.name(),
        way: way.name,
        instances,
        operations,
        per_second: operations as f64 / took.as_secs_f64(),
        p50_us: times.value_at_quantile(0.5) as f64 / 1000.0,
        p99_us: times.value_at_quantile(0.99) as f64 / 1000.0,
        // One that has answered nothing took no time that says something.
        round_trips: trips as f64 / operations.max(1) as f64,
    })
}

fn panicked() -> Result<Histogram<u64>, Failure> {
    Err(Failure::Broken("a thread that asked has panicked".to_string()))
}

fn histogram() -> Histogram<u64> {
    let bounds = Histogram::new_with_bounds(1, 60_000_000_000, 3);
    bounds.unwrap_or_else(|_| unreachable!("these bounds are allowed"))
}

/// Asks until the time is over.
fn work(
    plan: &Plan,
    asks: &mut dyn Asks,
    operation: Operation,
    instance: u64,
) -> Result<Histogram<u64>, Failure> {
    let (mut times, began) = (histogram(), Instant::now());
    let mut nth = 0_u64;
    while began.elapsed() < plan.time {
        let key = match operation {
            // Nobody has asked for it.
            Operation::Miss => (instance + 1) << 40 | nth,
            Operation::Bulk => nth * BULK % KEYS,
            _ => nth % KEYS,
        };
        asks.prepare(operation, key);
        let asked = Instant::now();
        asks.ask(operation, key)?;
        times.saturating_record(asked.elapsed().as_nanos() as u64);
        nth += 1;
    }
    Ok(times)
}

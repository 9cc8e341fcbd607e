//! What a second tier costs: operations per second, how long one takes, and how often the server is asked, beside the plain
//! client and the `cached` crate's store.
//!
//! All callers are threads that wait for each answer. Round trips are those that the server has counted: the times that it
//! had something to read.

mod report;
mod server;
mod ways;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;

pub(crate) use self::report::{Row, Tiers};
use self::server::Server;
use self::ways::{Instance, WAYS, Way};
use crate::failure::Failure;
use crate::latency::{Quantiles, Sampler};
use crate::measure::Machine;
use crate::progress;
use crate::team;

/// Keys that are read again and again.
const KEYS: u64 = 300;
/// Keys of a bulk.
pub(crate) const BULK: u64 = 100;
/// Instances, each with a connection of its own and a thread that asks.
const INSTANCES: [usize; 2] = [1, 5];

/// The options of `tier`.
#[derive(Debug, Args)]
pub(crate) struct Options {
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
pub(crate) fn run(options: &Options, quiet: bool) -> Result<Tiers, Failure> {
    let own = if options.redis.is_none() { Some(Server::start()?) } else { None };
    let url = options.redis.clone().or_else(|| own.as_ref().map(Server::url)).unwrap_or_default();
    let cells = WAYS.iter().map(|way| way.operations.len()).sum::<usize>() * INSTANCES.len();
    let bar = progress::bar(String::new(), cells as u64, "cells", quiet);
    let plan = Plan {
        url,
        time: Duration::from_millis(options.time_ms),
        value: (0..options.bytes).map(|nth| nth as u8).collect(),
    };
    let (rows, machine) = Machine::during(&bar, || -> Result<Vec<Row>, Failure> {
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
    Ok(Tiers {
        machine: machine.lines([format!("values of {} bytes", options.bytes)]),
        rows: rows?,
    })
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
    let all = all.into_iter().map(Mutex::new).collect::<Vec<_>>();
    let work = |nth: usize| {
        let mut asks = all[nth].lock().unwrap_or_else(PoisonError::into_inner);
        work(plan, &mut **asks, operation, nth as u64)
    };
    let shifts = team::run(instances, work, || ());
    let shifts = shifts.map_err(Failure::machine("cannot start a thread"))?;
    let took = team::elapsed(&shifts);
    let times = shifts.into_iter().map(|shift| shift.result).collect::<Result<Vec<_>, _>>()?;
    let times = Quantiles::of(&times);
    let trips = server.reads()?.saturating_sub(before);
    let operations = times.samples;
    Ok(Row {
        operation: operation.name(),
        way: way.name,
        instances,
        operations,
        per_second: operations as f64 / took.as_secs_f64(),
        p50_us: times.p50 as f64 / 1000.0,
        p99_us: times.p99 as f64 / 1000.0,
        // One that has answered nothing took no time that says something.
        round_trips: trips as f64 / operations.max(1) as f64,
    })
}

/// Asks again and again, and returns how long each answer took.
fn work(
    plan: &Plan,
    asks: &mut dyn Instance,
    operation: Operation,
    instance: u64,
) -> Result<Histogram<u64>, Failure> {
    let (mut times, began) = (Sampler::new(1, instance), Instant::now());
    let mut nth = 0_u64;
    while began.elapsed() < plan.time {
        let key = match operation {
            // It was not asked for yet.
            Operation::Miss => (instance + 1) << 40 | nth,
            Operation::Bulk => nth * BULK % KEYS,
            _ => nth % KEYS,
        };
        asks.prepare(operation, key);
        times.run(|| asks.ask(operation, key))?;
        nth += 1;
    }
    Ok(times.finish())
}

//! Loading ahead: what it avoids and what it costs, beside ways without a model.
//!
//! Generated days of a market for values that expire; traces of blocks and of the web for keys that
//! follow each other. One thread, and a clock that is moved by hand: figures are the same every time.

mod days;
mod drive;
mod mithril;
mod report;
mod ways;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::days::{Plan, Request};
use self::drive::{Course, Nothing, Outcome};
use self::mithril::Mithril;
pub use self::report::{Days, Report, Row, TraceRow};
use self::ways::Renewing;
use crate::failure::Failure;
use crate::progress;
use crate::replay::Capacity;
use crate::source::Source;
use crate::trace::Trace;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Generated days of a market
    Days,
    /// Traces of keys, without time
    Traces,
    /// Both
    All,
}

/// The options of `predict`.
#[derive(Debug, Args)]
pub struct Order {
    /// What to show
    #[arg(value_enum, default_value = "all")]
    subject: Subject,
    /// Traces (NAME.u64.zst); without any, the built-in ones
    files: Vec<PathBuf>,
    /// Capacities for the traces, each in entries or as a share of their keys
    #[arg(long, value_name = "N|N%,...", value_delimiter = ',', default_value = "1%,10%")]
    capacity: Vec<Capacity>,
    /// Symbols of the market
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(20..=100_000))]
    symbols: u64,
    /// Days, from a Monday on
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(3..=100))]
    days: u64,
    /// First days, which do not count
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=99))]
    learn: u64,
    /// Seed of the market
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write one JSON object to this file; `-` prints it, and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Entries of the cache for each symbol: for a quote, a candle and a profile, and some that are asked for once.
const ENTRIES_A_SYMBOL: u64 = 4;

/// Answers what was asked.
///
/// # Errors
///
/// [`Failure::Input`] when an option or a trace is not usable.
pub fn run(order: &Order, quiet: bool) -> Result<Report, Failure> {
    if order.learn + 1 >= order.days {
        let line = "too few days are left to count; give more --days, or less --learn";
        return Err(Failure::Input(line.into()));
    }
    let mut report = Report::default();
    if order.subject != Subject::Traces {
        report.days = Some(order.days(quiet)?);
    }
    if order.subject != Subject::Days {
        report.traces = order.traces(quiet)?;
    }
    Ok(report)
}

impl Order {
    fn plan(&self) -> Plan {
        Plan { symbols: self.symbols, days: self.days, seed: self.seed }
    }

    fn market<'a>(&self, requests: &'a [Request]) -> Course<'a> {
        Course { requests, capacity: ENTRIES_A_SYMBOL * self.symbols, lives: true }
    }

    fn days(&self, quiet: bool) -> Result<Days, Failure> {
        let requests = self.plan().requests();
        let course = self.market(&requests);
        let bar = progress::bar("days".into(), 4, "ways", quiet);
        let mut rows: Vec<Row> = Vec::new();
        let mut row = |way: String, outcome: Outcome| {
            bar.inc(1);
            let none = rows.first().cloned();
            rows.push(Row::new(way, &outcome, self.learn, none.as_ref()));
        };
        row("nothing".into(), course.drive(|_| Ok(Nothing))?);
        row("all are renewed".into(), course.drive(|_| Ok(Renewing::new(None)))?);
        for hottest in [self.symbols / 5, self.symbols] {
            let renewing = course.drive(|_| Ok(Renewing::new(Some(hottest as usize))))?;
            row(format!("the {hottest} hottest are renewed"), renewing);
        }
        bar.finish_and_clear();
        let Self { symbols, days, seed, .. } = *self;
        Ok(Days { symbols, days, learned: self.learn, seed, rows })
    }

    fn traces(&self, quiet: bool) -> Result<Vec<TraceRow>, Failure> {
        let sources = match self.files.is_empty() {
            true => Source::all_built_in(),
            false => Source::of(self.files.clone()),
        };
        sources.iter().try_for_each(Source::check)?;
        let mut rows = Vec::new();
        for source in sources {
            let trace = source.load(true)?;
            for capacity in &self.capacity {
                rows.extend(self.trace(&source.name(), &trace, *capacity, quiet)?);
            }
        }
        Ok(rows)
    }

    fn trace(
        &self,
        name: &str,
        trace: &Trace,
        capacity: Capacity,
        quiet: bool,
    ) -> Result<Vec<TraceRow>, Failure> {
        let capacity = capacity.of(trace.footprint().weight);
        let request = |(at, key): (usize, &u64)| Request { at: at as u64, key: *key };
        let requests: Vec<Request> = trace.keys().iter().enumerate().map(request).collect();
        let course = Course { requests: &requests, capacity, lives: false };
        let bar = progress::bar(name.into(), 2, "ways", quiet);
        let mut rows: Vec<TraceRow> = Vec::new();
        let mut row = |way: &'static str, outcome: Outcome| {
            bar.inc(1);
            let none = rows.first().map(|row| row.hit_ratio);
            rows.push(TraceRow::new(name, capacity, way, &outcome, none));
        };
        row("nothing", course.drive(|_| Ok(Nothing))?);
        row("Mithril", course.drive(|_| Ok(Mithril::new(capacity)))?);
        bar.finish_and_clear();
        Ok(rows)
    }
}

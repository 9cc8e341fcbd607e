//! Loading ahead: what it avoids and what it costs, beside ways without a model.
//!
//! Generated days of a market for values that expire; traces of blocks and of the web for keys that
//! follow each other. One thread, and a clock that is moved by hand: figures are the same every time.

mod adversary;
mod days;
mod drive;
mod mithril;
mod predicted;
mod report;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clockhand::predict::Budget;

use self::days::{Drift, Plan, Request};
use self::drive::{Course, Nothing, Outcome};
use self::mithril::Mithril;
use self::predicted::{Models, Predicted, Terms};
use self::report::recovery;
pub use self::report::{Adversary, Days, Drifted, Report, Row, TraceRow};
use self::ways::Renewing;
use crate::failure::Failure;
use crate::progress;
use crate::replay::Capacity;
use crate::source::Source;
use crate::trace::Trace;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Generated days of a market, the same with a drift, and keys that mislead
    Days,
    /// Traces of keys, without time
    Traces,
    /// Both
    All,
}

/// The options of `predict`.
#[derive(Debug, Args)]
pub struct Options {
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
    /// Memory of the predictor, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 16 << 10, value_parser = clap::value_parser!(u64).range(64..=1 << 20))]
    memory: u64,
    /// With traces: the loads that the predictor may start for each on demand
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    loads: u32,
    /// Write one JSON object to this file; `-` prints it, and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Entries of the cache for each symbol: for a quote, a candle and a profile, and some that are asked for once.
const ENTRIES_A_SYMBOL: u64 = 4;
/// Rounds of keys that mislead.
const ROUNDS: u64 = 200;
/// While keys mislead, loads per second that the predictor may start.
const SMALL_BUDGET: f64 = 0.5;

/// Answers what was asked.
///
/// # Errors
///
/// [`Failure::Input`] when an option or a trace is not usable.
pub fn run(options: &Options, quiet: bool) -> Result<Report, Failure> {
    if options.learn + 1 >= options.days {
        let line = "too few days are left to count; give more --days, or less --learn";
        return Err(Failure::Input(line.into()));
    }
    let mut report = Report::default();
    if options.subject != Subject::Traces {
        report.days = Some(options.days(quiet)?);
        report.drift = options.drift()?;
        report.adversary = options.adversary()?;
    }
    if options.subject != Subject::Days {
        report.traces = options.traces(quiet)?;
    }
    Ok(report)
}

impl Options {
    fn plan(&self, drift: Option<Drift>) -> Plan {
        Plan { symbols: self.symbols, days: self.days, seed: self.seed, drift }
    }

    fn market<'a>(&self, requests: &'a [Request]) -> Course<'a> {
        Course { requests, capacity: ENTRIES_A_SYMBOL * self.symbols, lives: true }
    }

    /// Rounds every second, and loads enough for a tenth of the symbols in each.
    fn terms(&self, models: Models) -> Terms {
        Terms {
            models,
            budget: Budget::per_second(self.symbols as f64 / 10.0),
            memory: (self.memory << 10) as usize,
            horizon: Duration::from_secs(2),
            tick: 1000,
        }
    }

    fn days(&self, quiet: bool) -> Result<Days, Failure> {
        let requests = self.plan(None).requests();
        let course = self.market(&requests);
        let bar = progress::bar("days".into(), 7, "ways", quiet);
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
        for models in Models::ALL {
            let terms = self.terms(models);
            row(models.name().into(), course.drive(|store| Predicted::new(store, terms))?);
        }
        bar.finish_and_clear();
        let Self { symbols, days, seed, .. } = *self;
        Ok(Days { symbols, days, learned: self.learn, seed, rows })
    }

    /// From the first day that counts on but one, the pattern is another.
    fn drift(&self) -> Result<Option<Drifted>, Failure> {
        let from_day = self.learn + 1;
        let requests = self.plan(Some(Drift { from_day })).requests();
        let course = self.market(&requests);
        let none = course.drive(|_| Ok(Nothing))?;
        let terms = self.terms(Models::Both);
        let predicted = course.drive(|store| Predicted::new(store, terms))?;
        Ok(recovery(&none, &predicted, from_day))
    }

    fn adversary(&self) -> Result<Option<Adversary>, Failure> {
        let requests = adversary::requests(ROUNDS, self.seed);
        let course = self.market(&requests);
        let none = course.drive(|_| Ok(Nothing))?;
        let budget = Budget::per_second(SMALL_BUDGET);
        let terms = Terms { budget, memory: 256 << 10, ..self.terms(Models::Both) };
        let outcome = course.drive(|store| Predicted::new(store, terms))?;
        let seconds = requests.last().map_or(0.0, |last| last.at as f64 / 1000.0);
        Ok(Some(Adversary::new(&none, &outcome, (SMALL_BUDGET * seconds) as u64, terms.memory)))
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
        let bar = progress::bar(name.into(), 5, "ways", quiet);
        let mut rows: Vec<TraceRow> = Vec::new();
        let mut row = |way: &'static str, outcome: Outcome| {
            bar.inc(1);
            let none = rows.first().map(|row| row.hit_ratio);
            rows.push(TraceRow::new(name, capacity, way, &outcome, none));
        };
        row("nothing", course.drive(|_| Ok(Nothing))?);
        row("Mithril", course.drive(|_| Ok(Mithril::new(capacity)))?);
        for models in Models::ALL {
            // A request takes a millisecond.
            let (budget, horizon) = (Budget::share(self.loads.into()), Duration::from_millis(64));
            let terms = Terms { budget, horizon, tick: u64::MAX, ..self.terms(models) };
            row(models.name(), course.drive(|store| Predicted::new(store, terms))?);
        }
        bar.finish_and_clear();
        Ok(rows)
    }
}

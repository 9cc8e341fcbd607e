//! The command line: arguments in, an exit status out, every failure on one line.

#[cfg(not(all(feature = "peers", feature = "predict", feature = "serve", feature = "tier")))]
mod absent;
mod report;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use self::report::{
    finish, print, print_error, print_json, usage, with_printed_report, with_report,
};
use crate::failure::Failure;
#[cfg(feature = "peers")]
use crate::output::Output;
use crate::source::Source;
use crate::team::MOST_THREADS;
use crate::{charts, dedup, progress, races, refusals, replay, stampede};
#[cfg(feature = "peers")]
use crate::{compare, load, peers};

/// Replays access traces through clockhand and compares it with other caches.
#[derive(Debug, Parser)]
#[command(name = "clockhand-lab", version)]
#[cfg_attr(
    not(all(feature = "peers", feature = "predict", feature = "serve", feature = "tier")),
    command(after_help = absent::MORE)
)]
struct Lab {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay traces: look each key up, insert it on a miss
    ///
    /// Each file is replayed on its own: one pass from an empty cache for the hit ratio, then
    /// repeated passes for throughput and latency. `NAME.u64.zst` is one little-endian u64 key per
    /// access, compressed with zstd; `NAME.u32.zst` beside it, one u32 size per access, makes the
    /// sizes the weights. At most 4 GiB are unpacked of a file.
    Replay(replay::Options),
    /// Compare clockhand with its peers in one run
    ///
    /// Rounds of all caches take turns. Printed are the median round, the spread, and the ratio to
    /// quick_cache within the same rounds. Leave the machine alone meanwhile.
    #[cfg(feature = "peers")]
    Compare(compare::Options),
    /// Run the races that the library exists for: naive caches lose them, clockhand does not
    ///
    /// Each race is run twice: with a map whose every step is under a lock, and with clockhand doing
    /// the same work. Printed is how often it went wrong.
    Races(races::Options),
    /// Count the writes that are refused where more threads write than there are processors
    ///
    /// Heavy values, values that fit twice, one counter, threads with readers of their own, and a guard that is held, with
    /// default settings. It fails if a bound is exceeded or an update is lost.
    Refusals(refusals::Options),
    /// Measure what a hit, a miss and a wait for another's load cost, beside moka and quick_cache
    ///
    /// Through `get_or_load` and `get_or_load_async`, and what the others have for it. Rounds of all
    /// caches take turns.
    #[cfg(feature = "peers")]
    Load(load::Options),
    /// Let a hundred clients ask while the store behind the cache is slow: before and after, and four ways
    ///
    /// Before: a naive cache with the races in it; after: clockhand. Then a few keys without a cache; by get
    /// and then insert; by `get_or_load`; by a `LoadingCache` that renews values ahead of their expiry. It
    /// takes five times `--seconds`, about.
    Stampede(stampede::Options),
    /// Serve quotes and candles of a generated market feed, with the page and the metrics of the caches
    ///
    /// Each message of the feed, some of which come twice, is processed once, into a cache of quotes that
    /// threads read; candles are loaded from a slow origin. It stops at Ctrl-C or SIGTERM, with a report.
    #[cfg(feature = "serve")]
    Serve(crate::serve::Options),
    /// Load ahead of requests, by models and without, on generated days of a market and on traces
    ///
    /// Printed are the waits that each way avoids and the loads that it costs. Figures are the same every time.
    #[cfg(feature = "predict")]
    Predict(crate::predict::Options),
    /// Measure what a second tier in Redis costs, beside the plain client and the store of `cached`
    ///
    /// Hits in the cache and in Redis, misses, a hundred keys at once, and writes, by one and by five instances. A
    /// `redis-server` is started for that, unless one is given.
    #[cfg(feature = "tier")]
    Tier(crate::tier::Options),
    /// Consume a log with redelivery, with clockhand and with sets used the obvious ways
    ///
    /// Printed is how often a message was processed twice, and how often never.
    Dedup(dedup::Log),
    #[cfg(feature = "peers")]
    /// Measure one cache's memory; `compare` runs it in processes of their own
    #[command(hide = true)]
    Resident { hashers: peers::Hashers, peer: String, size: peers::Size, entries: u64 },
    #[cfg(feature = "peers")]
    /// Measure how far one cache exceeds its bound; `compare` runs it in processes of their own
    #[command(hide = true)]
    Excess { hashers: peers::Hashers, peer: String, capacity: u64 },
    #[cfg(not(all(feature = "peers", feature = "predict", feature = "serve", feature = "tier")))]
    #[command(external_subcommand)]
    Absent(Vec<OsString>),
}

/// Runs the lab with the process's arguments.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let lab = match Lab::try_parse_from(arguments) {
        Ok(lab) => lab,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            return finish(print(&error.render().to_string()));
        }
        Err(error) => return finish(Err(usage(&error))),
    };
    finish(run(lab.command))
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Replay(options) => replay(&options),
        #[cfg(feature = "peers")]
        Command::Compare(options) => compare(options),
        Command::Races(options) => {
            let races = with_printed_report(options.json, |quiet| races::run(options, quiet))?;
            let line = format!("clockhand lost races {} times", races.broken());
            Failure::unless_kept(races.broken(), line)
        }
        Command::Refusals(options) => {
            let rows = with_printed_report(options.json, |quiet| refusals::run(&options, quiet))?;
            let line = format!("clockhand broke a bound or lost an update {} times", rows.broken());
            Failure::unless_kept(rows.broken(), line)
        }
        #[cfg(feature = "peers")]
        Command::Load(options) => {
            with_report(options.json.clone(), |quiet| load::run(&options, quiet)).map(drop)
        }
        Command::Stampede(options) => stampede(&options),
        Command::Dedup(log) => {
            let ways = with_printed_report(log.json, |_| dedup::run(log))?;
            let line = format!("clockhand processed {} messages twice or never", ways.broken());
            Failure::unless_kept(ways.broken(), line)
        }
        #[cfg(feature = "tier")]
        Command::Tier(options) => {
            with_report(options.json.clone(), |quiet| crate::tier::run(&options, quiet)).map(drop)
        }
        #[cfg(feature = "predict")]
        Command::Predict(options) => {
            with_report(options.json.clone(), |quiet| crate::predict::run(&options, quiet))
                .map(drop)
        }
        #[cfg(feature = "serve")]
        Command::Serve(options) => serve(&options),
        #[cfg(feature = "peers")]
        Command::Resident { hashers, peer, size, entries } => {
            print_json(&peers::resident(hashers, &peer, size, entries)?)
        }
        #[cfg(feature = "peers")]
        Command::Excess { hashers, peer, capacity } => {
            print_json(&peers::excess(hashers, &peer, capacity)?)
        }
        #[cfg(not(all(
            feature = "peers",
            feature = "predict",
            feature = "serve",
            feature = "tier"
        )))]
        Command::Absent(words) => Err(absent::absent(&words)),
    }
}

/// Replays traces, each on its own.
fn replay(options: &replay::Options) -> Result<(), Failure> {
    let sources = Source::of(options.files.clone());
    sources.iter().try_for_each(Source::check)?;
    let mut broken = 0;
    for (at, source) in sources.iter().enumerate() {
        let trace = source.load(options.unit_weights)?;
        let accesses = trace.keys().len() as u64;
        let bar = progress::bar(source.name(), accesses, "accesses", options.json);
        let report = replay::replay(source.name(), &trace, options, &bar);
        bar.finish_and_clear();
        let report = report?;
        broken += report.broken.len() as u64;
        if options.json {
            print_json(&report)?;
        } else {
            print(&format!("{}{report}", if at > 0 { "\n" } else { "" }))?;
        }
        report.broken.iter().for_each(|line| print_error(line));
    }
    Failure::unless_kept(broken, format!("clockhand broke {broken} of its promises"))
}

#[cfg(feature = "peers")]
fn compare(options: compare::Options) -> Result<(), Failure> {
    let effort = options.effort();
    let comparison = with_report(options.json, |quiet| {
        let markdown = options.markdown.map(Output::create).transpose()?;
        options.charts.as_deref().map_or(Ok(()), charts::prepare)?;
        let comparison = compare::run(&effort, quiet)?;
        if let Some(markdown) = markdown {
            markdown.write(&comparison.to_string())?;
        }
        options.charts.map_or(Ok(()), |folder| charts::draw(&comparison, &folder))?;
        Ok(comparison)
    });
    comparison.map(drop)
}

fn stampede(options: &stampede::Options) -> Result<(), Failure> {
    options.check()?;
    let stampede = with_report(options.json.clone(), |quiet| {
        let stampede = stampede::run(options, quiet)?;
        if let (Some(sides), Some(path)) = (&stampede.before_after, &options.chart) {
            charts::draw_before_after(sides, path)?;
        }
        Ok(stampede)
    })?;
    let broken = stampede.broken();
    Failure::unless_kept(
        broken,
        format!(
            "clockhand loaded a key twice in one period, or had more than it was given, {broken} times"
        ),
    )
}

#[cfg(feature = "serve")]
fn serve(options: &crate::serve::Options) -> Result<(), Failure> {
    options.check()?;
    let closing = with_report(options.json.clone(), |_| crate::serve::run(options.clone()))?;
    closing.broken.iter().for_each(|line| print_error(line));
    let broken = closing.broken.len() as u64;
    Failure::unless_kept(broken, format!("{broken} promises were broken"))
}

// Values of options.

/// Threads that race: one races alone.
pub(crate) fn contestants(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if (2..=MOST_THREADS).contains(&threads) => Ok(threads),
        _ => Err(format!("give a whole number from 2 to {MOST_THREADS}: one thread races alone")),
    }
}

pub(crate) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
        _ => Err(format!("give a whole number from 1 to {MOST_THREADS}")),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give a number of seconds from 0 to 3600"),
    }
}

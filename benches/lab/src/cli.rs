//! The command line: arguments in, an exit status out, every failure on one line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::charts;
use crate::compare::{self, Effort, Group};
use crate::dedup::{self, Log};
use crate::failure::{Failure, one_line};
use crate::load;
use crate::output::{Output, is_standard_output};
use crate::peers::{self, Chosen, Hashers, Peers};
use crate::progress;
use crate::races::{self, Heat};
use crate::replay::{self, Capacity, Order, ReadPath};
use crate::source::Source;
use crate::stampede;
use crate::team::{MOST_THREADS, cores};

/// Replays access traces through clockhand and compares it with other caches.
#[derive(Debug, Parser)]
#[command(name = "clockhand-lab", version)]
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
    Replay(Replay),
    /// Compare clockhand with its peers in one run
    ///
    /// Rounds of all caches take turns. Printed are the median round, the spread, and the ratio to
    /// quick_cache within the same rounds. Leave the machine alone meanwhile.
    Compare(Compare),
    /// Run the races that the library exists for: naive caches lose them, clockhand does not
    ///
    /// Each race is run twice: with a map whose every step is under a lock, and with clockhand doing
    /// the same work. Printed is how often it went wrong.
    Races(Races),
    /// Measure what a hit, a miss and a wait for another's load cost, beside moka and quick_cache
    ///
    /// Through `get_or_load` and `get_or_load_async`, and what the others have for it. Rounds of all
    /// caches take turns.
    Load(load::Order),
    /// Let callers ask for a few keys while the store behind the cache is slow, in four ways
    ///
    /// Without a cache; by get and then insert; by `get_or_load`; by a `LoadingCache` that renews values
    /// ahead of their expiry. It takes the time of its options, about: three times `--seconds`.
    Stampede(stampede::Order),
    /// Consume a log with redelivery, with clockhand and with sets used the obvious ways
    ///
    /// Printed is how often a message was processed twice, and how often never.
    Dedup(Dedup),
    /// Measure one cache's memory; `compare` runs it in processes of their own
    #[command(hide = true)]
    Resident { hashers: Hashers, peer: String, size: peers::Size, entries: u64 },
    /// Measure how far one cache exceeds its bound; `compare` runs it in processes of their own
    #[command(hide = true)]
    Excess { hashers: Hashers, peer: String, capacity: u64 },
}

#[derive(Debug, Args)]
struct Replay {
    /// Traces (NAME.u64.zst); without any, the built-in one
    files: Vec<PathBuf>,
    /// Capacity in entries, or in bytes when the trace has sizes; with %, a share of what would hold
    /// the whole trace
    #[arg(long, value_name = "N|N%", default_value = "10%", allow_hyphen_values = true)]
    capacity: Capacity,
    /// Threads that share the accesses; as many as cores by default
    #[arg(long, value_name = "N", value_parser = threads, allow_hyphen_values = true)]
    threads: Option<usize>,
    /// Which read operation to use
    #[arg(long, value_enum, default_value = "get")]
    read: ReadPath,
    /// How long to repeat the passes for throughput and latency; 0 repeats once
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "2", allow_hyphen_values = true)]
    seconds: Duration,
    /// Let every entry weigh 1, also when the trace has sizes
    #[arg(long)]
    unit_weights: bool,
    /// Print one JSON object per trace, and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Compare {
    /// What to compare
    #[arg(value_enum, default_value = "all")]
    subject: Subject,
    /// Fewer and shorter rounds, one and two threads: less than two minutes
    #[arg(long)]
    quick: bool,
    /// Numbers of threads that the speed is measured with: 1,2,4,8, or 1,2 when quick
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = threads, allow_hyphen_values = true)]
    threads: Option<Vec<usize>>,
    /// How many rounds, memory apart
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// How long one round of a throughput takes, in milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    round_ms: Option<u64>,
    /// Entries of the memory question
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries: u64,
    /// Which caches take part, beside clockhand and quick_cache: `all`, or some of moka, foyer-s3fifo,
    /// foyer-lru, tinyufo, scc, lru, papaya, flurry, dashmap, loads
    #[arg(long, value_name = "NAME,NAME", default_value = "all")]
    peers: Chosen,
    /// Which hashers the caches use: all the same ahash, or each its own default
    #[arg(long, value_enum, default_value = "same")]
    hashers: Hashers,
    /// A folder of traces (NAME.u64.zst) with a rows.csv (trace,entries,policy,hit_ratio) that says
    /// which capacities to replay; without it, the built-in trace
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Write one JSON object to this file; `-` prints it, and nothing else
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables to this file too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Draw a bar chart of each question into this folder, as SVG
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
}

/// What `compare` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Operations per second
    Speed,
    /// Quantiles of the time that a get and an insert take
    Latency,
    /// Resident bytes of a full cache
    Memory,
    /// Hits per lookup in recorded traces, beside the optimum
    HitRatio,
    /// All of them
    All,
}

impl Subject {
    fn groups(self) -> Vec<Group> {
        match self {
            Self::Speed => vec![Group::Speed],
            Self::Latency => vec![Group::Latency],
            Self::Memory => vec![Group::Memory],
            Self::HitRatio => vec![Group::HitRatio],
            Self::All => vec![Group::Speed, Group::Latency, Group::Memory, Group::HitRatio],
        }
    }
}

#[derive(Debug, Args)]
struct Races {
    /// Threads of each race; as many as cores by default, and two at least
    #[arg(long, value_name = "N", value_parser = contestants, allow_hyphen_values = true)]
    threads: Option<usize>,
    /// How long each side of each race takes
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "0.5", allow_hyphen_values = true)]
    seconds: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Dedup {
    /// Deliveries of the log
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    deliveries: u64,
    /// Threads that consume it; as many as cores by default, and two at least
    #[arg(long, value_name = "N", value_parser = contestants, allow_hyphen_values = true)]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
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
    finish(match lab.command {
        Command::Replay(order) => order.run(),
        Command::Compare(order) => order.run(),
        Command::Races(order) => order.run(),
        Command::Load(order) => told(order.json.clone(), |quiet| load::run(&order.effort(), quiet)),
        Command::Stampede(order) => stampede(&order),
        Command::Resident { hashers, peer, size, entries } => {
            let resident = peers::resident(hashers, &peer, size, entries);
            resident.and_then(|resident| print_json(&resident))
        }
        Command::Excess { hashers, peer, capacity } => {
            peers::excess(hashers, &peer, capacity).and_then(|excess| print_json(&excess))
        }
        Command::Dedup(order) => order.run(),
    })
}

impl Replay {
    fn run(self) -> Result<(), Failure> {
        let sources = Source::of(self.files);
        sources.iter().try_for_each(Source::check)?;
        let order = Order {
            capacity: self.capacity,
            threads: self.threads.unwrap_or_else(|| cores().min(MOST_THREADS)),
            time: self.seconds,
            read: self.read,
        };
        let mut broken = 0;
        for (at, source) in sources.iter().enumerate() {
            let trace = source.load(self.unit_weights)?;
            let accesses = trace.keys().len() as u64;
            let bar = progress::bar(source.name(), accesses, "accesses", self.json);
            let report = replay::replay(source.name(), &trace, &order, &bar);
            bar.finish_and_clear();
            let report = report?;
            broken += report.broken.len();
            if self.json {
                print_json(&report)?;
            } else {
                print(&format!("{}{report}", if at > 0 { "\n" } else { "" }))?;
            }
            report.broken.iter().for_each(|line| complain(line));
        }
        let line = format!("clockhand broke {broken} of its promises");
        if broken == 0 { Ok(()) } else { Err(Failure::Broken(line)) }
    }
}

impl Compare {
    fn run(self) -> Result<(), Failure> {
        let effort = self.effort();
        let quiet = self.json.as_deref().is_some_and(is_standard_output);
        let json = self.json.filter(|_| !quiet).map(Output::create).transpose()?;
        let markdown = self.markdown.map(Output::create).transpose()?;
        let charts = self.charts;
        charts.as_deref().map_or(Ok(()), charts::prepare)?;
        let comparison = compare::run(&effort, quiet)?;
        let text = comparison.to_string();
        if let Some(json) = json {
            json.write(&json_line(&comparison)?)?;
        }
        if let Some(markdown) = markdown {
            markdown.write(&text)?;
        }
        if let Some(folder) = charts {
            charts::draw(&comparison, &folder)?;
        }
        if quiet { print_json(&comparison) } else { print(&text) }
    }

    fn effort(&self) -> Effort {
        let round = self.round_ms.map(Duration::from_millis);
        let peers = Peers { chosen: self.peers, hashers: self.hashers };
        let usual = Effort::new(self.quick, self.subject.groups(), peers);
        Effort {
            threads: self.threads.clone().unwrap_or(usual.threads),
            rounds: self.rounds.map_or(usual.rounds, |rounds| rounds as usize),
            throughput: round.unwrap_or(usual.throughput),
            latency: round.unwrap_or(usual.latency),
            entries: self.entries,
            traces: self.traces.clone(),
            ..usual
        }
    }
}

impl Races {
    fn run(self) -> Result<(), Failure> {
        let threads = self.threads.unwrap_or_else(|| cores().clamp(2, MOST_THREADS));
        let races = races::run(Heat { threads, time: self.seconds }, self.json)?;
        if self.json {
            print_json(&races)?;
        } else {
            print(&races.to_string())?;
        }
        let line = format!("clockhand lost races {} times", races.broken());
        if races.broken() == 0 { Ok(()) } else { Err(Failure::Broken(line)) }
    }
}

fn stampede(order: &stampede::Order) -> Result<(), Failure> {
    let plan = order.plan()?;
    let mut broken = 0;
    told(order.json.clone(), |quiet| {
        let stampede = stampede::run(&plan, quiet)?;
        broken = stampede.broken();
        Ok(stampede)
    })?;
    let line = format!("clockhand loaded a key twice in one period, {broken} times");
    if broken == 0 { Ok(()) } else { Err(Failure::Broken(line)) }
}

/// Runs something, which is told whether to be quiet, and prints its report: as text and, if there is
/// a file for it, as JSON there; or only as JSON, if that file is standard output.
fn told<R: serde::Serialize + std::fmt::Display>(
    json: Option<PathBuf>,
    run: impl FnOnce(bool) -> Result<R, Failure>,
) -> Result<(), Failure> {
    let quiet = json.as_deref().is_some_and(is_standard_output);
    let json = json.filter(|_| !quiet).map(Output::create).transpose()?;
    let report = run(quiet)?;
    if let Some(json) = json {
        json.write(&json_line(&report)?)?;
    }
    if quiet { print_json(&report) } else { print(&report.to_string()) }
}

impl Dedup {
    fn run(self) -> Result<(), Failure> {
        let threads = self.threads.unwrap_or_else(|| cores().clamp(2, MOST_THREADS));
        let ways = dedup::run(Log { deliveries: self.deliveries, threads })?;
        if self.json {
            print_json(&ways)?;
        } else {
            print(&ways.to_string())?;
        }
        let line = format!("clockhand processed {} messages twice or never", ways.broken());
        if ways.broken() == 0 { Ok(()) } else { Err(Failure::Broken(line)) }
    }
}

fn contestants(text: &str) -> Result<usize, String> {
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

/// What clap says about the arguments, without its usage lines.
fn usage(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or(&text);
    let said = said.split("\n\nFor more information").next().unwrap_or(said);
    let said = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "no command given; try `replay`",
        _ => said.trim_start_matches("error: "),
    };
    Failure::Input(format!("{} (--help shows the options)", one_line(said)))
}

fn print_json(report: &impl serde::Serialize) -> Result<(), Failure> {
    print(&json_line(report)?)
}

fn json_line(report: &impl serde::Serialize) -> Result<String, Failure> {
    let line = serde_json::to_string(report).map_err(io::Error::from);
    Ok(format!("{}\n", line.map_err(Failure::machine("cannot write the report"))?))
}

/// Prints to standard output. A reader that went away early has seen all it wanted.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::machine("cannot write the report")(error))
        }
        _ => Ok(()),
    }
}

fn complain(line: &str) {
    // Nothing is left to do when standard error is closed too.
    let _ = writeln!(io::stderr(), "clockhand-lab: {}", one_line(line));
}

fn finish(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.line());
            ExitCode::from(failure.status())
        }
    }
}

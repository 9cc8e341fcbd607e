//! What is asked, of whom, and how often and how long each cache is measured.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::units::Group;
use crate::cli::threads;
use crate::peers::{Chosen, Hashers, Peers};
use crate::team::cores;

/// The options of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Options {
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
    pub(crate) json: Option<PathBuf>,
    /// Write the tables to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Draw a bar chart of each question into this folder, as SVG
    #[arg(long, value_name = "DIR")]
    pub(crate) charts: Option<PathBuf>,
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

/// What follows from the options.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    pub groups: Vec<Group>,
    pub peers: Peers,
    /// Leaves out what costs most: the many keys but with the most threads.
    pub quick: bool,
    /// The numbers of threads that the speed and the latency are measured with.
    pub threads: Vec<usize>,
    pub latency_threads: Vec<usize>,
    /// Rounds of each cache; fewer of the memory questions, as there is little spread in them.
    pub rounds: usize,
    pub memory_rounds: usize,
    /// Entries of the memory question.
    pub entries: u64,
    /// How long a round takes that measures throughput, or latency.
    pub throughput: Duration,
    pub latency: Duration,
    /// Where the traces and their known hit ratios are; the built-in ones otherwise.
    pub traces: Option<PathBuf>,
}

impl Options {
    /// What fits into two minutes on two cores, or what it takes to be sure; unless the user says otherwise.
    pub(crate) fn effort(&self) -> Effort {
        let (rounds, memory_rounds, throughput, latency) =
            if self.quick { (3, 1, 30, 150) } else { (9, 3, 200, 400) };
        let round = |usual| Duration::from_millis(self.round_ms.unwrap_or(usual));
        let threads = if self.quick { vec![1, 2] } else { vec![1, 2, 4, 8] };
        Effort {
            groups: self.subject.groups(),
            peers: Peers { chosen: self.peers, hashers: self.hashers },
            quick: self.quick,
            threads: self.threads.clone().unwrap_or(threads),
            latency_threads: vec![cores(), 4 * cores()],
            rounds: self.rounds.map_or(rounds, |rounds| rounds as usize),
            memory_rounds,
            entries: self.entries,
            throughput: round(throughput),
            latency: round(latency),
            traces: self.traces.clone(),
        }
    }
}

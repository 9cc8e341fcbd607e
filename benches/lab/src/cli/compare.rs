//! `compare`, and what it runs in processes of their own.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::said::told;
use super::threads;
use crate::charts;
use crate::compare::{self, Effort, Group};
use crate::failure::Failure;
use crate::output::Output;
use crate::peers::{Chosen, Hashers, Peers};

#[derive(Debug, Args)]
pub(super) struct Compare {
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

impl Compare {
    pub(super) fn run(self) -> Result<(), Failure> {
        let effort = self.effort();
        let comparison = told(self.json, |quiet| {
            let markdown = self.markdown.map(Output::create).transpose()?;
            self.charts.as_deref().map_or(Ok(()), charts::prepare)?;
            let comparison = compare::run(&effort, quiet)?;
            if let Some(markdown) = markdown {
                markdown.write(&comparison.to_string())?;
            }
            self.charts.map_or(Ok(()), |folder| charts::draw(&comparison, &folder))?;
            Ok(comparison)
        });
        comparison.map(drop)
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

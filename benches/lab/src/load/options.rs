//! What the user orders.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::threads;

/// The options of `load`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds: less than a minute
    #[arg(long)]
    quick: bool,
    /// Numbers of threads that hits and misses are measured with
    #[arg(long, value_name = "LIST", default_value = "1,2", value_delimiter = ',', value_parser = threads, allow_hyphen_values = true)]
    pub(super) threads: Vec<usize>,
    /// Callers that wait for one load
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1024))]
    pub(super) callers: u16,
    /// How many rounds: 9, or 5 when quick
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// How long a round takes, in milliseconds: 200, or 50 when quick
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    round_ms: Option<u64>,
    /// Write one JSON object to this file; `-` prints it, and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// Rounds of each cache.
    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 5 } else { 9 }) as usize
    }

    /// How long a round takes.
    pub(super) fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms.unwrap_or(if self.quick { 50 } else { 200 }))
    }
}

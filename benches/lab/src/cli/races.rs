//! `races` and `dedup`: what naive code loses, beside clockhand.

use std::time::Duration;

use clap::Args;

use super::said::told_or_printed;
use super::{contestants, seconds};
use crate::dedup::{self, Log};
use crate::failure::Failure;
use crate::races::{self, Heat};
use crate::team::{MOST_THREADS, cores};

#[derive(Debug, Args)]
pub(super) struct Races {
    /// Threads of each race; as many as cores by default, and two at least
    #[arg(long, value_name = "N", value_parser = contestants, allow_hyphen_values = true)]
    threads: Option<usize>,
    /// How long each side of each race takes
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "0.25", allow_hyphen_values = true)]
    seconds: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Races {
    pub(super) fn run(self) -> Result<(), Failure> {
        let threads = self.threads.unwrap_or_else(|| cores().clamp(2, MOST_THREADS));
        let heat = Heat { threads, time: self.seconds };
        let races = told_or_printed(self.json, |quiet| races::run(heat, quiet))?;
        let line = format!("clockhand lost races {} times", races.broken());
        Failure::unless_kept(races.broken(), line)
    }
}

#[derive(Debug, Args)]
pub(super) struct Dedup {
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

impl Dedup {
    pub(super) fn run(self) -> Result<(), Failure> {
        let threads = self.threads.unwrap_or_else(|| cores().clamp(2, MOST_THREADS));
        let log = Log { deliveries: self.deliveries, threads };
        let ways = told_or_printed(self.json, |_| dedup::run(log))?;
        let line = format!("clockhand processed {} messages twice or never", ways.broken());
        Failure::unless_kept(ways.broken(), line)
    }
}

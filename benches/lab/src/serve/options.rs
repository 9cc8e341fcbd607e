//! What the user orders.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::TypedValueParser;

use super::fault::{Fault, FaultPlan};
use crate::cli::threads;
use crate::failure::Failure;
use crate::team::cores;

/// Threads that feed, and as many that read, unless the user says more.
const THREADS: usize = 2;

/// The options of `serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// How long to serve, in seconds; without it, until it is told to stop
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(2..=86_400).map(Duration::from_secs), allow_negative_numbers = true)]
    pub(super) duration: Option<Duration>,
    /// Messages of the feed per second, on average
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000), allow_negative_numbers = true)]
    pub(super) rate: u64,
    /// Threads that feed, a partition each, and as many that read; as many as cores by default, two at most
    #[arg(long, value_name = "N", value_parser = threads, default_value_t = cores().min(THREADS), hide_default_value = true, allow_hyphen_values = true)]
    pub(super) threads: usize,
    /// Quotes that are kept; candles get 64 bytes for each of them
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000), allow_negative_numbers = true)]
    pub(super) capacity: u64,
    /// Port of 127.0.0.1 to listen on; 0 takes one that is free
    #[arg(long, value_name = "N", default_value_t = 8080, allow_negative_numbers = true)]
    pub(super) port: u16,
    /// Seed of the feed and of those who ask
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(super) seed: u64,
    /// Load candles through this Redis server, which several services share (feature `tier`)
    #[arg(long, value_name = "URL")]
    pub(super) redis: Option<String>,
    /// What goes wrong for a while
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// When it begins to go wrong, in seconds
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400), allow_negative_numbers = true)]
    fault_after: u64,
    /// How long it goes wrong, in seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(3..=86_400), allow_negative_numbers = true)]
    fault_seconds: u64,
    /// Write the closing report as one JSON object to this file; `-` prints it instead of the text
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Seconds that have to be left after the end of a fault to see that it clears.
const TO_CLEAR: u64 = 6;

impl Options {
    /// # Errors
    ///
    /// [`Failure::Input`] if a fault would not be over, and seen to be, before the end.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let needed = self.fault_after + self.fault_seconds + TO_CLEAR;
        match (self.fault, self.duration) {
            (Some(_), Some(duration)) if duration < Duration::from_secs(needed) => {
                Err(Failure::Input(format!(
                    "a fault from second {} on for {} s is over and cleared after {needed} s; give more \
                     --duration, or less --fault-after or --fault-seconds",
                    self.fault_after, self.fault_seconds
                )))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fault_plan(&self) -> Option<FaultPlan> {
        let (begins, ends) = (self.fault_after, self.fault_after + self.fault_seconds);
        let [begins, ends] = [begins, ends].map(Duration::from_secs);
        self.fault.map(|fault| FaultPlan { fault, begins, ends })
    }
}

//! `replay`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::said::{complain, print, print_json};
use super::{seconds, threads};
use crate::failure::Failure;
use crate::progress;
use crate::replay::{self, Capacity, Order, ReadPath};
use crate::source::Source;
use crate::team::{MOST_THREADS, cores};

#[derive(Debug, Args)]
pub(super) struct Replay {
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

impl Replay {
    pub(super) fn run(self) -> Result<(), Failure> {
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

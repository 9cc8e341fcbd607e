//! Compares clockhand with its peers, all in one run, round by round in turn.

mod arena;
mod churn;
mod fill;
pub mod keys;
mod memory;
mod mix;
mod question;
mod read;
mod table;

use std::time::Duration;

use indicatif::ProgressBar;

use self::question::{Question, answer};
pub use self::table::{Comparison, Row};
use crate::failure::Failure;
use crate::latency::clock_cost;
use crate::machine::CpuMeter;
use crate::peers::{Peer, Peers, Visit, each};
use crate::progress;
use crate::team::cores;

/// How many questions [`ask_all`] asks, for the progress bar.
const QUESTIONS: u64 = 9;

/// How often and how long each cache is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Which caches take part.
    pub peers: Peers,
    /// Rounds of each cache.
    pub rounds: usize,
    /// Rounds of the memory question; there is little spread in it.
    pub memory_rounds: usize,
    /// Entries of the memory question.
    pub entries: u64,
    /// How long a round takes that measures throughput.
    pub throughput: Duration,
    /// How long a round takes that measures latency.
    pub latency: Duration,
}

impl Effort {
    /// What fits into half a minute, or what it takes to be sure.
    #[must_use]
    pub fn new(quick: bool, peers: Peers) -> Self {
        let (rounds, memory_rounds, throughput, latency) =
            if quick { (5, 1, 100, 400) } else { (15, 3, 250, 500) };
        let [throughput, latency] = [throughput, latency].map(Duration::from_millis);
        Self { peers, rounds, memory_rounds, entries: 1_000_000, throughput, latency }
    }
}

/// Asks every question.
///
/// # Errors
///
/// When the system refuses a thread or a process, or a cache loses keys that it has room for.
pub fn run(effort: &Effort, quiet: bool) -> Result<Comparison, Failure> {
    let bar = progress::bar(String::new(), QUESTIONS, "questions", quiet);
    let meter = CpuMeter::begin();
    let rows = ask_all(effort, &bar);
    bar.finish_and_clear();
    let cores_taken = meter.cores_taken();
    Ok(Comparison { setup: setup(effort, cores_taken), cores_taken, rows: rows? })
}

fn ask_all(effort: &Effort, bar: &ProgressBar) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for threads in [1, 2] {
        rows.extend(ask(&read::HitRead::zipf(threads, effort.throughput), effort, bar)?);
    }
    rows.extend(ask(&read::HitRead::hot_key(2, effort.throughput), effort, bar)?);
    for threads in [1, 2] {
        rows.extend(ask(&churn::Churn::new(threads, effort.throughput), effort, bar)?);
    }
    rows.extend(ask(&fill::Fill::new(2, effort.throughput), effort, bar)?);
    rows.extend(ask(&mix::Mix::mostly_reads(effort.latency), effort, bar)?);
    rows.extend(ask(&mix::Mix::get_or_insert(effort.latency), effort, bar)?);
    let memory = Effort { rounds: effort.memory_rounds, ..*effort };
    rows.extend(ask(&memory::Memory::new(effort.peers.hashers, effort.entries), &memory, bar)?);
    Ok(rows)
}

fn ask(question: &impl Question, effort: &Effort, bar: &ProgressBar) -> Result<Vec<Row>, Failure> {
    bar.set_message(question.about().title);
    bar.tick();
    let rows = answer(question, effort.peers, effort.rounds);
    bar.inc(1);
    rows
}

fn setup(effort: &Effort, cores_taken: Option<f64>) -> Vec<String> {
    let build =
        if cfg!(debug_assertions) { "DEBUG build: compare nothing" } else { "release build" };
    let mut setup = vec![
        format!("{} cores, {build}, a reading of the clock {} ns", cores(), clock_cost()),
        format!(
            "{} rounds of {} ms (latency {} ms, memory {} rounds), caches in turn",
            effort.rounds,
            effort.throughput.as_millis(),
            effort.latency.as_millis(),
            effort.memory_rounds
        ),
    ];
    setup.extend(cores_taken.map(|cores| {
        let verdict = if cores > 0.1 {
            "too many, contention may be understated"
        } else {
            "few enough to trust contention"
        };
        format!("other processes kept {cores:.2} cores busy meanwhile: {verdict}")
    }));
    each(effort.peers, &mut Configurations(&mut setup));
    setup
}

struct Configurations<'a>(&'a mut Vec<String>);

impl Visit for Configurations<'_> {
    fn visit<P: Peer>(&mut self) {
        self.0.push(format!("{}: {}", P::NAME, P::configuration()));
    }
}

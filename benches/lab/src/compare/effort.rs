//! How often and how long each cache is measured.

use std::path::PathBuf;
use std::time::Duration;

use super::units::Group;
use crate::peers::Peers;
use crate::team::cores;

/// What is asked, of whom, and with how much effort.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// Which groups of questions.
    pub groups: Vec<Group>,
    /// Which caches take part.
    pub peers: Peers,
    /// Leaves out what costs most: the many keys but with the most threads.
    pub quick: bool,
    /// The numbers of threads that the speed is measured with.
    pub threads: Vec<usize>,
    /// The numbers of threads that the latency is measured with.
    pub latency_threads: Vec<usize>,
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
    /// Where the traces and their known hit ratios are; the built-in trace otherwise.
    pub traces: Option<PathBuf>,
}

impl Effort {
    /// What fits into two minutes on two cores, or what it takes to be sure.
    pub(crate) fn new(quick: bool, groups: Vec<Group>, peers: Peers) -> Self {
        let (rounds, memory_rounds, throughput, latency) =
            if quick { (3, 1, 30, 150) } else { (9, 3, 200, 400) };
        let [throughput, latency] = [throughput, latency].map(Duration::from_millis);
        Self {
            groups,
            peers,
            quick,
            threads: if quick { vec![1, 2] } else { vec![1, 2, 4, 8] },
            latency_threads: vec![cores(), 4 * cores()],
            rounds,
            memory_rounds,
            entries: 1_000_000,
            throughput,
            latency,
            traces: None,
        }
    }
}

//! How long a comparison will take, about.
//!
//! The timed rounds are known. What is not timed is guessed from rates that the slower caches reach;
//! nothing but the line that announces the run depends on them.

use std::fmt;
use std::time::Duration;

use super::course::Course;
use super::effort::Effort;
use super::units::Group;
use super::{batches, mixed, read};
use crate::peers::{Peer, Visit, Weigh, each};

/// Inserts and accesses a second of one cache, about.
const RATE: f64 = 1.2e6;

/// Caches of a million entries that one thread count of the speed questions fills.
const LARGE: u64 = 3;

/// How long a comparison will take, about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate(Duration);

impl Estimate {
    pub(super) fn of(effort: &Effort, course: Option<&Course>) -> Self {
        let mut count = Count::default();
        each(effort.peers, &mut count);
        let seconds = effort.groups.iter().map(|group| match group {
            Group::Speed => speed(effort, count),
            Group::Latency => {
                let turns = 2 * effort.latency_threads.len() * effort.rounds * count.caches;
                turns as f64 * effort.latency.as_secs_f64()
            }
            Group::Memory => {
                let filled = 2 * effort.entries * (count.writers * effort.memory_rounds) as u64;
                filled as f64 / RATE
            }
            Group::HitRatio => {
                let accesses = course.map_or(0, Course::accesses);
                (accesses * count.writers as u64) as f64 / RATE
            }
        });
        Self(Duration::from_secs_f64(seconds.sum()))
    }
}

fn speed(effort: &Effort, count: Count) -> f64 {
    let Count { all, caches, writers, weighing } = count;
    let few = 3 * all + (1 + mixed::PERCENT.len()) * caches + writers + weighing;
    let many = (1 + batches::SIZES.len()) * all;
    let times = effort.threads.len();
    let times_many = if effort.quick { 1 } else { times };
    let turns = (few * times + many * times_many) * effort.rounds;
    let filled = read::MANY * LARGE * (all * times_many) as u64;
    turns as f64 * effort.throughput.as_secs_f64() + filled as f64 / RATE
}

/// How many take part in which questions.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: usize,
    caches: usize,
    writers: usize,
    weighing: usize,
}

impl Visit for Count {
    fn visit<P: Peer>(&mut self) {
        self.all += 1;
        self.caches += usize::from(P::EVICTS);
        self.writers += usize::from(P::EVICTS && P::WRITES);
        self.weighing += usize::from(<P::Weighing<u32> as Weigh<u32>>::WEIGHS);
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if seconds < 120 => write!(f, "about {} seconds", seconds.max(1)),
            seconds => write!(f, "about {} minutes", seconds.div_ceil(60)),
        }
    }
}

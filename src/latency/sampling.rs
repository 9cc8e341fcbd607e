//! What is timed, and the histograms of a participant.

use std::sync::OnceLock;
use std::time::Duration;

use histogram::{AtomicHistogram, Config, Histogram};

use super::Operation;
use crate::sync::{AtomicU32, Relaxed};
use crate::time::nanos;

/// Kinds of operations.
const OPERATIONS: usize = Operation::Maintain as usize + 1;
/// Buckets for each power of two: two to the power of this. Values are told to within a thirty-second part.
const GROUPING: u8 = 5;
/// The powers of two that are told apart: up to 18 minutes, in nanoseconds. What takes longer counts as that.
const POWERS: u8 = 40;
const LONGEST: u64 = (1 << POWERS) - 1;

/// How often a cache times reads and inserts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    /// The number of operations of which one is timed; zero if nothing is timed.
    every: u32,
}

/// What a participant has timed. Only the thread that has it writes.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    /// Reads, and inserts, that are not timed before the next one is.
    left: [Relaxed<AtomicU32>; 2],
    random: Relaxed<AtomicU32>,
    histograms: [OnceLock<AtomicHistogram>; OPERATIONS],
}

impl Sampling {
    pub(crate) const OFF: Self = Self { every: 0 };

    /// One of one in `every` on average, and no fewer than each.
    pub(crate) fn one_of(every: u32) -> Self {
        Self { every: every.clamp(1, 1 << 30) }
    }

    pub(crate) fn every(self) -> u32 {
        self.every
    }

    #[inline]
    pub(crate) fn is_on(self) -> bool {
        self.every != 0
    }

    /// Whether a read, or an insert, that begins now is to be timed.
    #[inline(always)]
    pub(crate) fn is_due(self, timings: &Timings, operation: Operation) -> bool {
        self.every != 0 && timings.count_down(operation, self.every)
    }
}

impl Timings {
    #[inline(always)]
    fn count_down(&self, operation: Operation, every: u32) -> bool {
        let word = &self.left[operation as usize];
        let left = word.get();
        if left == 0 {
            word.set(self.distance(every));
            return true;
        }
        word.set(left - 1);
        false
    }

    /// How many operations are not timed after one that is: from none to twice the average, at random.
    #[cold]
    fn distance(&self, every: u32) -> u32 {
        // An xorshift of 32 bits; never zero.
        let mut random = self.random.get().max(1);
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        let most = 2 * u64::from(every) - 1;
        ((u64::from(random) * most) >> 32) as u32
    }

    /// Notes how long something took.
    #[cold]
    pub(crate) fn record(&self, operation: Operation, took: Duration) {
        let histogram = self.histograms[operation as usize]
            .get_or_init(|| AtomicHistogram::with_config(&config()));
        histogram.increment(nanos(took).min(LONGEST)).expect("no value is above the longest");
    }

    /// Adds what was noted to a histogram.
    pub(super) fn add_to(&self, operation: Operation, sum: &mut Histogram) {
        if let Some(histogram) = self.histograms[operation as usize].get() {
            *sum = sum.wrapping_add(&histogram.load()).expect("all have the same buckets");
        }
    }
}

pub(super) fn config() -> Config {
    Config::new(GROUPING, POWERS).expect("fewer groups than powers, and few of both")
}

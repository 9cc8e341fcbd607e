//! Latencies, and what the clock that takes them costs itself: the processor's time stamp counter, or
//! the system's monotonic clock where that counter is not to be trusted.

use hdrhistogram::Histogram;
use quanta::Clock;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// Longer operations count as this long: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// Times every operation, or one of `one_in`. The gaps are random, so that a period in the operations cannot
/// hide from the samples.
#[derive(Debug)]
pub(crate) struct Sampler {
    histogram: Histogram<u64>,
    clock: Clock,
    gaps: SmallRng,
    one_in: u32,
    left: u32,
}

impl Sampler {
    /// Times one operation in `one_in` on average.
    pub(crate) fn new(one_in: u32, seed: u64) -> Self {
        let gaps = SmallRng::seed_from_u64(seed);
        Self { histogram: empty(), clock: Clock::new(), gaps, one_in, left: 0 }
    }

    /// Does the operation, timed if it is its turn.
    #[inline]
    pub(crate) fn run<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        if self.left != 0 {
            self.left -= 1;
            return operation();
        }
        let began = self.clock.raw();
        let outcome = operation();
        let ended = self.clock.raw();
        self.histogram.saturating_record(self.clock.delta_as_nanos(began, ended));
        if self.one_in > 1 {
            self.skip_some();
        }
        outcome
    }

    /// What was sampled.
    pub(crate) fn finish(self) -> Histogram<u64> {
        self.histogram
    }

    #[cold]
    fn skip_some(&mut self) {
        self.left = self.gaps.random_range(0..2 * self.one_in - 1);
    }
}

/// The quantiles of sampled latencies, in nanoseconds, the clock's own cost included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    pub samples: u64,
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
}

impl Quantiles {
    /// Merges the threads' samples.
    pub(crate) fn of<'a>(histograms: impl IntoIterator<Item = &'a Histogram<u64>>) -> Self {
        let mut all = empty();
        for histogram in histograms {
            all += histogram;
        }
        Self {
            samples: all.len(),
            p50: all.value_at_quantile(0.5),
            p99: all.value_at_quantile(0.99),
            p999: all.value_at_quantile(0.999),
            p9999: all.value_at_quantile(0.9999),
            max: all.max(),
        }
    }
}

/// The median time between two readings of the clock with nothing between them, in nanoseconds.
pub(crate) fn clock_cost() -> u64 {
    let (mut histogram, clock) = (empty(), Clock::new());
    for _ in 0..20_000 {
        let began = clock.raw();
        let ended = clock.raw();
        histogram.saturating_record(clock.delta_as_nanos(began, ended));
    }
    histogram.value_at_quantile(0.5)
}

/// Two digits keep a histogram at 60 KiB, so that every thread can have its own.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are valid constants")
}

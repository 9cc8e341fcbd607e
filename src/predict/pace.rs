//! How much a round does, and how long the thread rests after it.
//!
//! The unit is a *step*: a read that a model is told, a key that it looks at, a successor that it watches or gives up.
//! What a round does is bounded in steps, and the rest after it has two bounds by them. Time alone would not do: a thread
//! that lost the processor for a while has not used it, and would rest for many times as long as it had waited.

use std::time::Duration;

/// Reads that a round looks at, at most: those of four threads whose rings are full. Other threads come first in the
/// next round.
pub(super) const MAX_READS: usize = 4096;

/// How long the thread rests after a round, at least.
pub(super) const INTERVAL: Duration = Duration::from_millis(5);
/// The same after a round in which no read was told.
const IDLE_INTERVAL: Duration = Duration::from_millis(20);
/// A step counts as so much time, at least.
const SHORTEST_STEP: Duration = Duration::from_nanos(100);
/// A step counts as so much time, at most.
const LONGEST_STEP: Duration = Duration::from_micros(10);
/// What a round takes without any step, at most.
const LONGEST_ROUND: Duration = Duration::from_millis(1);

/// What a round has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StepCounts {
    pub(super) reads: u64,
    pub(super) steps: u64,
    pub(super) took: Duration,
}

impl StepCounts {
    /// How long the thread rests after that if it may take this share of a processor.
    pub(super) fn rest(&self, cpu_share: f64) -> Duration {
        let steps =
            |each: Duration| each.saturating_mul(u32::try_from(self.steps).unwrap_or(u32::MAX));
        let longest = steps(LONGEST_STEP).saturating_add(LONGEST_ROUND);
        let took = self.took.clamp(steps(SHORTEST_STEP), longest);
        let least = if self.reads == 0 { IDLE_INTERVAL } else { INTERVAL };
        least.max(
            Duration::try_from_secs_f64(took.as_secs_f64() * (1.0 / cpu_share - 1.0))
                .unwrap_or(Duration::MAX),
        )
    }
}

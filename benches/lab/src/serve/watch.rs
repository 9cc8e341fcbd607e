//! Looks at health and memory from time to time, and remembers what a test run has to show.

use std::time::{Duration, Instant};

use clockhand::health::{Figure, Health, MemoryLimit, Status, Thresholds};

use super::fault::FaultPlan;
use super::world::World;
use crate::machine::resident_bytes;

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Rates are those of such a window: a fault is to show within two seconds.
const WINDOW: Duration = Duration::from_secs(1);

/// By what the service is judged.
pub(super) fn thresholds(memory_limit: u64) -> Thresholds {
    Thresholds::default()
        // Candles are more than fit, on purpose.
        .off(Figure::Evictions)
        .window(WINDOW)
        .min_events(3)
        .memory_limit(MemoryLimit::Bytes(memory_limit))
}

/// What a fault has shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// From its beginning on.
    pub(super) after: Option<Duration>,
    /// The reason that was given first.
    pub(super) reason: Option<String>,
    /// From its end until no reason was left.
    pub(super) cleared: Option<Duration>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Watch {
    began: Instant,
    fault_plan: Option<FaultPlan>,
    pub(super) status: Status,
    pub(super) shown: Shown,
    /// Resident bytes over time, in samples that are fewer and fewer.
    pub(super) memory: Samples,
    pub(super) peak_retired: u64,
    /// Looks at which a cache had more than it was given.
    pub(super) beyond_bounds: u64,
}

impl Watch {
    pub(super) fn new(fault_plan: Option<FaultPlan>) -> Self {
        Self {
            began: Instant::now(),
            fault_plan,
            status: Status::Healthy,
            shown: Shown::default(),
            memory: Samples::default(),
            peak_retired: 0,
            beyond_bounds: 0,
        }
    }

    pub(super) fn time(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn look(&mut self, world: &World) {
        let health = world.health();
        self.status = health.iter().map(|health| health.status).max().unwrap_or_default();
        self.follow(&health);
        for usage in [world.quotes.usage(), world.charts.cache().usage()] {
            let beyond = usage.charged > usage.capacity || usage.retired > usage.retired_capacity;
            self.beyond_bounds += u64::from(beyond);
            self.peak_retired = self.peak_retired.max(usage.retired);
        }
        if !self.fault_plan.is_some_and(|fault_plan| fault_plan.reaches(self.time()))
            && let Some(bytes) = resident_bytes()
        {
            self.memory.take(bytes);
        }
    }

    /// When the fault shows, and when it has cleared.
    fn follow(&mut self, health: &[Health; 3]) {
        let Some(fault_plan) = self.fault_plan else { return };
        let (time, figures) = (self.time(), fault_plan.fault.figures());
        let reasons = &health[fault_plan.fault.part()].reasons;
        let reason = reasons.iter().find(|reason| figures.contains(&reason.figure));
        if time >= fault_plan.ends {
            // What comes back has not cleared.
            let cleared = self.shown.cleared.unwrap_or(time - fault_plan.ends);
            self.shown.cleared = reason.is_none().then_some(cleared);
        } else if let Some(reason) = reason
            && time >= fault_plan.begins
            && self.shown.after.is_none()
        {
            self.shown.after = Some(time - fault_plan.begins);
            self.shown.reason = Some(reason.to_string());
        }
    }
}

/// Samples of a run of any length: when there are too many, every other one is kept.
#[derive(Debug)]
pub(super) struct Samples {
    kept: Vec<u64>,
    one_in: u64,
    taken: u64,
}

const MOST_SAMPLES: usize = 1024;

impl Default for Samples {
    fn default() -> Self {
        Self { kept: Vec::with_capacity(MOST_SAMPLES), one_in: 1, taken: 0 }
    }
}

impl Samples {
    pub(super) fn take(&mut self, sample: u64) {
        if self.taken.is_multiple_of(self.one_in) {
            if self.kept.len() == MOST_SAMPLES {
                let mut at = 0;
                self.kept.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.one_in *= 2;
            }
            self.kept.push(sample);
        }
        self.taken += 1;
    }

    /// The medians of the second and of the last quarter: the first one fills.
    pub(super) fn quarters(&self) -> Option<[u64; 2]> {
        let length = self.kept.len() / 4;
        let median = |from: usize| {
            let mut quarter = self.kept.get(from..from + length)?.to_vec();
            quarter.sort_unstable();
            quarter.get(length / 2).copied()
        };
        Some([median(length)?, median(self.kept.len() - length)?])
    }
}

#[cfg(test)]
mod tests;

//! The figures of a cache.

use std::time::Duration;

use super::figure::Figure;
use super::measure::Evaluation;
use super::monitor::Counts;
use super::times::Times;

/// The part of its capacity from which on a cache counts as full.
const MIN_FULL_FRACTION: f64 = 0.95;

/// The counts of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CacheCounts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) evictions: u64,
    pub(crate) refusals: u64,
    pub(crate) loads_succeeded: u64,
    pub(crate) loads_failed: u64,
    pub(crate) renewals_failed: u64,
    pub(crate) cleanups: u64,
    pub(crate) cleanup_time: Duration,
    /// How long the reads took that were timed.
    pub(crate) reads: Times,
    /// Whether it is full.
    pub(crate) full: bool,
}

impl Counts for CacheCounts {
    fn is_warm(&self) -> bool {
        // A cache that evicts is full, or was.
        self.full || self.evictions > 0
    }
}

/// The state of a cache at a moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct CacheState {
    pub(crate) charged: u64,
    pub(crate) lingering: u64,
    pub(crate) retired: u64,
    pub(crate) capacity: u64,
    pub(crate) retired_capacity: u64,
    /// Retired entries that are not freed.
    pub(crate) backlog: usize,
    /// For how long the oldest load has been running.
    pub(crate) load_age: Option<Duration>,
    /// The thread that has kept garbage from being freed for longest, and for how long.
    pub(crate) holder: Option<(String, Duration)>,
    /// The memory that the process takes, as a part of its limit.
    pub(crate) process: Option<f64>,
}

impl CacheState {
    pub(crate) fn is_full(&self) -> bool {
        let taken = self.charged as f64 + self.lingering as f64;
        taken >= MIN_FULL_FRACTION * self.capacity as f64 && self.capacity > 0
    }

    /// What a full cache takes of capacity and retired capacity, and what this one takes.
    fn memory(&self) -> Option<(f64, f64)> {
        let [charged, lingering, retired] =
            [self.charged, self.lingering, self.retired].map(|charge| charge as f64);
        let (capacity, room) = (self.capacity as f64, self.retired_capacity as f64);
        let all = capacity + room;
        (all > 0.0).then(|| (capacity / all, (charged + lingering + retired) / all))
    }

    fn garbage(&self) -> Option<f64> {
        let garbage = self.retired as f64 + self.lingering as f64;
        let bound = [self.retired_capacity, self.capacity].into_iter().find(|&bound| bound > 0)?;
        Some(garbage / bound as f64)
    }

    /// Adds the figures.
    pub(crate) fn measure(self, counts: &CacheCounts, look: &mut Evaluation<'_, CacheCounts>) {
        look.tell_warm_part(Figure::HitRate, counts, |c| [c.hits, c.hits + c.misses]);
        if let Some((full, taken)) = self.memory() {
            look.tell_beyond(Figure::Memory, full, taken);
        }
        if let Some(part) = self.process {
            look.tell(Figure::ProcessMemory, part);
        }
        if let Some(part) = self.garbage() {
            look.tell(Figure::Garbage, part);
        }
        if let Some((thread, since)) = self.holder.filter(|_| self.backlog > 0) {
            look.tell_of(Figure::HoldUp, since.as_secs_f64(), format!("by thread {thread}"));
        }
        look.tell_count(Figure::Refusals, counts, |c| c.refusals);
        look.tell_rate(Figure::Evictions, counts, |c| c.evictions);
        look.tell_part(Figure::LoadErrors, counts, |c| {
            [c.loads_failed, c.loads_succeeded + c.loads_failed]
        });
        if let Some(age) = self.load_age {
            look.tell(Figure::LoadAge, age.as_secs_f64());
        }
        look.tell_count(Figure::RenewalFailures, counts, |c| c.renewals_failed);
        look.tell_times(counts, |c| &c.reads);
        look.tell_time(Figure::CleanupTime, counts, |c| (c.cleanups, c.cleanup_time));
    }
}

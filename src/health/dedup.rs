//! The figures of a deduplicator, and of a tracker of offsets.

use std::time::Duration;

use super::figure::Figure;
use super::measure::Evaluation;
use super::monitor::Counts;

/// The counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DedupCounts {
    pub(crate) completed: u64,
    pub(crate) abandoned: u64,
    /// Completions that were too late, or fenced.
    pub(crate) overtaken: u64,
    pub(crate) leases_expired: u64,
    pub(crate) leaked: u64,
    pub(crate) forgotten_early: u64,
    pub(crate) unfolded: u64,
    pub(crate) cleanups: u64,
    pub(crate) cleanup_time: Duration,
}

impl Counts for DedupCounts {
    fn is_warm(&self) -> bool {
        true
    }
}

/// The state at a moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct DedupState {
    /// Snapshots that failed since the last one that did not.
    pub(crate) snapshot_failures: u64,
    /// The offset that has been pending for longest, and for how long.
    pub(crate) pending: Option<(String, Duration)>,
    /// The partition that is furthest behind, and how far.
    pub(crate) lag: Option<(String, u64)>,
}

impl DedupState {
    /// Adds the figures.
    pub(crate) fn measure(self, counts: &DedupCounts, look: &mut Evaluation<'_, DedupCounts>) {
        look.tell_part(Figure::DuplicatesProcessed, counts, |c| {
            [c.overtaken, c.completed + c.overtaken]
        });
        look.tell_count(Figure::ForgottenEarly, counts, |c| c.forgotten_early);
        look.tell_count(Figure::Unfolded, counts, |c| c.unfolded);
        look.tell_count(Figure::Leaked, counts, |c| c.leaked);
        look.tell_count(Figure::LeasesExpired, counts, |c| c.leases_expired);
        look.tell_part(Figure::Abandoned, counts, |c| {
            [c.abandoned, c.abandoned + c.completed + c.overtaken]
        });
        look.tell_time(Figure::CleanupTime, counts, |c| (c.cleanups, c.cleanup_time));
        look.tell(Figure::SnapshotFailures, self.snapshot_failures as f64);
        if let Some((whose, age)) = self.pending {
            look.tell_of(Figure::PendingAge, age.as_secs_f64(), whose);
        }
        if let Some((whose, lag)) = self.lag {
            look.tell_of(Figure::Lag, lag as f64, whose);
        }
    }
}

//! The metrics of a deduplicator and a tracker.

use std::time::Duration;

/// What has happened since a [`Deduplicator`](super::Deduplicator) or an
/// [`OffsetTracker`](super::OffsetTracker) was built.
///
/// Every number is a sum of counters of threads, which are read one after another: exact while no
/// other call runs, and otherwise approximately of one moment.
///
/// # Examples
///
/// ```
/// use clockhand::dedup::Deduplicator;
///
/// let seen = Deduplicator::builder().build()?;
/// assert!(seen.mark_processed(7));
/// assert!(!seen.mark_processed(7));
/// let metrics = seen.metrics();
/// assert_eq!((metrics.checks, metrics.adds, metrics.duplicates, metrics.size), (2, 1, 1, 1));
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Metrics {
    /// Ids that were checked, by any call.
    pub checks: u64,
    /// Claims that were granted, including those that were not tracked because of `enabled(false)`.
    pub claims: u64,
    /// Ids that were completed, and so are remembered.
    pub adds: u64,
    /// Checks that found the id done.
    pub duplicates: u64,
    /// Checks that found the id in progress.
    pub in_progress_hits: u64,
    /// Claims that were given back.
    pub abandoned: u64,
    /// Claims that were taken over, as their lease had run out.
    pub lease_expired: u64,
    /// Tickets that were completed or dropped too late: another caller had taken the claim over.
    pub late: u64,
    /// Completions that changed nothing, as the ticket had lost its claim: the message was
    /// processed, and is processed again by another holder. They are also counted in `late` and
    /// `fenced`, which count dropped tickets as well.
    pub overtaken: u64,
    /// Ids that were forgotten before they expired, to make room. Each may be processed again:
    /// raise the capacity.
    pub forgotten_early: u64,
    /// Ids that were forgotten because they had expired.
    pub expired: u64,
    /// Claims that were forgotten: their lease had run out, and they were not taken over.
    pub leaked: u64,
    /// Ids that were restored from a snapshot; for a tracker, partitions.
    pub restored: u64,
    /// Claims that were granted and not tracked, because of `enabled(false)`.
    pub untracked: u64,
    /// Negative offsets, which are not tracked.
    pub invalid: u64,
    /// Offsets that were folded as not existing, and were delivered nevertheless.
    pub unfolded: u64,
    /// Tickets of offsets that were fenced: their partition was assigned again, revoked, forgotten
    /// or sought in.
    pub fenced: u64,
    /// Cleanups, on any thread.
    pub cleanups: u64,
    /// The time that they took together.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub cleanup_time: Duration,
    /// Ids that are remembered or in progress, including expired ids that are not removed yet. For
    /// a tracker: offsets above the watermark that are done.
    pub size: u64,
    /// Claims in progress now, whose tickets exist. For a tracker: whose leases have not run out.
    pub in_progress: u64,
    /// Snapshots that `snapshot_every` has written.
    pub snapshots: u64,
    /// Snapshots that `snapshot_every` could not write.
    pub snapshot_failures: u64,
}

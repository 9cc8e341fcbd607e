//! What a deduplicator tells about itself.

use std::time::Duration;

/// What happened since a [`Deduplicator`](super::Deduplicator) or an
/// [`OffsetTracker`](super::OffsetTracker) was built.
///
/// Every number is a sum of what threads counted on lines of their own, read one after the other:
/// exact when nothing runs, nearly of one moment while something does.
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
    /// Ids that were asked for, by whatever call.
    pub checks: u64,
    /// Claims that were granted; those on which `enabled(false)` left no trace included.
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
    /// Tickets that came too late: another caller had taken the claim over.
    pub late: u64,
    /// Completions that changed nothing, as the claim was not the ticket's any more: what they stand for was
    /// processed, and is processed again by another holder. They are among `late` and `fenced`, with tickets that
    /// were dropped too late.
    pub overtaken: u64,
    /// Ids that were forgotten before their time, to make room. Each may be processed again: raise
    /// the capacity.
    pub forgotten_early: u64,
    /// Ids that were forgotten when their time was over.
    pub expired: u64,
    /// Claims that were forgotten: their lease had run out, and nobody came.
    pub leaked: u64,
    /// Ids that came from a snapshot; of a tracker, partitions.
    pub restored: u64,
    /// Claims granted without a trace, because of `enabled(false)`.
    pub untracked: u64,
    /// Negative offsets, which leave no trace.
    pub invalid: u64,
    /// Offsets that were folded as not existing, and were delivered after all.
    pub unfolded: u64,
    /// Tickets of offsets that came too late: their partition was assigned anew, revoked, forgotten or sought in.
    pub fenced: u64,
    /// Cleanups, whoever ran them.
    pub cleanups: u64,
    /// What they took together.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub cleanup_time: Duration,
    /// Ids that are remembered or in progress, expired ones that were not removed yet included. Of a
    /// tracker: offsets that are done and lie above the watermark.
    pub size: u64,
    /// Claims in progress now, whose tickets are out. Of a tracker: whose leases run.
    pub in_progress: u64,
    /// Snapshots that were written, because of `snapshot_every`.
    pub snapshots: u64,
    /// Those that could not be written.
    pub snapshot_failures: u64,
}

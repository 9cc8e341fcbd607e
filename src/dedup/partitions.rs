//! The status of a tracker's partitions.

use super::offsets::{OffsetTracker, PendingOffset};
use super::span::Span;
use super::tracked_partition::{TrackedPartition, offset, pending_for_users};
use crate::health::{DedupState, Health, Thresholds};

/// The status of a partition. From [`OffsetTracker::partitions`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PartitionStatus {
    /// The topic.
    pub topic: String,
    /// The number of the partition.
    pub partition: i32,
    /// The offset to commit: all below it are done, or do not exist.
    pub committable: i64,
    /// One more than the last offset that was polled or, if none was, claimed.
    pub end: i64,
    /// How far `committable` is behind `end`, including holes.
    pub lag: u64,
    /// The offset that holds the watermark, and for how long. `None` if no offset is pending.
    pub oldest_pending: Option<PendingOffset>,
    /// The number of claims whose leases have not run out.
    pub in_progress: u64,
}

impl PartitionStatus {
    fn of(tracked: &TrackedPartition) -> Option<Self> {
        let look = |span: &Span, now| {
            let (committable, end) = (span.committable(), span.end());
            let oldest = span.oldest_pending(now);
            (committable, end, oldest, span.in_progress(now))
        };
        let ((committable, end, oldest, in_progress), now) = tracked.pending(look)?;
        Some(Self {
            topic: tracked.topic().to_string(),
            partition: tracked.number(),
            committable: offset(committable),
            end: offset(end),
            lag: end.saturating_sub(committable),
            oldest_pending: oldest.map(|oldest| PendingOffset::of(pending_for_users(oldest, now))),
            in_progress,
        })
    }

    /// The name of the partition, and its oldest pending offset.
    fn pending_name(&self) -> Option<String> {
        let offset = self.oldest_pending?.offset;
        Some(format!("{}, offset {offset}", self.name()))
    }

    fn name(&self) -> String {
        format!("{}/{}", self.topic, self.partition)
    }
}

/// Status and health.
impl OffsetTracker {
    /// Returns the status of each partition that is assigned or active, sorted by topic and number.
    ///
    /// Each partition is read at one moment, but not all at the same one.
    ///
    /// # Progress
    ///
    /// Blocking: takes the lock of each partition, one after another, and reads each offset in
    /// progress.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::OffsetTracker;
    ///
    /// let tracker = OffsetTracker::builder().build()?;
    /// tracker.assign("orders", 3, 1000);
    /// tracker.polled("orders", 3, 1000..1010);
    /// assert!(tracker.mark_processed("orders", 3, 1000));
    /// let status = &tracker.partitions()[0];
    /// assert_eq!((status.committable, status.end, status.lag), (1001, 1010, 9));
    /// assert_eq!(status.oldest_pending.map(|oldest| oldest.offset), Some(1001));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn partitions(&self) -> Vec<PartitionStatus> {
        let mut all = Vec::new();
        self.partitions.for_each(|tracked| all.extend(PartitionStatus::of(tracked)));
        all.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        all
    }

    /// Whether the tracker is healthy, and if not, which figure is out of bounds and what to do:
    /// how long offsets are pending, how far partitions are behind, whether work is done once and
    /// succeeds, leases are long enough, polls are noted in time, and snapshots are written. The
    /// worst partition is named.
    ///
    /// Rates are those of a window that ends now, by the system's clock or a manual one (see
    /// [`health`](crate::health)). May be called at any frequency and by any number of callers.
    ///
    /// # Progress
    ///
    /// Blocking: as [`partitions`](Self::partitions), and among its callers, which take a lock of
    /// their own.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Thresholds;
    /// use clockhand::dedup::OffsetTracker;
    /// use clockhand::health::{Figure, Levels};
    ///
    /// let tracker = OffsetTracker::builder().build()?;
    /// tracker.assign("orders", 3, 0);
    /// tracker.polled("orders", 3, 0..2000);
    /// let thresholds = Thresholds::default().set(Figure::Lag, Levels::new().warning(1000.0))?;
    /// let health = tracker.health(&thresholds);
    /// assert!(health.reasons[0].message.contains("(orders/3): 2000, above 1000"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn health(&self, thresholds: &Thresholds) -> Health {
        let partitions = self.partitions();
        let shared = &self.partitions.shared;
        let age = |status: &PartitionStatus| status.oldest_pending.map(|oldest| oldest.age);
        let pending = partitions.iter().max_by_key(|&status| age(status));
        let lag = partitions.iter().max_by_key(|status| status.lag);
        let state = DedupState {
            snapshot_failures: shared.saves.failures(),
            pending: pending.and_then(|status| Some((status.pending_name()?, age(status)?))),
            lag: lag.map(|status| (status.name(), status.lag)),
        };
        let look = || (shared.tally.health_counts(), state);
        shared.monitor.judge(thresholds, look, DedupState::measure)
    }
}

//! The ticket of an offset.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::tracked_partition::{OffsetClaimId, TrackedPartition};

/// The right to process an offset. Complete it when the record is processed.
///
/// Dropping it, after an error, in a panic or with a cancelled task, gives the claim back: the
/// offset stays pending, and is new for the next caller. A ticket may be sent to other threads. A
/// ticket that is leaked ([`std::mem::forget`]) keeps its offset in progress until the lease runs
/// out.
///
/// A ticket is *fenced* if its partition was assigned again, revoked or forgotten since the claim,
/// or if the consumer has sought to its offset or a smaller one. Then completing or dropping it
/// changes nothing, as another consumer may have the offset by now.
/// [`Metrics::fenced`](super::Metrics::fenced) counts such tickets.
#[must_use = "a ticket that is dropped gives the claim back"]
pub struct OffsetTicket {
    tracked: Arc<TrackedPartition>,
    offset: i64,
    /// `None` if nothing is tracked, or the claim has ended.
    claim: Option<OffsetClaimId>,
}

impl OffsetTicket {
    pub(super) fn new(
        tracked: Arc<TrackedPartition>,
        offset: i64,
        claim: Option<OffsetClaimId>,
    ) -> Self {
        Self { tracked, offset, claim }
    }

    /// The topic.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let ticket = offsets.claim("trades", 0, 100).ticket().expect("it is new");
    /// assert_eq!(ticket.topic(), "trades");
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn topic(&self) -> &str {
        self.tracked.topic()
    }

    /// The partition.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let ticket = offsets.claim("trades", 0, 100).ticket().expect("it is new");
    /// assert_eq!(ticket.partition(), 0);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn partition(&self) -> i32 {
        self.tracked.number()
    }

    /// The offset.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let ticket = offsets.claim("trades", 0, 100).ticket().expect("it is new");
    /// assert_eq!(ticket.offset(), 100);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Notes the offset as processed.
    ///
    /// Returns false if it is too late, as the lease ran out and another caller has claimed the
    /// offset since ([`Metrics::late`](super::Metrics::late) counts it), or if the ticket is
    /// fenced. Then nothing changes.
    ///
    /// # Progress
    ///
    /// Blocking: takes the partition's lock and, if a caller waits for this offset, a lock of the
    /// waiters.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let ticket = offsets.claim("trades", 0, 100).ticket().expect("it is new");
    /// assert!(ticket.complete());
    /// assert_eq!(offsets.committable("trades", 0), Some(101));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn complete(mut self) -> bool {
        let claim = self.claim.take();
        claim.is_none_or(|claim| self.tracked.complete(self.offset, claim))
    }

    /// Makes the lease end `lease` from now, if that is later than it would end. Returns false if
    /// the ticket is fenced, or if another caller has claimed the offset since the lease ran out.
    ///
    /// # Progress
    ///
    /// Blocking: takes the partition's lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Clock;
    /// use clockhand::dedup::OffsetTracker;
    ///
    /// let (clock, manual) = Clock::manual();
    /// let tracker = OffsetTracker::builder().clock(clock).lease(Duration::from_secs(30)).build()?;
    /// let mut ticket = tracker.claim("orders", 3, 17).ticket().expect("it is new");
    /// manual.advance(Duration::from_secs(20));
    /// assert!(ticket.extend(Duration::from_secs(30)));
    /// manual.advance(Duration::from_secs(20));
    /// assert!(tracker.claim("orders", 3, 17).is_in_progress());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn extend(&mut self, lease: Duration) -> bool {
        self.claim.is_none_or(|claim| self.tracked.extend(self.offset, claim, lease))
    }
}

impl Drop for OffsetTicket {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.tracked.abandon(self.offset, claim);
        }
    }
}

impl fmt::Debug for OffsetTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetTicket")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

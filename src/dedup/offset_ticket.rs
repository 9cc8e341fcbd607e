//! What a claim of an offset gives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::lane::{Grasp, Lane};

/// The right to process an offset, and the duty to say how it ended.
///
/// Dropping it, after an error, in a panic or with a cancelled task, gives the claim back: the offset stays
/// pending, and is new for the next caller. It may be sent to other threads. A ticket that is forgotten
/// ([`std::mem::forget`]) holds its offset until the lease runs out.
///
/// A ticket is *fenced* when its partition was assigned anew, revoked or forgotten meanwhile, or when the consumer
/// has sought to its offset or one before it: then it changes nothing, as what it stood for may be another
/// consumer's by now. [`Metrics::fenced`](super::Metrics::fenced) counts those that come all the same.
#[must_use = "a ticket that is dropped gives the claim back"]
pub struct OffsetTicket {
    lane: Arc<Lane>,
    offset: i64,
    /// Nothing if the claim left no trace, or has ended.
    grasp: Option<Grasp>,
}

impl OffsetTicket {
    pub(super) fn new(lane: Arc<Lane>, offset: i64, grasp: Option<Grasp>) -> Self {
        Self { lane, offset, grasp }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.lane.topic()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.lane.number()
    }

    /// The offset.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Makes the offset processed.
    ///
    /// False if it came too late, as the lease had run out and another caller has claimed the offset since
    /// ([`Metrics::late`](super::Metrics::late) counts it), or if the ticket is fenced. Then nothing changes.
    ///
    /// # Progress
    ///
    /// Takes the partition's lock, and then that of a part of the waiters if somebody waits for this offset.
    pub fn complete(mut self) -> bool {
        let grasp = self.grasp.take();
        grasp.is_none_or(|grasp| self.lane.complete(self.offset, grasp))
    }

    /// Lets the lease run out so long after now, if that is later than it would. False if the ticket is fenced,
    /// or another caller has claimed the offset since the lease ran out.
    ///
    /// # Progress
    ///
    /// Takes the partition's lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Clock;
    /// use clockhand::dedup::OffsetTracker;
    ///
    /// let (clock, hand) = Clock::manual();
    /// let tracker = OffsetTracker::builder().clock(clock).lease(Duration::from_secs(30)).build()?;
    /// let mut ticket = tracker.claim("orders", 3, 17).ticket().expect("it is new");
    /// hand.advance(Duration::from_secs(20));
    /// assert!(ticket.extend(Duration::from_secs(30)));
    /// hand.advance(Duration::from_secs(20));
    /// assert!(tracker.claim("orders", 3, 17).is_in_progress());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn extend(&mut self, lease: Duration) -> bool {
        self.grasp.is_none_or(|grasp| self.lane.extend(self.offset, grasp, lease))
    }
}

impl Drop for OffsetTicket {
    fn drop(&mut self) {
        if let Some(grasp) = self.grasp.take() {
            self.lane.abandon(self.offset, grasp);
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

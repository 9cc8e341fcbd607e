//! Exactly once by offsets: what is contiguous is one number.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{SettingsError, SnapshotError};
use super::metrics::Metrics;
use super::settings;
use super::snapshot::{self, Contents, Page};
use super::tally::{Event, Tally};
use super::ticket::Claim;
use super::window::Window;
use crate::sync::{Mutex, MutexGuard, lock};
use crate::time::{Clock, Deadline};

/// A topic's partitions. Never removed, so the map only ever grows by new ones.
type Topic = flurry::HashMap<i32, Arc<Lane>>;

/// What tickets and partitions of a tracker share.
#[derive(Debug)]
struct Shared {
    lease: Duration,
    clock: Clock,
    enabled: bool,
    tally: Tally,
}

/// A partition: its offsets under one lock.
#[derive(Debug)]
struct Lane {
    shared: Arc<Shared>,
    offsets: Mutex<Offsets>,
}

/// What is known of a partition's offsets.
#[derive(Debug, Default)]
struct Offsets {
    done: Window,
    /// Offsets in progress, and the ends of their leases. The end of its lease is what a claim is known
    /// by: no later claim of the offset has the same while the ticket is out.
    claims: BTreeMap<u64, Deadline>,
}

impl Offsets {
    /// Takes a claim out. False if it was taken over.
    fn take(&mut self, offset: u64, until: Deadline) -> bool {
        let own = self.claims.get(&offset) == Some(&until);
        if own {
            self.claims.remove(&offset);
        }
        own
    }
}

impl Lane {
    /// No user code runs under the lock, and nothing that panics but the allocator.
    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        lock(&self.offsets)
    }

    fn count(&self, event: Event) {
        self.shared.tally.count(event);
    }

    fn claim(self: &Arc<Self>, offset: u64) -> Claim<OffsetTicket> {
        if !self.shared.enabled {
            self.count(Event::New);
            self.count(Event::Untracked);
            return Claim::New(OffsetTicket { lane: None, offset, until: Deadline::NEVER });
        }
        let mut offsets = self.offsets();
        // Read under the lock: of two claims the later one's lease ends later, even if neither of them
        // is there any more when the other's ticket comes.
        let now = self.shared.clock.now();
        let until = now.after(self.shared.lease);
        if offsets.done.is_done(offset) {
            drop(offsets);
            self.count(Event::Duplicate);
            return Claim::Done;
        }
        match offsets.claims.get(&offset) {
            Some(lease) if !lease.is_passed(now) => {
                drop(offsets);
                self.count(Event::InProgress);
                return Claim::InProgress;
            }
            Some(_) => self.count(Event::LeaseExpired),
            None => {}
        }
        offsets.claims.insert(offset, until);
        drop(offsets);
        self.count(Event::New);
        Claim::New(OffsetTicket { lane: Some(Arc::clone(self)), offset, until })
    }

    fn complete(&self, offset: u64, until: Deadline) -> bool {
        let mut offsets = self.offsets();
        let own = offsets.take(offset, until);
        if own {
            offsets.done.mark(offset);
        }
        drop(offsets);
        self.count(if own { Event::Added } else { Event::Late });
        own
    }

    fn abandon(&self, offset: u64, until: Deadline) {
        let own = self.offsets().take(offset, until);
        self.count(if own { Event::Abandoned } else { Event::Late });
    }

    fn is_processed(&self, offset: u64) -> bool {
        let done = self.offsets().done.is_done(offset);
        self.count(if done { Event::Duplicate } else { Event::Unknown });
        done
    }
}

/// Remembers which offsets of which partitions were processed, in memory that goes with the gaps and
/// not with the history.
///
/// For logs whose offsets are dense: what is contiguous folds into a watermark for each partition, and
/// nothing is ever forgotten. [`committable`](Self::committable) is the offset to commit: all below it
/// is done. A `OffsetTracker` is a handle: clones share everything.
///
/// # Consistency
///
/// For each offset, calls are linearizable: exactly one caller gets [`Claim::New`], until the claim is
/// given back or its lease runs out, and then exactly one later caller. Partitions have no common
/// order.
///
/// # Memory
///
/// For each partition about 200 bytes; 100 for each offset in progress; and about as much for every 512
/// offsets among which one is done above the watermark. An offset far away costs one such piece. The
/// number of gaps is not bounded: an offset that is never completed keeps the watermark below it, and
/// what is done above it takes a bit each.
///
/// # Progress
///
/// Finding the partition is a read of a concurrent map, without a lock; a new partition is put in under
/// a lock of a part of the map. Every call on an offset takes its partition's lock for the time of a few
/// look-ups in a small tree: **blocking**, if the thread that has it is not scheduled. No user code runs
/// under it. Give each partition one consumer thread, as logs do, and nobody waits.
///
/// # Examples
///
/// ```
/// use clockhand::dedup::{Claim, OffsetTracker};
///
/// let tracker = OffsetTracker::builder().build()?;
/// tracker.start_at("orders", 3, 1000); // committed in an earlier run
/// for offset in [1000, 1002, 1001, 1000, 1004] {
///     if let Claim::New(ticket) = tracker.claim("orders", 3, offset) {
///         ticket.complete();
///     }
/// }
/// assert_eq!(tracker.committable("orders", 3), 1003);
/// assert!(tracker.claim("orders", 3, 1003).is_new());
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
#[derive(Clone)]
pub struct OffsetTracker {
    shared: Arc<Shared>,
    topics: Arc<flurry::HashMap<Arc<str>, Arc<Topic>>>,
}

impl OffsetTracker {
    /// Configures a tracker.
    pub fn builder() -> OffsetTrackerBuilder {
        OffsetTrackerBuilder { lease: None, clock: None, enabled: true }
    }

    /// A handle on a partition, which is made if it is new: for consumers that stay with one, as it
    /// saves looking the partition up for each message.
    ///
    /// # Progress
    ///
    /// Wait-free in effect for a partition that is there: a read of a concurrent map of topics, and of
    /// one of the topic's partitions.
    pub fn partition(&self, topic: &str, partition: i32) -> Partition {
        if let Some(lane) = self.find(topic, partition) {
            return Partition(lane);
        }
        let topics = self.topics.pin();
        let fresh = || Arc::new(Topic::new());
        let topic = topics.get(topic).cloned().unwrap_or_else(|| {
            match topics.try_insert(Arc::from(topic), fresh()) {
                Ok(topic) => Arc::clone(topic),
                Err(other) => Arc::clone(other.current),
            }
        });
        let lanes = topic.pin();
        let offsets = Mutex::new(Offsets::default());
        let lane = Arc::new(Lane { shared: Arc::clone(&self.shared), offsets });
        Partition(match lanes.try_insert(partition, lane) {
            Ok(lane) => Arc::clone(lane),
            Err(other) => Arc::clone(other.current),
        })
    }

    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Lane>> {
        let topics = self.topics.pin();
        let lanes = topics.get(topic)?.pin();
        lanes.get(&partition).cloned()
    }

    /// Asks whether to process an offset, and takes it in the same step.
    #[inline]
    pub fn claim(&self, topic: &str, partition: i32, offset: u64) -> Claim<OffsetTicket> {
        self.partition(topic, partition).claim(offset)
    }

    /// Whether an offset was processed.
    pub fn is_processed(&self, topic: &str, partition: i32, offset: u64) -> bool {
        if let Some(lane) = self.find(topic, partition) {
            return lane.is_processed(offset);
        }
        self.shared.tally.count(Event::Unknown);
        false
    }

    /// Makes an offset processed. True for exactly one caller; false if it was, or is in progress.
    pub fn mark_processed(&self, topic: &str, partition: i32, offset: u64) -> bool {
        self.partition(topic, partition).mark_processed(offset)
    }

    /// Everything below `offset` is processed from now on: where a consumer starts that has committed
    /// before. The watermark never goes back.
    pub fn start_at(&self, topic: &str, partition: i32, offset: u64) {
        self.partition(topic, partition).start_at(offset);
    }

    /// The offset below which all is done: the one to commit. Zero for a partition that is not known.
    ///
    /// The number never goes back. When all offsets that there are were processed it is `u64::MAX`, as
    /// there is no larger one; see [`Partition::is_complete`].
    pub fn committable(&self, topic: &str, partition: i32) -> u64 {
        self.find(topic, partition).map_or(0, |lane| lane.offsets().done.low())
    }

    /// All partitions that are known: topic, number, and the offset to commit. In no particular order.
    pub fn committables(&self) -> Vec<(String, i32, u64)> {
        let mut all = Vec::new();
        self.for_each(|topic, partition, lane| {
            all.push((topic.to_string(), partition, lane.offsets().done.low()));
        });
        all
    }

    fn for_each(&self, mut f: impl FnMut(&str, i32, &Lane)) {
        for (name, topic) in &self.topics.pin() {
            for (&partition, lane) in &topic.pin() {
                f(name, partition, lane);
            }
        }
    }

    /// The bytes that the gaps take now, offsets in progress apart.
    pub fn gap_bytes(&self) -> usize {
        let mut bytes = 0;
        self.for_each(|_, _, lane| bytes += lane.offsets().done.bytes());
        bytes
    }

    /// What has happened so far. `size` is the number of offsets that are done above the watermarks.
    ///
    /// # Progress
    ///
    /// Blocking: takes the lock of each partition, one after the other.
    pub fn metrics(&self) -> Metrics {
        let mut size = 0;
        self.for_each(|_, _, lane| size += lane.offsets().done.above());
        Metrics { size, ..self.shared.tally.metrics() }
    }

    /// Watermarks and gaps of all partitions as bytes. Offsets in progress are not done: after a restart
    /// they are new.
    ///
    /// Each partition is of one moment during the call; together they are not.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut page = Page::new(Contents::Offsets);
        self.for_each(|topic, partition, lane| {
            // A copy, so that nothing is written under the lock.
            let done = lane.offsets().done.clone();
            page.partition(topic, partition, &done);
        });
        page.seal()
    }

    /// Adds what is in a snapshot to what is known; how many partitions the snapshot has.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole, undamaged snapshot of a tracker. Nothing is changed then.
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let partitions = snapshot::partitions(bytes)?;
        for (topic, partition, window) in &partitions {
            self.partition(topic, *partition).0.offsets().done.merge(window);
            self.shared.tally.count(Event::Restored);
        }
        Ok(partitions.len())
    }
}

impl fmt::Debug for OffsetTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetTracker")
            .field("topics", &self.topics.len())
            .field("lease", &self.shared.lease)
            .finish_non_exhaustive()
    }
}

/// One partition of an [`OffsetTracker`]. Clones are the same partition.
///
/// # Progress
///
/// Every method takes the partition's lock; see [`OffsetTracker`].
#[derive(Clone)]
pub struct Partition(Arc<Lane>);

impl Partition {
    /// Asks whether to process an offset, and takes it in the same step.
    #[inline]
    pub fn claim(&self, offset: u64) -> Claim<OffsetTicket> {
        self.0.claim(offset)
    }

    /// Whether an offset was processed.
    pub fn is_processed(&self, offset: u64) -> bool {
        self.0.is_processed(offset)
    }

    /// Makes an offset processed. True for exactly one caller; false if it was, or is in progress.
    pub fn mark_processed(&self, offset: u64) -> bool {
        self.claim(offset).ticket().is_some_and(OffsetTicket::complete)
    }

    /// Everything below `offset` is processed from now on. The watermark never goes back.
    pub fn start_at(&self, offset: u64) {
        self.0.offsets().done.raise(offset);
    }

    /// The offset below which all is done; see [`OffsetTracker::committable`].
    pub fn committable(&self) -> u64 {
        self.0.offsets().done.low()
    }

    /// Whether all offsets, `u64::MAX` included, were processed.
    pub fn is_complete(&self) -> bool {
        self.0.offsets().done.is_full()
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("committable", &self.committable())
            .finish_non_exhaustive()
    }
}

/// The right to process an offset, and the duty to say how it ended. Dropping it gives the claim back;
/// see [`Ticket`](super::Ticket), which is the same for ids.
#[must_use = "a ticket that is dropped gives the claim back"]
pub struct OffsetTicket {
    /// Nothing if the claim left no trace, or has ended.
    lane: Option<Arc<Lane>>,
    offset: u64,
    until: Deadline,
}

impl OffsetTicket {
    /// The offset.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Makes the offset processed. False if it came too late: the lease had run out and another caller
    /// has claimed the offset since.
    pub fn complete(mut self) -> bool {
        let lane = self.lane.take();
        lane.is_none_or(|lane| lane.complete(self.offset, self.until))
    }
}

impl Drop for OffsetTicket {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            lane.abandon(self.offset, self.until);
        }
    }
}

impl fmt::Debug for OffsetTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetTicket").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Configures an [`OffsetTracker`]. Made by [`OffsetTracker::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct OffsetTrackerBuilder {
    lease: Option<Duration>,
    clock: Option<Clock>,
    enabled: bool,
}

impl OffsetTrackerBuilder {
    /// How long a claim may run before another caller may take it over. Without it, 60 seconds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The clock of the leases. Without it, a coarse one that ticks every millisecond.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Whether offsets are tracked at all. If not, every claim is new and nothing is remembered.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Builds the tracker.
    ///
    /// # Errors
    ///
    /// If the lease is zero or too short for the clock, or if the clock's thread cannot be started.
    pub fn build(self) -> Result<OffsetTracker, SettingsError> {
        let (lease, clock) = settings::lease_and_clock(self.lease, self.clock)?;
        let shared = Shared { lease, clock, enabled: self.enabled, tally: Tally::new() };
        Ok(OffsetTracker { shared: Arc::new(shared), topics: Arc::new(flurry::HashMap::new()) })
    }
}

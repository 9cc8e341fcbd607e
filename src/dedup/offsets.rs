//! Every message once, by offsets: a contiguous range of them is one number.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::{SettingsError, SnapshotError};
use super::metrics::Metrics;
use super::offset_ticket::OffsetTicket;
use super::periodic;
use super::process::process;
use super::saves::{self, Plan, Saves};
use super::settings;
use super::snapshot;
use super::span::Span;
use super::tally::{Event, Tally};
use super::ticket::{Claim, Outcome};
use super::tracked_partition::{
    OffsetTarget, Poll, TrackedPartition, TrackedPartitions, TrackerShared, pending_for_users,
};
use super::wait::{Waited, wait};
use super::waiters::Waiters;
use crate::health::Monitor;
use crate::sync::{FirstPanic, PeriodicThread};
use crate::time::{Clock, Timer};

/// How many offsets are taken from an iterator before the partition's lock is taken for them.
const BATCH: usize = 128;

/// Remembers which offsets of which partitions were processed, and tells what to commit, in memory
/// proportional to the gaps and not to the history.
///
/// An `OffsetTracker` is a handle: clones share everything. Offsets are `i64`, as the clients of
/// logs have them. A negative offset is new for every caller, is not tracked, and is counted as
/// [`invalid`](Metrics::invalid): it is processed rather than lost.
///
/// # Which offsets exist
///
/// Logs have holes: markers of transactions, records that were compacted away or filtered. The
/// tracker cannot know which offsets exist; the consumer has to tell it, in one of these ways.
///
/// | the consumer | tells it by |
/// |---|---|
/// | polls batches, and hands them to workers | [`polled`](Self::polled), with each batch, before the workers get it |
/// | claims in the order of delivery, on one thread | [`in_order`](OffsetTrackerBuilder::in_order) |
/// | knows that nothing is left below an offset | [`skip_to`](Self::skip_to) |
///
/// An offset that was folded as not existing, and is delivered nevertheless, is new: it is
/// processed rather than lost, and holds the watermark until it is done
/// ([`unfolded`](Metrics::unfolded) counts it).
///
/// # Rebalances and seeks
///
/// Call [`assign`](Self::assign) and [`revoke`](Self::revoke) in the callback of a rebalance, and
/// [`seek`](Self::seek) when the consumer seeks. Each begins a new generation: tickets of an older
/// one are fenced, and their offsets are not committed by this consumer.
///
/// # Consistency
///
/// For each offset, calls are linearizable: exactly one caller gets [`Claim::New`] until the claim
/// is given back or its lease runs out, and then exactly one later caller.
/// [`committable`](Self::committable) never passes an offset that is in progress or was given back,
/// and never one that was polled and is not done. Calls for different partitions have no common
/// order.
///
/// # Memory
///
/// About 500 bytes for each partition; 100 for each offset in progress; and about as much for every
/// 512 offsets among which there is a gap, or one that is done above the watermark. A gap costs the
/// same however long it is. Offsets that do not exist are also remembered below the watermark, in
/// up to 2^14 such containers. In older ones it is forgotten which offsets were done: if one is
/// delivered again, it is processed again. The number of pending offsets is not bounded, but
/// reported: by [`gap_bytes`](Self::gap_bytes), [`oldest_pending`](Self::oldest_pending) and the
/// metrics.
///
/// # Progress
///
/// Finding the partition is a read of a [`Cache`](crate::Cache). Every call for an offset takes its
/// partition's lock for a few look-ups in small trees: **blocking**, if the thread that holds it is
/// not scheduled. No user code runs under it. If each partition has one consumer thread, as logs
/// suggest, there is no contention.
///
/// # Examples
///
/// ```
/// use clockhand::dedup::{Claim, OffsetTracker};
///
/// let tracker = OffsetTracker::builder().build()?;
/// tracker.assign("orders", 3, 1000); // committed in an earlier run
/// tracker.polled("orders", 3, [1000, 1001, 1003, 1004]); // 1002 is the marker of a transaction
/// for offset in [1000, 1003, 1001, 1000] {
///     if let Claim::New(ticket) = tracker.claim("orders", 3, offset) {
///         // Process it, and then:
///         ticket.complete();
///     }
/// }
/// assert_eq!(tracker.committable("orders", 3), Some(1004));
/// assert_eq!(tracker.oldest_pending("orders", 3).map(|pending| pending.offset), Some(1004));
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
#[derive(Clone)]
#[doc(alias = "kafka")]
#[doc(alias = "commit")]
pub struct OffsetTracker {
    pub(super) partitions: Arc<TrackedPartitions>,
    /// Dropped after the handle of the partitions: the last handle waits for the thread, which may
    /// hold the last reference to them.
    thread: Option<Arc<PeriodicThread>>,
}

/// An offset that is not done, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PendingOffset {
    /// The offset.
    pub offset: i64,
    /// How long ago it was polled or, if it was not, claimed for the first time. For an offset that
    /// was neither, how long the watermark has been waiting for it.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub age: Duration,
    /// Whether it is in progress: claimed, with a lease that has not run out.
    pub claimed: bool,
}

impl PendingOffset {
    pub(super) fn of((offset, age, claimed): (i64, Duration, bool)) -> Self {
        Self { offset, age, claimed }
    }
}

/// Claims.
impl OffsetTracker {
    /// Configures a tracker.
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
    /// assert_eq!(offsets.committable("trades", 0), Some(100));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn builder() -> OffsetTrackerBuilder {
        OffsetTrackerBuilder {
            lease: None,
            clock: None,
            enabled: true,
            in_order: false,
            snapshots: None,
        }
    }

    /// Returns a handle to a partition, which saves looking it up for each message: for threads
    /// that stay with one.
    ///
    /// # Progress
    ///
    /// Wait-free for a partition that is there: a read of a cache. Lock-free for a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let trades = offsets.partition("trades", 0);
    /// assert!(trades.claim(100).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn partition(&self, topic: &str, partition: i32) -> Partition {
        Partition {
            partitions: Arc::clone(&self.partitions),
            tracked: self.partitions.get(topic, partition),
        }
    }

    /// Claims an offset, if it is new: tells whether to process it, and keeps other callers from
    /// doing so, in one step.
    ///
    /// An offset below the [assigned](Self::assign) start is done. If no start was given, an offset
    /// smaller than all that were polled or claimed is new, and the watermark goes back to it.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// if let Some(ticket) = offsets.claim("trades", 0, 100).ticket() {
    ///     // The work, and then:
    ///     ticket.complete();
    /// }
    /// assert_eq!(offsets.committable("trades", 0), Some(101));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn claim(&self, topic: &str, partition: i32, offset: i64) -> Claim<OffsetTicket> {
        self.partitions.ask(topic, partition, |tracked| tracked.claim(offset))
    }

    /// Whether an offset was processed. Do not decide by this whether to process it: the answer may
    /// be out of date when it is returned.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.mark_processed("trades", 0, 100);
    /// assert!(offsets.is_processed("trades", 0, 100));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_processed(&self, topic: &str, partition: i32, offset: i64) -> bool {
        if let Some(tracked) = self.partitions.find(topic, partition) {
            return tracked.is_processed(offset);
        }
        self.partitions.shared.tally.count(Event::Unknown);
        false
    }

    /// Notes an offset as processed. Returns true for exactly one caller, and false if it was
    /// processed before or is in progress.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// assert!(offsets.mark_processed("trades", 0, 100));
    /// assert_eq!(offsets.committable("trades", 0), Some(101));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn mark_processed(&self, topic: &str, partition: i32, offset: i64) -> bool {
        self.claim(topic, partition, offset).ticket().is_some_and(OffsetTicket::complete)
    }

    /// Calls `work` for an offset, unless the offset was processed or is in progress.
    ///
    /// If `work` fails or panics, the claim is given back. If the ticket is too late or fenced, the
    /// outcome is [`Late`](Outcome::Late).
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock to claim the offset, and once more at the end; not while `work` runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::{OffsetTracker, Outcome};
    ///
    /// let tracker = OffsetTracker::builder().build()?;
    /// assert_eq!(tracker.process("orders", 3, 9, || Err::<(), _>("away")), Outcome::Failed("away"));
    /// assert_eq!(tracker.process("orders", 3, 9, || Ok::<_, &str>(42)), Outcome::Processed(42));
    /// assert_eq!(tracker.process("orders", 3, 9, || Ok::<_, &str>(43)), Outcome::Duplicate);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn process<T, E>(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Outcome<T, E> {
        process(self.claim(topic, partition, offset), work)
    }

    /// As [`process`](Self::process), for a future. Needs feature `async`, and no particular
    /// runtime.
    ///
    /// # Progress
    ///
    /// **Blocking** for a moment: takes the partition's lock to claim the offset, and once more at the end; not while
    /// `work` runs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the claim back.
    ///
    /// # Examples
    ///
    /// See [`process`](Self::process).
    #[cfg(feature = "async")]
    pub async fn process_async<T, E, F>(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        work: impl FnOnce() -> F,
    ) -> Outcome<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let claim = self.claim(topic, partition, offset);
        super::process::process_async(claim, work).await
    }

    /// Waits until an offset that is in progress is done or given back, for at most `timeout`.
    /// Returns at once if the offset is not in progress.
    ///
    /// # Progress
    ///
    /// Blocking: waits for the holder of the claim, at most until its lease runs out or `timeout`
    /// is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.mark_processed("trades", 0, 100);
    /// assert!(offsets.wait_done("trades", 0, 100, std::time::Duration::ZERO).is_done());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn wait_done(&self, topic: &str, partition: i32, offset: i64, timeout: Duration) -> Waited {
        let target = self.target(topic, partition, offset);
        target.map_or(Waited::Open, |target| wait(&target, timeout))
    }

    /// As [`wait_done`](Self::wait_done), for a task, without a time limit; the task is also woken
    /// when the lease runs out. Needs feature `async`, and no particular runtime. The future does
    /// not borrow the tracker. It waits for the partition that exists when this is called: if there
    /// is none, the offset is [`Open`](Waited::Open).
    ///
    /// # Progress
    ///
    /// The future waits; each poll takes the partition's lock.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Examples
    ///
    /// See [`wait_done`](Self::wait_done).
    #[cfg(feature = "async")]
    pub fn wait_done_async(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> super::wait::WaitOffset {
        let target = self.target(topic, partition, offset);
        super::wait::WaitOffset(target.map(super::wait::TaskWait::new))
    }

    /// Returns `None` for a partition that is not known: waiting for one does not add it.
    fn target(&self, topic: &str, partition: i32, offset: i64) -> Option<OffsetTarget> {
        let tracked = self.partitions.find(topic, partition)?;
        Some(OffsetTarget { tracked, offset })
    }
}

/// Which offsets exist, and which are this consumer's.
impl OffsetTracker {
    /// Notes that the consumer has polled `offsets`, in this order: they exist, and offsets between
    /// two of them do not, nor those between the end of the last poll (or the start) and the first
    /// one.
    ///
    /// Call it on the thread that polls, before workers get the records; they may claim in any
    /// order. Offsets that were polled before change nothing. Polls that are noted in the wrong
    /// order, or that go back, do no harm: an offset that was folded as not existing and is polled
    /// nevertheless is pending, but a commit in between may have passed it.
    ///
    /// After [`revoke`](Self::revoke) the partition starts over, as by [`assign`](Self::assign)
    /// without a start. If another thread assigns, revokes, seeks or forgets the partition during
    /// the call, the rest of `offsets` has no effect.
    ///
    /// # Panics
    ///
    /// If the iterator panics; the offsets before that are noted.
    ///
    /// # Progress
    ///
    /// Blocking: takes the partition's lock once for up to 128 offsets, and not while the iterator
    /// runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.polled("trades", 0, [100, 103]); // 101 and 102 are not in the log
    /// offsets.mark_processed("trades", 0, 100);
    /// assert_eq!(offsets.committable("trades", 0), Some(103));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn polled(&self, topic: &str, partition: i32, offsets: impl IntoIterator<Item = i64>) {
        let mut poll = Poll::default();
        in_batches(offsets, |batch| {
            self.partitions.ask(topic, partition, |tracked| tracked.polled(batch, &mut poll));
        });
    }

    /// Notes that no unclaimed offset below `offset` is to be processed: they do not exist, or are
    /// not wanted. Offsets below that are in progress or were given back stay, and hold the
    /// watermark. A negative `offset` changes nothing.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.skip_to("trades", 0, 105);
    /// assert_eq!(offsets.committable("trades", 0), Some(105));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn skip_to(&self, topic: &str, partition: i32, offset: i64) {
        self.partitions.ask(topic, partition, |tracked| tracked.skip_to(offset));
    }

    /// Notes that this consumer has the partition from now on, and begins at `start`: offsets below
    /// it are done, and none above. This begins a new generation: earlier tickets are fenced. With
    /// a negative `start`, which clients have if nothing was committed, the partition begins with
    /// the first offset that is polled; or with the first that is claimed, if the tracker has not
    /// had the partition before, so that no worker can still have a record from then.
    ///
    /// Call [`restore`](Self::restore) *after* this to add a snapshot.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// assert_eq!(offsets.committable("trades", 0), Some(100));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn assign(&self, topic: &str, partition: i32, start: i64) {
        self.partitions.ask(topic, partition, |tracked| tracked.assign(start));
    }

    /// Notes that another consumer has the partition from now on: it is no longer reported, and its
    /// tickets are fenced. Returns the last committable offset, for a last commit, and `None` if
    /// there is none.
    ///
    /// Claims of late workers are still granted once for each offset, and change nothing that is
    /// reported. After [`assign`](Self::assign) or [`polled`](Self::polled) the partition is this
    /// consumer's again.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.mark_processed("trades", 0, 100);
    /// assert_eq!(offsets.revoke("trades", 0), Some(101));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn revoke(&self, topic: &str, partition: i32) -> Option<i64> {
        self.partitions.ask(topic, partition, |tracked| tracked.revoke())
    }

    /// Notes that the consumer goes on at `offset`, backwards or forwards: offsets from there on
    /// are processed again, and their tickets are fenced. Offsets between the watermark and
    /// `offset` are skipped, as by [`skip_to`](Self::skip_to). A negative `offset`, which clients
    /// use for the ends of a log, forgets everything that is known of the partition, which starts
    /// over as by [`assign`](Self::assign) without a start.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.mark_processed("trades", 0, 100);
    /// offsets.seek("trades", 0, 100);
    /// assert!(offsets.claim("trades", 0, 100).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn seek(&self, topic: &str, partition: i32, offset: i64) {
        self.partitions.ask(topic, partition, |tracked| tracked.seek(offset));
    }

    /// Forgets a partition, and fences its tickets. Returns whether something was known of it.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// assert!(offsets.forget("trades", 0));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn forget(&self, topic: &str, partition: i32) -> bool {
        self.partitions.forget(topic, partition)
    }
}

/// What to commit, and what is pending.
impl OffsetTracker {
    /// Returns the offset to commit: all below it are done, or do not exist.
    ///
    /// Returns `None` before the partition is assigned, polled or claimed, and after it was
    /// revoked. Never below the start; without a start, not below the first offset that was polled
    /// or claimed. It goes back if an offset below it turns out to exist. When `i64::MAX` is done
    /// it stays there, as there is no larger offset.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.mark_processed("trades", 0, 100);
    /// assert_eq!(offsets.committable("trades", 0), Some(101));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn committable(&self, topic: &str, partition: i32) -> Option<i64> {
        self.partitions.find(topic, partition)?.committable()
    }

    /// Returns what to commit for all partitions that are assigned or active: topic, number,
    /// offset. In no particular order.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the lock of each partition, one after another.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// assert_eq!(offsets.committables(), [("trades".to_string(), 0, 100)]);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn committables(&self) -> Vec<(String, i32, i64)> {
        let mut all = Vec::new();
        self.for_each_committable(|topic, partition, offset| {
            all.push((topic.to_string(), partition, offset));
        });
        all
    }

    /// Calls `f` for what [`committables`](Self::committables) returns, without an allocation. No
    /// lock is held meanwhile, and `f` may use the tracker.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the lock of each partition, one after another. Not while `f` runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.for_each_committable(|topic, partition, offset| {
    ///     assert_eq!((topic, partition, offset), ("trades", 0, 100));
    /// });
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn for_each_committable(&self, mut f: impl FnMut(&str, i32, i64)) {
        self.partitions.for_each(|tracked| {
            if let Some(offset) = tracked.committable() {
                f(tracked.topic(), tracked.number(), offset);
            }
        });
    }

    /// Returns the offset that holds the watermark, and for how long. `None` if no offset is
    /// pending.
    ///
    /// If the tracker was not told which offsets exist, this may be one that does not.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// See [`pending`](Self::pending).
    pub fn oldest_pending(&self, topic: &str, partition: i32) -> Option<PendingOffset> {
        let tracked = self.partitions.find(topic, partition)?;
        let (pending, now) = tracked.pending(Span::oldest_pending)?;
        Some(PendingOffset::of(pending_for_users(pending?, now)))
    }

    /// Returns all offsets that exist and are not done, in order; of a gap of which nothing is
    /// known, the first offset.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let ticket = offsets.claim("trades", 0, 100).ticket();
    /// assert_eq!(offsets.pending("trades", 0).len(), 1);
    /// assert_eq!(offsets.oldest_pending("trades", 0).map(|pending| pending.offset), Some(100));
    /// drop(ticket);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn pending(&self, topic: &str, partition: i32) -> Vec<PendingOffset> {
        let tracked = self.partitions.find(topic, partition);
        let pending = tracked.and_then(|tracked| tracked.pending(Span::pending));
        let Some((pending, now)) = pending else { return Vec::new() };
        pending
            .into_iter()
            .map(|pending| PendingOffset::of(pending_for_users(pending, now)))
            .collect()
    }

    /// The bytes that the gaps take now, without offsets in progress.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the lock of each partition, one after another.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// offsets.mark_processed("trades", 0, 105);
    /// assert!(offsets.gap_bytes() > 0);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn gap_bytes(&self) -> usize {
        let mut bytes = 0;
        self.partitions.for_each(|tracked| bytes += tracked.reported(Span::bytes).unwrap_or(0));
        bytes
    }

    /// What has happened so far. `size` is the number of offsets above the watermarks that are
    /// done.
    ///
    /// # Progress
    ///
    /// Blocking: takes the lock of each partition, one after another, and reads each offset in
    /// progress.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// assert!(offsets.claim("trades", 0, 100).is_new());
    /// assert_eq!(offsets.metrics().claims, 1);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        let shared = &self.partitions.shared;
        let now = shared.clock.now();
        let (mut size, mut in_progress) = (0_u64, 0);
        self.partitions.for_each(|tracked| {
            let counts = tracked.reported(|span| (span.done_above(), span.in_progress(now)));
            let (done, claimed) = counts.unwrap_or_default();
            size = size.saturating_add(done);
            in_progress += claimed;
        });
        Metrics { size, in_progress, ..shared.tally.metrics() }
    }
}

/// Surviving a restart.
impl OffsetTracker {
    /// Returns the offsets that are done in all partitions that have something to
    /// [commit](Self::committables), as bytes. Offsets in progress are not done: after a restart
    /// they are new.
    ///
    /// Each partition is read at one moment, but not all at the same one.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the lock of each partition, one after another.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let bytes = offsets.snapshot();
    /// let restored = OffsetTracker::builder().build()?;
    /// assert!(restored.restore(&bytes).is_ok());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::of_offsets(&self.partitions)
    }

    /// Writes a snapshot to a file, entirely or not at all.
    ///
    /// The bytes go into a temporary file in the same folder, which is flushed to the disk and then
    /// renamed to `path`; then the folder is flushed. A crash leaves the old snapshot or the new
    /// one, and perhaps a file whose name ends in `.tmp`. If several calls, or
    /// [`snapshot_every`](OffsetTrackerBuilder::snapshot_every), write the file concurrently, the
    /// snapshot that was begun last stays, whichever is finished first.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the lock of each partition, one after another. Then it writes a file.
    ///
    /// # Errors
    ///
    /// [`Io`](SnapshotError::Io) if the file or its folder cannot be written; it names the path.
    ///
    /// # Examples
    ///
    /// See [`restore_from`](Self::restore_from).
    pub fn snapshot_to(&self, path: &Path) -> Result<(), SnapshotError> {
        self.partitions.shared.saves.write(path, || self.snapshot())
    }

    /// Adds a snapshot to what is known. Returns how many partitions the snapshot has.
    ///
    /// For a partition that is assigned or active, the offsets that were done are added; its
    /// watermark does not go back, and offsets in progress are left to their tickets. A partition
    /// of which nothing is known is restored as it was. One that was revoked stays so. The snapshot
    /// must be of the same log: if the log was created again, discard the snapshot.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the lock of each partition, one after another.
    ///
    /// # Errors
    ///
    /// If the bytes are not a complete, undamaged snapshot of a tracker. Nothing is changed then.
    ///
    /// # Examples
    ///
    /// See [`snapshot`](Self::snapshot).
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let shared = &self.partitions.shared;
        let partitions = snapshot::partitions(bytes, shared.clock.now())?;
        for (topic, partition, span) in &partitions {
            self.partitions.ask(topic, *partition, |tracked| tracked.restore(span));
            shared.tally.count(Event::Restored);
        }
        Ok(partitions.len())
    }

    /// As [`restore`](Self::restore), from a file.
    ///
    /// # Progress
    ///
    /// **Blocking**: reads a file, and then as [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// If the file cannot be read ([`is_not_found`](SnapshotError::is_not_found) tells whether
    /// there is none), or does not contain a complete, undamaged snapshot of a tracker in the
    /// present format; the error names the file. Nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::OffsetTracker;
    ///
    /// let path = std::env::temp_dir().join(format!("clockhand-doc-offsets-{}", std::process::id()));
    /// let before = OffsetTracker::builder().build()?;
    /// before.assign("orders", 3, 10);
    /// before.mark_processed("orders", 3, 11);
    /// before.snapshot_to(&path)?;
    ///
    /// let after = OffsetTracker::builder().build()?;
    /// after.assign("orders", 3, 10); // what the broker says
    /// assert_eq!(after.restore_from(&path)?, 1);
    /// assert!(after.claim("orders", 3, 11).is_done());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore_from(&self, path: &Path) -> Result<usize, SnapshotError> {
        saves::read(path, |bytes| self.restore(bytes))
    }

    /// Returns why the last snapshot of [`snapshot_every`](OffsetTrackerBuilder::snapshot_every)
    /// could not be written, and `None` if it was written.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// assert!(offsets.last_snapshot_error().is_none());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn last_snapshot_error(&self) -> Option<SnapshotError> {
        self.partitions.shared.saves.last_error()
    }
}

impl fmt::Debug for OffsetTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetTracker")
            .field("partitions", &self.partitions.len())
            .field("lease", &self.partitions.shared.lease)
            .field("saves", &self.thread.is_some())
            .finish_non_exhaustive()
    }
}

/// Passes the items of an iterator on in batches, so that it does not run while a lock is held. If
/// it panics, the items before that are passed on first.
///
/// Ends: with the iterator.
fn in_batches(offsets: impl IntoIterator<Item = i64>, mut take: impl FnMut(&[i64])) {
    let mut offsets = offsets.into_iter();
    let mut batch = [0; BATCH];
    loop {
        let mut filled = 0;
        let mut panics = FirstPanic::default();
        panics.catch(|| {
            for (place, offset) in batch.iter_mut().zip(&mut offsets) {
                *place = offset;
                filled += 1;
            }
        });
        if filled > 0 {
            take(&batch[..filled]);
        }
        panics.pass_on();
        if filled < BATCH {
            return;
        }
    }
}

/// A handle to one partition of an [`OffsetTracker`], for threads that stay with it. Clones are
/// handles to the same partition. If that is [forgotten](OffsetTracker::forget), they find the
/// partition that is added after it.
///
/// # Progress
///
/// Every method takes the partition's lock; see [`OffsetTracker`].
#[derive(Clone)]
pub struct Partition {
    partitions: Arc<TrackedPartitions>,
    tracked: Arc<TrackedPartition>,
}

impl Partition {
    /// Calls `f` with the partition or, if that was forgotten, with the one added after it.
    fn ask<R>(&self, mut f: impl FnMut(&Arc<TrackedPartition>) -> Option<R>) -> R {
        let answer = f(&self.tracked);
        answer
            .unwrap_or_else(|| self.partitions.ask(self.tracked.topic(), self.tracked.number(), f))
    }

    /// Claims an offset, if it is new; see [`OffsetTracker::claim`].
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let trades = offsets.partition("trades", 0);
    /// assert!(trades.claim(100).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn claim(&self, offset: i64) -> Claim<OffsetTicket> {
        self.ask(|tracked| tracked.claim(offset))
    }

    /// Notes an offset as processed; see [`OffsetTracker::mark_processed`].
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let trades = offsets.partition("trades", 0);
    /// assert!(trades.mark_processed(100));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn mark_processed(&self, offset: i64) -> bool {
        self.claim(offset).ticket().is_some_and(OffsetTicket::complete)
    }

    /// Whether an offset was processed; see [`OffsetTracker::is_processed`].
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let trades = offsets.partition("trades", 0);
    /// assert!(!trades.is_processed(100));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_processed(&self, offset: i64) -> bool {
        self.ask(|tracked| Some(tracked.is_processed(offset)))
    }

    /// Notes that the consumer has polled `offsets`, in this order; see [`OffsetTracker::polled`].
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let trades = offsets.partition("trades", 0);
    /// trades.polled([100, 101]);
    /// assert_eq!(trades.committable(), Some(100));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn polled(&self, offsets: impl IntoIterator<Item = i64>) {
        let mut poll = Poll::default();
        in_batches(offsets, |batch| self.ask(|tracked| tracked.polled(batch, &mut poll)));
    }

    /// Returns the offset to commit; see [`OffsetTracker::committable`].
    ///
    /// # Progress
    ///
    /// **Blocking**: takes the partition's lock, under which no user code runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// offsets.assign("trades", 0, 100);
    /// let trades = offsets.partition("trades", 0);
    /// trades.mark_processed(100);
    /// assert_eq!(trades.committable(), Some(101));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn committable(&self) -> Option<i64> {
        self.ask(|tracked| Some(tracked.committable()))
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("topic", &self.tracked.topic())
            .field("partition", &self.tracked.number())
            .field("committable", &self.committable())
            .finish_non_exhaustive()
    }
}

/// Configures an [`OffsetTracker`]. Made by [`OffsetTracker::builder`].
///
/// # Progress
///
/// All methods are wait-free, but for those that say otherwise: they set a field.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct OffsetTrackerBuilder {
    lease: Option<Duration>,
    clock: Option<Clock>,
    enabled: bool,
    in_order: bool,
    snapshots: Option<Plan>,
}

impl OffsetTrackerBuilder {
    /// How long a claim may last before another caller may take it over. 60 seconds by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().lease(Duration::from_secs(30)).build()?;
    /// assert!(offsets.claim("trades", 0, 7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The clock of the leases. By default, a coarse one with a resolution of a millisecond.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().clock(clockhand::Clock::precise()).build()?;
    /// assert!(offsets.claim("trades", 0, 7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Whether offsets are tracked at all. If not, every claim is new and nothing is remembered.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().enabled(true).build()?;
    /// assert!(offsets.claim("trades", 0, 7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Whether each partition is claimed by one thread at a time, in the order of delivery. Then a
    /// claim also does what [`polled`](OffsetTracker::polled) does with this one offset: no offset
    /// exists between it and the one claimed before. By default, a claim tells nothing about other
    /// offsets.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::OffsetTracker;
    ///
    /// let tracker = OffsetTracker::builder().in_order(true).build()?;
    /// for offset in [0, 1, 2, 4, 5] {
    ///     assert!(tracker.mark_processed("orders", 3, offset)); // 3 is a marker
    /// }
    /// assert_eq!(tracker.committable("orders", 3), Some(6));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn in_order(mut self, in_order: bool) -> Self {
        self.in_order = in_order;
        self
    }

    /// Writes a snapshot to `path` every `interval`, as [`OffsetTracker::snapshot_to`] does. By
    /// default, none is written except by calls.
    ///
    /// A thread named `clockhand-save` does this, and ends with the tracker; the last snapshot is
    /// up to `interval` old then. If a snapshot cannot be written, the file stays as it was,
    /// [`health`](OffsetTracker::health) reports it, and
    /// [`last_snapshot_error`](OffsetTracker::last_snapshot_error) returns why.
    ///
    /// # Examples
    ///
    /// See `docs/examples/kafka.rs`.
    pub fn snapshot_every(mut self, interval: Duration, path: impl Into<PathBuf>) -> Self {
        self.snapshots = Some(Plan { interval, path: path.into() });
        self
    }

    /// Builds the tracker.
    ///
    /// # Progress
    ///
    /// **Blocking**: reads the last snapshot and starts a thread, if the settings ask for them.
    ///
    /// # Errors
    ///
    /// If the lease or the interval of snapshots is zero, if the lease is too short for the clock,
    /// or if a thread cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::OffsetTracker;
    ///
    /// let offsets = OffsetTracker::builder().build()?;
    /// assert!(offsets.claim("trades", 0, 7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn build(self) -> Result<OffsetTracker, SettingsError> {
        if let Some(plan) = &self.snapshots {
            plan.check()?;
        }
        let (lease, clock) = settings::lease_and_clock(self.lease, self.clock)?;
        let waiters = Waiters::new(clock.clone());
        let Self { enabled, in_order, .. } = self;
        let (tally, saves) = (Tally::new(), Saves::default());
        let monitor = Monitor::new(Timer::start(Some(clock.clone())));
        let shared =
            TrackerShared { lease, clock, enabled, in_order, tally, waiters, saves, monitor };
        let partitions = Arc::new(TrackedPartitions::new(shared));
        let thread = self.snapshots.map(|Plan { interval, path }| {
            periodic::start(
                "clockhand-save",
                interval,
                &partitions,
                move |partitions: &TrackedPartitions| {
                    let TrackerShared { saves, tally, .. } = &*partitions.shared;
                    saves.keep(tally, &path, || snapshot::of_offsets(partitions));
                },
            )
        });
        let thread = thread.transpose().map_err(SettingsError::Thread)?;
        Ok(OffsetTracker { partitions, thread })
    }
}

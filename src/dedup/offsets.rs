//! Every message once by offsets: what is contiguous is one number.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::{SettingsError, SnapshotError};
use super::keeper;
use super::lane::{AwaitedOffset, Lane, Lanes, Poll, Shared, told};
use super::metrics::Metrics;
use super::offset_ticket::OffsetTicket;
use super::process::process;
use super::saves::{self, Plan, Saves};
use super::settings;
use super::snapshot;
use super::span::Span;
use super::tally::{Event, Tally};
use super::ticket::{Claim, Outcome};
use super::wait::{Waited, wait};
use super::waiters::Waiters;
use crate::health::Monitor;
use crate::sync::{FirstPanic, Patrol};
use crate::time::{Clock, Timer};

/// Offsets that are taken from an iterator before the partition's lock is taken for them.
const AT_ONCE: usize = 128;

/// Remembers which offsets of which partitions were processed, and says what to commit, in memory that goes with the
/// gaps and not with the history.
///
/// An `OffsetTracker` is a handle: clones share everything. Offsets are `i64`, as the clients of logs have them. A
/// negative one is new to everybody, leaves no trace, and is counted as [`invalid`](Metrics::invalid): it is
/// processed rather than lost.
///
/// # What exists
///
/// Logs have holes: markers of transactions, records that were compacted away or filtered. The tracker cannot know
/// which offsets exist; it has to be told, in one of these ways.
///
/// | the consumer | tells it by |
/// |---|---|
/// | polls batches, and hands them to workers | [`polled`](Self::polled), with each batch, before the workers get it |
/// | claims in the order of delivery, on one thread | [`in_order`](OffsetTrackerBuilder::in_order) |
/// | knows that nothing is left below an offset | [`skip_to`](Self::skip_to) |
///
/// What is folded as not existing, and is delivered after all, is new: it is processed rather than lost, and holds
/// the watermark until it is done ([`unfolded`](Metrics::unfolded) counts it).
///
/// # Who has a partition
///
/// Call [`assign`](Self::assign) and [`revoke`](Self::revoke) in the callback of a rebalance, and
/// [`seek`](Self::seek) with the consumer. Each begins a new generation: tickets of an older one are fenced, and what
/// they stand for is not committed by this consumer.
///
/// # Consistency
///
/// For each offset, calls are linearizable: exactly one caller gets [`Claim::New`], until the claim is given back or
/// its lease runs out, and then exactly one later caller. [`committable`](Self::committable) never passes an offset
/// that is in progress or was given back, and never one that was polled and is not done. Partitions have no common
/// order.
///
/// # Memory
///
/// For each partition about 500 bytes; 100 for each offset in progress; and about as much for every 512 offsets among
/// which there is a gap, or one that is done above the watermark. A gap costs the same however long it is. What does
/// not exist is remembered below the watermark, too, for 2^14 such pieces; of what is older, it is forgotten whether
/// it was done, and if it is delivered again, it is processed again. What is pending is not bounded, but shown: by
/// [`gap_bytes`](Self::gap_bytes), [`oldest_pending`](Self::oldest_pending) and the metrics.
///
/// # Progress
///
/// Finding the partition is a read of a [`Cache`](crate::Cache). Every call on an offset takes its partition's lock
/// for the time of a few look-ups in small trees: **blocking**, if the thread that has it is not scheduled. No user
/// code runs under it. Give each partition one consumer thread, as logs do, and nobody waits.
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
pub struct OffsetTracker {
    pub(super) lanes: Arc<Lanes>,
    /// Dropped after the lanes' handle: the last one waits for the thread, which may be the last to let go of the
    /// lanes.
    keeper: Option<Arc<Patrol>>,
}

/// An offset that is not done: what holds the watermark, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PendingOffset {
    /// The offset.
    pub offset: i64,
    /// How long ago it was polled or, if it was not, claimed for the first time. Of an offset that was neither, how
    /// long the watermark has been waiting for it.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub age: Duration,
    /// Whether somebody has claimed it, and the lease runs.
    pub claimed: bool,
}

impl PendingOffset {
    pub(super) fn of((offset, age, claimed): (i64, Duration, bool)) -> Self {
        Self { offset, age, claimed }
    }
}

/// Claims and what comes of them.
impl OffsetTracker {
    /// Configures a tracker.
    pub fn builder() -> OffsetTrackerBuilder {
        OffsetTrackerBuilder {
            lease: None,
            clock: None,
            enabled: true,
            in_order: false,
            snapshots: None,
        }
    }

    /// A handle on a partition, which saves looking it up for each message: for threads that stay with one.
    ///
    /// # Progress
    ///
    /// Wait-free for a partition that is there: a read of a cache. Lock-free for a new one.
    pub fn partition(&self, topic: &str, partition: i32) -> Partition {
        Partition { lanes: Arc::clone(&self.lanes), lane: self.lanes.get(topic, partition) }
    }

    /// Asks whether to process an offset, and takes it in the same step.
    ///
    /// An offset below the start that was [assigned](Self::assign) is done. One that comes before all that was
    /// polled or claimed is new where no start was given, and the watermark goes back to it.
    #[inline]
    pub fn claim(&self, topic: &str, partition: i32, offset: i64) -> Claim<OffsetTicket> {
        self.lanes.ask(topic, partition, |lane| lane.claim(offset))
    }

    /// Whether an offset was processed. To decide by this whether to process it is a mistake: the answer may be out
    /// of date when it arrives.
    pub fn is_processed(&self, topic: &str, partition: i32, offset: i64) -> bool {
        if let Some(lane) = self.lanes.find(topic, partition) {
            return lane.is_processed(offset);
        }
        self.lanes.shared.tally.count(Event::Unknown);
        false
    }

    /// Makes an offset processed. True for exactly one caller; false if it was, or is in progress.
    pub fn mark_processed(&self, topic: &str, partition: i32, offset: i64) -> bool {
        self.claim(topic, partition, offset).ticket().is_some_and(OffsetTicket::complete)
    }

    /// Processes an offset unless that was done, or is being done.
    ///
    /// If `work` fails or panics, the claim is given back. If the ticket came too late or is fenced, the outcome is
    /// [`Late`](Outcome::Late).
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

    /// The same for a future. Needs feature `async`, and no particular runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the claim back.
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

    /// Waits until an offset that is in progress is done or given back, or for so long. Returns at once if nobody
    /// processes it.
    ///
    /// # Progress
    ///
    /// Blocking: it waits for the holder of the claim, at most until its lease runs out or `timeout` is over.
    pub fn wait_done(&self, topic: &str, partition: i32, offset: i64, timeout: Duration) -> Waited {
        let awaited = self.awaited(topic, partition, offset);
        awaited.map_or(Waited::Open, |awaited| wait(&awaited, timeout))
    }

    /// The same for a task, which is woken when the lease runs out, too. Needs feature `async`, and no particular
    /// runtime. The future keeps nothing of the tracker's handle, and is of the partition that is there when this is
    /// called: where there is none, the offset is [`Open`](Waited::Open).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    #[cfg(feature = "async")]
    pub fn wait_done_async(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> super::wait::WaitOffset {
        let awaited = self.awaited(topic, partition, offset);
        super::wait::WaitOffset(awaited.map(super::wait::Waiting::new))
    }

    /// Nothing of a partition that nobody has named so far: to ask for it makes none.
    fn awaited(&self, topic: &str, partition: i32, offset: i64) -> Option<AwaitedOffset> {
        let lane = self.lanes.find(topic, partition)?;
        Some(AwaitedOffset { lane, offset })
    }
}

/// What the log says.
impl OffsetTracker {
    /// The consumer was given these offsets, in this order: they exist, and what lies between two of them does not,
    /// nor does what lies between the end of the last poll (or the start) and the first.
    ///
    /// Call it on the thread that polls, before workers get the records; they may claim in any order. What was
    /// polled before changes nothing. Polls that are told in the wrong order, or that jump back, are no harm: what
    /// was folded as not existing and is polled after all is pending, but a commit in between may have passed it.
    ///
    /// After [`revoke`](Self::revoke) it begins anew, as [`assign`](Self::assign) without a start does. Where another
    /// thread assigns, revokes, seeks or forgets the partition in the middle of the call, it is as if the call had
    /// ended before.
    ///
    /// # Panics
    ///
    /// If the iterator does; what it gave before counts.
    ///
    /// # Progress
    ///
    /// Takes the partition's lock once for some dozen offsets, and not while the iterator runs.
    pub fn polled(&self, topic: &str, partition: i32, offsets: impl IntoIterator<Item = i64>) {
        let mut poll = Poll::default();
        in_batches(offsets, |batch| {
            self.lanes.ask(topic, partition, |lane| lane.polled(batch, &mut poll));
        });
    }

    /// Nothing that was never claimed is left below `offset`: it does not exist, or is not wanted. Claims in progress
    /// below, and those that were given back, stay and hold the watermark. A negative offset changes nothing.
    pub fn skip_to(&self, topic: &str, partition: i32, offset: i64) {
        self.lanes.ask(topic, partition, |lane| lane.skip_to(offset));
    }

    /// This consumer has the partition from now on, and begins at `start`: all below is done, nothing above. A new
    /// generation: tickets from before are fenced. With a negative `start`, as clients have it where nothing was
    /// committed, the partition begins with the first offset that is polled; or with the first that is claimed, if the
    /// tracker has not had the partition before, so that no worker can be late with a record from then.
    ///
    /// What a snapshot knows is added by [`restore`](Self::restore) *after* this.
    pub fn assign(&self, topic: &str, partition: i32, start: i64) {
        self.lanes.ask(topic, partition, |lane| lane.assign(start));
    }

    /// Another consumer has the partition from now on: it is reported no longer, and its tickets are fenced. The
    /// last committable, for a last commit; nothing if there was none.
    ///
    /// Workers that claim late are granted each offset once, as ever, and change nothing that is reported. The
    /// partition comes back with [`assign`](Self::assign) or [`polled`](Self::polled).
    pub fn revoke(&self, topic: &str, partition: i32) -> Option<i64> {
        self.lanes.ask(topic, partition, |lane| lane.revoke())
    }

    /// The consumer goes on at `offset`, be it backwards or forwards: what is at or after it is processed again, and
    /// its tickets are fenced. What lies between the watermark and `offset` is skipped, as by
    /// [`skip_to`](Self::skip_to). A negative offset, as clients have it for the ends of a log, forgets everything
    /// that is known of the partition, which begins anew as by [`assign`](Self::assign) without a start.
    pub fn seek(&self, topic: &str, partition: i32, offset: i64) {
        self.lanes.ask(topic, partition, |lane| lane.seek(offset));
    }

    /// Forgets a partition, and fences its tickets; whether something was known of it.
    pub fn forget(&self, topic: &str, partition: i32) -> bool {
        self.lanes.forget(topic, partition)
    }
}

/// What to commit, and what is in the way.
impl OffsetTracker {
    /// The offset below which nothing is left to do: the one to commit.
    ///
    /// Nothing before the partition was assigned, polled or claimed, and after it was revoked. Never below the start;
    /// without a start, not below the first offset that was polled or claimed. It goes back where an offset below it
    /// turns out to exist. When `i64::MAX` is done it stays there, as there is no larger one.
    pub fn committable(&self, topic: &str, partition: i32) -> Option<i64> {
        self.lanes.find(topic, partition)?.committable()
    }

    /// What to commit of all partitions that are assigned or active: topic, number, offset. In no particular order.
    pub fn committables(&self) -> Vec<(String, i32, i64)> {
        let mut all = Vec::new();
        self.for_each_committable(|topic, partition, offset| {
            all.push((topic.to_string(), partition, offset));
        });
        all
    }

    /// Calls `f` for what [`committables`](Self::committables) has, without an allocation. No lock is held meanwhile,
    /// and `f` may use the tracker.
    pub fn for_each_committable(&self, mut f: impl FnMut(&str, i32, i64)) {
        self.lanes.for_each(|lane| {
            if let Some(offset) = lane.committable() {
                f(lane.topic(), lane.number(), offset);
            }
        });
    }

    /// What holds the watermark, and for how long. Nothing if there is nothing to wait for.
    ///
    /// Where it was not told what exists, this may be an offset that does not.
    pub fn oldest_pending(&self, topic: &str, partition: i32) -> Option<PendingOffset> {
        let lane = self.lanes.find(topic, partition)?;
        let (pending, now) = lane.pending(Span::oldest_pending)?;
        Some(PendingOffset::of(told(pending?, now)))
    }

    /// All offsets that exist and are not done, in order; of a gap of which nothing is known, the first offset.
    pub fn pending(&self, topic: &str, partition: i32) -> Vec<PendingOffset> {
        let lane = self.lanes.find(topic, partition);
        let pending = lane.and_then(|lane| lane.pending(Span::pending));
        let Some((pending, now)) = pending else { return Vec::new() };
        pending.into_iter().map(|pending| PendingOffset::of(told(pending, now))).collect()
    }

    /// The bytes that the gaps take now, offsets in progress apart.
    pub fn gap_bytes(&self) -> usize {
        let mut bytes = 0;
        self.lanes.for_each(|lane| bytes += lane.reported(Span::bytes).unwrap_or(0));
        bytes
    }

    /// What has happened so far. `size` is the number of offsets that are done above the watermarks.
    ///
    /// # Progress
    ///
    /// Blocking: takes the lock of each partition, one after the other, and looks at each offset in progress.
    pub fn metrics(&self) -> Metrics {
        let shared = &self.lanes.shared;
        let now = shared.clock.now();
        let (mut size, mut in_progress) = (0_u64, 0);
        self.lanes.for_each(|lane| {
            let counts = lane.reported(|span| (span.done_above(), span.in_progress(now)));
            let (done, claimed) = counts.unwrap_or_default();
            size = size.saturating_add(done);
            in_progress += claimed;
        });
        Metrics { size, in_progress, ..shared.tally.metrics() }
    }
}

/// Surviving a restart.
impl OffsetTracker {
    /// What was done in all partitions that have something to [commit](Self::committables), as bytes. Offsets in
    /// progress are not done: after a restart they are new.
    ///
    /// Each partition is of one moment during the call; together they are not.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::of_offsets(&self.lanes)
    }

    /// Writes a snapshot to a file: whole, or not at all.
    ///
    /// The bytes go into a file beside it, are flushed to the disk, and take the place of the old file in one step;
    /// then the folder is flushed. A crash leaves the old snapshot or the new one, and perhaps a file whose name ends
    /// in `.tmp`. Of calls beside one another, and of [`snapshot_every`](OffsetTrackerBuilder::snapshot_every), the one
    /// that began last stays, whichever ends first.
    ///
    /// # Errors
    ///
    /// [`Io`](SnapshotError::Io) if the file or its folder cannot be written; it names the path.
    pub fn snapshot_to(&self, path: &Path) -> Result<(), SnapshotError> {
        self.lanes.shared.saves.write(path, || self.snapshot())
    }

    /// Adds what is in a snapshot to what is known; how many partitions the snapshot has.
    ///
    /// To a partition that is assigned or active, what was done is added; its watermark does not go back, and offsets
    /// in progress are left to their tickets. A partition of which nothing is known is taken over as it was. One that
    /// was revoked stays so. The snapshot must be of the same log: of one that was made anew, forget it.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole, undamaged snapshot of a tracker. Nothing is changed then.
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let shared = &self.lanes.shared;
        let partitions = snapshot::partitions(bytes, shared.clock.now())?;
        for (topic, partition, span) in &partitions {
            self.lanes.ask(topic, *partition, |lane| lane.restore(span));
            shared.tally.count(Event::Restored);
        }
        Ok(partitions.len())
    }

    /// The same from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read ([`is_not_found`](SnapshotError::is_not_found) says whether there is none), or what
    /// is in it is not a whole, undamaged snapshot of a tracker in the present format; the error names the file.
    /// Nothing is changed then.
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

    /// Why the last snapshot of [`snapshot_every`](OffsetTrackerBuilder::snapshot_every) could not be written, if it
    /// could not.
    pub fn last_snapshot_error(&self) -> Option<SnapshotError> {
        self.lanes.shared.saves.last_error()
    }
}

impl fmt::Debug for OffsetTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetTracker")
            .field("partitions", &self.lanes.len())
            .field("lease", &self.lanes.shared.lease)
            .field("saves", &self.keeper.is_some())
            .finish_non_exhaustive()
    }
}

/// Hands the items of an iterator on in batches, so that it does not run while a lock is held. If it panics, what it
/// gave before is handed on first.
///
/// Ends: with the iterator.
fn in_batches(offsets: impl IntoIterator<Item = i64>, mut take: impl FnMut(&[i64])) {
    let mut offsets = offsets.into_iter();
    let mut batch = [0; AT_ONCE];
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
        if filled < AT_ONCE {
            return;
        }
    }
}

/// One partition of an [`OffsetTracker`]: what threads that stay with it do for each message. Clones are the same
/// partition, and if it is [forgotten](OffsetTracker::forget), they are the one that comes after it.
///
/// # Progress
///
/// Every method takes the partition's lock; see [`OffsetTracker`].
#[derive(Clone)]
pub struct Partition {
    lanes: Arc<Lanes>,
    lane: Arc<Lane>,
}

impl Partition {
    /// Asks the lane, or the one that came after it.
    fn ask<R>(&self, mut f: impl FnMut(&Arc<Lane>) -> Option<R>) -> R {
        let answer = f(&self.lane);
        answer.unwrap_or_else(|| self.lanes.ask(self.lane.topic(), self.lane.number(), f))
    }

    /// Asks whether to process an offset, and takes it in the same step; see [`OffsetTracker::claim`].
    #[inline]
    pub fn claim(&self, offset: i64) -> Claim<OffsetTicket> {
        self.ask(|lane| lane.claim(offset))
    }

    /// Makes an offset processed. True for exactly one caller; false if it was, or is in progress.
    pub fn mark_processed(&self, offset: i64) -> bool {
        self.claim(offset).ticket().is_some_and(OffsetTicket::complete)
    }

    /// Whether an offset was processed; see [`OffsetTracker::is_processed`].
    pub fn is_processed(&self, offset: i64) -> bool {
        self.ask(|lane| Some(lane.is_processed(offset)))
    }

    /// The consumer was given these offsets, in this order; see [`OffsetTracker::polled`].
    pub fn polled(&self, offsets: impl IntoIterator<Item = i64>) {
        let mut poll = Poll::default();
        in_batches(offsets, |batch| self.ask(|lane| lane.polled(batch, &mut poll)));
    }

    /// The offset below which nothing is left to do; see [`OffsetTracker::committable`].
    pub fn committable(&self) -> Option<i64> {
        self.ask(|lane| Some(lane.committable()))
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("topic", &self.lane.topic())
            .field("partition", &self.lane.number())
            .field("committable", &self.committable())
            .finish_non_exhaustive()
    }
}

/// Configures an [`OffsetTracker`]. Made by [`OffsetTracker::builder`].
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

    /// Whether each partition is claimed by one thread at a time, in the order of delivery. Then a claim says what
    /// [`polled`](OffsetTracker::polled) with this one offset does: nothing exists between it and the one that was
    /// claimed before. Without it, a claim says nothing about other offsets.
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

    /// Writes a snapshot to this file every so often, as [`OffsetTracker::snapshot_to`] does. Without it, none is
    /// written but by calls.
    ///
    /// A thread named `clockhand-save` does it, and ends with the tracker; the last snapshot is up to an interval old
    /// then. If a snapshot cannot be written, the file stays as it was, [`health`](OffsetTracker::health)
    /// says so,
    /// and [`last_snapshot_error`](OffsetTracker::last_snapshot_error) says why.
    pub fn snapshot_every(mut self, interval: Duration, path: impl Into<PathBuf>) -> Self {
        self.snapshots = Some(Plan { interval, path: path.into() });
        self
    }

    /// Builds the tracker.
    ///
    /// # Errors
    ///
    /// If the lease or the interval of snapshots is zero, if the lease is too short for the clock, or if a thread
    /// cannot be started.
    pub fn build(self) -> Result<OffsetTracker, SettingsError> {
        if let Some(plan) = &self.snapshots {
            plan.check()?;
        }
        let (lease, clock) = settings::lease_and_clock(self.lease, self.clock)?;
        let waiters = Waiters::new(clock.clone());
        let Self { enabled, in_order, .. } = self;
        let (tally, saves) = (Tally::new(), Saves::default());
        let monitor = Monitor::new(Timer::start(Some(clock.clone())));
        let shared = Shared { lease, clock, enabled, in_order, tally, waiters, saves, monitor };
        let lanes = Arc::new(Lanes::new(shared));
        let keeper = self.snapshots.map(|Plan { interval, path }| {
            keeper::start("clockhand-save", interval, &lanes, move |lanes: &Lanes| {
                let Shared { saves, tally, .. } = &*lanes.shared;
                saves.keep(tally, &path, || snapshot::of_offsets(lanes));
            })
        });
        let keeper = keeper.transpose().map_err(SettingsError::Thread)?;
        Ok(OffsetTracker { lanes, keeper })
    }
}

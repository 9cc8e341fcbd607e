//! The partitions of a tracker: what is known of each, under a lock of its own.
//!
//! # Generations
//!
//! A partition that is assigned, revoked or forgotten starts over: claims in progress belong to an
//! older *generation*, and their tickets are fenced, so that they change nothing. A seek fences the
//! tickets at or after its offset. A claim is identified by its number; the generation only tells
//! whether a ticket whose claim has ended was fenced, or late.
//!
//! A partition that was forgotten stays so: a caller that still holds it looks the partition up
//! again.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use equivalent::Equivalent;

use super::offset_ticket::OffsetTicket;
use super::saves::Saves;
use super::set::END;
use super::span::{ClaimOutcome, OffsetClaim, Pending, Span, UNKNOWN_POSITION};
use super::tally::{Event, Tally};
use super::ticket::Claim;
use super::wait::{Status, WaitTarget};
use super::waiters::Waiters;
use crate::cache::Cache;
use crate::error::InsertErrorKind;
use crate::hash::mix;
use crate::health::{DedupCounts, Monitor};
use crate::sync::{Mutex, MutexGuard, lock, seeded, unique};
use crate::time::{Clock, Moment};

/// The capacity of the map, which is never reached.
const CACHE_CAPACITY: u64 = 1 << 40;

/// What the partitions of a tracker share.
#[derive(Debug)]
pub(super) struct TrackerShared {
    pub(super) lease: Duration,
    pub(super) clock: Clock,
    pub(super) enabled: bool,
    pub(super) in_order: bool,
    pub(super) tally: Tally,
    pub(super) waiters: Arc<Waiters>,
    pub(super) saves: Saves,
    pub(super) monitor: Monitor<DedupCounts>,
}

/// A partition of which something is known.
#[derive(Debug)]
pub(super) struct TrackedPartition {
    shared: Arc<TrackerShared>,
    /// Different for every partition.
    token: u64,
    topic: Arc<str>,
    number: i32,
    state: Mutex<PartitionState>,
}

/// Whether a partition is this consumer's, and its offsets are reported for commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Assignment {
    #[default]
    Reported,
    /// It was assigned without a start. It begins with the first offset that is polled, not with
    /// one that a worker claims for a record from before the assignment.
    AwaitsPoll,
    /// It is another consumer's now, whatever late workers do.
    Revoked,
}

#[derive(Debug, Default)]
struct PartitionState {
    generation: u64,
    next_number: u64,
    assignment: Assignment,
    forgotten: bool,
    /// `None` before it is assigned, polled or claimed.
    span: Option<Span>,
}

impl PartitionState {
    /// Starts a new generation. Returns the claims that this ends.
    fn begin(&mut self, span: Option<Span>, assignment: Assignment) -> Vec<(u64, OffsetClaim)> {
        self.generation += 1;
        self.assignment = assignment;
        std::mem::replace(&mut self.span, span).map_or(Vec::new(), Span::into_held)
    }

    /// Whether workers may have records of an earlier assignment.
    fn was_there(&self) -> bool {
        self.span.is_some() || self.assignment != Assignment::Reported
    }

    /// Notes that offsets from `first` on were polled: the partition is this consumer's. Returns
    /// the claims that this ends.
    fn take_up(&mut self, first: u64) -> Vec<(u64, OffsetClaim)> {
        match std::mem::take(&mut self.assignment) {
            Assignment::Reported => Vec::new(),
            Assignment::Revoked => self.begin(None, Assignment::Reported),
            Assignment::AwaitsPoll => {
                if let Some(span) = &mut self.span {
                    // No offset exists between what was claimed already and the first one polled.
                    span.position = span.first.min(first);
                }
                Vec::new()
            }
        }
    }

    /// Returns what is known of the partition, if it is reported.
    fn reported(&self) -> Option<&Span> {
        self.span.as_ref().filter(|_| self.assignment == Assignment::Reported)
    }
}

/// Identifies the claim of an offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct OffsetClaimId {
    number: u64,
    generation: u64,
}

/// The partition and the generation for which the first part of a poll was noted. A new generation
/// in the middle of a poll ends it: the rest was polled by the owner before that, and tells nothing
/// about gaps any more.
#[derive(Debug, Default)]
pub(super) struct Poll(Option<(u64, u64)>);

impl Poll {
    /// Whether the next part is of the same partition and generation.
    fn is_same_generation(&mut self, token: u64, generation: u64) -> bool {
        *self.0.get_or_insert((token, generation)) == (token, generation)
    }
}

/// An offset as [`Span`] counts them. `None` if it is negative.
fn index(offset: i64) -> Option<u64> {
    u64::try_from(offset).ok()
}

/// An offset as users know it. The end of the last offset does not fit, and becomes the last
/// offset.
pub(super) fn offset(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// A method that returns `None` because the partition was forgotten has changed nothing.
impl TrackedPartition {
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn number(&self) -> i32 {
        self.number
    }

    fn count(&self, event: Event) {
        self.shared.tally.count(event);
    }

    /// Locks the state. Returns `None` if the partition was forgotten. Under the lock no user code
    /// runs, and only the allocator may panic.
    fn lock(&self) -> Option<MutexGuard<'_, PartitionState>> {
        let state = lock(&self.state);
        (!state.forgotten).then_some(state)
    }

    fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    fn key(&self, index: u64) -> u64 {
        mix(self.token.rotate_left(32) ^ index)
    }

    /// Wakes the waiters of claims that have ended.
    fn wake_waiters(&self, ended: impl IntoIterator<Item = (u64, OffsetClaim)>) {
        let has_waiters = ended.into_iter().filter(|(_, claim)| claim.has_waiters);
        has_waiters.for_each(|(index, _)| self.shared.waiters.wake(self.key(index)));
    }

    pub(super) fn claim(self: &Arc<Self>, offset: i64) -> Option<Claim<OffsetTicket>> {
        let Some(index) = index(offset).filter(|_| self.shared.enabled) else {
            return Some(self.grant_untracked(offset));
        };
        let mut state = self.lock()?;
        // Read under the lock, so that times are in the order of the calls.
        let now = self.now();
        let (number, generation) = (state.next_number, state.generation);
        state.next_number += 1;
        let in_order = self.shared.in_order;
        let span = state.span.get_or_insert_with(|| {
            let mut span = Span::new(index, 0, now);
            // If claims come in any order, they tell nothing about gaps.
            span.position = if in_order { index } else { UNKNOWN_POSITION };
            span
        });
        let mut was_absent = false;
        if in_order {
            was_absent = span.polled(index, now);
            span.advance(now);
        }
        let claimed = span.claim(index, number, now.after(self.shared.lease), now);
        // Counters and tickets without the lock: other workers of the partition wait for it.
        drop(state);
        if was_absent {
            self.count(Event::Unfolded);
        }
        Some(match claimed {
            ClaimOutcome::Done => {
                self.count(Event::Duplicate);
                Claim::Done
            }
            ClaimOutcome::InProgress => {
                self.count(Event::InProgress);
                Claim::InProgress
            }
            ClaimOutcome::New { taken_over, was_absent } => {
                self.count(Event::New);
                for (is, event) in
                    [(taken_over, Event::LeaseExpired), (was_absent, Event::Unfolded)]
                {
                    if is {
                        self.count(event);
                    }
                }
                let claim = Some(OffsetClaimId { number, generation });
                Claim::New(OffsetTicket::new(Arc::clone(self), offset, claim))
            }
        })
    }

    /// Grants a claim that is not tracked.
    fn grant_untracked(self: &Arc<Self>, offset: i64) -> Claim<OffsetTicket> {
        self.count(Event::New);
        self.count(Event::Untracked);
        if offset < 0 {
            self.count(Event::Invalid);
        }
        Claim::New(OffsetTicket::new(Arc::clone(self), offset, None))
    }

    /// Ends a claim. Returns whether it was still the ticket's.
    fn end(
        &self,
        offset: i64,
        claim: OffsetClaimId,
        how: Event,
        end: impl FnOnce(&mut Span, u64, Moment) -> Option<OffsetClaim>,
    ) -> bool {
        let Some(index) = index(offset) else { return false };
        let (fenced, ended) = match self.lock() {
            Some(mut state) => {
                let now = self.now();
                let ended = state.span.as_mut().and_then(|span| end(span, index, now));
                // Under the same lock: a claim that is not there any more was fenced if the partition has started over
                // since, and is late otherwise.
                (state.generation != claim.generation, ended)
            }
            None => (true, None),
        };
        self.count(match ended {
            Some(_) => how,
            None if fenced => Event::Fenced,
            None => Event::Late,
        });
        if ended.is_none() && matches!(how, Event::Added) {
            self.count(Event::Overtaken);
        }
        self.wake_waiters(ended.map(|claim| (index, claim)));
        ended.is_some()
    }

    pub(super) fn complete(&self, offset: i64, claim: OffsetClaimId) -> bool {
        self.end(offset, claim, Event::Added, |span, index, now| {
            span.complete(index, claim.number, now)
        })
    }

    pub(super) fn abandon(&self, offset: i64, claim: OffsetClaimId) {
        self.end(offset, claim, Event::Abandoned, |span, index, _| {
            span.abandon(index, claim.number)
        });
    }

    pub(super) fn extend(&self, offset: i64, claim: OffsetClaimId, by: Duration) -> bool {
        let (Some(index), Some(mut state)) = (index(offset), self.lock()) else { return false };
        let until = self.now().after(by);
        state.span.as_mut().is_some_and(|span| span.extend(index, claim.number, until))
    }

    /// Notes a part of a poll.
    pub(super) fn polled(&self, offsets: &[i64], poll: &mut Poll) -> Option<()> {
        if !self.shared.enabled {
            return Some(());
        }
        let mut state = self.lock()?;
        let now = self.now();
        let invalid = offsets.iter().filter(|&&offset| offset < 0).count();
        self.shared.tally.add(Event::Invalid, invalid as u64);
        let Some(first) = offsets.iter().copied().find_map(index) else { return Some(()) };
        // With its first part a poll takes the partition up. A later part does not: if the partition was revoked in
        // between, the rest of the poll must not bring it back.
        let ended = if poll.0.is_none() { state.take_up(first) } else { Vec::new() };
        if !poll.is_same_generation(self.token, state.generation) {
            return Some(());
        }
        let mut unfolded = 0;
        for index in offsets.iter().copied().filter_map(index) {
            let span = state.span.get_or_insert_with(|| Span::new(index, 0, now));
            unfolded += u64::from(span.polled(index, now));
        }
        if let Some(span) = &mut state.span {
            span.advance(now);
        }
        drop(state);
        self.shared.tally.add(Event::Unfolded, unfolded);
        self.wake_waiters(ended);
        Some(())
    }

    pub(super) fn skip_to(&self, offset: i64) -> Option<()> {
        let Some(index) = index(offset).filter(|_| self.shared.enabled) else { return Some(()) };
        let mut state = self.lock()?;
        let now = self.now();
        state.span.get_or_insert_with(|| Span::beginning_at(index, now)).skip_to(index, now);
        Some(())
    }

    /// The assignment of a partition that starts over without a start offset.
    fn without_start(&self, state: &PartitionState) -> Assignment {
        let late_claims = state.was_there() && !self.shared.in_order;
        if late_claims && !seeded("offsets-begins-where-claimed") {
            Assignment::AwaitsPoll
        } else {
            Assignment::Reported
        }
    }

    pub(super) fn assign(&self, start: i64) -> Option<()> {
        let mut state = self.lock()?;
        let now = self.now();
        let index = index(start).filter(|_| self.shared.enabled);
        let assignment =
            if index.is_none() { self.without_start(&state) } else { Assignment::Reported };
        if seeded("offsets-assigned-goes-on") && state.span.is_some() {
            return Some(());
        }
        let ended = state.begin(index.map(|index| Span::new(index, index, now)), assignment);
        drop(state);
        self.wake_waiters(ended);
        Some(())
    }

    /// Returns the last committable offset, and `Some(None)` if there is none.
    pub(super) fn revoke(&self) -> Option<Option<i64>> {
        let mut state = self.lock()?;
        // Read under the same lock in which it starts over: no completion happens in between that would be lost for the
        // last commit.
        let last = state.reported().map(|span| offset(span.committable()));
        let reports = seeded("offsets-revoked-is-reported");
        let assignment = if reports { Assignment::Reported } else { Assignment::Revoked };
        let ended = state.begin(None, assignment);
        drop(state);
        self.wake_waiters(ended);
        Some(last)
    }

    pub(super) fn seek(&self, offset: i64) -> Option<()> {
        if !self.shared.enabled {
            return Some(());
        }
        let mut state = self.lock()?;
        let now = self.now();
        let index = index(offset);
        // A partition that awaits its first poll begins at this offset.
        let begins = state.assignment == Assignment::AwaitsPoll && index.is_some();
        let assignment = match state.assignment {
            Assignment::AwaitsPoll if begins => Assignment::Reported,
            Assignment::Reported if index.is_none() => self.without_start(&state),
            assignment => assignment,
        };
        let ended = match (index, &mut state.span) {
            (Some(index), Some(span)) if !begins => {
                let ended = span.seek(index, now);
                state.generation += 1;
                ended
            }
            (index, _) => {
                state.begin(index.map(|index| Span::beginning_at(index, now)), assignment)
            }
        };
        drop(state);
        self.wake_waiters(ended);
        Some(())
    }

    /// Adds what is known from a snapshot.
    pub(super) fn restore(&self, other: &Span) -> Option<()> {
        if !self.shared.enabled {
            return Some(());
        }
        let mut state = self.lock()?;
        let now = self.now();
        if state.assignment == Assignment::Revoked {
            return Some(());
        }
        match &mut state.span {
            Some(span) => span.merge(other, now),
            None => state.span = Some(other.clone()),
        }
        Some(())
    }

    /// Marks the partition as forgotten. Returns whether something was known of it.
    fn forget(&self) -> bool {
        let Some(mut state) = self.lock() else { return false };
        let was_there = state.was_there();
        let ended = state.begin(None, Assignment::Reported);
        state.forgotten = true;
        drop(state);
        self.wake_waiters(ended);
        was_there
    }

    /// Calls `f` with what is known of the partition, if it is reported.
    pub(super) fn reported<R>(&self, f: impl FnOnce(&Span) -> R) -> Option<R> {
        self.lock()?.reported().map(f)
    }

    pub(super) fn committable(&self) -> Option<i64> {
        self.reported(|span| offset(span.committable()))
    }

    /// Returns what `f` finds pending, and the time at which it was called.
    pub(super) fn pending<R>(&self, f: impl FnOnce(&Span, Moment) -> R) -> Option<(R, Moment)> {
        let now = self.now();
        self.reported(|span| (f(span, now), now))
    }

    pub(super) fn is_processed(&self, offset: i64) -> bool {
        let done = self.status(offset) == Status::Done;
        self.count(if done { Event::Duplicate } else { Event::Unknown });
        done
    }

    fn status(&self, offset: i64) -> Status {
        let (Some(index), Some(state)) = (index(offset), self.lock()) else { return Status::Open };
        let now = self.now();
        state.span.as_ref().map_or(Status::Open, |span| span.status(index, now))
    }
}

/// An offset that a caller waits for.
#[derive(Debug)]
pub(super) struct OffsetTarget {
    pub(super) tracked: Arc<TrackedPartition>,
    pub(super) offset: i64,
}

impl WaitTarget for OffsetTarget {
    fn status(&self) -> Status {
        self.tracked.status(self.offset)
    }

    fn key(&self) -> u64 {
        self.tracked.key(index(self.offset).unwrap_or(END))
    }

    fn waiters(&self) -> &Arc<Waiters> {
        &self.tracked.shared.waiters
    }

    fn join(&self) -> bool {
        let (Some(index), Some(mut state)) = (index(self.offset), self.tracked.lock()) else {
            return false;
        };
        let now = self.tracked.now();
        state.span.as_mut().is_some_and(|span| span.join(index, now))
    }
}

/// The topic and the number of a partition.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PartitionName {
    topic: Arc<str>,
    number: i32,
}

/// A borrowed [`PartitionName`].
struct PartitionNameRef<'a> {
    topic: &'a str,
    number: i32,
}

impl Hash for PartitionNameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `Name` does.
        self.topic.hash(state);
        self.number.hash(state);
    }
}

impl Equivalent<PartitionName> for PartitionNameRef<'_> {
    fn equivalent(&self, name: &PartitionName) -> bool {
        *name.topic == *self.topic && name.number == self.number
    }
}

/// All partitions of a tracker.
pub(super) struct TrackedPartitions {
    pub(super) shared: Arc<TrackerShared>,
    map: Cache<PartitionName, Arc<TrackedPartition>>,
}

impl TrackedPartitions {
    pub(super) fn new(shared: TrackerShared) -> Self {
        let map = Cache::builder().forgetful().capacity(CACHE_CAPACITY).expected_entries(0).build();
        Self { shared: Arc::new(shared), map: map.expect("a capacity alone is no contradiction") }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn find(&self, topic: &str, number: i32) -> Option<Arc<TrackedPartition>> {
        self.map.look(&PartitionNameRef { topic, number }, |_, tracked| Arc::clone(tracked))
    }

    /// Returns a partition, which is added if it is new.
    ///
    /// Ends: in each round except the last, another thread has added the partition, and it was
    /// forgotten before this one found it.
    pub(super) fn get(&self, topic: &str, number: i32) -> Arc<TrackedPartition> {
        loop {
            if let Some(tracked) = self.find(topic, number) {
                return tracked;
            }
            let topic: Arc<str> = Arc::from(topic);
            let tracked = Arc::new(TrackedPartition {
                shared: Arc::clone(&self.shared),
                token: unique(),
                topic: Arc::clone(&topic),
                number,
                state: Mutex::default(),
            });
            match self.map.insert_if_absent(PartitionName { topic, number }, Arc::clone(&tracked)) {
                Ok(()) => return tracked,
                Err(error) if error.kind == InsertErrorKind::Occupied => {}
                Err(error) => unreachable!("the map has room for more than fits: {error}"),
            }
        }
    }

    /// Calls `f` with a partition, which is added if it is new or was forgotten.
    ///
    /// Ends: in each round except the last, the partition was forgotten meanwhile.
    pub(super) fn ask<R>(
        &self,
        topic: &str,
        number: i32,
        mut f: impl FnMut(&Arc<TrackedPartition>) -> Option<R>,
    ) -> R {
        loop {
            let tracked = self.get(topic, number);
            match f(&tracked) {
                Some(answer) => return answer,
                None => self.remove(&tracked),
            }
        }
    }

    /// Forgets a partition. Returns whether something was known of it.
    pub(super) fn forget(&self, topic: &str, number: i32) -> bool {
        let Some(tracked) = self.find(topic, number) else { return false };
        let was_there = tracked.forget();
        self.remove(&tracked);
        was_there
    }

    /// Removes a partition that was forgotten. Any thread may.
    fn remove(&self, forgotten: &Arc<TrackedPartition>) {
        let name = PartitionNameRef { topic: &forgotten.topic, number: forgotten.number };
        self.map.remove_if(&name, |tracked| Arc::ptr_eq(tracked, forgotten));
    }

    /// Calls `f` for each partition, without a lock. The thread is pinned to the map meanwhile.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Arc<TrackedPartition>)) {
        self.map.for_each(|_, tracked| f(tracked));
    }
}

impl fmt::Debug for TrackedPartitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackedPartitions").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A pending offset, for users.
pub(super) fn pending_for_users(pending: Pending, now: Moment) -> (i64, Duration, bool) {
    (offset(pending.offset), now.since(pending.since), pending.claimed)
}

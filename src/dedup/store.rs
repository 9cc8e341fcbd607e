//! What the word, the cache and the ring do together: claim, complete, give back, forget.
//!
//! # Races
//!
//! - *Two claims of a new id*: `insert_if_absent` inserts one record; the other caller looks again.
//! - *A claim concurrent with the end of another*: the word decides. A claim that finds a tombstone
//!   helps to remove it and looks again; that removes nothing but tombstones (W1).
//! - *Two threads that forget an id* (the next completion in the cell, a cleanup, a claim that finds the
//!   id expired): one exchange from DONE to TOMBSTONE succeeds.
//! - *Forgetting concurrent with a claim*: a claim never reuses a record that is DONE. An expired one is
//!   forgotten first, and its id is inserted as a new record with a position of its own, so that the
//!   old record's hash in the ring finds nothing.
//! - *A cleanup concurrent with a holder that is late*: one exchange of the word decides.
//! - *A completion that is stopped before its hash is in the ring*: the id is done for all callers. Until
//!   the thread goes on, only a claim that finds the id expired forgets it.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::claim_word::{ClaimCell, ClaimDeadline, ClaimEnd, ClaimId, ClaimState};
use super::cleanup::CleanupState;
use super::due_set::{DueSet, Origin};
use super::id_source::{IdSource, OwnedId};
use super::record::{ById, ByPosition, PassThroughState, Record};
use super::ring::{self, PutOutcome, Ring, RingEntry};
use super::saves::Saves;
use super::tally::{Event, Tally};
use super::ticket::Claim;
use super::wait::{Status, WaitTarget};
use super::waiters::Waiters;
use crate::cache::Cache;
use crate::error::InsertErrorKind;
use crate::health::{DedupCounts, Monitor};
use crate::random_state::RandomState;
use crate::time::{Clock, Moment, Timer};

/// The capacity of the cache, which is never reached: the ring bounds what is remembered.
const CACHE_CAPACITY: u64 = 1 << 40;
/// Limit on the entries that the cache's table is made for; it grows when there are more.
const MAX_INITIAL_ENTRIES: u64 = 1 << 24;

/// Settings that were checked against each other.
#[derive(Debug, Clone)]
pub(super) struct DedupSettings {
    pub(super) capacity: u64,
    pub(super) ttl: Duration,
    pub(super) lease: Duration,
    pub(super) cleanup_interval: Duration,
    pub(super) enabled: bool,
    /// Whether claims, completions and abandoned claims also do a part of the cleanup.
    pub(super) inline: bool,
    pub(super) clock: Clock,
}

/// A claim as its holder has it.
#[derive(Debug, Clone)]
pub(super) struct ClaimHandle<Id> {
    hash: u64,
    /// `None` if nothing is tracked.
    claim: Option<ClaimId>,
    pub(super) id: Id,
}

/// The result of an attempt to claim an id that has a record.
enum ClaimAttempt {
    Done,
    InProgress,
    TakenOver(ClaimId),
    /// The record is to be removed.
    Tombstone,
    /// Another thread has changed the word concurrently.
    Changed,
}

/// An id that a caller waits for.
#[derive(Debug)]
pub(super) struct IdTarget<'s, Id, Q: ?Sized> {
    store: &'s Store<Id>,
    id: &'s Q,
    hash: u64,
}

impl<'s, Id, Q> IdTarget<'s, Id, Q>
where
    Id: Hash + Eq + Clone + Borrow<Q> + Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    pub(super) fn new(store: &'s Store<Id>, id: &'s Q) -> Self {
        Self { store, id, hash: store.hash(id) }
    }
}

impl<Id, Q> WaitTarget for IdTarget<'_, Id, Q>
where
    Id: Hash + Eq + Clone + Borrow<Q> + Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    fn status(&self) -> Status {
        self.store.status(self.hash, self.id)
    }

    fn key(&self) -> u64 {
        self.hash
    }

    fn waiters(&self) -> &Arc<Waiters> {
        &self.store.waiters
    }

    fn join(&self) -> bool {
        self.store.join(self.hash, self.id)
    }
}

/// A handle to the store. Tickets hold a reference to their handle, so that threads with a handle
/// each do not change the same reference count.
#[derive(Debug)]
pub(super) struct StoreHandle<Id>(pub(super) Arc<Store<Id>>);

impl<Id> Deref for StoreHandle<Id> {
    type Target = Store<Id>;

    fn deref(&self) -> &Store<Id> {
        &self.0
    }
}

/// What the handles and tickets of a deduplicator share.
#[derive(Debug)]
pub(super) struct Store<Id> {
    pub(super) cache: Cache<Record<Id>, ClaimCell, PassThroughState>,
    hasher: RandomState,
    pub(super) ring: Ring,
    pub(super) due_set: DueSet,
    pub(super) settings: DedupSettings,
    pub(super) tally: Tally,
    pub(super) waiters: Arc<Waiters>,
    pub(super) cleanup_state: CleanupState,
    pub(super) saves: Saves,
    pub(super) monitor: Monitor<DedupCounts>,
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Store<Id> {
    pub(super) fn new(settings: DedupSettings) -> Self {
        let cache = Cache::builder()
            .capacity(CACHE_CAPACITY)
            .forgetful()
            .expected_entries(settings.capacity.min(MAX_INITIAL_ENTRIES) as usize)
            .hasher(PassThroughState::default())
            .build()
            .expect("a capacity and fewer expected entries agree");
        let first = settings.clock.now().after(settings.cleanup_interval);
        Self {
            cache,
            hasher: RandomState::new(),
            ring: Ring::new(settings.capacity),
            tally: Tally::new(),
            waiters: Waiters::new(settings.clock.clone()),
            due_set: DueSet::default(),
            cleanup_state: CleanupState::new(first),
            saves: Saves::default(),
            monitor: Monitor::new(Timer::start(Some(settings.clock.clone()))),
            settings,
        }
    }

    pub(super) fn hash(&self, id: &(impl Hash + ?Sized)) -> u64 {
        ring::hash_part(self.hasher.hash_one(id))
    }

    pub(super) fn now(&self) -> Moment {
        self.settings.clock.now()
    }

    /// Ids that are remembered or in progress.
    pub(super) fn size(&self) -> u64 {
        self.cache.len() as u64
    }

    /// Bytes of all structures except the records.
    pub(super) fn overhead(&self) -> usize {
        self.cache.overhead() + self.ring.bytes() + self.due_set.bytes()
    }

    /// Claims an id if it is new.
    pub(super) fn claim<A: IdSource<Id>>(&self, source: A) -> Claim<ClaimHandle<Id>>
    where
        Id: Borrow<A::Lookup>,
    {
        if !self.settings.enabled {
            self.tally.count(Event::New);
            self.tally.count(Event::Untracked);
            return Claim::New(ClaimHandle { hash: 0, claim: None, id: source.into_id(|_| ()) });
        }
        let answer = self.claim_uncounted(source);
        self.tally.count(match &answer {
            Claim::New(_) => Event::New,
            Claim::InProgress => Event::InProgress,
            Claim::Done => Event::Duplicate,
        });
        answer
    }

    /// As [`claim`](Self::claim), without counting the result.
    ///
    /// Ends: in every round except the last, another thread has changed the id's record.
    pub(super) fn claim_uncounted<A: IdSource<Id>>(&self, source: A) -> Claim<ClaimHandle<Id>>
    where
        Id: Borrow<A::Lookup>,
    {
        let hash = self.hash(source.lookup());
        let claim = loop {
            // In every round anew: a lease must not begin with the time of a round that another thread has undone.
            let now = self.now();
            let until = ClaimDeadline::new(now.after(self.settings.lease));
            match self.try_claim(hash, source.lookup(), now, until) {
                Some(ClaimAttempt::Done) => return Claim::Done,
                Some(ClaimAttempt::InProgress) => return Claim::InProgress,
                Some(ClaimAttempt::Tombstone) => self.remove_tombstone(hash, source.lookup()),
                Some(ClaimAttempt::Changed) => {}
                Some(ClaimAttempt::TakenOver(claim)) => {
                    self.tally.count(Event::LeaseExpired);
                    break claim;
                }
                None => {
                    // Before the claim: a cleanup runs destructors, and if one panics there must
                    // not be a claim that no caller knows of.
                    self.clean_inline(now);
                    if let Some(claim) = self.insert_claimed(hash, &source, until) {
                        break claim;
                    }
                }
            }
        };
        // The claim exists from here on. Making the id of it may clone, which is user code: if that panics, the claim is
        // given back, or no caller could process the message before the lease is over.
        let id = source.into_id(|part| self.undo(hash, claim, part));
        Claim::New(ClaimHandle { hash, claim: Some(claim), id })
    }

    /// Tries to claim an id that has a record. Returns `None` if it has none.
    #[inline]
    fn try_claim<Q>(
        &self,
        hash: u64,
        id: &Q,
        now: Moment,
        until: ClaimDeadline,
    ) -> Option<ClaimAttempt>
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.cache.look(&ById { hash, id }, |_, cell| {
            let word = cell.read();
            match word.state() {
                ClaimState::Done(due) if !due.is_passed(now) => ClaimAttempt::Done,
                // Expired: forgotten and inserted again, not claimed again. The record's hash may still be in the ring,
                // and whatever takes it out there must not find a claim (W1).
                ClaimState::Done(_) if cell.forget(word) => {
                    self.tally.count(Event::Expired);
                    ClaimAttempt::Tombstone
                }
                ClaimState::Claimed(lease) if !lease.is_passed(now) => ClaimAttempt::InProgress,
                // The lease is over. One exchange from the word that was read: of this caller, another one that takes the
                // claim over, and the late holder that completes it after all, one succeeds.
                ClaimState::Claimed(_) => cell
                    .take_over(word, until)
                    .map_or(ClaimAttempt::Changed, ClaimAttempt::TakenOver),
                ClaimState::Tombstone => ClaimAttempt::Tombstone,
                ClaimState::Done(_) => ClaimAttempt::Changed,
            }
        })
    }

    /// Inserts a new record that is claimed. Returns `None` if the id has a record.
    fn insert_claimed<A: IdSource<Id>>(
        &self,
        hash: u64,
        source: &A,
        until: ClaimDeadline,
    ) -> Option<ClaimId>
    where
        Id: Borrow<A::Lookup>,
    {
        // The record is claimed before others can find it, so no claim of theirs comes first.
        let cell = ClaimCell::claimed(until);
        let claim = cell.claim_id(until);
        let record = Record::new(hash, source.to_id());
        let put = catch_unwind(AssertUnwindSafe(|| self.cache.insert_if_absent(record, cell)));
        let put = put.unwrap_or_else(|panic| {
            // The destructor of some entry that was freed has panicked. The record may have been
            // inserted, and no caller will hold its claim.
            self.undo(hash, claim, source.lookup());
            resume_unwind(panic)
        });
        match put {
            Ok(()) => Some(claim),
            Err(error) if error.kind == InsertErrorKind::Occupied => None,
            Err(error) => unreachable!("the cache has room for more than fits in memory: {error}"),
        }
    }

    /// Gives back a claim that no caller will hold because of a panic, if the record was inserted.
    fn undo<Q>(&self, hash: u64, own: ClaimId, id: &Q)
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let undone = catch_unwind(AssertUnwindSafe(|| self.give_back(hash, own, id)));
        // If that panicked as well, the claim exists until its lease runs out.
        if undone.unwrap_or(true) {
            self.tally.count(Event::New);
        }
    }

    pub(super) fn remove_tombstone<Q>(&self, hash: u64, id: &Q)
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.cache.remove_if(&ById { hash, id }, ClaimCell::is_tombstone);
    }

    /// Completes a claim: its id is done. Returns false if the claim has ended or was taken over.
    pub(super) fn complete(&self, handle: &ClaimHandle<Id>) -> bool {
        let Some(own) = handle.claim else { return true };
        let now = self.now();
        let due = ClaimDeadline::new(now.after(self.settings.ttl));
        let completed = self.finish(handle, own, due, now);
        if !completed {
            self.tally.count(Event::Overtaken);
        }
        self.sweep(now);
        self.make_room(now);
        self.clean_inline(now);
        completed
    }

    /// As [`complete`](Self::complete), without cleaning up.
    ///
    /// 1. The word goes from CLAIMED to DONE by one exchange: from here on the id is done, and no other
    ///    thread completes, abandons or takes over this claim.
    /// 2. Under the same pin, before the record can be freed, it gets a position and its hash goes into
    ///    the ring. The position is written to the record first, as a thread that takes the hash out
    ///    finds the record by its position.
    /// 3. Waiters are woken, and find the id done.
    /// 4. The id whose cell was taken is forgotten. Its destructor may panic, so that comes last.
    fn finish(
        &self,
        handle: &ClaimHandle<Id>,
        own: ClaimId,
        due: ClaimDeadline,
        now: Moment,
    ) -> bool {
        let (hash, id) = (handle.hash, &handle.id);
        let completed = self.cache.look(&ById { hash, id }, |record, cell| {
            let ClaimEnd { has_waiters } = cell.complete(own, due)?;
            Some((has_waiters, self.assign_position(record, hash, due)))
        });
        let completed = completed.flatten();
        // Counted before anything below may panic.
        self.tally.count(if completed.is_some() { Event::Added } else { Event::Late });
        let Some((has_waiters, oldest)) = completed else { return false };
        if has_waiters {
            self.waiters.wake(hash);
        }
        if let Some(oldest) = oldest {
            self.forget(oldest, now, |_| true);
        }
        true
    }

    /// Extends a claim. Returns false if it has ended or was taken over.
    pub(super) fn extend(&self, handle: &mut ClaimHandle<Id>, by: Duration) -> bool {
        let Some(own) = handle.claim else { return true };
        let until = ClaimDeadline::new(self.now().after(by));
        let (hash, id) = (handle.hash, &handle.id);
        let held = self.cache.look(&ById { hash, id }, |_, cell| cell.extend(own, until));
        let held = held.flatten();
        handle.claim = held.or(handle.claim);
        held.is_some()
    }

    /// Gives a record that is done its position in the ring. Returns the id that is to be forgotten
    /// for it, if there is one.
    fn assign_position(
        &self,
        record: &Record<Id>,
        hash: u64,
        due: ClaimDeadline,
    ) -> Option<RingEntry> {
        let position = self.ring.take_position();
        record.set_position(position);
        // A live id moves to the due set before it is taken out of the ring, so that a concurrent
        // snapshot, which reads the ring first, finds it in one of them.
        if self.cleanup_state.has_holes(position)
            && let Some(oldest) = self.ring.look(position)
        {
            self.displace(oldest);
        }
        match self.ring.put(position, hash, due) {
            PutOutcome::Stored(oldest) => oldest,
            PutOutcome::Late => {
                let (cell, lap) = (position % self.ring.cells(), self.ring.lap(position));
                Some(RingEntry { hash, cell, lap })
            }
        }
    }

    /// Gives a claim back. Does nothing if it has ended or was taken over.
    pub(super) fn abandon(&self, handle: &ClaimHandle<Id>) {
        let Some(own) = handle.claim else { return };
        if self.give_back(handle.hash, own, &handle.id) {
            self.clean_inline(self.now());
        } else {
            self.tally.count(Event::Late);
        }
    }

    /// Ends a claim without result. Returns whether it was still the caller's.
    fn give_back<Q>(&self, hash: u64, own: ClaimId, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let ended = self.cache.look(&ById { hash, id }, |_, cell| cell.abandon(own)).flatten();
        let Some(ClaimEnd { has_waiters }) = ended else { return false };
        // The word is a tombstone now, so waiters that are woken can claim at once: they remove the record themselves if
        // they come before this thread does.
        self.tally.count(Event::Abandoned);
        if has_waiters {
            self.waiters.wake(hash);
        }
        self.remove_tombstone(hash, id);
        true
    }

    /// As [`abandon`](Self::abandon), in a destructor: a panic of the id's `Eq` is caught, and the
    /// claim ends with its lease.
    pub(super) fn abandon_in_drop(&self, handle: &ClaimHandle<Id>) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.abandon(handle)));
    }

    /// The status of an id.
    pub(super) fn status<Q>(&self, hash: u64, id: &Q) -> Status
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let now = self.now();
        let status = self.cache.look(&ById { hash, id }, |_, cell| match cell.read().state() {
            ClaimState::Done(due) if !due.is_passed(now) => Status::Done,
            ClaimState::Claimed(lease) if !lease.is_passed(now) => {
                Status::InProgress(lease.deadline())
            }
            ClaimState::Done(_) | ClaimState::Claimed(_) | ClaimState::Tombstone => Status::Open,
        });
        status.unwrap_or(Status::Open)
    }

    /// Has the end of the id's claim wake its waiters. Returns false if the claim has ended.
    fn join<Q>(&self, hash: u64, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let now = self.now();
        let has_waiters = self.cache.look(&ById { hash, id }, |_, cell| {
            // Marked in the word that says that the claim runs, by one exchange: its end finds the mark and wakes, or
            // this fails and the caller looks again instead of waiting.
            let word = cell.read();
            let runs = matches!(word.state(), ClaimState::Claimed(lease) if !lease.is_passed(now));
            runs && cell.join(word)
        });
        has_waiters.unwrap_or(false)
    }

    /// Forgets an id that is done. Returns whether it was done and not expired.
    ///
    /// Ends: in every round except the last, another thread has changed the id's word.
    pub(super) fn forget_id<Q>(&self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, now) = (self.hash(id), self.now());
        loop {
            let forgotten = self.cache.look(&ById { hash, id }, |record, cell| {
                let word = cell.read();
                let ClaimState::Done(due) = word.state() else { return Some(None) };
                cell.forget(word).then(|| Some((due, record.due_set_position())))
            });
            match forgotten {
                None | Some(Some(None)) => return false,
                Some(None) => {}
                Some(Some(Some((due, due_entry)))) => {
                    let expired = due.is_passed(now);
                    self.tally.count(if expired { Event::Expired } else { Event::Forgotten });
                    match due_entry {
                        Some(position) => self.due_set.leave(position, hash, due),
                        // Its cell in the ring stands for no id any more.
                        None => self.cleanup_state.add_hole(self.ring.round_end()),
                    }
                    self.remove_tombstone(hash, id);
                    return !expired;
                }
            }
        }
    }

    /// Calls `f` for the ids in the ring, oldest first, with the time that each has left: `None` if
    /// it does not expire.
    pub(super) fn for_each_in_ring(&self, f: impl FnMut(&Id, Option<Duration>)) {
        let cells = self.ring.cells();
        let mut tell = self.telling(f);
        for position in self.ring.positions() {
            let Some(at) = self.ring.look(position) else { continue };
            self.cache.look(&ByPosition { at, cells }, &mut tell);
        }
    }

    /// As [`for_each_in_ring`](Self::for_each_in_ring), for the due set, the id that expires next
    /// first. Ids may move from the ring to the due set at any time, so a caller that wants all
    /// reads the ring first.
    pub(super) fn for_each_in_due_set(&self, f: impl FnMut(&Id, Option<Duration>)) {
        let mut tell = self.telling(f);
        for due_entry in self.due_set.all(self.now()) {
            self.cache.look(&due_entry, &mut tell);
        }
    }

    fn telling(
        &self,
        mut f: impl FnMut(&Id, Option<Duration>),
    ) -> impl FnMut(&Record<Id>, &ClaimCell) {
        let now = self.now();
        move |record, cell| match cell.read().state() {
            ClaimState::Done(due) if !due.is_passed(now) => {
                f(record.id(), due.deadline().remaining(now));
            }
            _ => {}
        }
    }

    /// Remembers an id for `left`, but no longer than one that is completed now. Does nothing if
    /// the id is done or in progress.
    pub(super) fn remember(&self, id: Id, left: Option<Duration>) {
        let left = left.unwrap_or(Duration::MAX).min(self.settings.ttl);
        if left.is_zero() || !self.settings.enabled {
            return;
        }
        let Claim::New(ClaimHandle { hash, claim: Some(own), id }) =
            self.claim_uncounted(OwnedId(id))
        else {
            return;
        };
        let now = self.now();
        let due = ClaimDeadline::new(now.after(left));
        let id = &id;
        let ended = self.cache.look(&ById { hash, id }, |record, cell| {
            let ended = cell.complete(own, due)?;
            self.due_set.enter(record, due, Origin::Restored);
            Some(ended)
        });
        let Some(ClaimEnd { has_waiters }) = ended.flatten() else { return };
        if has_waiters {
            self.waiters.wake(hash);
        }
        self.tally.count(Event::Restored);
        // Expired ids are forgotten first, so that live ones need not make room.
        self.sweep(now);
        self.make_room(now);
    }
}

//! Where the word, the cache and the ring meet: claim, complete, give back, forget.
//!
//! # Races
//!
//! - *Two claims of a new id*: `insert_if_absent` lets one record in; the other caller looks again.
//! - *A claim beside the end of another*: the word decides. A claim that finds a record GONE helps to
//!   remove it and looks again; removing takes nothing that is not GONE (W1).
//! - *Forgetting beside forgetting* (the next completion in the cell, a cleanup, a claim that finds the
//!   id expired): one exchange from DONE to GONE succeeds.
//! - *Forgetting beside a claim*: a claim never takes up a record that is DONE. An expired one is
//!   forgotten first, and its id comes in as a new record with a place of its own, so what is still in
//!   the ring for the old record finds nothing.
//! - *A cleanup beside a holder that is late*: one exchange of the word decides.
//! - *A completion that is stopped before its hash is in the ring*: the id is done for everybody, and is
//!   forgotten by a claim or by nobody until the thread goes on.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::asked::{Asked, Given};
use super::cleanup::Upkeep;
use super::guests::{Guest, Guests};
use super::record::{Placed, Record, Through, Wanted};
use super::ring::{self, Oldest, Put, Ring};
use super::saves::Saves;
use super::tally::{Event, Tally};
use super::wait::{Awaited, Known};
use super::waiters::Waiters;
use super::word::{Ended, Hold, Slot, State, Until};
use crate::cache::Cache;
use crate::error::InsertErrorKind;
use crate::health::{DedupCounts, Monitor};
use crate::random_state::RandomState;
use crate::time::{Clock, Moment, Timer};

/// The cache's own bound, which is never reached: the ring bounds what is remembered.
const ROOM: u64 = 1 << 40;
/// Entries that the cache's table is made for, at most; it grows when there are more.
const FIRST_TABLE: u64 = 1 << 24;

/// Settings that were found to agree.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) capacity: u64,
    pub(super) ttl: Duration,
    pub(super) lease: Duration,
    pub(super) cleanup_interval: Duration,
    pub(super) enabled: bool,
    /// Whether completions, and claims that are given back, clean up in passing.
    pub(super) inline: bool,
    pub(super) clock: Clock,
}

/// What the holder of a claim knows.
#[derive(Debug, Clone)]
pub(super) struct Grip<Id> {
    hash: u64,
    /// Nothing if the claim left no trace.
    hold: Option<Hold>,
    pub(super) id: Id,
}

/// The answer to a claim.
#[derive(Debug)]
pub(super) enum Answer<Id> {
    New(Grip<Id>),
    InProgress,
    Done,
}

/// What one look at an id's record came to.
enum Seen {
    Done,
    InProgress,
    TakenOver(Hold),
    /// Stands for nothing and is to be removed.
    Gone,
    /// The word changed under the eyes.
    Changed,
}

/// An id, to be waited for.
#[derive(Debug)]
pub(super) struct AwaitedId<'s, Id, Q: ?Sized> {
    store: &'s Store<Id>,
    id: &'s Q,
    hash: u64,
}

impl<'s, Id, Q> AwaitedId<'s, Id, Q>
where
    Id: Hash + Eq + Clone + Borrow<Q> + Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    pub(super) fn new(store: &'s Store<Id>, id: &'s Q) -> Self {
        Self { store, id, hash: store.hash(id) }
    }
}

impl<Id, Q> Awaited for AwaitedId<'_, Id, Q>
where
    Id: Hash + Eq + Clone + Borrow<Q> + Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    fn known(&self) -> Known {
        self.store.known(self.hash, self.id)
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

/// A handle on the store. Tickets count on their handle's share, so threads with a handle each do not
/// change the same count.
#[derive(Debug)]
pub(super) struct Share<Id>(pub(super) Arc<Store<Id>>);

impl<Id> Deref for Share<Id> {
    type Target = Store<Id>;

    fn deref(&self) -> &Store<Id> {
        &self.0
    }
}

/// All that a deduplicator's handles and tickets share.
#[derive(Debug)]
pub(super) struct Store<Id> {
    pub(super) cache: Cache<Record<Id>, Slot, Through>,
    hasher: RandomState,
    pub(super) ring: Ring,
    pub(super) guests: Guests,
    pub(super) rules: Rules,
    pub(super) tally: Tally,
    pub(super) waiters: Arc<Waiters>,
    pub(super) upkeep: Upkeep,
    pub(super) saves: Saves,
    pub(super) monitor: Monitor<DedupCounts>,
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Store<Id> {
    pub(super) fn new(rules: Rules) -> Self {
        let cache = Cache::builder()
            .capacity(ROOM)
            .forgetful()
            .expected_entries(rules.capacity.min(FIRST_TABLE) as usize)
            .hasher(Through::default())
            .build()
            .expect("a capacity and fewer expected entries agree");
        let first = rules.clock.now().after(rules.cleanup_interval);
        Self {
            cache,
            hasher: RandomState::new(),
            ring: Ring::new(rules.capacity),
            tally: Tally::new(),
            waiters: Waiters::new(rules.clock.clone()),
            guests: Guests::default(),
            upkeep: Upkeep::new(first),
            saves: Saves::default(),
            monitor: Monitor::new(Timer::start(Some(rules.clock.clone()))),
            rules,
        }
    }

    pub(super) fn hash(&self, id: &(impl Hash + ?Sized)) -> u64 {
        ring::token(self.hasher.hash_one(id))
    }

    pub(super) fn now(&self) -> Moment {
        self.rules.clock.now()
    }

    /// Ids that are remembered or in progress.
    pub(super) fn size(&self) -> u64 {
        self.cache.len() as u64
    }

    /// Bytes of the structures beside the records.
    pub(super) fn overhead(&self) -> usize {
        self.cache.overhead() + self.ring.bytes() + self.guests.bytes()
    }

    /// Asks for an id, and claims it if it is new.
    pub(super) fn claim<A: Asked<Id>>(&self, asked: A) -> Answer<Id>
    where
        Id: Borrow<A::Part>,
    {
        if !self.rules.enabled {
            self.tally.count(Event::New);
            self.tally.count(Event::Untracked);
            return Answer::New(Grip { hash: 0, hold: None, id: asked.into_id(|_| ()) });
        }
        let answer = self.decide(asked);
        self.tally.count(match &answer {
            Answer::New(_) => Event::New,
            Answer::InProgress => Event::InProgress,
            Answer::Done => Event::Duplicate,
        });
        answer
    }

    /// Ends: every round but the last saw that another thread had changed the id's record.
    pub(super) fn decide<A: Asked<Id>>(&self, asked: A) -> Answer<Id>
    where
        Id: Borrow<A::Part>,
    {
        let hash = self.hash(asked.part());
        let hold = loop {
            let now = self.now();
            let until = Until::new(now.after(self.rules.lease));
            match self.look_to_claim(hash, asked.part(), now, until) {
                Some(Seen::Done) => return Answer::Done,
                Some(Seen::InProgress) => return Answer::InProgress,
                Some(Seen::Gone) => self.remove_gone(hash, asked.part()),
                Some(Seen::Changed) => {}
                Some(Seen::TakenOver(hold)) => {
                    self.tally.count(Event::LeaseExpired);
                    break hold;
                }
                None => {
                    // Before the claim, so that a destructor that panics leaves none behind.
                    self.clean_in_passing(now);
                    if let Some(hold) = self.let_in(hash, &asked, until) {
                        break hold;
                    }
                }
            }
        };
        let id = asked.into_id(|part| self.undo(hash, hold, part));
        Answer::New(Grip { hash, hold: Some(hold), id })
    }

    #[inline]
    fn look_to_claim<Q>(&self, hash: u64, id: &Q, now: Moment, until: Until) -> Option<Seen>
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.cache.look(&Wanted { hash, id }, |_, slot| {
            let word = slot.read();
            match word.state() {
                State::Done(due) if !due.is_passed(now) => Seen::Done,
                State::Done(_) if slot.forget(word) => {
                    self.tally.count(Event::Expired);
                    Seen::Gone
                }
                State::Claimed(lease) if !lease.is_passed(now) => Seen::InProgress,
                State::Claimed(_) => {
                    slot.take_over(word, until).map_or(Seen::Changed, Seen::TakenOver)
                }
                State::Gone => Seen::Gone,
                State::Done(_) => Seen::Changed,
            }
        })
    }

    /// Puts a new record in; nothing if the id has one.
    fn let_in<A: Asked<Id>>(&self, hash: u64, asked: &A, until: Until) -> Option<Hold>
    where
        Id: Borrow<A::Part>,
    {
        let slot = Slot::claimed(until);
        let hold = slot.hold(until);
        let record = Record::new(hash, asked.to_id());
        let put = catch_unwind(AssertUnwindSafe(|| self.cache.insert_if_absent(record, slot)));
        let put = put.unwrap_or_else(|panic| {
            // A destructor of something that was freed in passing. The record may be in, and nobody has it.
            self.undo(hash, hold, asked.part());
            resume_unwind(panic)
        });
        match put {
            Ok(()) => Some(hold),
            Err(error) if error.kind == InsertErrorKind::Occupied => None,
            Err(error) => unreachable!("the cache has room for more than fits in memory: {error}"),
        }
    }

    /// Gives back a claim of which no caller will hear, as there was a panic; perhaps it is not there.
    fn undo<Q>(&self, hash: u64, own: Hold, id: &Q)
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let undone = catch_unwind(AssertUnwindSafe(|| self.give_back(hash, own, id)));
        // If that panicked, too, the claim counts until its lease runs out.
        if undone.unwrap_or(true) {
            self.tally.count(Event::New);
        }
    }

    pub(super) fn remove_gone<Q>(&self, hash: u64, id: &Q)
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.cache.remove_if(&Wanted { hash, id }, Slot::is_gone);
    }

    /// Makes a claim's id done. False if the claim was taken over.
    pub(super) fn complete(&self, grip: &Grip<Id>) -> bool {
        let Some(own) = grip.hold else { return true };
        let now = self.now();
        let due = Until::new(now.after(self.rules.ttl));
        let completed = self.finish(grip, own, due, now);
        if !completed {
            self.tally.count(Event::Overtaken);
        }
        self.sweep(now);
        self.make_room(now);
        self.clean_in_passing(now);
        completed
    }

    /// Makes an id done. False if the claim is not there any more.
    fn finish(&self, grip: &Grip<Id>, own: Hold, due: Until, now: Moment) -> bool {
        let (hash, id) = (grip.hash, &grip.id);
        let completed = self.cache.look(&Wanted { hash, id }, |record, slot| {
            let Ended { joined } = slot.complete(own, due)?;
            Some((joined, self.place(record, hash, due)))
        });
        let completed = completed.flatten();
        // First, as it does not panic: a destructor that runs below may.
        self.tally.count(if completed.is_some() { Event::Added } else { Event::Late });
        let Some((joined, oldest)) = completed else { return false };
        if joined {
            self.waiters.wake(hash);
        }
        if let Some(oldest) = oldest {
            self.forget(oldest, now, |_| true);
        }
        true
    }

    /// Lets a claim run longer. False if it was taken over.
    pub(super) fn extend(&self, grip: &mut Grip<Id>, by: Duration) -> bool {
        let Some(own) = grip.hold else { return true };
        let until = Until::new(self.now().after(by));
        let (hash, id) = (grip.hash, &grip.id);
        let held = self.cache.look(&Wanted { hash, id }, |_, slot| slot.extend(own, until));
        let held = held.flatten();
        grip.hold = held.or(grip.hold);
        held.is_some()
    }

    /// Gives a record that is done its place; what has to go for it, unless it became a guest.
    fn place(&self, record: &Record<Id>, hash: u64, due: Until) -> Option<Oldest> {
        let place = self.ring.take_place();
        record.set_place(place);
        // Before it comes out of the ring: at any time, a snapshot finds it there or among the guests.
        if self.upkeep.has_holes(place)
            && let Some(oldest) = self.ring.look(place)
        {
            self.shelter(oldest);
        }
        match self.ring.put(place, hash, due) {
            Put::Placed(oldest) => oldest,
            Put::Late => {
                let (cell, lap) = (place % self.ring.cells(), self.ring.lap(place));
                Some(Oldest { hash, cell, lap })
            }
        }
    }

    /// Gives a claim back. Nothing if it was taken over.
    pub(super) fn abandon(&self, grip: &Grip<Id>) {
        let Some(own) = grip.hold else { return };
        if self.give_back(grip.hash, own, &grip.id) {
            self.clean_in_passing(self.now());
        } else {
            self.tally.count(Event::Late);
        }
    }

    /// Ends a claim without result; whether it was there.
    fn give_back<Q>(&self, hash: u64, own: Hold, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let ended = self.cache.look(&Wanted { hash, id }, |_, slot| slot.abandon(own)).flatten();
        let Some(Ended { joined }) = ended else { return false };
        self.tally.count(Event::Abandoned);
        if joined {
            self.waiters.wake(hash);
        }
        self.remove_gone(hash, id);
        true
    }

    /// The same in a destructor: a panic of the id's `Eq` stays there, and the lease ends the claim.
    pub(super) fn abandon_in_drop(&self, grip: &Grip<Id>) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.abandon(grip)));
    }

    /// What is known of an id.
    pub(super) fn known<Q>(&self, hash: u64, id: &Q) -> Known
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let now = self.now();
        let known = self.cache.look(&Wanted { hash, id }, |_, slot| match slot.read().state() {
            State::Done(due) if !due.is_passed(now) => Known::Done,
            State::Claimed(lease) if !lease.is_passed(now) => Known::InProgress(lease.deadline()),
            State::Done(_) | State::Claimed(_) | State::Gone => Known::Open,
        });
        known.unwrap_or(Known::Open)
    }

    /// Has whoever ends the id's claim wake those who wait. False if it has ended.
    fn join<Q>(&self, hash: u64, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let now = self.now();
        let joined = self.cache.look(&Wanted { hash, id }, |_, slot| {
            let word = slot.read();
            let runs = matches!(word.state(), State::Claimed(lease) if !lease.is_passed(now));
            runs && slot.join(word)
        });
        joined.unwrap_or(false)
    }

    /// Forgets an id that is done; whether it was.
    ///
    /// Ends: every round but the last saw that another thread had changed the id's word.
    pub(super) fn forget_id<Q>(&self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, now) = (self.hash(id), self.now());
        loop {
            let forgotten = self.cache.look(&Wanted { hash, id }, |record, slot| {
                let word = slot.read();
                let State::Done(due) = word.state() else { return Some(None) };
                slot.forget(word).then(|| Some((due, record.guest_place())))
            });
            match forgotten {
                None | Some(Some(None)) => return false,
                Some(None) => {}
                Some(Some(Some((due, guest)))) => {
                    let expired = due.is_passed(now);
                    self.tally.count(if expired { Event::Expired } else { Event::Forgotten });
                    match guest {
                        Some(place) => self.guests.leave(place, hash, due),
                        // Its cell is spent before its time.
                        None => self.upkeep.add_hole(self.ring.round_end()),
                    }
                    self.remove_gone(hash, id);
                    return !expired;
                }
            }
        }
    }

    /// Calls `f` for what is in the ring, the oldest first, with the time that it has left; none if it is remembered
    /// for ever.
    pub(super) fn for_each_in_ring(&self, f: impl FnMut(&Id, Option<Duration>)) {
        let cells = self.ring.cells();
        let mut tell = self.telling(f);
        for place in self.ring.places() {
            let Some(at) = self.ring.look(place) else { continue };
            self.cache.look(&Placed { at, cells }, &mut tell);
        }
    }

    /// The same for guests, the first that is due first. What is in the ring may become a guest at any time, so whoever
    /// wants all looks there first.
    pub(super) fn for_each_guest(&self, f: impl FnMut(&Id, Option<Duration>)) {
        let mut tell = self.telling(f);
        for guest in self.guests.all(self.now()) {
            self.cache.look(&guest, &mut tell);
        }
    }

    fn telling(&self, mut f: impl FnMut(&Id, Option<Duration>)) -> impl FnMut(&Record<Id>, &Slot) {
        let now = self.now();
        move |record, slot| match slot.read().state() {
            State::Done(due) if !due.is_passed(now) => {
                f(record.id(), due.deadline().remaining(now));
            }
            _ => {}
        }
    }

    /// Remembers an id for so long, but no longer than one that is completed now. Nothing if it is
    /// known.
    pub(super) fn remember(&self, id: Id, left: Option<Duration>) {
        let left = left.unwrap_or(Duration::MAX).min(self.rules.ttl);
        if left.is_zero() || !self.rules.enabled {
            return;
        }
        let Answer::New(Grip { hash, hold: Some(own), id }) = self.decide(Given(id)) else {
            return;
        };
        let now = self.now();
        let due = Until::new(now.after(left));
        let id = &id;
        let ended = self.cache.look(&Wanted { hash, id }, |record, slot| {
            let ended = slot.complete(own, due)?;
            self.guests.enter(record, due, Guest::Restored);
            Some(ended)
        });
        let Some(Ended { joined }) = ended.flatten() else { return };
        if joined {
            self.waiters.wake(hash);
        }
        self.tally.count(Event::Restored);
        // What has expired makes room first.
        self.sweep(now);
        self.make_room(now);
    }
}

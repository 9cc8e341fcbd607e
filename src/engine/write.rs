//! How an entry comes in.

use std::hash::{BuildHasher, Hash};

use super::bury::{Found, State, Table};
use super::face::Dial;
use super::upkeep::RELIEFS;
use super::{Engine, Lens, Local, Pin};
use crate::accounting::Reservation;
use crate::entry::{Entry, EntryRef, HEAVIEST};
use crate::error::InsertErrorKind;
use crate::expiry::Terms;
use crate::outcome::{Compute, Computed, Inserted, RemovalCause};
use crate::policy::{Memory, Shift};
use crate::reclaim::Ledgered;
use crate::table::{Open, Spotted};

/// An entry that did not come in.
#[derive(Debug)]
pub(crate) struct Refused<K, V> {
    pub(crate) kind: InsertErrorKind,
    pub(crate) key: K,
    pub(crate) value: V,
}

/// How often an operation tries in vain to free garbage before it gives up. A second time, as a
/// thread that stood in the way may have gone by then.
const VAIN_RELIEFS: usize = 2;

/// What every attempt relies on.
const KEPT: &str = "an attempt leaves the entry unless it succeeds";

/// One write on its way: the charge in its hand, and what the policy said of its key.
pub(super) struct Work<'e> {
    pub(super) local: &'e Local,
    pub(super) hand: Reservation<'e>,
    /// What it changes of probation's share.
    pub(super) shift: Shift<'e>,
    /// Where a new key starts; asked once for each operation.
    pub(super) bits: Option<u8>,
    /// How the life of a value that was loaded differs from others'.
    pub(super) terms: Terms,
    vain_reliefs: usize,
    /// How often it had garbage freed since it last got further, and how far it had got then.
    reliefs: usize,
    furthest: u64,
}

/// Where an entry may be linked.
pub(super) enum Site<'g, K, V> {
    /// Where its key is not there.
    Open(Open<'g, K, V, Memory>),
    /// In the place of another, which was in this state when it was looked at.
    Held(Found<'g, K, V>, State),
}

/// What stood in the way of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Something changed: look again.
    Changed,
    /// Garbage has to be freed first, which needs the pin to be renewed.
    Garbage,
    /// Nothing was found to evict.
    NoRoom,
}

/// What an attempt came to.
pub(super) type Attempt<T> = Result<T, Obstacle>;
/// The same for one that gives its entry back.
type Linked<K, V> = Result<Inserted, (Obstacle, Entry<K, V>)>;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts an entry in, unless there is a live value over which the new one may not go.
    pub(crate) fn put(
        &self,
        key: K,
        value: V,
        over: impl Fn(&V, &V) -> bool,
    ) -> Result<Inserted, Refused<K, V>> {
        let charge = self.rules.weigh(&key, &value);
        let mut pin = self.pin();
        let mut work = self.work(pin.local());
        if let Err(kind) = self.fits(charge) {
            let old = Lens::new(self, pin.pass()).peek(&key);
            if old.is_some_and(|old| !over(old.value(), &value)) {
                return Err(Refused { kind: InsertErrorKind::Occupied, key, value });
            }
            work.local.tally.refusals.bump();
            return Err(Refused { kind, key, value });
        }
        let hash = self.hash(&key);
        self.prefetch(&pin, hash);
        let mut new = Some(self.table.view(pin.pass()).entry(hash, key, value, charge));
        let outcome =
            self.persist(&mut pin, &mut work, |pin, work| self.try_put(pin, work, &mut new, &over));
        let outcome = outcome.unwrap_or(Err(InsertErrorKind::NoRoom));
        if outcome == Err(InsertErrorKind::NoRoom) {
            work.local.tally.refusals.bump();
        }
        drop(work);
        self.tidy(pin);
        outcome.map_err(|kind| {
            let (key, value) = new.expect("an entry that was refused is still here").into_parts();
            Refused { kind, key, value }
        })
    }

    /// Tries until it is done; nothing if there is no room.
    #[inline(always)]
    pub(super) fn persist<'e, T>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        work: &mut Work<'_>,
        mut attempt: impl FnMut(&Pin<'e, K, V>, &mut Work<'_>) -> Attempt<T>,
    ) -> Option<T> {
        loop {
            match attempt(pin, work) {
                Ok(done) => return Some(done),
                Err(obstacle) if work.gives_up(obstacle) => return None,
                Err(Obstacle::Garbage) => self.relieve_work(pin, work),
                Err(_) => {}
            }
        }
    }

    /// Lets garbage be freed for a write, and notes what came of it.
    #[cold]
    #[inline(never)]
    fn relieve_work(&self, pin: &mut Pin<'_, K, V>, work: &mut Work<'_>) {
        let freed = self.relieve(pin);
        work.note_relief(freed, self.retired.free(self.retired_credits()));
    }

    #[inline(always)]
    fn try_put(
        &self,
        pin: &Pin<'_, K, V>,
        work: &mut Work<'_>,
        new: &mut Option<Entry<K, V>>,
        over: &impl Fn(&V, &V) -> bool,
    ) -> Attempt<Result<Inserted, InsertErrorKind>> {
        let view = self.table.view(pin.pass());
        let entry = new.as_ref().expect(KEPT).as_ref();
        let (hash, key) = (entry.hash(), entry.key());
        let site = self.site(view, hash, key);
        if site.value().is_some_and(|old| !over(old, entry.value())) {
            return Ok(Err(InsertErrorKind::Occupied));
        }
        self.put_from(view, work, site, new).map(Ok)
    }

    /// Looks for the place of a key.
    #[inline(always)]
    fn site<'g>(&self, view: Table<'g, K, V>, hash: u64, key: &K) -> Site<'g, K, V> {
        match view.locate(hash, |k| k == key) {
            Spotted::Open(open) => Site::Open(open),
            Spotted::Held(held) => Site::Held(held, self.state(held.entry())),
        }
    }

    /// Links an entry, which stays where it is unless that succeeds.
    #[inline(always)]
    pub(super) fn put_from<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        new: &mut Option<Entry<K, V>>,
    ) -> Attempt<Inserted> {
        let entry = new.take().expect(KEPT);
        self.put_at(view, work, site, entry).map_err(|(obstacle, entry)| {
            *new = Some(entry);
            obstacle
        })
    }

    /// Links an entry.
    #[inline(always)]
    fn put_at<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        match site {
            Site::Open(open) => self.put_new(view, work, open, entry),
            Site::Held(held, State::Live) => self.put_over(view, work, (held, true), entry),
            Site::Held(held, State::Expired) => self.put_over(view, work, (held, false), entry),
            Site::Held(held, State::Awaited) => self.put_awaited(view, work, held, entry),
        }
    }

    /// Links an entry whose key is not there.
    #[inline(always)]
    fn put_new<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        open: Open<'g, K, V, Memory>,
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        let (hash, charge) = (entry.as_ref().hash(), entry.as_ref().charge());
        if let Err(obstacle) = self.make_room(view, work, charge) {
            return Err((obstacle, entry));
        }
        // After that, as what it looks at takes a while to come.
        let bits = *work.bits.get_or_insert_with(|| self.admit(view, hash));
        self.date(entry.as_ref(), None, &work.terms);
        self.count_in(&work.shift, entry.as_ref(), bits);
        if let Err(entry) = open.commit(entry, bits) {
            self.count_out(&work.shift, entry.as_ref(), bits);
            return Err((Obstacle::Changed, entry));
        }
        self.policy.arrived(view.annex(), &work.local.rounds, (hash, bits), charge);
        work.spend(charge);
        work.local.tally.insertions.bump();
        self.settle_in(view, work);
        Ok(Inserted::New)
    }

    /// Links an entry in the place of one whose value is awaited: that is charged to nobody, and
    /// nobody hears of it. For the policy, the entry comes in now; to be loaded is not to be read.
    fn put_awaited<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        held: Found<'g, K, V>,
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        let (hash, charge) = (entry.as_ref().hash(), entry.as_ref().charge());
        if let Err(obstacle) = self.make_room(view, work, charge) {
            return Err((obstacle, entry));
        }
        self.date(entry.as_ref(), None, &work.terms);
        // The policy does not move what weighs nothing.
        let bits = held.bits_now();
        let unlinked = match self.replace(view, &work.shift, held, entry) {
            Ok(unlinked) => unlinked,
            Err(entry) => return Err((Obstacle::Changed, entry)),
        };
        self.policy.arrived(view.annex(), &work.local.rounds, (hash, bits), charge);
        work.spend(charge);
        work.local.tally.insertions.bump();
        view.retire(unlinked, Ledgered::Nowhere);
        Ok(Inserted::New)
    }

    /// Replaces an entry with a value, which was live or had expired.
    fn put_over<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        (held, live): (Found<'g, K, V>, bool),
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        let old = held.entry();
        let (left, charge) = (old.charge(), entry.as_ref().charge());
        // Where nothing could be freed, the retired capacity's last room may be what an eviction waits for.
        let room = if work.has_hope() { self.retired_room(work.local, left) } else { None };
        // What the retired capacity takes over is free for the new entry.
        let free = if room.is_some() { left } else { 0 };
        if let Err(obstacle) = self.make_room(view, work, charge.saturating_sub(free)) {
            return Err((obstacle, entry));
        }
        self.date(entry.as_ref(), live.then_some(old), &work.terms);
        let unlinked = match self.replace(view, &work.shift, held, entry) {
            Ok(unlinked) => unlinked,
            Err(entry) => return Err((Obstacle::Changed, entry)),
        };
        let (cause, inserted) = if live {
            (RemovalCause::Replaced, Inserted::Replaced)
        } else {
            (RemovalCause::Expired, Inserted::New)
        };
        self.count(work.local, cause);
        let account = self.pass_on(left, room);
        work.hand.add(free);
        work.spend(charge);
        if inserted == Inserted::New {
            work.local.tally.insertions.bump();
        }
        held.touch();
        view.retire(unlinked, account);
        self.report(old, cause);
        Ok(inserted)
    }

    /// Sets the deadlines of an entry that is about to come in, or to take the place of `old`.
    fn date(&self, entry: EntryRef<'_, K, V>, old: Option<EntryRef<'_, K, V>>, terms: &Terms) {
        if let Some(expiration) = &self.rules.expiration {
            match old {
                Some(old) => expiration.update(entry, old, terms),
                None => expiration.create(entry, terms),
            }
        }
    }

    /// Applies `f` to what a key has, until nothing came in between.
    pub(crate) fn compute(
        &self,
        key: K,
        mut f: impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Computed<V> {
        let hash = self.hash(&key);
        let mut pin = self.pin();
        let mut work = self.work(pin.local());
        let mut key = Some(key);
        let computed = self.persist(&mut pin, &mut work, |pin, work| {
            self.try_compute(pin, work, (hash, &mut key), &mut f)
        });
        let computed = computed.expect("an attempt that gives up hands its value back");
        if matches!(computed, Computed::Refused { .. }) {
            work.local.tally.refusals.bump();
        }
        drop(work);
        self.tidy(pin);
        computed
    }

    fn try_compute(
        &self,
        pin: &Pin<'_, K, V>,
        work: &mut Work<'_>,
        (hash, key): (u64, &mut Option<K>),
        f: &mut impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Attempt<Computed<V>> {
        let view = self.table.view(pin.pass());
        let own = key.as_ref().expect("the key comes back after every attempt");
        let site = self.site(view, hash, own);
        match (f(site.value()), site) {
            (Compute::Put(value), site) => self.put_computed(view, work, site, (hash, key), value),
            (Compute::Keep, Site::Held(_, State::Live)) => Ok(Computed::Kept),
            (Compute::Remove, Site::Held(held, state)) => {
                let (cause, computed) = match state {
                    State::Live => (RemovalCause::Invalidated, Computed::Removed),
                    // With it goes a load that is under way.
                    State::Expired | State::Awaited => (RemovalCause::Expired, Computed::Absent),
                };
                if self.bury(view, held, cause) { Ok(computed) } else { Err(Obstacle::Changed) }
            }
            (Compute::Keep | Compute::Remove, _) => Ok(Computed::Absent),
        }
    }

    fn put_computed<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        (hash, key): (u64, &mut Option<K>),
        value: V,
    ) -> Attempt<Computed<V>> {
        let own = key.take().expect("the key comes back after every attempt");
        let charge = self.rules.weigh(&own, &value);
        if let Err(kind) = self.fits(charge) {
            return Ok(Computed::Refused { kind, value });
        }
        let entry = view.entry(hash, own, value, charge);
        let (obstacle, entry) = match self.put_at(view, work, site, entry) {
            Ok(Inserted::New) => return Ok(Computed::Inserted),
            Ok(Inserted::Replaced) => return Ok(Computed::Replaced),
            Err(back) => back,
        };
        let (own, value) = entry.into_parts();
        *key = Some(own);
        if work.gives_up(obstacle) {
            return Ok(Computed::Refused { kind: InsertErrorKind::NoRoom, value });
        }
        Err(obstacle)
    }

    /// Tells of an entry that `insert` could not take, and removes an older value of its key.
    pub(crate) fn refuse(&self, key: &K, value: &V) {
        self.remove(key, |_| Some(()));
        self.rules.notify(key, value, RemovalCause::Refused);
    }

    #[inline(always)]
    pub(super) fn work<'e>(&'e self, local: &'e Local) -> Work<'e> {
        let hand = self.capacity.reserve_up_to(&local.credit, 0);
        let terms = Terms::default();
        let (vain_reliefs, reliefs, furthest) = (0, 0, 0);
        let shift = self.policy.shift();
        Work { local, hand, shift, bits: None, terms, vain_reliefs, reliefs, furthest }
    }

    /// Whether a charge may be in the cache at all.
    pub(super) fn fits(&self, charge: u64) -> Result<(), InsertErrorKind> {
        let capacity = self.capacity().min(HEAVIEST);
        if charge > capacity || capacity == 0 {
            return Err(InsertErrorKind::TooLarge { charge, capacity });
        }
        Ok(())
    }

    /// Asks for the lines that an insert is going to write, and for those of the next one's victim, all
    /// at once: another thread may have written them last, and one after the other they would take most
    /// of the time.
    #[inline]
    fn prefetch(&self, pin: &Pin<'_, K, V>, hash: u64) {
        let view = self.table.view(pin.pass());
        view.prefetch(hash);
        if self.load().is_far_from_full() {
            return;
        }
        view.annex().prefetch(hash);
        let rounds = &view.local().rounds;
        if let Some(hash) = rounds.candidate() {
            // Its bucket was asked for when it was the one after.
            view.prefetch_entry(hash);
        }
        if let Some(hash) = rounds.candidate_after() {
            view.prefetch(hash);
            view.annex().prefetch(hash);
        }
        if let Some(place) = rounds.sitter_after() {
            view.prefetch(place);
        }
    }

    pub(super) fn admit(&self, view: Table<'_, K, V>, hash: u64) -> u8 {
        let rounds = &view.local().rounds;
        self.policy.admit(view.annex(), rounds, hash, self.load()).bits()
    }

    #[inline(always)]
    pub(super) fn grow_if_crowded(&self, view: Table<'_, K, V>) {
        if view.is_crowded()
            && self.len() + self.berths.get() as usize > view.buckets() * crate::table::LOAD
        {
            view.grow(|old, buckets| old.resized(buckets * crate::table::LOAD));
        }
    }

    /// What a new entry may set off: the table grows, probation's overflow is promoted.
    #[inline(always)]
    pub(super) fn settle_in(&self, view: Table<'_, K, V>, work: &Work<'_>) {
        self.grow_if_crowded(view);
        let dial = Dial::new(self, view);
        let (rounds, memory) = (&work.local.rounds, view.annex());
        self.policy.spread(&dial, rounds, memory, &work.shift, self.load());
    }
}

impl<'g, K, V> Site<'g, K, V> {
    /// The live value that is there.
    #[inline]
    fn value(&self) -> Option<&'g V> {
        match self {
            Self::Held(held, State::Live) => Some(held.entry().value()),
            _ => None,
        }
    }
}

impl Work<'_> {
    /// Whether garbage could be freed whenever the operation tried.
    pub(super) fn has_hope(&self) -> bool {
        self.vain_reliefs == 0
    }

    /// Whether this ends the operation.
    fn gives_up(&self, obstacle: Obstacle) -> bool {
        match obstacle {
            Obstacle::Changed => false,
            Obstacle::Garbage => self.vain_reliefs >= VAIN_RELIEFS || self.reliefs >= RELIEFS,
            Obstacle::NoRoom => true,
        }
    }

    /// Notes that garbage was to be freed, whether some was, and what is free of the retired capacity now.
    /// Destructors may retire as much as was freed, and other threads take it: only more than ever before
    /// counts as getting further.
    fn note_relief(&mut self, freed: bool, free: u64) {
        let far = self.hand.held().saturating_add(free);
        if far > self.furthest {
            (self.furthest, self.reliefs) = (far, 0);
        }
        self.reliefs += 1;
        self.vain_reliefs += usize::from(!freed);
    }

    /// The charge in hand has become an entry's.
    pub(super) fn spend(&mut self, charge: u64) {
        let part = self.hand.split(charge).expect("room was made before the entry was linked");
        part.commit(charge);
    }
}

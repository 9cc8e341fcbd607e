//! How an entry is inserted: insert and replace.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::garbage_charge::retired_charge;
use super::op_time::NoExpiry;
use super::panic::Panicked;
use super::table_entries::TableEntries;
use super::types::{EntryState, Occupied, View};
use super::write_op::{Attempt, AttemptError, DecidedBy, UnfinishedPut, WriteOp};
use super::{Engine, Pin, PutPath};
use crate::entry::{Entry, EntryRef, HEAVIEST};
use crate::error::InsertErrorKind;
use crate::expiry::LifetimeOverride;
use crate::latency::Operation;
use crate::narrow::in_memory;
use crate::outcome::{Inserted, RemovalCause};
use crate::policy::{Admission, History, ProbationDelta, Worth};
use crate::reclaim::ChargedTo;
use crate::slot_meta::{Region, SlotMeta};
use crate::sync::{NoAbort, seeded};
use crate::table::{Lookup, SlotSnapshot, Unlinked, Vacant};
use crate::tags::TagSet;

/// An entry that was not inserted.
#[derive(Debug)]
pub(crate) struct Refused<K, V> {
    pub(crate) kind: InsertErrorKind,
    pub(crate) key: K,
    pub(crate) value: V,
    /// A panic of the listener, which goes on when the caller was told.
    pub(crate) panicked: Panicked,
}

/// What every attempt relies on.
pub(super) const ENTRY_KEPT: &str = "an attempt leaves the entry unless it succeeds";

/// Where an entry may be linked.
pub(super) enum Destination<'g, K, V> {
    /// Where its key is not there.
    Vacant(Vacant<'g, K, V, History>),
    /// In the place of another, which was in this state when it was looked at.
    Occupied(Occupied<'g, K, V>, EntryState),
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts an entry in, unless there is a live value over which the new one may not go.
    #[inline]
    pub(crate) fn put(
        &self,
        key: K,
        value: V,
        over: (impl Fn(&V, &V) -> bool, DecidedBy),
    ) -> Result<Inserted, Refused<K, V>> {
        self.put_with_lifetime(key, value, over, (&LifetimeOverride::NONE, None))
    }

    /// The same, for a value that lives differently, or has tags.
    pub(crate) fn put_with_lifetime(
        &self,
        key: K,
        value: V,
        over: (impl Fn(&V, &V) -> bool, DecidedBy),
        (lifetime_override, tags): (&LifetimeOverride, Option<Arc<TagSet>>),
    ) -> Result<Inserted, Refused<K, V>> {
        let (key, value) = (NoAbort::new(key), NoAbort::new(value));
        let costs = self.rules.weigh(&key, &value);
        let hash = self.hash(&*key);
        let pin = self.pin();
        self.begin_spending(&pin);
        let _timing = self.begin_timing(pin.local(), Operation::Insert);
        if let Err(kind) = self.check_weight(costs.charge) {
            let view = self.table.view(pin.guard_ref());
            let occupied = view.find(hash, |k| *k == *key);
            let live = occupied.filter(|occupied| self.is_live(occupied.entry()));
            if let Some(occupied) =
                live.filter(|occupied| !over.0(occupied.entry().value(), &value))
            {
                self.note_use(view, occupied);
                let (key, value) = (key.into_inner(), value.into_inner());
                return Err(Refused::new(InsertErrorKind::Occupied, key, value));
            }
            self.count_refusal(pin.local(), hash, kind);
            return Err(Refused::new(kind, key.into_inner(), value.into_inner()));
        }
        let candidate = self.prefetch(self.table.view(pin.guard_ref()), hash);
        let (key, value) = (key.into_inner(), value.into_inner());
        let mut entry = self.table.view(pin.guard_ref()).entry(hash, key, value, costs);
        if let Some(tags) = tags {
            entry.set_tags(Some(tags));
        }
        let life = lifetime_override;
        let done = match (self.put_path, self.op_time()) {
            (PutPath::Plain, _) => self.fast_put(&pin, entry, candidate, &over, life, NoExpiry),
            (PutPath::Timed, Some(now)) => {
                self.fast_put_timed(&pin, entry, candidate, &over, life, now)
            }
            (PutPath::Weighed, Some(now)) => {
                self.fast_put_weighed(&pin, entry, candidate, &over, life, now)
            }
            (PutPath::Weighed, None) => {
                self.fast_put_weighed(&pin, entry, candidate, &over, life, NoExpiry)
            }
            (PutPath::General | PutPath::Timed, _) => {
                return self.put_entry(pin, (entry, UnfinishedPut::NOTHING), (&over, life));
            }
        };
        match done {
            Ok(inserted) => {
                self.finish_usual_write(pin);
                Ok(inserted)
            }
            Err(unfinished) => self.put_unfinished(pin, unfinished, (&over, lifetime_override)),
        }
    }

    /// Puts an entry in that was no usual one. Apart, as it would take the registers of those that are.
    #[cold]
    #[inline(never)]
    fn put_unfinished<'e>(
        &'e self,
        pin: Pin<'e, K, V>,
        put: (Entry<K, V>, UnfinishedPut),
        over: (&(impl Fn(&V, &V) -> bool, DecidedBy), &LifetimeOverride),
    ) -> Result<Inserted, Refused<K, V>> {
        self.put_entry(pin, put, over)
    }

    /// Puts an entry in, unless there is a value over which it may not go; counts it if it is refused.
    #[inline(always)]
    fn put_entry<'e>(
        &'e self,
        mut pin: Pin<'e, K, V>,
        (entry, unfinished): (Entry<K, V>, UnfinishedPut),
        (over, lifetime_override): (&(impl Fn(&V, &V) -> bool, DecidedBy), &LifetimeOverride),
    ) -> Result<Inserted, Refused<K, V>> {
        let hash = entry.as_ref().hash();
        let mut op = self.op_that_goes_on(&pin, unfinished);
        op.lifetime_override = *lifetime_override;
        let mut new = Some(entry);
        let outcome =
            self.retry(&mut pin, &mut op, |pin, op| self.try_put(pin, op, &mut new, over));
        let outcome = match outcome {
            Ok(done) => Ok(done),
            Err(kind) => self.put_refused(&mut pin, &mut op, &mut new, over, (hash, kind)),
        };
        let mut panicked = std::mem::take(&mut op.panicked);
        if op.is_settled() {
            std::mem::forget(op);
        } else {
            drop(op);
        }
        let kind = match outcome {
            Ok(Some(inserted)) => {
                self.finish_write(pin);
                return Ok(inserted);
            }
            Ok(None) => InsertErrorKind::Occupied,
            Err(kind) => kind,
        };
        // What is refused is told, whatever others do who are told or freed here.
        panicked.call(|| self.finish_write(pin));
        let (key, value) = new.expect("an entry that was refused is still here").into_parts();
        Err(Refused { kind, key, value, panicked })
    }

    /// Tries once more where there is a last resort, and counts the entry if it is refused.
    #[cold]
    #[inline(never)]
    fn put_refused<'e>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        op: &mut WriteOp<'_>,
        new: &mut Option<Entry<K, V>>,
        over: &(impl Fn(&V, &V) -> bool, DecidedBy),
        (hash, kind): (u64, InsertErrorKind),
    ) -> Result<Option<Inserted>, InsertErrorKind> {
        let outcome = self.put_after_old(pin, op, new, over, kind);
        outcome.inspect_err(|&kind| self.count_refusal(op.local, hash, kind))
    }

    /// The last resort for an operation that wanted to replace a value, whatever it is, by a value that was refused
    /// for so far: if the old one can never lie in the retired capacity, and no thread holds it, it goes first. One that
    /// was neutralized before the old one was made does not hold it, however long it sleeps.
    fn put_after_old<'e>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        op: &mut WriteOp<'_>,
        new: &mut Option<Entry<K, V>>,
        over: &(impl Fn(&V, &V) -> bool, DecidedBy),
        kind: InsertErrorKind,
    ) -> Result<Option<Inserted>, InsertErrorKind> {
        pin.repin();
        if !op.attempts.outsized || over.1 == DecidedBy::ByClosure {
            return Err(kind);
        }
        let entry = new.as_ref().expect(ENTRY_KEPT).as_ref();
        let view = self.table.view(pin.guard_ref());
        if let Lookup::Occupied(occupied) = view.find_for_write(entry.hash(), |k| k == entry.key())
        {
            if view.is_held(occupied) {
                return Err(kind);
            }
            let live = self.is_live(occupied.entry());
            let cause =
                if live { RemovalCause::Evicted } else { self.cause_of_end(occupied.entry()) };
            if self.unlink_and_retire(view, occupied, cause) && !occupied.entry().is_placeholder() {
                op.report(&self.rules, occupied.entry(), cause);
            }
        }
        op.begin_last_resort();
        self.retry(pin, op, |pin, op| self.try_put(pin, op, new, over))
    }

    /// Tries until it is done.
    ///
    /// # Errors
    ///
    /// If there is no room, or a closure of the user's stands in its own way.
    #[inline(always)]
    pub(super) fn retry<'e, T>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        op: &mut WriteOp<'_>,
        mut attempt: impl FnMut(&Pin<'e, K, V>, &mut WriteOp<'_>) -> Attempt<T>,
    ) -> Result<T, InsertErrorKind> {
        let mut starved = None;
        if self.starvation.any() && op.patient {
            self.yield_to_starving(pin, op.local);
        }
        loop {
            let error = match attempt(pin, op) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if let Some(kind) = self.is_exhausted(pin, op, error) {
                return Err(kind);
            }
            if error != AttemptError::Changed {
                self.reclaim_for_op(pin, op, &mut starved);
            } else if op.has_asked() {
                // The closure may have slept, and the thread was neutralized then: what it was lent is not held twice.
                pin.repin();
            }
        }
    }

    /// One attempt; none if there is a value over which the new one may not go.
    #[inline(always)]
    fn try_put(
        &self,
        pin: &Pin<'_, K, V>,
        op: &mut WriteOp<'_>,
        new: &mut Option<Entry<K, V>>,
        (over, decided): &(impl Fn(&V, &V) -> bool, DecidedBy),
    ) -> Attempt<Option<Inserted>> {
        let view = self.table.view(pin.guard_ref());
        let entry = new.as_ref().expect(ENTRY_KEPT).as_ref();
        let (hash, key) = (entry.hash(), entry.key());
        let destination = self.find_destination(view, hash, key);
        op.asks(*decided);
        let is_wanted = |old: &V| match decided {
            DecidedBy::ByClosure => pin.while_suspended(|| over(old, entry.value())),
            _ => over(old, entry.value()),
        };
        if let Destination::Occupied(occupied, EntryState::Live) = destination
            && !is_wanted(occupied.entry().value())
        {
            self.note_use(view, occupied);
            return Ok(None);
        }
        self.put_at(view, op, destination, new).map(Some)
    }

    /// Looks for the place of a key.
    #[inline(always)]
    pub(super) fn find_destination<'g>(
        &self,
        view: View<'g, K, V>,
        hash: u64,
        key: &K,
    ) -> Destination<'g, K, V> {
        match view.find_for_write(hash, |k| k == key) {
            Lookup::Vacant(vacant) => Destination::Vacant(vacant),
            Lookup::Occupied(occupied) => {
                Destination::Occupied(occupied, self.state(occupied.entry()))
            }
        }
    }

    /// Links an entry, which stays where it is unless that succeeds.
    #[inline(always)]
    pub(super) fn put_at<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        destination: Destination<'g, K, V>,
        new: &mut Option<Entry<K, V>>,
    ) -> Attempt<Inserted> {
        if self.screens {
            let entry = new.as_ref().expect(ENTRY_KEPT).as_ref();
            if let Some(cause) = self.rejection_cause(view, op, &destination, entry) {
                return self.put_transient(view, op, destination, (new, cause));
            }
        }
        match destination {
            Destination::Vacant(vacant) => {
                self.link_new(view, op, vacant, new)?;
                self.promote_overflow(view, op);
                Ok(Inserted::New)
            }
            Destination::Occupied(occupied, EntryState::Live) => {
                self.put_over(view, op, (occupied, true), new)
            }
            Destination::Occupied(occupied, EntryState::Expired) => {
                self.put_over(view, op, (occupied, false), new)
            }
            Destination::Occupied(occupied, EntryState::Placeholder) => {
                self.put_over_placeholder(view, op, occupied, new)
            }
        }
    }

    /// Links an entry whose key is not there. Nobody is promoted for it.
    #[inline(always)]
    pub(super) fn link_new<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        vacant: Vacant<'g, K, V, History>,
        new: &mut Option<Entry<K, V>>,
    ) -> Attempt<()> {
        let entry = new.as_ref().expect(ENTRY_KEPT).as_ref();
        let (hash, charge) = (entry.hash(), entry.charge());
        self.make_room_for_new(view, op, (entry, charge))?;
        // After that, as what it looks at takes a while to come.
        let meta = self.initial_meta(view, op, entry);
        let entry = new.take().expect(ENTRY_KEPT);
        if let Err(entry) = self.commit(view, &op.delta, vacant, (entry, meta)) {
            *new = Some(entry);
            return Err(AttemptError::Changed);
        }
        self.policy.record_insert(view.extension(), &op.local.cursor, (hash, meta), charge);
        op.spend(charge);
        op.local.tally.insertions.bump();
        Ok(())
    }

    /// Replaces a placeholder by an entry. The placeholder has no charge, and its end is not reported
    /// to the listener. For the policy, the entry is inserted now; being loaded does not count as a
    /// read.
    fn put_over_placeholder<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        occupied: Occupied<'g, K, V>,
        new: &mut Option<Entry<K, V>>,
    ) -> Attempt<Inserted> {
        let entry = new.as_ref().expect(ENTRY_KEPT).as_ref();
        let (hash, charge) = (entry.hash(), entry.charge());
        self.make_room_for_new(view, op, (entry, charge))?;
        // The policy does not move what weighs nothing.
        let meta = occupied.meta_now();
        let unlinked = self.replace_with(view, op, occupied, (new, false))?;
        self.policy.record_insert(view.extension(), &op.local.cursor, (hash, meta), charge);
        op.spend(charge);
        op.local.tally.insertions.bump();
        op.local.tally.placeholders_gone.bump();
        view.retire(unlinked, ChargedTo::Nowhere);
        Ok(Inserted::New)
    }

    /// Puts an entry in the place of another, which may be a use of the key. The new one stays where it is unless that
    /// succeeds.
    #[inline]
    fn replace_with<'g>(
        &self,
        view: View<'g, K, V>,
        op: &WriteOp<'_>,
        occupied: Occupied<'g, K, V>,
        (new, is_use): (&mut Option<Entry<K, V>>, bool),
    ) -> Attempt<Unlinked<K, V>> {
        let entry = new.take().expect(ENTRY_KEPT);
        self.replace(view, &op.delta, occupied, (entry, is_use)).map_err(|entry| {
            *new = Some(entry);
            AttemptError::Changed
        })
    }

    /// Room for an entry whose key has no value. While there are entries that weigh nothing, removed and not freed
    /// yet, that are charged nowhere, one that weighs nothing is inserted only if another entry is freed for it: so
    /// there are never more than there were.
    #[inline(always)]
    fn make_room_for_new(
        &self,
        view: View<'_, K, V>,
        op: &mut WriteOp<'_>,
        (new, charge): (EntryRef<'_, K, V>, u64),
    ) -> Attempt<()> {
        if charge == 0 && !op.attempts.freed && self.uncharged.get() > 0 {
            return Err(AttemptError::Garbage);
        }
        self.make_room(&view, op, charge, Some(new))
    }

    /// Replaces an entry with a value, which was live or had expired. Evicts no other entry, unless the new entry is
    /// heavier: then others may have to go for the difference.
    fn put_over<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        (occupied, live): (Occupied<'g, K, V>, bool),
        new: &mut Option<Entry<K, V>>,
    ) -> Attempt<Inserted> {
        let old = occupied.entry();
        let (left, charge) = (old.charge(), new.as_ref().expect(ENTRY_KEPT).as_ref().charge());
        op.attempts.outsized |= retired_charge(left) > self.retired.capacity();
        // The order of the steps is what keeps the bounds.
        // First room for what the new entry weighs more, as an eviction for it may need the retired capacity. Then
        // what the old entry is charged to until it is freed: what the retired capacity takes over is free for the
        // new one.
        let room = match charge.checked_sub(left) {
            None | Some(0) => Ok(()),
            Some(more) => self.make_room(&view, op, more, Some(old)),
        };
        let garbage_charge = self.garbage_charge_of_replaced(op, left);
        let (free, cost) = (garbage_charge.frees(left), charge + garbage_charge.costs(left));
        room.and_then(|()| self.find_room(op, cost.saturating_sub(free)))?;
        // Up to here nothing is visible, and all that was reserved goes back by itself. The exchange decides.
        let is_use = !op.predicted && !op.renews && !seeded("policy-replacement-unused");
        let unlinked = self.replace_with(view, op, occupied, (new, is_use)).inspect_err(|_| {
            // No entry shall be evicted for what was taken for two.
            op.reservation.release();
        })?;
        let (cause, inserted) = if live {
            (RemovalCause::Replaced, Inserted::Replaced)
        } else {
            (self.cause_of_end(old), Inserted::New)
        };
        op.local.tally.count_out(cause, left);
        // What the old entry is charged to is settled before its units are spent for the new one.
        let charged_to = self.commit_garbage(garbage_charge, left);
        op.reservation.add(free);
        op.spend(cost);
        if inserted == Inserted::New {
            op.local.tally.insertions.bump();
        }
        // Retired only now: freeing gives back what it is charged to. The listener is told last, as it may panic, or
        // use the cache.
        view.retire(unlinked, charged_to);
        op.report(&self.rules, old, cause);
        Ok(inserted)
    }

    /// Dates an entry that is about to be inserted; whether it has expired already.
    #[inline(never)]
    fn is_expired_on_insert(
        &self,
        entry: EntryRef<'_, K, V>,
        destination: &Destination<'_, K, V>,
        lifetime_override: &LifetimeOverride,
    ) -> bool {
        let old = match destination {
            Destination::Occupied(occupied, EntryState::Live) => Some(occupied.entry()),
            _ => None,
        };
        self.set_deadlines(entry, old, lifetime_override);
        !self.is_kept(entry)
    }

    /// Why an entry is not to stay that is about to be inserted.
    #[inline]
    fn rejection_cause<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        destination: &Destination<'g, K, V>,
        entry: EntryRef<'_, K, V>,
    ) -> Option<RemovalCause> {
        if self.rules.expiration.is_some()
            && self.is_expired_on_insert(entry, destination, &op.lifetime_override)
        {
            return Some(self.cause_of_end(entry));
        }
        let is_weighed = self.rules.weigher.is_some();
        let fails_admission = is_weighed && self.fails_admission(view, op, destination, entry);
        fails_admission.then_some(RemovalCause::Evicted)
    }

    /// Does as if an entry had been inserted, and had then left at once for this cause: what its key had is gone, and
    /// no entry was evicted.
    #[cold]
    fn put_transient<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        destination: Destination<'g, K, V>,
        (new, leaves): (&mut Option<Entry<K, V>>, RemovalCause),
    ) -> Attempt<Inserted> {
        let tally = &op.local.tally;
        let replaced = matches!(destination, Destination::Occupied(_, EntryState::Live));
        let cause = match destination {
            Destination::Occupied(_, EntryState::Live) => RemovalCause::Replaced,
            Destination::Occupied(occupied, _) => self.cause_of_end(occupied.entry()),
            Destination::Vacant(_) => RemovalCause::Expired,
        };
        let old = match destination {
            Destination::Vacant(_) => None,
            Destination::Occupied(occupied, _)
                if !self.unlink_and_retire(view, occupied, cause) =>
            {
                return Err(AttemptError::Changed);
            }
            Destination::Occupied(occupied, _) => {
                Some(occupied.entry()).filter(|old| !old.is_placeholder())
            }
        };
        let entry = new.take().expect(ENTRY_KEPT);
        tally.count_out(leaves, entry.as_ref().charge());
        self.note_removed(view, entry.as_ref().hash(), leaves);
        if !replaced {
            tally.insertions.bump();
        }
        if let Some(old) = old {
            op.report(&self.rules, old, cause);
        }
        op.report(&self.rules, entry.as_ref(), leaves);
        Ok(if replaced { Inserted::Replaced } else { Inserted::New })
    }

    /// Sets the deadlines of an entry that is about to be inserted, or to take the place of `old`.
    fn set_deadlines(
        &self,
        entry: EntryRef<'_, K, V>,
        old: Option<EntryRef<'_, K, V>>,
        lifetime_override: &LifetimeOverride,
    ) {
        if let Some(expiration) = &self.rules.expiration {
            match old {
                Some(old) => expiration.update(entry, old, lifetime_override),
                None => expiration.create(entry, lifetime_override),
            }
        }
    }

    /// Removes an older value of the key of an entry that `insert` could not take, and tells of the refusal, whatever
    /// the listener does when it is told of others.
    pub(crate) fn refuse(&self, refused: Refused<K, V>) {
        self.refuse_and(refused, |_| ());
    }

    /// The same, and returns what is to be `kept` of the older value, if there is one.
    pub(crate) fn refuse_and<R>(
        &self,
        refused: Refused<K, V>,
        kept: impl Fn(&V) -> R,
    ) -> Option<R> {
        let Refused { key, value, panicked, .. } = refused;
        let (key, value, mut panicked) = (NoAbort::new(key), NoAbort::new(value), panicked);
        let mut removed = None;
        panicked.call(|| {
            removed = self.remove(&*key, (|old: &V| Some(kept(old)), false));
            if removed.is_some() {
                // After that, as it is the last that became of the key.
                self.note_refused(self.hash(&*key));
            }
        });
        panicked.call(|| self.rules.notify(&key, &value, RemovalCause::Refused));
        removed
    }

    /// Whether a charge may be in the cache at all.
    pub(super) fn check_weight(&self, charge: u64) -> Result<(), InsertErrorKind> {
        let capacity = self.capacity().min(HEAVIEST);
        if charge > capacity || capacity == 0 {
            return Err(InsertErrorKind::TooLarge { charge, capacity });
        }
        Ok(())
    }

    /// Prefetches the lines that an insert writes, and those of the next one's victim, all
    /// at once: another thread may have written them last, and one after the other they would take most
    /// of the time.
    ///
    /// Returns the entry that is the next candidate to make room, as far as that can be told without a look at it.
    #[inline(always)]
    fn prefetch<'g>(&self, view: View<'g, K, V>, hash: u64) -> Option<SlotSnapshot<'g, K, V>> {
        let (table, history, cursor) = (view.prefetcher(), view.extension(), &view.local().cursor);
        table.prefetch(hash);
        if cursor.is_idle() {
            // In a cache that was never full there are no ghosts.
            return None;
        }
        history.prefetch(hash);
        if let Some(hash) = cursor.candidate_after() {
            table.prefetch(hash);
            history.prefetch(hash);
        }
        self.prefetch_candidate(view)
    }

    /// Prefetches the next candidate to make room, and returns it.
    #[inline(always)]
    pub(super) fn prefetch_candidate<'g>(
        &self,
        view: View<'g, K, V>,
    ) -> Option<SlotSnapshot<'g, K, V>> {
        // Its bucket was asked for when it was the one after.
        view.prefetcher().prefetch_candidate(Region::Probation, view.local().cursor.candidate()?)
    }

    /// The metadata with which a new entry starts.
    #[inline(always)]
    pub(super) fn initial_meta(
        &self,
        view: View<'_, K, V>,
        op: &mut WriteOp<'_>,
        entry: EntryRef<'_, K, V>,
    ) -> SlotMeta {
        let admission = match op.admission {
            Some(admission) => admission,
            None => self.ask(view, entry),
        };
        op.admission = Some(admission);
        entry.set_recent_uses(admission.recent_uses.bits());
        admission.meta
    }

    /// Asks the policy where a new entry starts.
    #[inline(always)]
    fn ask(&self, view: View<'_, K, V>, entry: EntryRef<'_, K, V>) -> Admission {
        let cursor = &view.local().cursor;
        let worth = || Worth::new(1, entry.cost(), entry.charge());
        self.policy.admit(view.extension(), cursor, (entry.hash(), worth), self.fill())
    }

    /// Asks that once, and notes in the entry the recent uses of its key.
    #[inline(always)]
    pub(super) fn admit(&self, view: View<'_, K, V>, entry: EntryRef<'_, K, V>) -> Admission {
        let admission = self.ask(view, entry);
        entry.set_recent_uses(admission.recent_uses.bits());
        admission
    }

    #[inline(always)]
    pub(super) fn grow_if_crowded(&self, view: View<'_, K, V>) {
        if view.is_crowded()
            && self.len() + in_memory(self.placeholders.get())
                > view.buckets() * crate::table::MAX_LOAD_FACTOR
        {
            view.grow(|old, buckets| old.resized(buckets * crate::table::MAX_LOAD_FACTOR));
        }
    }

    /// What a new entry may set off: the table grows, probation's overflow is promoted, or more of the protected entries
    /// make room for prefetched ones.
    #[inline(always)]
    pub(super) fn promote_overflow(&self, view: View<'_, K, V>, op: &mut WriteOp<'_>) {
        self.grow_if_crowded(view);
        #[cfg(feature = "predict")]
        if self.policy.has_displaced() && !op.predicted {
            self.make_room_for_prefetched(view, op);
        }
        if self.fill().has_room() {
            self.promote_into_room(view, &op.delta);
        }
    }

    /// Promotes probation's overflow.
    #[inline(never)]
    pub(super) fn promote_into_room(&self, view: View<'_, K, V>, delta: &ProbationDelta<'_>) {
        let entries = TableEntries::new(self, view);
        let at = (&view.local().cursor, view.extension());
        self.policy.eviction(&entries, at, delta).promote_overflow(self.fill());
    }
}

impl<'g, K, V> Destination<'g, K, V> {
    /// What the entry weighs that is there.
    #[inline]
    pub(super) fn charge(&self) -> u64 {
        match self {
            Self::Vacant(_) => 0,
            Self::Occupied(occupied, _) => occupied.entry().charge(),
        }
    }

    /// The live value that is there.
    #[inline]
    pub(super) fn value(&self) -> Option<&'g V> {
        match self {
            Self::Occupied(occupied, EntryState::Live) => Some(occupied.entry().value()),
            _ => None,
        }
    }
}

impl<K, V> Refused<K, V> {
    pub(crate) fn new(kind: InsertErrorKind, key: K, value: V) -> Self {
        Self { kind, key, value, panicked: Panicked::default() }
    }

    /// What the caller is told, unless a panic goes on.
    pub(crate) fn into_parts(self) -> (InsertErrorKind, K, V) {
        let (key, value) = (NoAbort::new(self.key), NoAbort::new(self.value));
        drop(self.panicked);
        (self.kind, key.into_inner(), value.into_inner())
    }
}

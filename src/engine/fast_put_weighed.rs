//! The usual put in a cache with weights: a new entry for which a few others make room, a replacement, the end of a load.
//!
//! As in `fast_put`, which says why there is such a path, it takes the steps of the general way in their order, and leaves to
//! that what is not usual: entries that are on trial, or weigh nothing, garbage that has to be waited for. It hands on the
//! charge that it has collected, and a victim for which the retired capacity has no room.

use std::hash::{BuildHasher, Hash};

use super::garbage_charge::retired_charge;
use super::op_time::PutTime;
use super::placeholder::has_token;
use super::room::is_of_own_key;
use super::types::{Occupied, View};
use super::write_op::{DecidedBy, PendingVictim, UnfinishedPut};
use super::{Engine, LoadToken, Local, Pin};
use crate::accounting::Reservation;
use crate::entry::{Entry, EntryRef};
use crate::expiry::LifetimeOverride;
use crate::outcome::{Inserted, RemovalCause};
use crate::policy::{History, ProbationDelta, RecentUses, Worth};
use crate::reclaim::ChargedTo;
use crate::sync::seeded;
use crate::table::{Lookup, SlotSnapshot, Vacant};

/// Entries that make room for one usual put. More are evicted the general way.
const MAX_EVICTIONS: usize = 8;

/// What a usual put holds: charge, and what it has changed of probation.
struct HandCharge<'e> {
    reservation: Reservation<'e>,
    delta: ProbationDelta<'e>,
}

impl HandCharge<'_> {
    /// Hands the charge on.
    fn unfinished(self, kept: Option<PendingVictim>) -> UnfinishedPut {
        let units = self.reservation.held();
        self.reservation.commit(units);
        UnfinishedPut { units, admission: None, kept }
    }

    /// It has become an entry's; the rest goes back.
    fn spend(&mut self, charge: u64) {
        let part = self.reservation.split(charge);
        part.expect("room was made before the entry was linked").commit(charge);
    }
}

/// An entry that was not put, and what is handed on.
type Unfinished<K, V> = (Entry<K, V>, UnfinishedPut);

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts an entry in, if all goes as usual.
    ///
    /// # Errors
    ///
    /// The entry, and what is handed on to the general way.
    #[inline(never)]
    pub(super) fn fast_put_weighed<'g>(
        &'g self,
        pin: &'g Pin<'_, K, V>,
        entry: Entry<K, V>,
        candidate: Option<SlotSnapshot<'g, K, V>>,
        over: &(impl Fn(&V, &V) -> bool, DecidedBy),
        lifetime_override: &LifetimeOverride,
        now: impl PutTime<K, V>,
    ) -> Result<Inserted, Unfinished<K, V>> {
        let view = self.table.view(pin.guard_ref());
        if !self.is_usual_weighed(view, entry.as_ref())
            || !now.begins(entry.as_ref(), lifetime_override)
        {
            return Err((entry, UnfinishedPut::NOTHING));
        }
        let hash = entry.as_ref().hash();
        match view.find_for_write(hash, |k| k == entry.as_ref().key()) {
            Lookup::Vacant(vacant) => self.insert_weighed(view, entry, (vacant, candidate), now),
            Lookup::Occupied(occupied) => self.replace_weighed(view, entry, (occupied, over), now),
        }
    }

    /// Whether a put is a usual one, as far as that can be told before its key is searched for.
    #[inline(always)]
    fn is_usual_weighed(&self, view: View<'_, K, V>, entry: EntryRef<'_, K, V>) -> bool {
        let charge = entry.weight_of_value();
        self.is_usual(view) && charge > 0 && charge <= self.fill().trial_weight()
    }

    fn nothing_held<'e>(&'e self, local: &'e Local) -> HandCharge<'e> {
        HandCharge {
            reservation: self.capacity.empty_reservation(&local.credit),
            delta: self.policy.probation_delta(&local.cursor),
        }
    }

    /// Links an entry whose key is not there, if a few others can make room for it at once.
    #[inline(always)]
    fn insert_weighed<'g>(
        &'g self,
        view: View<'g, K, V>,
        entry: Entry<K, V>,
        (vacant, candidate): (Vacant<'g, K, V, History>, Option<SlotSnapshot<'g, K, V>>),
        now: impl PutTime<K, V>,
    ) -> Result<Inserted, Unfinished<K, V>> {
        let (hash, charge) = (entry.as_ref().hash(), entry.as_ref().weight_of_value());
        let mut held = self.nothing_held(view.local());
        if let Err(kept) = self.make_room_weighed(view, &mut held, entry.as_ref(), candidate, now) {
            return Err((entry, held.unfinished(kept)));
        }
        let (cursor, cost) = (&view.local().cursor, entry.as_ref().cost());
        let worth = || Worth::new(1, cost, charge);
        let admission = self.policy.admit(view.extension(), cursor, (hash, worth), self.fill());
        let meta = admission.meta;
        entry.as_ref().set_recent_uses(admission.recent_uses.bits());
        if let Err(entry) = self.commit(view, &held.delta, vacant, (entry, meta)) {
            let unfinished = held.unfinished(None);
            return Err((entry, UnfinishedPut { admission: Some(admission), ..unfinished }));
        }
        held.spend(charge);
        self.end_insert_weighed(view, &held, (hash, charge, meta));
        Ok(Inserted::New)
    }

    /// What follows a usual insert.
    #[inline(always)]
    fn end_insert_weighed(
        &self,
        view: View<'_, K, V>,
        held: &HandCharge<'_>,
        (hash, charge, meta): (u64, u64, crate::slot_meta::SlotMeta),
    ) {
        let local = view.local();
        self.policy.record_insert(view.extension(), &local.cursor, (hash, meta), charge);
        local.tally.insertions.bump();
        self.grow_if_crowded(view);
        if self.fill().has_room() {
            self.promote_into_room(view, &held.delta);
        }
    }

    /// Collects the charge of an entry, and evicts others for it if that can be done at once.
    ///
    /// # Errors
    ///
    /// A victim for which the retired capacity has no room, if that is why.
    #[inline(always)]
    fn make_room_weighed<'g>(
        &'g self,
        view: View<'g, K, V>,
        held: &mut HandCharge<'_>,
        own: EntryRef<'_, K, V>,
        mut candidate: Option<SlotSnapshot<'g, K, V>>,
        now: impl PutTime<K, V>,
    ) -> Result<(), Option<PendingVictim>> {
        let need = own.weight_of_value();
        for nth in 0..=MAX_EVICTIONS {
            // Before it looks for room: see `make_room`.
            let lingering = self.lingering.before();
            if held.reservation.gather(need, self.credits()) {
                return Ok(());
            }
            let is_due = |at| self.find_due(view, at, 0).is_some();
            if nth == MAX_EVICTIONS
                || self.lingering.since(lingering) > 0
                || self.capacity.debt() > 0
                || now.collected_before().is_some_and(is_due)
            {
                return Err(None);
            }
            self.evict_weighed(view, held, own, candidate.take(), now)?;
        }
        Err(None)
    }

    /// Evicts the entry that the policy names, which looks first at the candidate that was prefetched.
    #[inline(never)]
    fn evict_weighed<'g>(
        &'g self,
        view: View<'g, K, V>,
        held: &mut HandCharge<'_>,
        own: EntryRef<'_, K, V>,
        candidate: Option<SlotSnapshot<'g, K, V>>,
        now: impl PutTime<K, V>,
    ) -> Result<(), Option<PendingVictim>> {
        let local = view.local();
        let (entries, at) = (self.evictable(view, None, 0), (&local.cursor, view.extension()));
        let is_next = |seen: &SlotSnapshot<'g, K, V>| {
            local.cursor.is_candidate(seen.entry().hash()) && seen.entry().weight_of_value() > 0
        };
        let eviction = self.policy.eviction(&entries, at, &held.delta);
        let seen = eviction.victim_from(candidate.filter(is_next), self.fill()).ok_or(None)?;
        let (victim, charge) = (seen.entry(), seen.entry().charge());
        if is_of_own_key(own, victim) {
            // To replace that takes less: no entry shall be evicted for what was taken for both.
            held.reservation.release();
            return Err(None);
        }
        let Some(room) = self.retired_room_at_once(local, charge) else {
            return Err(Some(PendingVictim { hash: victim.hash(), meta: seen.meta(), charge }));
        };
        // Before the exchange: see `evict_occupied`.
        let live = now.is_live(victim);
        let (unlinked, meta) = view.unlink(view.occupied(seen)).ok_or(None)?;
        let cause = if live { RemovalCause::Evicted } else { RemovalCause::Expired };
        local.tally.count_out(cause, charge);
        self.count_out(&held.delta, victim, meta);
        if live {
            let recent_uses = RecentUses::from_bits(victim.recent_uses());
            self.policy.evicted(
                view.extension(),
                &local.cursor,
                victim.hash(),
                (meta, recent_uses),
            );
        } else {
            self.note_removed(view, victim.hash(), cause);
        }
        room.commit(retired_charge(charge));
        held.reservation.add(charge);
        view.retire(unlinked, ChargedTo::Retired);
        Ok(())
    }

    /// Room in the retired capacity: from credit without an exchange, if that may be.
    #[inline(always)]
    fn retired_room_at_once<'e>(
        &'e self,
        local: &'e Local,
        charge: u64,
    ) -> Option<Reservation<'e>> {
        let charge = retired_charge(charge);
        let mut room = self.retired.empty_reservation(&local.retired);
        if let Some(spent) = room.spend(charge) {
            return Some(spent);
        }
        local.retired.adapt_allowance(charge);
        room.gather(charge, self.retired_credits()).then_some(room)
    }

    /// Puts an entry in the place of another, if the retired capacity can take that over at once, and there is what it weighs
    /// more.
    #[inline(never)]
    fn replace_weighed<'g>(
        &'g self,
        view: View<'g, K, V>,
        entry: Entry<K, V>,
        (occupied, over): (Occupied<'g, K, V>, &(impl Fn(&V, &V) -> bool, DecidedBy)),
        now: impl PutTime<K, V>,
    ) -> Result<Inserted, Unfinished<K, V>> {
        let (local, old) = (view.local(), occupied.entry());
        if over.1 == DecidedBy::ByClosure
            || old.load_token().is_some()
            || !now.is_live(old)
            || !over.0(old.value(), entry.as_ref().value())
        {
            return Err((entry, UnfinishedPut::NOTHING));
        }
        let (left, charge) = (old.charge(), entry.as_ref().weight_of_value());
        let (more, mut held) = (charge.saturating_sub(left), self.nothing_held(local));
        if left == 0 || !held.reservation.gather(more, self.credits()) {
            return Err((entry, held.unfinished(None)));
        }
        let Some(room) = self.retired_room_at_once(local, left) else {
            return Err((entry, held.unfinished(None)));
        };
        let is_use = !seeded("policy-replacement-unused");
        let unlinked = match self.replace(view, &held.delta, occupied, (entry, is_use)) {
            Ok(unlinked) => unlinked,
            // No entry shall be evicted for what was taken for two.
            Err(entry) => return Err((entry, UnfinishedPut::NOTHING)),
        };
        local.tally.count_out(RemovalCause::Replaced, left);
        room.commit(retired_charge(left));
        held.reservation.add(left);
        held.spend(charge);
        view.retire(unlinked, ChargedTo::Retired);
        Ok(Inserted::Replaced)
    }

    /// Puts a value that was loaded in the place of its placeholder, which has this number, if that is still there and
    /// all goes as usual.
    ///
    /// # Errors
    ///
    /// The entry, and what is handed on to the general way.
    #[inline(never)]
    pub(super) fn fast_complete_weighed(
        &self,
        pin: &Pin<'_, K, V>,
        entry: Entry<K, V>,
        (token, number): (&LoadToken, u32),
        lifetime_override: &LifetimeOverride,
        now: impl PutTime<K, V>,
    ) -> Result<(), Unfinished<K, V>> {
        let view = self.table.view(pin.guard_ref());
        if !self.is_usual_weighed(view, entry.as_ref())
            || !now.begins(entry.as_ref(), lifetime_override)
        {
            return Err((entry, UnfinishedPut::NOTHING));
        }
        let (hash, charge) = (entry.as_ref().hash(), entry.as_ref().weight_of_value());
        let candidate = self.prefetch_candidate(view);
        let Some(occupied) = self.find_own_placeholder(view, hash, (token, number)) else {
            return Err((entry, UnfinishedPut::NOTHING));
        };
        let mut held = self.nothing_held(view.local());
        if let Err(kept) = self.make_room_weighed(view, &mut held, entry.as_ref(), candidate, now) {
            return Err((entry, held.unfinished(kept)));
        }
        let meta = occupied.meta_now();
        let unlinked = match self.replace(view, &held.delta, occupied, (entry, false)) {
            Ok(unlinked) => unlinked,
            Err(entry) => return Err((entry, held.unfinished(None))),
        };
        held.spend(charge);
        view.local().tally.placeholders_gone.bump();
        view.retire(unlinked, ChargedTo::Nowhere);
        self.end_insert_weighed(view, &held, (hash, charge, meta));
        Ok(())
    }

    /// The placeholder of a load, if it is still there and nothing is to be asked of it.
    #[inline(always)]
    pub(super) fn find_own_placeholder<'g>(
        &self,
        view: View<'g, K, V>,
        hash: u64,
        (token, number): (&LoadToken, u32),
    ) -> Option<Occupied<'g, K, V>> {
        view.find_number(hash, number).filter(|occupied| {
            let old = occupied.entry();
            old.is_placeholder()
                && has_token(old, token)
                && !old.is_predicted()
                && old.tag_set().is_none()
        })
    }
}

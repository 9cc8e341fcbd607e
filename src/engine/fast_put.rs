//! The usual put, in a cache without weights, listener, tags, and rules of the user's for times: a new key that has a unit or
//! for which one other entry makes room, a replacement, the end of a load.
//!
//! A write may have to wait, to free garbage, to pay for a shrink, to tell a listener. What it keeps for all of that (a
//! [`WriteOp`](super::write_op::WriteOp)) costs as much as a usual put itself. So the usual one is tried first, with nothing
//! but a unit of charge in hand. It takes the same steps in the same order as the general way does,
//! and where anything else than the usual has to be decided, it leaves that to the general way, which begins anew.
//!
//! It may do so between any two steps. Until the new entry is announced, all that it has done is to evict an entry, which
//! the general way would have done, too; and to ask the policy about the key, which counts as a miss and is not to be done
//! twice. The unit and the answer are handed on. No code of the user's runs while it holds the unit.

use std::hash::{BuildHasher, Hash};

use super::op_time::{NoExpiry, OpTime, PutTime};
use super::room::is_of_own_key;
use super::types::View;
use super::write_op::{DecidedBy, UnfinishedPut};
use super::{Engine, LoadToken, Pin, PutPath};
use crate::entry::{Entry, EntryRef};
use crate::expiry::LifetimeOverride;
use crate::outcome::{Inserted, RemovalCause};
use crate::policy::{EvictionCursor, History, ProbationChange, RecentUses, Worth};
use crate::reclaim::ChargedTo;
use crate::slot_meta::SlotMeta;
use crate::sync::seeded;
use crate::table::{Lookup, OccupiedSlot, SlotSnapshot, Unlinked, Vacant};

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
    #[inline(always)]
    pub(super) fn fast_put<'g>(
        &self,
        pin: &'g Pin<'_, K, V>,
        entry: Entry<K, V>,
        candidate: Option<SlotSnapshot<'g, K, V>>,
        over: &(impl Fn(&V, &V) -> bool, DecidedBy),
        lifetime_override: &LifetimeOverride,
        now: impl PutTime<K, V>,
    ) -> Result<Inserted, (Entry<K, V>, UnfinishedPut)> {
        let view = self.table.view(pin.guard_ref());
        if !self.is_usual(view) || !now.begins(entry.as_ref(), lifetime_override) {
            return Err((entry, UnfinishedPut::NOTHING));
        }
        let hash = entry.as_ref().hash();
        match view.find_for_write(hash, |k| k == entry.as_ref().key()) {
            Lookup::Vacant(vacant) => self.fast_insert(view, entry, (vacant, candidate), now),
            Lookup::Occupied(occupied) => {
                self.fast_replace(view, entry, (occupied.slot(), over), now)
            }
        }
    }

    /// The same in a cache whose entries expire. Apart, as it would take the registers of the one above.
    #[inline(never)]
    pub(super) fn fast_put_timed<'g>(
        &self,
        pin: &'g Pin<'_, K, V>,
        entry: Entry<K, V>,
        candidate: Option<SlotSnapshot<'g, K, V>>,
        over: &(impl Fn(&V, &V) -> bool, DecidedBy),
        lifetime_override: &LifetimeOverride,
        now: OpTime<'_, K, V>,
    ) -> Result<Inserted, (Entry<K, V>, UnfinishedPut)> {
        self.fast_put(pin, entry, candidate, over, lifetime_override, now)
    }

    /// Whether a put is a usual one, as far as that can be told before its key is searched for.
    #[inline(always)]
    pub(super) fn is_usual(&self, view: View<'_, K, V>) -> bool {
        // While the table's size changes each search migrates a part of it, and a write searches once.
        let is_usual = !self.starvation.any() && !view.is_migrating();
        // Protected entries are to make room for prefetched ones.
        #[cfg(feature = "predict")]
        let is_usual = is_usual && !self.policy.has_displaced();
        is_usual
    }

    /// Links an entry whose key is not there, if another one can make room for it at once.
    #[inline(always)]
    fn fast_insert<'g>(
        &self,
        view: View<'g, K, V>,
        entry: Entry<K, V>,
        (vacant, candidate): (Vacant<'g, K, V, History>, Option<SlotSnapshot<'g, K, V>>),
        now: impl PutTime<K, V>,
    ) -> Result<Inserted, (Entry<K, V>, UnfinishedPut)> {
        let hash = entry.as_ref().hash();
        let (history, local) = (view.extension(), view.local());
        let cursor = &local.cursor;
        let change = match self.make_room_at_once(view, entry.as_ref(), candidate, now) {
            Ok(change) => change,
            Err(unfinished) => return Err((entry, unfinished)),
        };
        let worth = || Worth::new(1, 1, 1);
        let admission = self.policy.admit(history, cursor, (hash, worth), self.fill());
        let (meta, recent_uses) = (admission.meta, admission.recent_uses);
        entry.as_ref().set_recent_uses(recent_uses.bits());
        let end = now.end(entry.as_ref());
        if let Err(entry) = vacant.commit(entry, meta) {
            self.policy.change_probation(cursor, change);
            return Err((
                entry,
                UnfinishedPut { units: 1, admission: Some(admission), kept: None },
            ));
        }
        Self::note_end(view, hash, end);
        self.policy.change_probation(cursor, change.added(meta));
        self.end_insert(view, (hash, meta));
        Ok(Inserted::New)
    }

    /// What follows a usual insert.
    #[inline(always)]
    fn end_insert(&self, view: View<'_, K, V>, (hash, meta): (u64, SlotMeta)) {
        let local = view.local();
        self.policy.record_insert(view.extension(), &local.cursor, (hash, meta), 1);
        local.tally.insertions.bump();
        self.grow_if_crowded(view);
        if self.fill().has_room() {
            self.promote_into_room(view, &self.policy.probation_delta(&local.cursor));
        }
    }

    /// Takes a unit for the caller, or evicts an entry that has one, if that can be done at once. Returns what that has
    /// changed of probation.
    #[inline(always)]
    fn make_room_at_once<'g>(
        &self,
        view: View<'g, K, V>,
        own: EntryRef<'_, K, V>,
        candidate: Option<SlotSnapshot<'g, K, V>>,
        now: impl PutTime<K, V>,
    ) -> Result<ProbationChange, UnfinishedPut> {
        let (history, local) = (view.extension(), view.local());
        let cursor = &local.cursor;
        // Before it looks for room: see `make_room`.
        let lingering = self.lingering.before();
        let mut unit = self.capacity.empty_reservation(&local.credit);
        if unit.gather(1, self.credits()) {
            unit.commit(1);
            return Ok(ProbationChange::default());
        }
        if self.lingering.since(lingering) > 0 || self.capacity.debt() > 0 {
            return Err(UnfinishedPut::NOTHING);
        }
        // What has expired goes before any that the policy names.
        if now.collected_before().is_some_and(|at| self.find_due(view, at, 0).is_some()) {
            return Err(UnfinishedPut::NOTHING);
        }
        // Before the policy is asked, which moves its hands: what the entry is charged to that makes room.
        let Some(room) = self.retired.empty_reservation(&local.retired).spend(1) else {
            return Err(UnfinishedPut::NOTHING);
        };
        let evicted = match candidate {
            Some(seen)
                if cursor.is_candidate(seen.entry().hash())
                    && self.gives_way(history, cursor, seen) =>
            {
                let evicted = self.evict_seen(view, own, (seen, || view.unlink_own(seen)), now);
                evicted.map(|meta| ProbationChange::default().removed(meta))
            }
            _ => self.evict_any(view, own, now),
        };
        let Some(change) = evicted else {
            return Err(UnfinishedPut::NOTHING);
        };
        room.commit(1);
        Ok(change)
    }

    /// Puts a value that was loaded in the place of its placeholder, which has this number, if that is still there and
    /// all goes as usual.
    ///
    /// # Errors
    ///
    /// The entry, and what is handed on to the general way.
    #[inline(always)]
    pub(super) fn try_fast_complete(
        &self,
        pin: &Pin<'_, K, V>,
        entry: Entry<K, V>,
        placeholder: (&LoadToken, u32),
        life: &LifetimeOverride,
    ) -> Result<(), (Entry<K, V>, UnfinishedPut)> {
        match (self.put_path, self.op_time()) {
            (PutPath::Plain, _) => self.fast_complete(pin, entry, placeholder, life, NoExpiry),
            (PutPath::Timed, Some(now)) => self.fast_complete(pin, entry, placeholder, life, now),
            (PutPath::Weighed, Some(now)) => {
                self.fast_complete_weighed(pin, entry, placeholder, life, now)
            }
            (PutPath::Weighed, None) => {
                self.fast_complete_weighed(pin, entry, placeholder, life, NoExpiry)
            }
            (PutPath::General | PutPath::Timed, _) => Err((entry, UnfinishedPut::NOTHING)),
        }
    }

    /// The same where entries weigh one.
    #[inline(always)]
    fn fast_complete(
        &self,
        pin: &Pin<'_, K, V>,
        entry: Entry<K, V>,
        (token, number): (&LoadToken, u32),
        lifetime_override: &LifetimeOverride,
        now: impl PutTime<K, V>,
    ) -> Result<(), (Entry<K, V>, UnfinishedPut)> {
        let view = self.table.view(pin.guard_ref());
        if !self.is_usual(view) || !now.begins(entry.as_ref(), lifetime_override) {
            return Err((entry, UnfinishedPut::NOTHING));
        }
        let (hash, local) = (entry.as_ref().hash(), view.local());
        let candidate = self.prefetch_candidate(view);
        let Some(occupied) = self.find_own_placeholder(view, hash, (token, number)) else {
            return Err((entry, UnfinishedPut::NOTHING));
        };
        let change = match self.make_room_at_once(view, entry.as_ref(), candidate, now) {
            Ok(change) => change,
            Err(unfinished) => return Err((entry, unfinished)),
        };
        // The policy does not move what weighs nothing, and the placeholder has counted as one.
        self.policy.change_probation(&local.cursor, change);
        let meta = occupied.meta_now();
        entry.as_ref().set_recent_uses(occupied.entry().recent_uses());
        let end = now.end(entry.as_ref());
        let unlinked = match view.replace_in(occupied.slot(), (entry, false)) {
            Ok(unlinked) => unlinked,
            Err(entry) => {
                return Err((entry, UnfinishedPut { units: 1, admission: None, kept: None }));
            }
        };
        Self::note_end(view, hash, end);
        local.tally.placeholders_gone.bump();
        view.retire(unlinked, ChargedTo::Nowhere);
        self.end_insert(view, (hash, meta));
        Ok(())
    }

    /// Puts an entry in the place of another, if the retired capacity can take that over at once.
    #[inline(never)]
    fn fast_replace<'g>(
        &self,
        view: View<'g, K, V>,
        entry: Entry<K, V>,
        (slot, over): (OccupiedSlot<'g>, &(impl Fn(&V, &V) -> bool, DecidedBy)),
        now: impl PutTime<K, V>,
    ) -> Result<Inserted, (Entry<K, V>, UnfinishedPut)> {
        let (local, old) = (view.local(), view.entry_in(slot));
        if over.1 == DecidedBy::ByClosure
            || slot.has_token()
            || !now.is_live(old)
            || !over.0(old.value(), entry.as_ref().value())
        {
            return Err((entry, UnfinishedPut::NOTHING));
        }
        let Some(room) = self.retired.empty_reservation(&local.retired).spend(1) else {
            return Err((entry, UnfinishedPut::NOTHING));
        };
        entry.as_ref().set_recent_uses(old.recent_uses());
        let is_use = !seeded("policy-replacement-unused");
        let (hash, end) = (entry.as_ref().hash(), now.end(entry.as_ref()));
        let unlinked = match view.replace_in(slot, (entry, is_use)) {
            Ok(unlinked) => unlinked,
            Err(entry) => return Err((entry, UnfinishedPut::NOTHING)),
        };
        Self::note_end(view, hash, end);
        room.commit(1);
        local.tally.count_out(RemovalCause::Replaced, 1);
        view.retire(unlinked, ChargedTo::Retired);
        Ok(Inserted::Replaced)
    }

    /// Whether the first candidate is the one that should make room.
    #[inline(always)]
    fn gives_way(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        seen: SlotSnapshot<'_, K, V>,
    ) -> bool {
        let recent_uses = RecentUses::from_bits(seen.entry().recent_uses());
        self.policy.gives_way((history, cursor), (seen.meta(), recent_uses), self.fill())
    }

    /// Evicts an entry that should make room, if that can be done at once; the metadata that its slot had.
    #[inline(always)]
    fn evict_seen<'g>(
        &self,
        view: View<'g, K, V>,
        own: EntryRef<'_, K, V>,
        (seen, unlink): (
            SlotSnapshot<'g, K, V>,
            impl FnOnce() -> Option<(Unlinked<K, V>, SlotMeta)>,
        ),
        now: impl PutTime<K, V>,
    ) -> Option<SlotMeta> {
        let (local, entry) = (view.local(), seen.entry());
        if is_of_own_key(own, entry) {
            return None;
        }
        // Before the exchange: see `evict_occupied`.
        let live = now.is_live(entry);
        let (unlinked, meta) = unlink()?;
        if live {
            local.tally.count_out(RemovalCause::Evicted, 1);
            let recent_uses = RecentUses::from_bits(entry.recent_uses());
            self.policy.evicted(view.extension(), &local.cursor, entry.hash(), (meta, recent_uses));
        } else {
            local.tally.count_out(RemovalCause::Expired, 1);
            self.note_removed(view, entry.hash(), RemovalCause::Expired);
        }
        view.retire(unlinked, ChargedTo::Retired);
        Some(meta)
    }

    /// The same of the entry that the policy names, where the first candidate is not enough to say which; what that
    /// has changed of probation.
    #[cold]
    #[inline(never)]
    fn evict_any(
        &self,
        view: View<'_, K, V>,
        own: EntryRef<'_, K, V>,
        now: impl PutTime<K, V>,
    ) -> Option<ProbationChange> {
        let (entries, cursor) = (self.evictable(view, None, 0), &view.local().cursor);
        let at = (cursor, view.extension());
        let delta = self.policy.probation_delta(cursor);
        let seen = self.policy.eviction(&entries, at, &delta).victim(self.fill())?;
        let unlink = || view.unlink(view.occupied(seen));
        let meta = self.evict_seen(view, own, (seen, unlink), now)?;
        Some(delta.take().removed(meta))
    }
}

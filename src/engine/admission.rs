//! Heavy newcomers are on trial: one that needs the room of many others has to be worth them.
//!
//! Others go one after the other, and each was worth less than the newcomer for each unit of weight, or would have
//! gone soon in any case. For one that displaces a large part of the cache neither holds, as the room is made before
//! anything is compared. So it is compared first. If it is worth less, the write does as if the entry had been
//! inserted and had made room at once: no other entry is evicted for it. Its key is remembered like that of any other
//! that made room; used often enough, it is inserted.

use std::hash::{BuildHasher, Hash};

use super::Engine;
use super::table_entries::TableEntries;
use super::types::{EntryState, View};
use super::write::Destination;
use super::write_op::WriteOp;
use crate::entry::EntryRef;
use crate::policy::{Fill, RecentUses, Worth};
use crate::slot_meta::SlotMeta;
use crate::sync::seeded;

/// Entries of average weight that it displaces at least, or it is not.
const MIN_DISPLACED: u64 = 4;
/// Entries that the cache has at least, or none is: where there are few, each needs much of the capacity.
const MIN_ENTRIES: u64 = 32;

/// A newcomer that is on trial: the metadata that it would start with, and how often its key was used.
type Candidate = (SlotMeta, RecentUses);

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whether an entry is heavy enough to be compared first with what it would displace, and is worth less than that.
    #[inline]
    pub(super) fn fails_admission<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        destination: &Destination<'g, K, V>,
        entry: EntryRef<'_, K, V>,
    ) -> bool {
        let left = destination.charge();
        let (need, fill) = (entry.charge().saturating_sub(left), self.fill());
        need > fill.trial_weight()
            && (need > fill.free || need > fill.giant_weight())
            && (!op.attempts.admitted || seeded("policy-trial-at-each-attempt"))
            && self.is_worth_less(view, op, destination, entry, need)
    }

    #[cold]
    #[inline(never)]
    fn is_worth_less<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        destination: &Destination<'g, K, V>,
        entry: EntryRef<'_, K, V>,
        need: u64,
    ) -> bool {
        let fill = self.fill();
        let is_giant = need > fill.giant_weight();
        let displaces_many = self.displaces_many(op, need, fill);
        if !is_giant && !displaces_many {
            return false;
        }
        let (meta, recent_uses) = self.newcomer(view, op, destination, entry);
        let (cursor, history) = (&view.local().cursor, view.extension());
        let frequency =
            self.policy.frequency(history, cursor, recent_uses) + u64::from(meta.count());
        let worth = Worth::new(frequency, entry.cost(), need);
        let entries = TableEntries::new(self, view);
        let eviction = self.policy.eviction(&entries, (cursor, history), &op.delta);
        let is_outdone = is_giant && self.policy.is_outdone_by_light(cursor, worth);
        if !is_outdone && (!displaces_many || eviction.is_worth_its_room(worth)) {
            // Asked once: an operation that makes room for long would have to win at each attempt.
            op.attempts.admitted = true;
            return false;
        }
        // Others may need what is not enough here.
        op.reservation.release();
        self.policy.evicted(history, cursor, entry.hash(), (meta, recent_uses));
        true
    }

    /// Whether so many have to go for an entry that it is compared with them.
    fn displaces_many(&self, op: &mut WriteOp<'_>, need: u64, fill: Fill) -> bool {
        let (charged, entries) = (fill.capacity - fill.free, self.len() as u64);
        // What fits displaces no entry, and garbage is waited for.
        need > fill.free
            && entries >= MIN_ENTRIES
            && need / MIN_DISPLACED > charged / entries
            && !op.reservation.gather(need, self.credits())
            && need - op.reservation.held() > self.lingering.charge()
    }

    /// What is known of an entry that is about to be inserted.
    fn newcomer<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        destination: &Destination<'g, K, V>,
        entry: EntryRef<'_, K, V>,
    ) -> Candidate {
        match destination {
            Destination::Vacant(_) => {
                let meta = self.initial_meta(view, op, entry);
                (meta, RecentUses::from_bits(entry.recent_uses()))
            }
            // A placeholder was used when it was inserted.
            Destination::Occupied(occupied, EntryState::Placeholder) => {
                (occupied.meta_now(), RecentUses::from_bits(occupied.entry().recent_uses()))
            }
            Destination::Occupied(occupied, _) => {
                let recent_uses = RecentUses::from_bits(occupied.entry().recent_uses());
                let (history, cursor) = (view.extension(), &view.local().cursor);
                (occupied.meta_now(), self.policy.used_again(history, cursor, recent_uses))
            }
        }
    }
}

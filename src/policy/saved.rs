//! What a snapshot has of the policy.

use super::cursor::EvictionCursor;
use super::ghosts::SavedGhost;
use super::hand::SavedHand;
use super::state::{Admission, Fill, Policy};
use super::{History, RecentUses};
use crate::narrow::low8;
use crate::slot_meta::SlotMeta;

/// What holds for the whole cache.
#[derive(Debug, Clone)]
pub(crate) struct SavedPolicy {
    /// Misses so far: the time.
    pub(crate) misses: u64,
    /// How much should be on probation, as a part of the capacity.
    pub(crate) target: f64,
    pub(crate) typical_charge: u64,
    /// The hand of the protected region. How long its round takes says which keys come back soon: a hand that has passed no
    /// checkpoint yet would take every key for such a one, and let it into that region at once.
    pub(crate) protected_hand: SavedHand,
}

impl Policy {
    /// What a snapshot has of it.
    pub(crate) fn saved(&self, cursor: &EvictionCursor, fill: Fill) -> SavedPolicy {
        SavedPolicy {
            misses: self.now(cursor),
            target: self.target(fill) / fill.capacity.max(1) as f64,
            typical_charge: self.typical_charge.get(),
            protected_hand: self.protected_hand.saved(self.now(cursor)),
        }
    }

    /// Goes on from there. Only before anything was inserted.
    pub(crate) fn restore(&self, saved: &SavedPolicy, fill: Fill) {
        self.misses.max(saved.misses);
        self.protected_hand.restore(&saved.protected_hand, self.misses.get());
        self.typical_charge.set(saved.typical_charge.max(1));
        if saved.target.is_finite() {
            self.set_target(saved.target * fill.capacity as f64, fill);
        }
    }

    /// How often a key was heard of lately.
    pub(crate) fn saved_uses(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        recent_uses: RecentUses,
    ) -> u8 {
        low8(history.periods.count(recent_uses, self.now(cursor)))
    }

    /// How an entry starts that is restored with these bits, and was heard of so often. None if there are no such bits.
    pub(crate) fn restored_admission(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        (bits, uses): (u8, u8),
    ) -> Option<Admission> {
        let recent_uses = history.periods.of_count(uses, self.now(cursor));
        let meta = SlotMeta::from_bits(bits & SlotMeta::MASK);
        (!meta.is_vacant()).then_some(Admission { meta, recent_uses })
    }

    /// The keys that were evicted lately, in this set; none beyond the last set.
    pub(crate) fn saved_ghosts(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        set: usize,
    ) -> Option<Vec<SavedGhost>> {
        history.ghosts.saved(set, self.now(cursor))
    }

    /// How many sets there are.
    pub(crate) fn ghost_sets(history: &History) -> usize {
        history.ghosts.len()
    }

    /// Remembers them again.
    pub(crate) fn restore_ghosts(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        (set, ghosts): (usize, &[SavedGhost]),
    ) {
        let now = self.now(cursor);
        for ghost in ghosts {
            history.ghosts.restore(set, ghost, now);
        }
    }
}

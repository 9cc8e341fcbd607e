//! The rules by which an entry is chosen that makes room.

use super::cursor::EvictionCursor;
use super::entries::Entries;
use super::fingerprint;
use super::history::History;
use super::probation_delta::{ProbationDelta, not_negative};
use super::recent_uses::RecentUses;
use super::state::{Fill, Policy};
use super::tuning::{
    MAX_BATCHES, MAX_PROBATION_STEPS, MAX_PROMOTED_PER_INSERT, MAX_PROTECTED_STEPS,
    MIN_FREQUENCY_LEAD, USES_PER_READ,
};
use crate::slot_meta::{Region, SlotMeta, Stage};

/// What one search for a victim works with: the shared state, and what the calling thread has of it.
#[derive(Debug)]
pub(crate) struct Eviction<'a, E> {
    pub(super) policy: &'a Policy,
    pub(super) entries: &'a E,
    pub(super) cursor: &'a EvictionCursor,
    pub(super) history: &'a History,
    delta: &'a ProbationDelta<'a>,
    /// The time in misses, when the search began.
    now: u64,
}

impl Policy {
    /// A search among `entries`, for an operation that has changed probation by `delta`.
    #[inline]
    pub(crate) fn eviction<'a, E: Entries>(
        &'a self,
        entries: &'a E,
        (cursor, history): (&'a EvictionCursor, &'a History),
        delta: &'a ProbationDelta<'a>,
    ) -> Eviction<'a, E> {
        let now = self.now(cursor);
        Eviction { policy: self, entries, cursor, history, delta, now }
    }
}

impl Policy {
    /// Whether the candidate makes room, where nothing else has to be looked at to say so, and entries do not differ in
    /// worth: probation has enough, it was not read, and the last entry that won over one wins over it, too. Goes on to the
    /// next one then.
    #[inline(always)]
    pub(crate) fn gives_way(
        &self,
        (history, cursor): (&History, &EvictionCursor),
        (meta, recent_uses): (SlotMeta, RecentUses),
        fill: Fill,
    ) -> bool {
        let charge = not_negative(self.probation_charge.get());
        if charge == 0 || (charge as f64) < self.target(fill) || meta.count() > 0 {
            return false;
        }
        let goes = cursor.incumbent.is_better(history.periods.count(recent_uses, self.now(cursor)));
        if goes {
            cursor.probation.step();
        }
        goes
    }
}

impl<E: Entries> Eviction<'_, E> {
    /// While there is [room](Fill::has_room): promotes what probation holds beyond its target. That is what keeps a
    /// stable part of a loop that is longer than the cache.
    #[inline(never)]
    pub(crate) fn promote_overflow(&self, fill: Fill) {
        for _ in 0..MAX_PROMOTED_PER_INSERT {
            if self.delta.probation_charge() as f64 <= self.policy.target(fill) {
                return;
            }
            let Some(slot) = self.candidate() else { return };
            self.cursor.probation.step();
            self.promote(slot);
        }
    }

    /// The entry that should make room. `None` if none was found within the steps that one insert may do.
    ///
    /// The caller unlinks the victim and then calls [`evicted`](Policy::evicted); if the victim is
    /// gone, or was replaced, it asks again.
    #[inline]
    pub(crate) fn victim(&self, fill: Fill) -> Option<E::Slot> {
        self.victim_from(None, fill)
    }

    /// The same where the next candidate is known, if it is given.
    #[inline]
    pub(crate) fn victim_from(&self, mut next: Option<E::Slot>, fill: Fill) -> Option<E::Slot> {
        let target = self.policy.target(fill);
        let mut seen = None;
        for _ in 0..MAX_PROBATION_STEPS {
            let charge = self.delta.probation_charge();
            let below = charge == 0 || (charge as f64) < target;
            if below && let Some(slot) = self.protected_victim() {
                self.cursor.protected.step();
                return Some(if self.policy.by_worth { self.less_worthy(slot) } else { slot });
            }
            let Some(slot) = next.take().or_else(|| self.candidate()) else { break };
            self.cursor.probation.step();
            seen = Some(slot);
            if let Some(victim) = self.judge(slot) {
                return Some(victim);
            }
        }
        seen.or_else(|| self.protected_victim())
    }

    /// The entry on probation that should make room for one for whose key no thread has asked: no protected entry
    /// goes for that. `None` if there is none that was not read.
    #[cold]
    pub(crate) fn probation_victim(&self) -> Option<E::Slot> {
        for _ in 0..MAX_PROBATION_STEPS {
            let slot = self.candidate()?;
            self.cursor.probation.step();
            if self.entries.expired(slot) || self.entries.reads(slot) == 0 {
                return Some(slot);
            }
            self.promote_read(slot);
        }
        None
    }

    /// The entry on probation that was inserted first, as far as is known.
    #[inline(always)]
    fn candidate(&self) -> Option<E::Slot> {
        let met = self.cursor.probation.current(self.entries, Region::Probation);
        if met.is_some() { met } else { self.next_candidate() }
    }

    #[inline(never)]
    fn next_candidate(&self) -> Option<E::Slot> {
        let (hand, range) = (&self.policy.probation_hand, &self.cursor.probation);
        let (entries, fifo, now) = (self.entries, &self.history.fifo, self.now);
        // Entries that the FIFO has lost are found by the hand alone, so it has its turn although there are others.
        let on_probation =
            || self.delta.probation_charge() / self.policy.typical_charge.get().max(1);
        if self.cursor.is_turn_of_hand() || fifo.are_fewer_than(on_probation()) {
            hand.scan_part(entries, Region::Probation, range, now, fifo.positions_per_turn());
            let slot = range.current(entries, Region::Probation);
            if slot.is_some() {
                return slot;
            }
        }
        for _ in 0..MAX_BATCHES {
            range.set_ahead(fingerprint::MASK, fifo.take(&self.cursor.local_batch, now));
            let slot = range.current(entries, Region::Probation);
            if slot.is_some() {
                return slot;
            }
        }
        hand.find_next(entries, Region::Probation, range, now)
    }

    /// What becomes of a candidate; the victim, if one goes now.
    #[inline]
    fn judge(&self, slot: E::Slot) -> Option<E::Slot> {
        // No thread reads what has expired, whatever it was worth.
        if self.entries.expired(slot) {
            return Some(slot);
        }
        if self.policy.by_worth {
            return self.judge_by_worth(slot);
        }
        // One that was read on probation is not compared with others: most are not read there.
        if self.entries.reads(slot) > 0 {
            return self.promote_read(slot);
        }
        let candidate = self.frequency(slot);
        // Before the other entry is looked at: that is a cache miss, and its answer is the same for a few candidates.
        if self.cursor.incumbent.is_better(candidate) {
            return Some(slot);
        }
        let Some(other) = self.protected_victim() else {
            return Some(slot);
        };
        // It has a count only if all that the hand came to have one.
        let reads = u64::from(self.entries.meta(other).count());
        let incumbent = self.frequency(other) + USES_PER_READ * reads;
        if self.entries.expired(other) || candidate > incumbent {
            self.cursor.protected.step();
            // If the candidate was used meanwhile it stays where it is, and the other one does, too.
            return self.promote(slot).then_some(other);
        }
        if incumbent >= candidate + MIN_FREQUENCY_LEAD {
            // Or it would win over every candidate until its count is halved.
            self.cursor.protected.step();
        } else {
            self.cursor.incumbent.won(incumbent);
        }
        Some(slot)
    }

    /// The entry that the protected hand would evict. It passes those that were read, and takes one off their counts;
    /// it stays at the one that it returns.
    #[inline]
    pub(super) fn protected_victim(&self) -> Option<E::Slot> {
        let mut seen = None;
        for _ in 0..MAX_PROTECTED_STEPS {
            let Some(slot) = self.protected_entry() else { break };
            let meta = self.entries.meta(slot);
            if meta.count() == 0
                || self.entries.expired(slot)
                || self.policy.by_worth && self.is_worth_nothing(slot)
            {
                self.cursor.incumbent.observe(true);
                return Some(slot);
            }
            self.cursor.protected.step();
            if self.entries.mark(slot, SlotMeta::new(Stage::Protected, meta.count() - 1)) {
                self.add_use(slot);
            }
            seen = Some(slot);
        }
        self.cursor.incumbent.observe(false);
        seen
    }

    /// The entry at the protected hand, read or not.
    #[inline(always)]
    pub(super) fn protected_entry(&self) -> Option<E::Slot> {
        let range = &self.cursor.protected;
        self.policy.protected_hand.current(self.entries, Region::Protected, range, self.now)
    }

    /// Promotes an entry that was read since it was inserted, which counts as a use of its key. No entry makes room.
    #[inline]
    pub(super) fn promote_read(&self, slot: E::Slot) -> Option<E::Slot> {
        if self.promote(slot) {
            self.add_use(slot);
        }
        None
    }

    /// Moves an entry from probation to the protected part, with a new count.
    #[inline]
    pub(super) fn promote(&self, slot: E::Slot) -> bool {
        let promoted = self.entries.mark(slot, SlotMeta::new(Stage::Protected, 0));
        if promoted {
            self.delta.subtract(self.entries.take_probation_charge(slot));
        }
        promoted
    }

    /// How often the key of an entry was used lately.
    #[inline]
    pub(super) fn frequency(&self, slot: E::Slot) -> u64 {
        self.history.periods.count(self.entries.recent_uses(slot), self.now)
    }

    #[inline]
    fn add_use(&self, slot: E::Slot) {
        let uses = self.history.periods.add_use(self.entries.recent_uses(slot), self.now);
        self.entries.set_recent_uses(slot, uses);
    }
}

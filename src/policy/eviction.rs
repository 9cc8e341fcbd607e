//! The rules.

use super::History;
use super::cursor::EvictionCursor;
use super::entries::Entries;
use super::ghosts::EvictedFrom;
use super::hand::Hand;
use super::probation_delta::{ProbationDelta, not_negative};
use super::probation_fifo::FINGERPRINT_MASK;
use super::recent_uses::RecentUses;
use super::worth::Worth;
use crate::slot_meta::{Region, SlotMeta, Stage};
use crate::sync::{AtomicU64, CachePadded, Relaxed, seeded};

/// Probation's target: at the start and at least, and at most, as parts of the capacity.
const MIN_PROBATION_FRACTION: f64 = 0.01;
const MAX_PROBATION_FRACTION: f64 = 0.80;
/// How much longer than a ghost's key was not asked for an entry of the protected part must have been
/// unread.
const MIN_AGE_RATIO: f64 = 1.7;
/// Entries that a hand looks at for one victim. Where all were read since it came by last, the last
/// one goes by force.
const MAX_PROBATION_STEPS: usize = 24;
const MAX_PROTECTED_STEPS: usize = 10;
/// How much oftener the entry at the protected hand must have been heard of than the one that challenges
/// it, for the hand to go on to the next.
pub(super) const MIN_FREQUENCY_LEAD: u64 = 5;
/// How much more an entry at the protected hand must save for each unit of weight, asked for no more often, for one that
/// was read not to be promoted.
pub(super) const MIN_WORTH_RATIO: u64 = 2;
/// Batches of arrivals that are taken for one victim.
const MAX_BATCHES: usize = 4;
/// Entries that are promoted for one insert while there is room.
const MAX_PROMOTED_PER_INSERT: usize = 4;

/// How full the cache is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) capacity: u64,
    /// What is free in the pool.
    pub(crate) free: u64,
}

impl Fill {
    /// Whether nearly all of the capacity is free, as in a map that never evicts.
    #[inline]
    pub(crate) fn is_far_from_full(self) -> bool {
        self.free > self.capacity - self.capacity / 16
    }

    /// Whether there is room to speak of. With weights, an eviction leaves a little free as a rule.
    #[inline]
    pub(crate) fn has_room(self) -> bool {
        self.free > 0 && (self.free as f64) >= MIN_PROBATION_FRACTION * self.capacity as f64
    }
}

/// How an entry starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    pub(crate) meta: SlotMeta,
    pub(crate) recent_uses: RecentUses,
}

/// The state of the policy, apart from what it remembers of keys ([`History`]).
#[derive(Debug)]
pub(crate) struct Policy {
    /// Whether entries differ in weight, or a miss in cost.
    by_worth: bool,
    /// The misses that threads have reported.
    misses: CachePadded<Relaxed<AtomicU64>>,
    /// The charge of the entries on probation.
    pub(super) probation_charge: CachePadded<Relaxed<AtomicU64>>,
    /// How much of it there should be, as the bits of a float.
    target: CachePadded<Relaxed<AtomicU64>>,
    /// What a new entry weighs, as a moving average over those with which a batch of names was full.
    typical_charge: Relaxed<AtomicU64>,
    probation_hand: Hand,
    pub(super) protected_hand: Hand,
}

impl Policy {
    pub(crate) fn new(by_worth: bool) -> Self {
        let zero = || CachePadded::new(Relaxed::<AtomicU64>::new(0));
        Self {
            by_worth,
            misses: zero(),
            probation_charge: zero(),
            target: zero(),
            typical_charge: Relaxed::<AtomicU64>::new(1),
            probation_hand: Hand::new(),
            protected_hand: Hand::new(),
        }
    }

    /// The changes of one operation.
    #[inline]
    pub(crate) fn probation_delta<'p>(&'p self, cursor: &'p EvictionCursor) -> ProbationDelta<'p> {
        ProbationDelta::new(self, cursor)
    }

    /// Hears of a new key, and says how its entry starts.
    #[inline]
    pub(crate) fn admit(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        (hash, worth): (u64, impl Fn() -> Worth),
        fill: Fill,
    ) -> Admission {
        cursor.miss(&self.misses, history.report_interval);
        let now = self.now(cursor);
        // In a cache that is far from full nothing was evicted for long, or ever, and nothing will be for a while.
        let ghost = if fill.is_far_from_full() { None } else { history.ghosts.take(hash, now) };
        let Some(ghost) = ghost else {
            return Admission {
                meta: SlotMeta::NEW,
                recent_uses: history.periods.add_use(RecentUses::default(), now),
            };
        };
        let recent_uses = history.periods.add_use(ghost.recent_uses, now);
        let meta = match ghost.evicted_from {
            EvictedFrom::Near | EvictedFrom::Far
                if self.came_back_soon(ghost.absent + history.fifo.batch_age(), cursor, now)
                    && !(self.by_worth
                        && cursor.incumbent.worth().is_better_than(worth(), MIN_WORTH_RATIO)) =>
            {
                let near = ghost.evicted_from == EvictedFrom::Near;
                if near {
                    self.move_target(self.target_step(), fill);
                }
                // Who was away for long is not asked for again at once: the hand passes by once.
                SlotMeta::new(Stage::Protected, u8::from(!near))
            }
            EvictedFrom::Protected => {
                self.move_target(-self.target_step(), fill);
                SlotMeta::NEW
            }
            EvictedFrom::Near | EvictedFrom::Far | EvictedFrom::TooLongAgo => SlotMeta::NEW,
        };
        Admission { meta, recent_uses }
    }

    /// How much an entry is used, beside others: by what its marks say, and then by how often its key
    /// was heard of before.
    pub(crate) fn usage_rank(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        recent_uses: RecentUses,
        meta: SlotMeta,
    ) -> u64 {
        let meta = u64::from(meta.is_protected()) << 2 | u64::from(meta.count());
        meta << 8 | history.periods.count(recent_uses, self.now(cursor))
    }

    /// Whether a key that left probation came back in much less time than the entry at the protected
    /// hand has not been read for, which is a round if the thread found it unread. Without this
    /// test, a loop a little longer than the cache makes every key that was turned away come back as a
    /// ghost, and probation eats the rest.
    #[inline]
    fn came_back_soon(&self, away: u64, cursor: &EvictionCursor, now: u64) -> bool {
        let away = away as f64;
        cursor.incumbent.is_unread() && MIN_AGE_RATIO * away < self.protected_hand.age(now) as f64
            || seeded("policy-no-age-test")
    }

    /// The time, counted in misses.
    #[inline]
    pub(super) fn now(&self, cursor: &EvictionCursor) -> u64 {
        self.misses.get().wrapping_add(cursor.unreported())
    }

    #[inline]
    fn record_charge(&self, charge: u64) {
        let typical_charge = self.typical_charge.get();
        if charge != typical_charge {
            // A sixteenth of the way, and at least one.
            let way = (charge.abs_diff(typical_charge) / 16).max(1);
            let moved =
                if charge > typical_charge { typical_charge + way } else { typical_charge - way };
            self.typical_charge.set(moved);
        }
    }

    /// By how much a ghost moves the target.
    #[inline]
    fn target_step(&self) -> f64 {
        self.typical_charge.get().max(1) as f64
    }

    #[inline]
    fn limits(fill: Fill) -> (f64, f64) {
        let capacity = fill.capacity as f64;
        ((MIN_PROBATION_FRACTION * capacity).max(1.0), (MAX_PROBATION_FRACTION * capacity).max(1.0))
    }

    /// How much charge there should be on probation.
    #[inline]
    pub(crate) fn target(&self, fill: Fill) -> f64 {
        let (least, most) = Self::limits(fill);
        f64::from_bits(self.target.get()).clamp(least, most)
    }

    fn move_target(&self, by: f64, fill: Fill) {
        let (least, most) = Self::limits(fill);
        self.target.set((self.target(fill) + by).clamp(least, most).to_bits());
    }

    /// While there is [room](Load::has_room): promotes what probation holds beyond its target. That is what keeps a
    /// stable part of a loop that is longer than the cache.
    #[inline(never)]
    pub(crate) fn promote_overflow<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        delta: &ProbationDelta<'_>,
        fill: Fill,
    ) {
        let now = self.now(cursor);
        for _ in 0..MAX_PROMOTED_PER_INSERT {
            if delta.probation_charge() as f64 <= self.target(fill) {
                return;
            }
            let Some(slot) = self.candidate(entries, cursor, history, delta, now) else {
                return;
            };
            cursor.probation.step();
            promote(entries, slot, delta);
        }
    }

    /// Who should make room. `None` if none was found within the steps that one insert may do.
    ///
    /// The caller unlinks the victim and then calls [`evicted`](Self::evicted); if the victim is
    /// gone, or was replaced, it asks again.
    #[inline]
    pub(crate) fn victim<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        delta: &ProbationDelta<'_>,
        fill: Fill,
    ) -> Option<E::Slot> {
        let now = self.now(cursor);
        let target = self.target(fill);
        let mut seen = None;
        for _ in 0..MAX_PROBATION_STEPS {
            let charge = delta.probation_charge();
            let below = charge == 0 || (charge as f64) < target;
            if below && let Some(slot) = self.protected_victim(entries, cursor, history, now) {
                cursor.protected.step();
                return Some(if self.by_worth {
                    self.less_worthy(entries, cursor, history, slot, now)
                } else {
                    slot
                });
            }
            let Some(slot) = self.candidate(entries, cursor, history, delta, now) else {
                break;
            };
            cursor.probation.step();
            seen = Some(slot);
            if let Some(victim) = self.judge(entries, cursor, history, delta, slot, now) {
                return Some(victim);
            }
        }
        seen.or_else(|| self.protected_victim(entries, cursor, history, now))
    }

    /// The entry on probation that came first, as far as is known.
    #[inline]
    fn candidate<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        delta: &ProbationDelta<'_>,
        now: u64,
    ) -> Option<E::Slot> {
        let met = cursor.probation.current(entries, Region::Probation);
        if met.is_some() { met } else { self.next_candidate(entries, cursor, history, delta, now) }
    }

    #[inline(never)]
    fn next_candidate<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        delta: &ProbationDelta<'_>,
        now: u64,
    ) -> Option<E::Slot> {
        let (hand, range) = (&self.probation_hand, &cursor.probation);
        if cursor.is_turn_of_hand()
            || history
                .fifo
                .are_fewer_than(delta.probation_charge() / self.typical_charge.get().max(1))
        {
            let positions = history.fifo.positions_per_turn();
            hand.scan_part(entries, Region::Probation, cursor, now, positions);
            let slot = range.current(entries, Region::Probation);
            if slot.is_some() {
                return slot;
            }
        }
        for _ in 0..MAX_BATCHES {
            range.set_ahead(FINGERPRINT_MASK, history.fifo.take(&cursor.local_batch, now));
            let slot = range.current(entries, Region::Probation);
            if slot.is_some() {
                return slot;
            }
        }
        hand.find_next(entries, Region::Probation, cursor, now)
    }

    /// Hears of a new entry that has come in. One that weighs nothing makes no room, and has no name.
    #[inline]
    pub(crate) fn record_insert(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        (hash, meta): (u64, SlotMeta),
        charge: u64,
    ) {
        if charge > 0
            && meta.is_on_probation()
            && history.fifo.add(&cursor.local_batch, hash, self.now(cursor))
        {
            self.record_charge(charge);
        }
    }

    /// What becomes of a candidate; the victim, if one goes now.
    #[inline]
    fn judge<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        delta: &ProbationDelta<'_>,
        slot: E::Slot,
        now: u64,
    ) -> Option<E::Slot> {
        let meta = entries.meta(slot);
        if entries.expired(slot) {
            return Some(slot);
        }
        if self.by_worth {
            return self.judge_by_worth(entries, cursor, history, delta, slot, now);
        }
        if meta.count() > 0 {
            return self.promote_read(entries, history, delta, slot, now);
        }
        let frequency = |slot| history.periods.count(entries.recent_uses(slot), now);
        let candidate = frequency(slot);
        if cursor.incumbent.is_better(candidate) {
            return Some(slot);
        }
        let Some(other) = self.protected_victim(entries, cursor, history, now) else {
            return Some(slot);
        };
        let sitting = frequency(other);
        if entries.expired(other) || candidate > sitting {
            cursor.protected.step();
            return promote(entries, slot, delta).then_some(other);
        }
        if sitting >= candidate + MIN_FREQUENCY_LEAD {
            // Or it would turn everybody away until its count is halved.
            cursor.protected.step();
        } else {
            cursor.incumbent.won(sitting);
        }
        Some(slot)
    }

    /// Promotes an entry that was read since it came in; its key is heard of. Nobody goes for it now.
    #[inline]
    pub(super) fn promote_read<E: Entries>(
        &self,
        entries: &E,
        history: &History,
        delta: &ProbationDelta<'_>,
        slot: E::Slot,
        now: u64,
    ) -> Option<E::Slot> {
        if promote(entries, slot, delta) {
            entries.set_recent_uses(slot, history.periods.add_use(entries.recent_uses(slot), now));
        }
        None
    }

    /// What is heard of a key of which this was heard, and that is asked for once more.
    pub(crate) fn used_again(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        recent_uses: RecentUses,
    ) -> RecentUses {
        history.periods.add_use(recent_uses, self.now(cursor))
    }

    /// How often a key was heard of lately.
    pub(crate) fn frequency(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        recent_uses: RecentUses,
    ) -> u64 {
        history.periods.count(recent_uses, self.now(cursor))
    }

    /// The entry that the protected hand would evict. It passes by those that were read, and takes
    /// one off their counts; it stays at the one that it returns.
    #[inline]
    pub(super) fn protected_victim<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        now: u64,
    ) -> Option<E::Slot> {
        let mut seen = None;
        for _ in 0..MAX_PROTECTED_STEPS {
            let Some(slot) = self.protected_hand.current(entries, Region::Protected, cursor, now)
            else {
                break;
            };
            let meta = entries.meta(slot);
            if meta.count() == 0
                || entries.expired(slot)
                || self.by_worth && self.is_worth_nothing(entries, cursor, history, slot, now)
            {
                cursor.incumbent.observe(true);
                return Some(slot);
            }
            cursor.protected.step();
            if entries.mark(slot, SlotMeta::new(Stage::Protected, meta.count() - 1)) {
                entries
                    .set_recent_uses(slot, history.periods.add_use(entries.recent_uses(slot), now));
            }
            seen = Some(slot);
        }
        cursor.incumbent.observe(false);
        seen
    }

    /// Remembers an entry that was evicted, by the bits that its slot had, and how often its key was heard of.
    #[inline]
    pub(crate) fn evicted(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        hash: u64,
        (meta, recent_uses): (SlotMeta, RecentUses),
    ) {
        let now = self.now(cursor);
        if let Some(region) = meta.region() {
            history.ghosts.put(region, hash, recent_uses, now);
            history.causes.forget(hash);
        }
    }

    /// The charge of the entries on probation: exact when no operation runs.
    pub(crate) fn probation_charge(&self) -> u64 {
        not_negative(self.probation_charge.get())
    }
}

/// Moves an entry from probation to the protected part, with a new count.
#[inline]
pub(super) fn promote<E: Entries>(entries: &E, slot: E::Slot, delta: &ProbationDelta<'_>) -> bool {
    let promoted = entries.mark(slot, SlotMeta::new(Stage::Protected, 0));
    if promoted {
        delta.subtract(entries.take_probation_charge(slot));
    }
    promoted
}

//! The state of the policy, and what it learns of keys that come and go.

use super::cursor::EvictionCursor;
use super::ghosts::{EvictedFrom, Ghost};
use super::hand::Hand;
use super::history::History;
use super::probation_delta::{ProbationChange, ProbationDelta, not_negative};
use super::recent_uses::RecentUses;
use super::tuning::{
    GIANT_PARTS, MAX_PROBATION_FRACTION, MIN_AGE_RATIO, MIN_PROBATION_FRACTION, MIN_WORTH_RATIO,
    TRIAL_PARTS,
};
use super::worth::Worth;
use crate::narrow::low8;
use crate::slot_meta::{SlotMeta, Stage};
use crate::sync::{AtomicU64, CachePadded, Relaxed, seeded};

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

    /// What an entry needs at most, besides what is free, that is not on trial.
    #[inline]
    pub(crate) fn trial_weight(self) -> u64 {
        self.capacity / TRIAL_PARTS
    }

    /// What an entry needs at most that is no giant.
    #[inline]
    pub(crate) fn giant_weight(self) -> u64 {
        self.capacity / GIANT_PARTS
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

impl Admission {
    /// Of an entry for whose key no thread has asked.
    pub(crate) const UNUSED: Self = Self { meta: SlotMeta::NEW, recent_uses: RecentUses::UNUSED };
}

/// How much charge there should be on probation, as the bits of a float, and the capacity within whose limits that was set:
/// where it is still the capacity, an eviction need not work the limits out again. Hints: where two threads set both at
/// the moment at which the capacity changes, the target may be outside of the limits until it is moved next.
#[derive(Debug, Default)]
pub(super) struct Target {
    bits: Relaxed<AtomicU64>,
    capacity: Relaxed<AtomicU64>,
}

/// The state of the policy, apart from what it remembers of keys ([`History`]).
#[derive(Debug)]
pub(crate) struct Policy {
    /// Whether entries differ in weight, or a miss in cost.
    pub(super) by_worth: bool,
    /// The misses that threads have reported.
    pub(super) misses: CachePadded<Relaxed<AtomicU64>>,
    /// The charge of the entries on probation.
    pub(super) probation_charge: CachePadded<Relaxed<AtomicU64>>,
    /// How much of it there should be.
    pub(super) target: CachePadded<Target>,
    /// What a new entry weighs, as a moving average over those with which a batch of fingerprints was full.
    pub(super) typical_charge: Relaxed<AtomicU64>,
    /// Prefetched entries that displaced others on probation although that was below its target.
    #[cfg(feature = "predict")]
    pub(super) displaced: Relaxed<AtomicU64>,
    pub(super) probation_hand: Hand,
    pub(super) protected_hand: Hand,
}

impl Policy {
    pub(crate) fn new(by_worth: bool, capacity: u64) -> Self {
        let zero = || CachePadded::new(Relaxed::<AtomicU64>::new(0));
        let policy = Self {
            by_worth,
            misses: zero(),
            probation_charge: zero(),
            target: CachePadded::default(),
            typical_charge: Relaxed::<AtomicU64>::new(1),
            #[cfg(feature = "predict")]
            displaced: Relaxed::<AtomicU64>::new(0),
            probation_hand: Hand::new(),
            protected_hand: Hand::new(),
        };
        policy.set_target(0.0, Fill { capacity, free: capacity });
        policy
    }

    /// The changes of one operation.
    #[inline]
    pub(crate) fn probation_delta<'p>(&'p self, cursor: &'p EvictionCursor) -> ProbationDelta<'p> {
        ProbationDelta::new(&self.probation_charge, cursor)
    }

    /// Applies what an operation has changed of probation.
    #[inline(always)]
    pub(crate) fn change_probation(&self, cursor: &EvictionCursor, change: ProbationChange) {
        if change.0 != 0 {
            self.probation_charge.add(change.0);
            cursor.add_on_probation(change.0);
        }
    }

    /// Learns of a new key, and says how its entry starts.
    #[inline(always)]
    pub(crate) fn admit(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        (hash, worth): (u64, impl Fn() -> Worth),
        fill: Fill,
    ) -> Admission {
        cursor.miss(&self.misses, history.report_interval);
        let now = self.now(cursor);
        // In a cache that is far from full nothing was evicted for long, or ever, and nothing will be for a while: unless
        // it held one entry of nearly the capacity, for which many had to go.
        let ghost = if fill.is_far_from_full() && !self.by_worth {
            None
        } else {
            history.ghosts.take(hash, now, &history.periods)
        };
        let Some(ghost) = ghost else {
            return Admission {
                meta: SlotMeta::NEW,
                recent_uses: history.periods.add_use(RecentUses::default(), now),
            };
        };
        self.readmit(history, cursor, (hash, &ghost, now, worth), fill)
    }

    /// The same of a key that comes back.
    #[inline(never)]
    fn readmit(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        (hash, ghost, now, worth): (u64, &Ghost, u64, impl Fn() -> Worth),
        fill: Fill,
    ) -> Admission {
        let recent_uses = history.periods.add_use(ghost.recent_uses, now);
        let away = ghost.absent + history.fifo.batch_age();
        if self.by_worth {
            self.note_return(cursor, (ghost, now, &worth), fill);
        }
        let meta = match ghost.evicted_from {
            EvictedFrom::Near | EvictedFrom::Far
                if self.came_back_soon(away, cursor, now) && !self.is_outdone(cursor, &worth) =>
            {
                let near = ghost.evicted_from == EvictedFrom::Near;
                if near {
                    self.move_target(self.target_step(), fill);
                }
                // Who was away for long is not asked for again at once: the hand passes by once.
                let is_spared = !near || !self.by_worth && self.hand_comes_within(hash, away, now);
                SlotMeta::new(Stage::Protected, u8::from(is_spared))
            }
            EvictedFrom::Protected => {
                self.move_target(-self.target_step(), fill);
                // It would win over the entry at the protected hand, too.
                let uses = history.periods.count(recent_uses, now);
                let wins = cursor.incumbent.is_used_less_than(uses);
                if wins { SlotMeta::new(Stage::Protected, 1) } else { SlotMeta::NEW }
            }
            EvictedFrom::Near | EvictedFrom::Far | EvictedFrom::TooLongAgo => SlotMeta::NEW,
        };
        Admission { meta, recent_uses }
    }

    /// Remembers one that came back, if it is light: no entry of its weight is on trial.
    fn note_return(
        &self,
        cursor: &EvictionCursor,
        (ghost, now, worth): (&Ghost, u64, &impl Fn() -> Worth),
        fill: Fill,
    ) {
        let key = worth();
        if ghost.evicted_from != EvictedFrom::TooLongAgo && key.weight <= fill.trial_weight() {
            cursor.light_returns.note(key, now);
        }
    }

    /// Whether a giant is worth less than those light ones that have lately come back, and would have its room.
    pub(crate) fn is_outdone_by_light(&self, cursor: &EvictionCursor, newcomer: Worth) -> bool {
        cursor.light_returns.outdo(newcomer, self.now(cursor))
    }

    /// Whether the last entry that won over a candidate is better by far than one that came back.
    #[inline]
    fn is_outdone(&self, cursor: &EvictionCursor, worth: &impl Fn() -> Worth) -> bool {
        self.by_worth && cursor.incumbent.worth().is_better_than(worth(), MIN_WORTH_RATIO)
    }

    /// How much an entry is used compared with others: by its metadata, and then by how often its key
    /// was used before.
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

    /// Whether the protected hand is so near to the place of a key that it comes there within this time. It would find an
    /// entry unread that has just come back, whatever it is worth, if the key is asked for again no sooner.
    #[inline]
    fn hand_comes_within(&self, hash: u64, time: u64, now: u64) -> bool {
        let hand = &self.protected_hand;
        let in_rounds = hand.distance_to(hash) as f64 / u64::MAX as f64;
        in_rounds * (hand.age(now) as f64) < time as f64 && !seeded("policy-hand-comes-at-once")
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
    pub(super) fn target_step(&self) -> f64 {
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
        let target = f64::from_bits(self.target.bits.get());
        if self.target.capacity.get() == fill.capacity {
            target
        } else {
            Self::within_limits(target, fill)
        }
    }

    #[cold]
    #[inline(never)]
    fn within_limits(target: f64, fill: Fill) -> f64 {
        let (least, most) = Self::limits(fill);
        target.clamp(least, most)
    }

    pub(super) fn set_target(&self, target: f64, fill: Fill) {
        // No capacity meanwhile: a thread that sleeps between the steps leaves none that does not fit.
        self.target.capacity.set(u64::MAX);
        self.target.bits.set(Self::within_limits(target, fill).to_bits());
        self.target.capacity.set(fill.capacity);
    }

    pub(super) fn move_target(&self, by: f64, fill: Fill) {
        self.set_target(self.target(fill) + by, fill);
    }

    /// Hears of a new entry. One that weighs nothing makes no room, and has no fingerprint.
    #[inline(always)]
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

    /// The recent uses of a key that is used once more.
    pub(crate) fn used_again(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        recent_uses: RecentUses,
    ) -> RecentUses {
        history.periods.add_use(recent_uses, self.now(cursor))
    }

    /// How often a key was used lately.
    pub(crate) fn frequency(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        recent_uses: RecentUses,
    ) -> u64 {
        history.periods.count(recent_uses, self.now(cursor))
    }

    /// Remembers an entry that was evicted, by the bits that its slot had, and how often its key was used.
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
            let count = low8(history.periods.count(recent_uses, now));
            history.ghosts.put(region, hash, count, now);
            history.causes.forget(hash);
        }
    }

    /// The charge of the entries on probation: exact when no operation runs.
    pub(crate) fn probation_charge(&self) -> u64 {
        not_negative(self.probation_charge.get())
    }
}

//! The rules.

use super::Memory;
use super::arrivals::KNOWN;
use super::face::Face;
use super::ghosts::Left;
use super::hand::Hand;
use super::heard::Heard;
use super::marks::{Marks, Region, Stage};
use super::rounds::Rounds;
use super::share::{Shift, not_negative};
use super::worth::Worth;
use crate::sync::{AtomicU64, CachePadded, Relaxed, seeded};

/// Probation's target: at the start and at least, and at most, as parts of the capacity.
const LEAST: f64 = 0.01;
const MOST: f64 = 0.80;
/// How much longer than a ghost's key was not asked for an entry of the protected part must have been
/// unread.
const LONGER: f64 = 1.7;
/// Entries that a hand looks at for one victim. Where all were read since it came by last, the last
/// one goes by force.
const PROBATION_STEPS: usize = 24;
const PROTECTED_STEPS: usize = 10;
/// How much oftener the entry at the protected hand must have been heard of than the one that challenges
/// it, for the hand to go on to the next.
pub(super) const KNOWN_BETTER: u64 = 5;
/// How much more an entry at the protected hand must save for each unit of weight, asked for no more often, for one that
/// was read not to be promoted.
pub(super) const FAR_MORE: u64 = 2;
/// Batches of arrivals that are taken for one victim.
const BATCHES: usize = 4;
/// Entries that are promoted for one insert while there is room.
const SPREAD_STEPS: usize = 4;

/// How full the cache is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) capacity: u64,
    /// What is free in the pool.
    pub(crate) free: u64,
}

impl Load {
    /// Whether nearly all of the capacity is free, as in a map that never evicts.
    #[inline]
    pub(crate) fn is_far_from_full(self) -> bool {
        self.free > self.capacity - self.capacity / 16
    }

    /// Whether there is room to speak of. With weights, an eviction leaves a little free as a rule.
    #[inline]
    pub(crate) fn has_room(self) -> bool {
        self.free > 0 && (self.free as f64) >= LEAST * self.capacity as f64
    }
}

/// How an entry starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) marks: Marks,
    pub(crate) heard: Heard,
}

/// The state of the policy, apart from what it remembers of keys ([`Memory`]).
#[derive(Debug)]
pub(crate) struct Policy {
    /// Whether entries differ in weight, or a miss in cost.
    by_worth: bool,
    /// The misses that threads have reported.
    misses: CachePadded<Relaxed<AtomicU64>>,
    /// The charge of the entries on probation.
    pub(super) probation: CachePadded<Relaxed<AtomicU64>>,
    /// How much of it there should be, as the bits of a float.
    target: CachePadded<Relaxed<AtomicU64>>,
    /// What a new entry weighs, as a moving average over those with which a batch of names was full.
    typical: Relaxed<AtomicU64>,
    probation_hand: Hand,
    pub(super) protected_hand: Hand,
}

impl Policy {
    pub(crate) fn new(by_worth: bool) -> Self {
        let zero = || CachePadded::new(Relaxed::<AtomicU64>::new(0));
        Self {
            by_worth,
            misses: zero(),
            probation: zero(),
            target: zero(),
            typical: Relaxed::<AtomicU64>::new(1),
            probation_hand: Hand::new(),
            protected_hand: Hand::new(),
        }
    }

    /// The changes of one operation.
    #[inline]
    pub(crate) fn shift<'p>(&'p self, rounds: &'p Rounds) -> Shift<'p> {
        Shift::new(self, rounds)
    }

    /// Hears of a new key, and says how its entry starts.
    #[inline]
    pub(crate) fn admit(
        &self,
        memory: &Memory,
        rounds: &Rounds,
        (hash, worth): (u64, impl Fn() -> Worth),
        load: Load,
    ) -> Start {
        rounds.miss(&self.misses, memory.pace);
        let now = self.now(rounds);
        // In a cache that is far from full nothing was evicted for long, or ever, and nothing will be for a while.
        let ghost = if load.is_far_from_full() { None } else { memory.ghosts.take(hash, now) };
        let Some(ghost) = ghost else {
            return Start { marks: Marks::NEW, heard: memory.periods.again(Heard::default(), now) };
        };
        let heard = memory.periods.again(ghost.heard, now);
        let marks = match ghost.left {
            Left::Near | Left::Far
                if self.came_back_soon(ghost.absent + memory.arrivals.waited(), rounds, now)
                    && !(self.by_worth
                        && rounds.sitter.worth().is_better_than(worth(), FAR_MORE)) =>
            {
                let near = ghost.left == Left::Near;
                if near {
                    self.aim(self.step(), load);
                }
                // Who was away for long is not asked for again at once: the hand passes by once.
                Marks::new(Stage::Protected, u8::from(!near))
            }
            Left::Protected => {
                self.aim(-self.step(), load);
                Marks::NEW
            }
            Left::Near | Left::Far | Left::Long => Marks::NEW,
        };
        Start { marks, heard }
    }

    /// How much an entry is used, beside others: by what its marks say, and then by how often its key
    /// was heard of before.
    pub(crate) fn warmth(&self, memory: &Memory, rounds: &Rounds, heard: Heard, bits: u8) -> u64 {
        let marks = Marks::from_bits(bits).map_or(0, |marks| {
            let protected = u64::from(marks.region() == Region::Protected);
            protected << 2 | u64::from(marks.count)
        });
        marks << 8 | memory.periods.count(heard, self.now(rounds))
    }

    /// Whether a key that left probation came back in much less time than the entry at the protected
    /// hand has not been read for, which is a round if the thread found it unread. Without this
    /// test, a loop a little longer than the cache makes every key that was turned away come back as a
    /// ghost, and probation eats the rest.
    #[inline]
    fn came_back_soon(&self, away: u64, rounds: &Rounds, now: u64) -> bool {
        let away = away as f64;
        rounds.sitter.is_unread() && LONGER * away < self.protected_hand.age(now) as f64
            || seeded("policy-no-age-test")
    }

    /// The time, counted in misses.
    #[inline]
    pub(super) fn now(&self, rounds: &Rounds) -> u64 {
        self.misses.get().wrapping_add(rounds.unreported())
    }

    #[inline]
    fn weigh(&self, charge: u64) {
        let typical = self.typical.get();
        if charge != typical {
            // A sixteenth of the way, and at least one.
            let way = (charge.abs_diff(typical) / 16).max(1);
            let moved = if charge > typical { typical + way } else { typical - way };
            self.typical.set(moved);
        }
    }

    /// By how much a ghost moves the target.
    #[inline]
    fn step(&self) -> f64 {
        self.typical.get().max(1) as f64
    }

    #[inline]
    fn limits(load: Load) -> (f64, f64) {
        let capacity = load.capacity as f64;
        ((LEAST * capacity).max(1.0), (MOST * capacity).max(1.0))
    }

    /// How much charge there should be on probation.
    #[inline]
    pub(crate) fn target(&self, load: Load) -> f64 {
        let (least, most) = Self::limits(load);
        f64::from_bits(self.target.get()).clamp(least, most)
    }

    fn aim(&self, by: f64, load: Load) {
        let (least, most) = Self::limits(load);
        self.target.set((self.target(load) + by).clamp(least, most).to_bits());
    }

    /// While there is [room](Load::has_room): promotes what probation holds beyond its target. That is what keeps a
    /// stable part of a loop that is longer than the cache.
    #[inline(never)]
    pub(crate) fn spread<F: Face>(
        &self,
        face: &F,
        rounds: &Rounds,
        memory: &Memory,
        shift: &Shift<'_>,
        load: Load,
    ) {
        let now = self.now(rounds);
        for _ in 0..SPREAD_STEPS {
            if shift.probation() as f64 <= self.target(load) {
                return;
            }
            let Some(slot) = self.candidate(face, rounds, memory, shift, now) else {
                return;
            };
            rounds.probation.step();
            promote(face, slot, shift);
        }
    }

    /// Who should make room. `None` if none was found within the steps that one insert may do.
    ///
    /// The caller unlinks the victim and then calls [`evicted`](Self::evicted); if the victim is
    /// gone, or was replaced, it asks again.
    #[inline]
    pub(crate) fn victim<F: Face>(
        &self,
        face: &F,
        rounds: &Rounds,
        memory: &Memory,
        shift: &Shift<'_>,
        load: Load,
    ) -> Option<F::Slot> {
        let now = self.now(rounds);
        let target = self.target(load);
        let mut seen = None;
        for _ in 0..PROBATION_STEPS {
            let share = shift.probation();
            let below = share == 0 || (share as f64) < target;
            if below && let Some(slot) = self.protected_victim(face, rounds, memory, now) {
                rounds.protected.step();
                return Some(if self.by_worth {
                    self.lesser(face, rounds, memory, slot, now)
                } else {
                    slot
                });
            }
            let Some(slot) = self.candidate(face, rounds, memory, shift, now) else {
                break;
            };
            rounds.probation.step();
            seen = Some(slot);
            if let Some(victim) = self.judge(face, rounds, memory, shift, slot, now) {
                return Some(victim);
            }
        }
        seen.or_else(|| self.protected_victim(face, rounds, memory, now))
    }

    /// The entry on probation that came first, as far as is known.
    #[inline]
    fn candidate<F: Face>(
        &self,
        face: &F,
        rounds: &Rounds,
        memory: &Memory,
        shift: &Shift<'_>,
        now: u64,
    ) -> Option<F::Slot> {
        let met = rounds.probation.meet(face, Region::Probation);
        if met.is_some() { met } else { self.next_candidate(face, rounds, memory, shift, now) }
    }

    #[inline(never)]
    fn next_candidate<F: Face>(
        &self,
        face: &F,
        rounds: &Rounds,
        memory: &Memory,
        shift: &Shift<'_>,
        now: u64,
    ) -> Option<F::Slot> {
        let (hand, stretch) = (&self.probation_hand, &rounds.probation);
        if rounds.is_turn_of_hand()
            || memory.arrivals.are_few(shift.probation() / self.typical.get().max(1))
        {
            let places = memory.arrivals.places_per_turn();
            hand.survey_part(face, Region::Probation, rounds, now, places);
            let slot = stretch.meet(face, Region::Probation);
            if slot.is_some() {
                return slot;
            }
        }
        for _ in 0..BATCHES {
            stretch.see(KNOWN, memory.arrivals.take(&rounds.collected, now));
            let slot = stretch.meet(face, Region::Probation);
            if slot.is_some() {
                return slot;
            }
        }
        hand.go_on(face, Region::Probation, rounds, now)
    }

    /// Hears of a new entry that has come in. One that weighs nothing makes no room, and has no name.
    #[inline]
    pub(crate) fn arrived(
        &self,
        memory: &Memory,
        rounds: &Rounds,
        (hash, bits): (u64, u8),
        charge: u64,
    ) {
        let marks = Marks::from_bits(bits);
        if charge > 0
            && marks.is_some_and(|marks| marks.region() == Region::Probation)
            && memory.arrivals.add(&rounds.collected, hash, self.now(rounds))
        {
            self.weigh(charge);
        }
    }

    /// What becomes of a candidate; the victim, if one goes now.
    #[inline]
    fn judge<F: Face>(
        &self,
        face: &F,
        rounds: &Rounds,
        memory: &Memory,
        shift: &Shift<'_>,
        slot: F::Slot,
        now: u64,
    ) -> Option<F::Slot> {
        let marks = face.marks(slot);
        if face.expired(slot) {
            return Some(slot);
        }
        if self.by_worth {
            return self.judge_by_worth(face, rounds, memory, shift, slot, now);
        }
        if marks.count > 0 {
            return self.promote_read(face, memory, shift, slot, now);
        }
        let known = |slot| memory.periods.count(face.heard(slot), now);
        let candidate = known(slot);
        if rounds.sitter.is_better(candidate) {
            return Some(slot);
        }
        let Some(other) = self.protected_victim(face, rounds, memory, now) else {
            return Some(slot);
        };
        let sitting = known(other);
        if face.expired(other) || candidate > sitting {
            rounds.protected.step();
            return promote(face, slot, shift).then_some(other);
        }
        if sitting >= candidate + KNOWN_BETTER {
            // Or it would turn everybody away until its count is halved.
            rounds.protected.step();
        } else {
            rounds.sitter.stays(sitting);
        }
        Some(slot)
    }

    /// Promotes an entry that was read since it came in; its key is heard of. Nobody goes for it now.
    #[inline]
    pub(super) fn promote_read<F: Face>(
        &self,
        face: &F,
        memory: &Memory,
        shift: &Shift<'_>,
        slot: F::Slot,
        now: u64,
    ) -> Option<F::Slot> {
        if promote(face, slot, shift) {
            face.hear(slot, memory.periods.again(face.heard(slot), now));
        }
        None
    }

    /// What is heard of a key of which this was heard, and that is asked for once more.
    pub(crate) fn heard_again(&self, memory: &Memory, rounds: &Rounds, heard: Heard) -> Heard {
        memory.periods.again(heard, self.now(rounds))
    }

    /// How often a key was heard of lately.
    pub(crate) fn frequency(&self, memory: &Memory, rounds: &Rounds, heard: Heard) -> u64 {
        memory.periods.count(heard, self.now(rounds))
    }

    /// The entry that the protected hand would evict. It passes by those that were read, and takes
    /// one off their counts; it stays at the one that it returns.
    #[inline]
    pub(super) fn protected_victim<F: Face>(
        &self,
        face: &F,
        rounds: &Rounds,
        memory: &Memory,
        now: u64,
    ) -> Option<F::Slot> {
        let mut seen = None;
        for _ in 0..PROTECTED_STEPS {
            let Some(slot) = self.protected_hand.meet(face, Region::Protected, rounds, now) else {
                break;
            };
            let marks = face.marks(slot);
            if marks.count == 0
                || face.expired(slot)
                || self.by_worth && self.is_worth_nothing(face, rounds, memory, slot, now)
            {
                rounds.sitter.found(true);
                return Some(slot);
            }
            rounds.protected.step();
            if face.mark(slot, Marks::new(Stage::Protected, marks.count - 1)) {
                face.hear(slot, memory.periods.again(face.heard(slot), now));
            }
            seen = Some(slot);
        }
        rounds.sitter.found(false);
        seen
    }

    /// Remembers an entry that was evicted, by the bits that its slot had, and how often its key was heard of.
    #[inline]
    pub(crate) fn evicted(
        &self,
        memory: &Memory,
        rounds: &Rounds,
        hash: u64,
        (bits, heard): (u8, Heard),
    ) {
        let now = self.now(rounds);
        if let Some(marks) = Marks::from_bits(bits) {
            memory.ghosts.put(marks.region(), hash, heard, now);
            memory.fates.forget(hash);
        }
    }

    /// The charge of the entries on probation: exact when no operation runs.
    pub(crate) fn probation(&self) -> u64 {
        not_negative(self.probation.get())
    }
}

/// Moves an entry from probation to the protected part, with a new count.
#[inline]
pub(super) fn promote<F: Face>(face: &F, slot: F::Slot, shift: &Shift<'_>) -> bool {
    let promoted = face.mark(slot, Marks::new(Stage::Protected, 0));
    if promoted {
        shift.lost(face.promoted(slot));
    }
    promoted
}

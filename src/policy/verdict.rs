//! The rules.

use super::Memory;
use super::face::{Face, Met};
use super::ghosts::Ghost;
use super::hand::Hand;
use super::marks::{Marks, Region, Stage};
use super::share::Shift;
use crate::sync::{AtomicU64, CachePadded, Relaxed, seeded};

/// Probation's target: at the start and at least, and at most, as parts of the capacity.
const LEAST: f64 = 0.01;
const MOST: f64 = 0.80;
/// What is added, in rounds of probation's hand, to the time since a ghost left, to tell how long its
/// key was not asked for.
const ROUNDS: f64 = 1.5;
/// Entries that a hand looks at for one victim. Where all were read since it came by last, the last
/// one goes by force.
const PROBATION_STEPS: usize = 24;
const PROTECTED_STEPS: usize = 10;
/// How much better the sketch must know the entry at the protected hand than the one that challenges
/// it, for the hand to go on to the next.
const KNOWN_BETTER: u64 = 6;
/// Entries that are promoted for one insert while there is room.
const SPREAD_STEPS: usize = 4;

/// How full the cache is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) capacity: u64,
    /// What is free in the pool.
    pub(crate) free: u64,
}

/// The state of the policy, apart from what it remembers of keys ([`Memory`]).
#[derive(Debug)]
pub(crate) struct Policy {
    /// Time, counted in misses.
    misses: CachePadded<Relaxed<AtomicU64>>,
    /// The charge of the entries on probation.
    pub(super) probation: CachePadded<Relaxed<AtomicU64>>,
    /// How much of it there should be, as the bits of a float.
    target: CachePadded<Relaxed<AtomicU64>>,
    /// What a new entry weighs, as a moving average.
    typical: Relaxed<AtomicU64>,
    probation_hand: Hand,
    protected_hand: Hand,
}

impl Policy {
    pub(crate) fn new() -> Self {
        let zero = || CachePadded::new(Relaxed::<AtomicU64>::new(0));
        Self {
            misses: zero(),
            probation: zero(),
            target: zero(),
            typical: Relaxed::<AtomicU64>::new(1),
            probation_hand: Hand::new(),
            protected_hand: Hand::new(),
        }
    }

    /// The changes of one operation.
    pub(crate) fn shift(&self) -> Shift<'_> {
        Shift::new(self)
    }

    /// Hears of a new key, and says where its entry starts.
    pub(crate) fn admit(&self, memory: &Memory, hash: u64, charge: u64, load: Load) -> Marks {
        let now = self.misses.add(1) + 1;
        self.weigh(charge);
        memory.sketch.hear(hash, now);
        let (b, p) = (memory.left_probation.count() as f64, memory.left_protected.count() as f64);
        let step = self.typical.get().max(1) as f64;
        if let Some(ghost) = memory.left_probation.find(hash, now)
            && self.came_back_soon(ghost.absent, now)
        {
            if ghost.lay() {
                self.aim(step * (p / b.max(1.0)).max(1.0), load);
            }
            return Marks::new(Stage::Protected, 0);
        }
        if memory.left_protected.find(hash, now).is_some_and(Ghost::lay) {
            self.aim(-step * (b / p.max(1.0)).max(1.0), load);
        }
        Marks::new(Stage::Young, 0)
    }

    /// Whether a key that left probation came back within the time that an entry of the protected
    /// part is kept. Without this test, a loop a little longer than the cache makes every key that
    /// was turned away come back as a ghost, and probation eats the rest.
    fn came_back_soon(&self, absent: u64, now: u64) -> bool {
        let away = absent as f64 + ROUNDS * self.probation_hand.age(now) as f64;
        away < self.protected_hand.age(now) as f64 || seeded("policy-no-age-test")
    }

    fn weigh(&self, charge: u64) {
        let typical = self.typical.get();
        if charge != typical {
            // A sixteenth of the way, and at least one.
            let way = (charge.abs_diff(typical) / 16).max(1);
            let moved = if charge > typical { typical + way } else { typical - way };
            self.typical.set(moved);
        }
    }

    fn limits(load: Load) -> (f64, f64) {
        let capacity = load.capacity as f64;
        ((LEAST * capacity).max(1.0), (MOST * capacity).max(1.0))
    }

    fn target(&self, load: Load) -> f64 {
        let (least, most) = Self::limits(load);
        f64::from_bits(self.target.get()).clamp(least, most)
    }

    fn aim(&self, by: f64, load: Load) {
        let (least, most) = Self::limits(load);
        self.target.set((self.target(load) + by).clamp(least, most).to_bits());
    }

    /// While there is room: promotes what probation holds beyond its target. That is what keeps a
    /// stable part of a loop that is longer than the cache.
    pub(crate) fn spread<F: Face>(&self, face: &F, shift: &Shift<'_>, load: Load) {
        // With weights, an eviction leaves a little free as a rule: that is no room to speak of.
        if (load.free as f64) < LEAST * load.capacity as f64 || load.free == 0 {
            return;
        }
        let now = self.misses.get();
        for _ in 0..SPREAD_STEPS {
            if shift.probation() as f64 <= self.target(load) {
                return;
            }
            let from = self.probation_hand.at();
            match face.meet(Region::Probation, from) {
                Ok(met) => {
                    if self.probation_hand.advance(from, met.next, now) {
                        promote(face, &met, shift);
                    }
                }
                Err(stopped) => {
                    self.probation_hand.advance(from, stopped, now);
                }
            }
        }
    }

    /// Who should make room. `None` if none was found within the steps that one insert may do.
    ///
    /// The caller unlinks the victim and then calls [`evicted`](Self::evicted); if the victim is
    /// gone, or was replaced, it asks again.
    pub(crate) fn victim<F: Face>(
        &self,
        face: &F,
        memory: &Memory,
        shift: &Shift<'_>,
        load: Load,
    ) -> Option<F::Slot> {
        let now = self.misses.get();
        let mut seen = None;
        for _ in 0..PROBATION_STEPS {
            let share = shift.probation();
            let below = share == 0 || (share as f64) < self.target(load);
            if below
                && let Some(met) = self.protected_victim(face, memory, now)
                && self.protected_hand.advance(met.at, met.next, now)
            {
                return Some(met.slot);
            }
            let from = self.probation_hand.at();
            let met = match face.meet(Region::Probation, from) {
                Ok(met) => met,
                Err(stopped) => {
                    self.probation_hand.advance(from, stopped, now);
                    continue;
                }
            };
            if !self.probation_hand.advance(from, met.next, now) {
                continue;
            }
            seen = Some(met.slot);
            if let Some(victim) = self.judge(face, memory, shift, &met, now) {
                return Some(victim);
            }
        }
        seen.or_else(|| self.protected_victim(face, memory, now).map(|met| met.slot))
    }

    /// What becomes of the entry that probation's hand has come to; the victim, if one goes now.
    fn judge<F: Face>(
        &self,
        face: &F,
        memory: &Memory,
        shift: &Shift<'_>,
        met: &Met<F::Slot>,
        now: u64,
    ) -> Option<F::Slot> {
        if face.expired(met.slot) {
            return Some(met.slot);
        }
        if met.marks.count > 0 {
            if promote(face, met, shift) {
                memory.sketch.hear(face.hash(met.slot), now);
            }
            return None;
        }
        if met.marks.stage == Stage::Young {
            face.mark(met, Marks::new(Stage::Old, 0));
            return None;
        }
        let Some(other) = self.protected_victim(face, memory, now) else { return Some(met.slot) };
        let known = |slot| memory.sketch.estimate(face.hash(slot), now);
        let (candidate, sitting) = (known(met.slot), known(other.slot));
        if face.expired(other.slot) || candidate > sitting {
            let claimed = self.protected_hand.advance(other.at, other.next, now);
            return (claimed && promote(face, met, shift)).then_some(other.slot);
        }
        if sitting >= candidate + KNOWN_BETTER {
            // Or it would turn everybody away until the sketch forgets it.
            self.protected_hand.advance(other.at, other.next, now);
        }
        Some(met.slot)
    }

    /// The entry that the protected hand would evict. It passes by those that were read, and takes
    /// one off their counts; it stays at the one that it returns.
    fn protected_victim<F: Face>(
        &self,
        face: &F,
        memory: &Memory,
        now: u64,
    ) -> Option<Met<F::Slot>> {
        let mut seen = None;
        for _ in 0..PROTECTED_STEPS {
            let from = self.protected_hand.at();
            let met = match face.meet(Region::Protected, from) {
                Ok(met) => met,
                Err(stopped) => {
                    self.protected_hand.advance(from, stopped, now);
                    continue;
                }
            };
            // The stretch without entries is behind the hand from now on.
            if met.at != from && !self.protected_hand.advance(from, met.at, now) {
                continue;
            }
            if met.marks.count == 0 || face.expired(met.slot) {
                return Some(met);
            }
            if self.protected_hand.advance(met.at, met.next, now)
                && face.mark(&met, Marks::new(Stage::Protected, met.marks.count - 1))
            {
                memory.sketch.hear(face.hash(met.slot), now);
            }
            seen = Some(met);
        }
        seen
    }

    /// Remembers an entry that was evicted, by the bits that its slot had.
    pub(crate) fn evicted(&self, memory: &Memory, hash: u64, bits: u8) {
        let now = self.misses.get();
        match Marks::from_bits(bits).map(Marks::region) {
            Some(Region::Probation) => memory.left_probation.put(hash, now),
            Some(Region::Protected) => memory.left_protected.put(hash, now),
            None => {}
        }
    }

    /// The charge of the entries on probation, when no operation runs.
    pub(crate) fn probation(&self) -> u64 {
        self.probation.get()
    }
}

/// Moves an entry from probation to the protected part, with a new count.
fn promote<F: Face>(face: &F, met: &Met<F::Slot>, shift: &Shift<'_>) -> bool {
    let promoted = face.mark(met, Marks::new(Stage::Protected, 0));
    if promoted {
        shift.promoted(face.charge(met.slot));
    }
    promoted
}

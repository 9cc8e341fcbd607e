//! Light keys that came back after they had been evicted.

use super::worth::Worth;
use crate::sync::{AtomicU64, AtomicUsize, Relaxed, seeded};

/// How many must have come back.
const RETURNS: usize = 8;

/// The light keys that a thread has lately brought back, where entries differ in worth. A giant takes the room of many
/// of them, and where one giant follows another none of them is there to be compared with. Words of one writer.
#[derive(Debug, Default)]
pub(super) struct LightReturns {
    /// When the last ones came back, and one more; zero if none did.
    times: [Relaxed<AtomicU64>; RETURNS],
    next: Relaxed<AtomicUsize>,
    /// What a miss of the last one costs, and what it weighs.
    cost: Relaxed<AtomicU64>,
    weight: Relaxed<AtomicU64>,
}

impl LightReturns {
    /// A light key came back.
    pub(super) fn note(&self, key: Worth, now: u64) {
        let next = self.next.get();
        self.times[next % RETURNS].set(now + 1);
        self.next.set((next + 1) % RETURNS);
        self.cost.set(key.cost);
        self.weight.set(key.weight);
    }

    /// Whether [so many](RETURNS) came back within as many misses as there is room for in the place of a newcomer, and
    /// one of them is worth more for each unit of weight if it is asked for as often.
    pub(super) fn outdo(&self, newcomer: Worth, now: u64) -> bool {
        let (oldest, weight) = (self.times[self.next.get() % RETURNS].get(), self.weight.get());
        let in_its_place = newcomer.weight / weight.max(1);
        let light = Worth { frequency: newcomer.frequency, cost: self.cost.get(), weight };
        let lately = oldest > 0 && (now + 1).saturating_sub(oldest) <= in_its_place;
        lately && light.exceeds(newcomer, 1) && !seeded("policy-giants-only-displace")
    }
}

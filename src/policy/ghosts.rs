//! Who was evicted lately, and when.
//!
//! ```text
//!   31    16 15     0
//!   +-------+-------+
//!   | tag   | time  |   zero: nobody
//!   +-------+-------+
//! ```
//!
//! A set-associative table of words, sixteen to a set, so a look costs one cache miss. A newcomer
//! takes the place of the oldest in its set.

use crate::sync::{AtomicU32, AtomicUsize, CachePadded, Relaxed};

const WAYS: usize = 16;
/// Ghosts for each hundred entries of the cache.
const PERCENT: usize = 15;
/// Steps of the coarse time while as many misses happen as the cache has entries.
const STEPS: u64 = 256;
const TAG_SHIFT: u32 = 16;

/// The ghosts of one region.
#[derive(Debug)]
pub(super) struct Ghosts {
    sets: Box<[Set]>,
    /// How many ways of a set are used, so that there are as many ghosts as there should be.
    ways: usize,
    /// Misses in a step of the coarse time.
    step: u64,
    count: CachePadded<Relaxed<AtomicUsize>>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Set([Relaxed<AtomicU32>; WAYS]);

impl Ghosts {
    pub(super) fn new(entries: usize) -> Self {
        let wanted = (entries.div_ceil(100).saturating_mul(PERCENT))
            .min(entries.saturating_mul(PERCENT).div_ceil(100))
            .max(1);
        let sets = wanted.div_ceil(WAYS);
        let set = || Set(std::array::from_fn(|_| Relaxed::<AtomicU32>::new(0)));
        Self {
            sets: (0..sets).map(|_| set()).collect(),
            ways: wanted.div_ceil(sets),
            step: (entries as u64 / STEPS).max(1),
            count: CachePadded::new(Relaxed::<AtomicUsize>::new(0)),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    pub(super) fn count(&self) -> usize {
        // Threads that count at the same time as they overwrite may leave it off by a little, and
        // so for a moment below zero.
        self.count.get().min(self.sets.len() * self.ways)
    }

    /// Remembers that a key was evicted now.
    pub(super) fn put(&self, hash: u64, now: u64) {
        let set = self.set(hash);
        let time = self.coarse(now);
        let oldest = set
            .iter()
            .max_by_key(|word| match word.get() {
                0 => u32::MAX,
                bits => u32::from(time.wrapping_sub(bits as u16)),
            })
            .expect("a set has at least one way");
        if oldest.swap(tag(hash) << TAG_SHIFT | u32::from(time)) == 0 {
            self.count.add(1);
        }
    }

    /// Forgets a key; how long ago it was evicted, if it is remembered.
    pub(super) fn take(&self, hash: u64, now: u64) -> Option<u64> {
        let word = self.set(hash).iter().find(|word| word.get() >> TAG_SHIFT == tag(hash))?;
        let bits = word.get();
        if bits >> TAG_SHIFT != tag(hash) || !word.try_set(bits, 0) {
            return None;
        }
        self.count.sub(1);
        Some(u64::from(self.coarse(now).wrapping_sub(bits as u16)) * self.step)
    }

    fn set(&self, hash: u64) -> &[Relaxed<AtomicU32>] {
        let mixed = hash.wrapping_mul(0xa24b_aed4_963e_e407);
        let nth = (u128::from(mixed) * self.sets.len() as u128) >> 64;
        &self.sets[nth as usize].0[..self.ways]
    }

    fn coarse(&self, now: u64) -> u16 {
        (now / self.step) as u16
    }
}

/// Never zero, so that no ghost looks like nobody.
fn tag(hash: u64) -> u32 {
    (hash as u32 >> 8 & 0xffff).max(1)
}

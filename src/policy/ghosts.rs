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

/// A key that was evicted.
#[derive(Debug)]
pub(super) struct Ghost<'g> {
    ghosts: &'g Ghosts,
    word: &'g Relaxed<AtomicU32>,
    bits: u32,
    /// How long ago.
    pub(super) absent: u64,
}

impl Ghost<'_> {
    /// Forgets it; false if somebody else did, or put another one in its place.
    pub(super) fn lay(self) -> bool {
        let laid = self.word.try_set(self.bits, 0);
        if laid {
            self.ghosts.count.sub(1);
        }
        laid
    }
}

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
        let time = self.coarse(now);
        let age = |bits: u32| match bits {
            0 => u32::MAX - 1,
            bits if bits >> TAG_SHIFT == tag(hash) => u32::MAX,
            bits => u32::from(time.wrapping_sub(bits as u16)),
        };
        let oldest = self.set(hash).iter().max_by_key(|word| age(word.get()));
        let oldest = oldest.expect("a set has at least one way");
        if oldest.swap(tag(hash) << TAG_SHIFT | u32::from(time)) == 0 {
            self.count.add(1);
        }
    }

    /// A key that is remembered.
    pub(super) fn find(&self, hash: u64, now: u64) -> Option<Ghost<'_>> {
        let (word, bits) = self.set(hash).iter().find_map(|word| {
            let bits = word.get();
            (bits >> TAG_SHIFT == tag(hash)).then_some((word, bits))
        })?;
        let absent = u64::from(self.coarse(now).wrapping_sub(bits as u16)) * self.step;
        Some(Ghost { ghosts: self, word, bits, absent })
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

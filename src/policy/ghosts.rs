//! Who was evicted lately, from where, and when.
//!
//! ```text
//!   31    16 15     0
//!   +-------+-------+
//!   | tag   | time  |   zero: nobody
//!   +-------+-------+
//! ```
//!
//! A set-associative table of words. A set is one cache line: eight ways for those that left
//! probation, and eight for those that left the protected part. A newcomer takes the place of the
//! oldest of its half.

use super::marks::Region;
use super::scale::Scale;
use crate::sync::{AtomicU32, AtomicU64, CachePadded, Relaxed, prefetch};

const WAYS: usize = 8;
/// Ghosts of each region for each hundred entries of the cache.
const PERCENT: usize = 15;
/// Steps of the coarse time while as many misses happen as the cache has entries.
const STEPS: u64 = 256;
const TAG_SHIFT: u32 = 16;
const FULL_BITS: u32 = 16;
/// Sets of which the fill is the average.
const SAMPLES: u64 = 64;

#[derive(Debug)]
pub(super) struct Ghosts {
    sets: Box<[Set]>,
    /// How many ways of a half are used, so that there are as many ghosts as there should be.
    ways: usize,
    /// Misses in a step of the coarse time.
    step: Scale,
    /// How many ways are used in the sets that were written last, in 1/65,536 of all: a moving average,
    /// as an exact count would be one more word that all threads change.
    fill: CachePadded<[Relaxed<AtomicU64>; 2]>,
}

type Way = Relaxed<AtomicU32>;

#[derive(Debug)]
#[repr(align(64))]
struct Set([[Way; WAYS]; 2]);

/// A key that was evicted.
#[derive(Debug)]
pub(super) struct Ghost<'g> {
    word: &'g Way,
    bits: u32,
    /// How long ago.
    pub(super) absent: u64,
}

impl Ghost<'_> {
    /// Forgets it; false if somebody else did, or put another one in its place.
    #[inline]
    pub(super) fn lay(self) -> bool {
        self.word.try_set(self.bits, 0)
    }
}

#[inline]
fn half(region: Region) -> usize {
    match region {
        Region::Probation => 0,
        Region::Protected => 1,
    }
}

impl Ghosts {
    pub(super) fn new(entries: usize) -> Self {
        let wanted = (entries.div_ceil(100).saturating_mul(PERCENT))
            .min(entries.saturating_mul(PERCENT).div_ceil(100))
            .max(1);
        let sets = wanted.div_ceil(WAYS);
        let way = |_| Relaxed::<AtomicU32>::new(0);
        let set = || Set(std::array::from_fn(|_| std::array::from_fn(way)));
        Self {
            sets: (0..sets).map(|_| set()).collect(),
            ways: wanted.div_ceil(sets),
            step: Scale::new(entries as u64 / STEPS),
            fill: CachePadded::new(std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0))),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// How many ghosts of a region there are, roughly.
    #[inline]
    pub(super) fn count(&self, region: Region) -> usize {
        let all = (self.sets.len() * self.ways) as u64;
        ((all * self.fill[half(region)].get()) >> FULL_BITS) as usize
    }

    /// How many ghosts of `some` there are for one of `others`; one at least.
    #[inline]
    pub(super) fn ratio(&self, some: Region, others: Region) -> f64 {
        (self.count(some) as f64 / (self.count(others) as f64).max(1.0)).max(1.0)
    }

    /// Remembers that a key was evicted from a region now.
    #[inline]
    pub(super) fn put(&self, region: Region, hash: u64, now: u64) {
        let (time, tag) = (self.coarse(now), tag(hash));
        let ways = &self.set(hash)[half(region)][..self.ways];
        let (mut oldest, mut oldest_age, mut used) = (&ways[0], 0, 0);
        for way in ways {
            let bits = way.get();
            let age = match bits {
                0 => 1 << 17,
                bits if bits >> TAG_SHIFT == tag => 1 << 18,
                bits => u32::from(time.wrapping_sub(bits as u16)) + 1,
            };
            used += u64::from(bits != 0);
            if age > oldest_age {
                (oldest, oldest_age) = (way, age);
            }
        }
        // Two threads that write one set at a time lose a ghost.
        oldest.set(tag << TAG_SHIFT | u32::from(time));
        let fill = &self.fill[half(region)];
        let (before, seen) = (fill.get(), (used << FULL_BITS) / ways.len() as u64);
        let after = before - before / SAMPLES + seen / SAMPLES;
        if after != before {
            fill.set(after);
        }
    }

    /// A key that is remembered to have left a region.
    #[inline]
    pub(super) fn find(&self, region: Region, hash: u64, now: u64) -> Option<Ghost<'_>> {
        let tag = tag(hash);
        // All ways are looked at, used or not: a count that is known makes a short loop.
        let ways = &self.set(hash)[half(region)];
        let (word, bits) = ways
            .iter()
            .map(|word| (word, word.get()))
            .find(|&(_, bits)| bits >> TAG_SHIFT == tag)?;
        let absent = self.step.times(u64::from(self.coarse(now).wrapping_sub(bits as u16)));
        Some(Ghost { word, bits, absent })
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.set(hash));
    }

    #[inline]
    fn set(&self, hash: u64) -> &[[Way; WAYS]; 2] {
        let mixed = hash.wrapping_mul(0xa24b_aed4_963e_e407);
        let nth = (u128::from(mixed) * self.sets.len() as u128) >> 64;
        &self.sets[nth as usize].0
    }

    #[inline]
    fn coarse(&self, now: u64) -> u16 {
        self.step.steps(now) as u16
    }
}

/// Never zero, so that no ghost looks like nobody.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash as u32 >> 8 & 0xffff).max(1)
}

//! Who was evicted lately, from where, and when.
//!
//! ```text
//!            latest                                        oldest
//!   tags     | tag  | tag  | tag  | tag  |   | tag  | ... | tag  |    a tag of zero: nobody
//!   times    | time | time | time | time |   | time | ... | time |
//! ```
//!
//! A set-associative table. A set is one cache line: eight ways for those that left probation, and
//! eight for those that left the protected part, each half two words of tags and two of times. The
//! ways of a half are in the order in which they were filled: a newcomer comes in at the front, and those
//! before the first hole move on by one; if there is no hole, the last one drops out.

use super::marks::Region;
use super::scale::Scale;
use crate::sync::{AtomicU64, CachePadded, Relaxed, prefetch};

/// Words of tags in a half, and of times; and lanes in a word.
const WORDS: usize = 2;
const LANES: usize = 4;
const WAYS: usize = WORDS * LANES;
const LANE_BITS: u32 = u64::BITS / LANES as u32;
const LANE: u64 = (1 << LANE_BITS) - 1;
/// The lowest bit of each lane.
const ONES: u128 = u128::MAX / LANE as u128;
/// Ghosts of each region for each hundred entries of the cache.
const PERCENT: usize = 15;
/// Steps of the coarse time while as many misses happen as the cache has entries.
const STEPS: u64 = 256;
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

#[derive(Debug)]
#[repr(align(64))]
struct Set([Half; 2]);

/// The ghosts of one region in a set.
#[derive(Debug)]
struct Half {
    tags: [Relaxed<AtomicU64>; WORDS],
    times: [Relaxed<AtomicU64>; WORDS],
}

/// A key that was evicted.
#[derive(Debug)]
pub(super) struct Ghost<'g> {
    half: &'g Half,
    lane: usize,
    tag: u64,
    /// How long ago.
    pub(super) absent: u64,
}

impl Ghost<'_> {
    /// Forgets it; false if somebody else did, or others came into the set.
    #[inline]
    pub(super) fn lay(self) -> bool {
        let word = &self.half.tags[self.lane / LANES];
        let (bits, shift) = (word.get(), self.lane as u32 % LANES as u32 * LANE_BITS);
        bits >> shift & LANE == self.tag && word.try_set(bits, bits & !(LANE << shift))
    }
}

#[inline]
fn nth(region: Region) -> usize {
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
        Self {
            sets: (0..sets).map(|_| Set([Half::new(), Half::new()])).collect(),
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
        ((all * self.fill[nth(region)].get()) >> FULL_BITS) as usize
    }

    /// How many ghosts of `some` there are for one of `others`; one at least.
    #[inline]
    pub(super) fn ratio(&self, some: Region, others: Region) -> f64 {
        (self.count(some) as f64 / (self.count(others) as f64).max(1.0)).max(1.0)
    }

    /// Remembers that a key was evicted from a region now.
    #[inline]
    pub(super) fn put(&self, region: Region, hash: u64, now: u64) {
        let used = self.half(region, hash).put(tag(hash), self.coarse(now), self.ways);
        let fill = &self.fill[nth(region)];
        let full = 1 << FULL_BITS;
        let seen = if used == self.ways { full } else { (used as u64 * full) / self.ways as u64 };
        let before = fill.get();
        let after = before - before / SAMPLES + seen / SAMPLES;
        if after != before {
            fill.set(after);
        }
    }

    /// A key that is remembered to have left a region.
    #[inline]
    pub(super) fn find(&self, region: Region, hash: u64, now: u64) -> Option<Ghost<'_>> {
        let (half, tag) = (self.half(region, hash), tag(hash));
        // All ways are looked at, used or not.
        let (lane, time) = half.find(tag)?;
        let absent = self.step.times(u64::from(self.coarse(now).wrapping_sub(time)));
        Some(Ghost { half, lane, tag, absent })
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.set(hash));
    }

    #[inline]
    fn set(&self, hash: u64) -> &Set {
        let mixed = hash.wrapping_mul(0xa24b_aed4_963e_e407);
        let nth = (u128::from(mixed) * self.sets.len() as u128) >> 64;
        &self.sets[nth as usize]
    }

    #[inline]
    fn half(&self, region: Region, hash: u64) -> &Half {
        &self.set(hash).0[nth(region)]
    }

    #[inline]
    fn coarse(&self, now: u64) -> u16 {
        self.step.steps(now) as u16
    }
}

impl Half {
    fn new() -> Self {
        let words = || std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0));
        Self { tags: words(), times: words() }
    }

    /// Puts a ghost in front of the others, of which there are `ways` at most, and returns how many there
    /// were. Two threads that write one set at a time lose ghosts, or one gets the time of another.
    #[inline]
    fn put(&self, tag: u64, time: u16, ways: usize) -> usize {
        let tags = joined(&self.tags);
        let hole = first_zero(tags).unwrap_or(ways);
        let same = first_zero(tags ^ u128::from(tag) * ONES).unwrap_or(ways);
        let end = hole.min(same).min(ways - 1);
        let moved = u128::MAX >> (u128::BITS - LANE_BITS * (end as u32 + 1));
        let shift = |lanes: u128, first: u64| {
            lanes & !moved | (lanes << LANE_BITS | u128::from(first)) & moved
        };
        part(&self.tags, shift(tags, tag));
        part(&self.times, shift(joined(&self.times), u64::from(time)));
        if hole < ways { used(tags) } else { ways }
    }

    #[inline]
    fn find(&self, tag: u64) -> Option<(usize, u16)> {
        let lane = first_zero(joined(&self.tags) ^ u128::from(tag) * ONES)?;
        Some((lane, (joined(&self.times) >> (lane as u32 * LANE_BITS)) as u16))
    }
}

#[inline]
fn joined(words: &[Relaxed<AtomicU64>; WORDS]) -> u128 {
    u128::from(words[0].get()) | u128::from(words[1].get()) << u64::BITS
}

#[inline]
fn part(words: &[Relaxed<AtomicU64>; WORDS], lanes: u128) {
    words[0].set(lanes as u64);
    words[1].set((lanes >> u64::BITS) as u64);
}

/// The lowest lane that is zero.
#[inline]
fn first_zero(lanes: u128) -> Option<usize> {
    // A borrow goes up only from a lane that is zero, so the lowest one that is marked is.
    let zeros = lanes.wrapping_sub(ONES) & !lanes & (ONES << (LANE_BITS - 1));
    (zeros != 0).then(|| (zeros.trailing_zeros() / LANE_BITS) as usize)
}

/// How many lanes are not zero.
fn used(lanes: u128) -> usize {
    (0..WAYS).filter(|&nth| lanes >> (nth as u32 * LANE_BITS) & u128::from(LANE) != 0).count()
}

/// Never zero, so that no ghost looks like nobody.
#[inline]
fn tag(hash: u64) -> u64 {
    (hash >> 8 & LANE).max(1)
}

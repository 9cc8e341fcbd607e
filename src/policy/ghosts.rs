//! Who was evicted lately, from where, and when.
//!
//! ```text
//!            latest                                                         oldest
//!   tags     | tag  | tag  | tag  | tag  | ... | tag  | tag  |     a tag of zero: nobody
//!   times    | time | time | time | time | ... | time | time |
//! ```
//!
//! A set-associative table. A set is one cache line, four words of tags and four of times: thirteen ways
//! for those that left probation, and three for those that left the protected part. The ways of a
//! region are in the order in which they were filled: a newcomer comes in at the front, the others move on
//! by one, and the last one drops out.

use super::arrivals::KNOWN;
use super::marks::Region;
use super::scale::Scale;
use crate::sync::{AtomicU64, CachePadded, Relaxed, prefetch};

/// Words of tags in a set, and of times.
const WORDS: usize = 4;
const LANE_BITS: u32 = 16;
const LANE: u64 = (1 << LANE_BITS) - 1;
const ALL: u64 = u64::MAX;
/// The lowest bit of each lane, and the highest.
const ONES: u64 = u64::MAX / LANE;
const HIGHS: u64 = ONES << (LANE_BITS - 1);
/// The lanes of each word for those that left probation, who are remembered long enough to tell a new
/// working set that is nearly as large as the cache: thirteen.
const PROBATION: [u64; WORDS] = [ALL, ALL, ALL, LANE];
/// The three others, for those that left the protected part.
const PROTECTED: [u64; WORDS] = [0, 0, 0, !LANE];
const PROTECTED_WAYS: usize = 3;
/// Entries of the cache that one set is for: so there are 65 and 15 ghosts for each hundred.
const ENTRIES: usize = 20;
/// Steps of the coarse time while as many misses happen as the cache has entries.
const STEPS: u64 = 256;
/// The part of the capacity within which a ghost is near, in misses.
const NEAR: u64 = 5;
const FULL_BITS: u32 = 16;
/// Sets of which the fill is the average, and the part of those that are written which are looked at.
const SAMPLES: u64 = 16;
const SAMPLED: u64 = 8;

#[derive(Debug)]
pub(super) struct Ghosts {
    sets: Box<[Set]>,
    /// Misses in a step of the coarse time.
    step: Scale,
    /// How long ago a near ghost left at most: a little more probation would have kept it.
    near: u64,
    /// How many ways are used in the sets that were written last, in 1/65,536 of all: a moving average,
    /// as an exact count would be one more word that all threads change.
    fill: CachePadded<[Relaxed<AtomicU64>; 2]>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Set {
    tags: [Relaxed<AtomicU64>; WORDS],
    times: [Relaxed<AtomicU64>; WORDS],
}

/// Which lanes of a set a region's ghosts are in.
#[inline]
fn lanes(region: Region) -> &'static [u64; WORDS] {
    match region {
        Region::Probation => &PROBATION,
        Region::Protected => &PROTECTED,
    }
}

/// A key that was evicted.
#[derive(Debug)]
pub(super) struct Ghost<'g> {
    word: &'g Relaxed<AtomicU64>,
    bits: u64,
    lane: u64,
    /// How long ago.
    pub(super) absent: u64,
    pub(super) near: bool,
}

impl Ghost<'_> {
    /// Forgets it; false if somebody else did, or its set has changed.
    #[inline]
    pub(super) fn lay(self) -> bool {
        self.word.try_set(self.bits, self.bits & !self.lane)
    }
}

impl Ghosts {
    pub(super) fn new(entries: usize) -> Self {
        Self {
            sets: (0..entries.div_ceil(ENTRIES).max(1)).map(|_| Set::new()).collect(),
            step: Scale::new(entries as u64 / STEPS),
            near: entries as u64 / NEAR,
            fill: CachePadded::new(std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0))),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    #[inline]
    fn fill(&self, region: Region) -> &Relaxed<AtomicU64> {
        match region {
            Region::Probation => &self.fill[0],
            Region::Protected => &self.fill[1],
        }
    }

    /// How many ghosts of a region there are, roughly, if each had as many ways as the protected part.
    #[inline]
    pub(super) fn count(&self, region: Region) -> usize {
        let all = (self.sets.len() * PROTECTED_WAYS) as u64;
        ((all * self.fill(region).get()) >> FULL_BITS) as usize
    }

    /// How many ghosts of `some` there are for one of `others`, beside what there is place for; one
    /// at least.
    #[inline]
    pub(super) fn ratio(&self, some: Region, others: Region) -> f64 {
        (self.count(some) as f64 / (self.count(others) as f64).max(1.0)).max(1.0)
    }

    /// Remembers that a key was evicted from a region now.
    #[inline]
    pub(super) fn put(&self, region: Region, hash: u64, now: u64) {
        let (set, tag) = (self.set(hash), tag(hash));
        shift_in(&set.tags, region, tag);
        shift_in(&set.times, region, u64::from(self.coarse(now)));
        if tag % SAMPLED == 0 {
            let (fill, seen) = (self.fill(region), set.fill(lanes(region)));
            let before = fill.get();
            let after = before - before / SAMPLES + seen / SAMPLES;
            if after != before {
                fill.set(after);
            }
        }
    }

    /// A key that is remembered to have left a region.
    #[inline]
    pub(super) fn find(&self, region: Region, hash: u64, now: u64) -> Option<Ghost<'_>> {
        let (set, tag) = (self.set(hash), tag(hash));
        let (word, bits, shift, time) = set.find(region, tag)?;
        let absent = self.step.times(u64::from(self.coarse(now).wrapping_sub(time)));
        let near = absent <= self.near;
        Some(Ghost { word, bits, lane: LANE << shift, absent, near })
    }

    /// When a key was evicted last, from whatever region, if that is remembered.
    #[inline]
    pub(super) fn time(&self, hash: u64) -> Option<u16> {
        let (set, tag) = (self.set(hash), tag(hash));
        let alike = |word: &Relaxed<AtomicU64>| zeros(word.get() ^ (tag * ONES));
        if set.tags.iter().map(alike).fold(0, |all, word| all | word) == 0 {
            return None;
        }
        let time = |region| set.find(region, tag).map(|(.., time)| time);
        match (time(Region::Probation), time(Region::Protected)) {
            (Some(one), Some(other)) => Some(if is_later(one, other) { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    /// How long before `now` a time was.
    pub(super) fn since(&self, time: u16, now: u64) -> u64 {
        self.step.times(u64::from(self.coarse(now).wrapping_sub(time)))
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.set(hash));
    }

    #[inline]
    fn set(&self, hash: u64) -> &Set {
        let mixed = (hash & KNOWN).wrapping_mul(0xa24b_aed4_963e_e407);
        let nth = (u128::from(mixed) * self.sets.len() as u128) >> 64;
        &self.sets[nth as usize]
    }

    /// A time in steps.
    #[inline]
    pub(super) fn coarse(&self, now: u64) -> u16 {
        self.step.steps(now) as u16
    }
}

impl Set {
    fn new() -> Self {
        let words = || std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0));
        Self { tags: words(), times: words() }
    }

    /// A region's ghost with this tag: the word of its tag, what that is, how far up in it, and the time.
    #[inline]
    fn find(&self, region: Region, tag: u64) -> Option<(&Relaxed<AtomicU64>, u64, u32, u16)> {
        let alike = |nth: usize, lanes: u64| zeros(self.tags[nth].get() ^ (tag * ONES)) & lanes;
        let nth = match region {
            Region::Probation => {
                let all = [alike(0, ALL), alike(1, ALL), alike(2, ALL), alike(3, LANE)];
                if all == [0; WORDS] {
                    return None;
                }
                all.iter().position(|&alike| alike != 0)?
            }
            Region::Protected => WORDS - 1,
        };
        let word = &self.tags[nth];
        let bits = word.get();
        let found = zeros(bits ^ (tag * ONES)) & lanes(region)[nth];
        if found == 0 {
            return None;
        }
        let shift = found.trailing_zeros() / LANE_BITS * LANE_BITS;
        let time = (self.times[nth].get() >> shift) as u16;
        Some((word, bits, shift, time))
    }

    /// Which part of a region's ways is used, in 1/65,536.
    #[cold]
    fn fill(&self, lanes: &[u64; WORDS]) -> u64 {
        let (mut used, mut ways) = (0, 0);
        for (word, lanes) in self.tags.iter().zip(lanes) {
            let holes = zeros(word.get());
            ways += u64::from((HIGHS & lanes).count_ones());
            used += u64::from((HIGHS & lanes & !holes).count_ones());
        }
        (used << FULL_BITS) / ways
    }
}

/// Puts a lane in front of a region's others, which move on by one; the last one drops out. Two
/// threads that write one set at a time lose ghosts, or one gets another's time.
#[inline]
fn shift_in(words: &[Relaxed<AtomicU64>; WORDS], region: Region, first: u64) {
    let [front @ .., last] = words;
    let bits = last.get();
    match region {
        Region::Probation => {
            let mut first = first;
            for word in front {
                let bits = word.get();
                word.set(bits << LANE_BITS | first);
                first = bits >> (u64::BITS - LANE_BITS);
            }
            last.set(bits & !LANE | first);
        }
        Region::Protected => {
            last.set((bits & !LANE | first) << LANE_BITS | bits & LANE);
        }
    }
}

/// Whether a time is not before another, as far as times that come round again tell.
#[inline]
pub(super) fn is_later(time: u16, other: u16) -> bool {
    time.wrapping_sub(other) as i16 >= 0
}

/// The highest bit of each lane that is zero.
#[inline]
fn zeros(lanes: u64) -> u64 {
    // Adding all bits but the highest carries into the highest, unless the lane is zero, and never out of
    // the lane.
    !(((lanes & !HIGHS) + !HIGHS) | lanes) & HIGHS
}

/// Never zero, so that no ghost looks like nobody.
#[inline]
fn tag(hash: u64) -> u64 {
    (hash >> 8 & LANE).max(1)
}

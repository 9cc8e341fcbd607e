//! Which keys were evicted lately, from where, when, and how often the key had been used.
//!
//! ```text
//!   31         16 15       5     4       3     0
//!   +------------+----------+-----------+-------+
//!   | tag        | time     | PROTECTED | count |     no tag: vacant, with a time long before
//!   +------------+----------+-----------+-------+
//! ```
//!
//! A set-associative table of words. A set is one cache line of sixteen; a newcomer takes the place of the oldest, and what is
//! vacant looks older than any ghost is, so that one comparison finds both. A key that comes back takes its ghost out, and
//! has one as a rule. It may have two after the cache was nearly empty for a while, when nobody looks for ghosts, or after a
//! snapshot was restored over them: one of the two is found.
//!
//! One memory serves two ends. How often a key was used counts for as long as its ghost is there; the
//! region that it left says something only for a while, which is shorter for the protected part.
//!
//! Times come round again after as many misses as 32 times the capacity. Where that many keys make room, a ghost has
//! made room for another long before; where few do, an old ghost may look like a later one.

use super::fingerprint;
use super::recent_uses::{MAX_COUNT, Periods, RecentUses};
use super::scale::Scale;
use super::tuning::{
    ENTRIES_PER_GHOST_SET, FAR_CAPACITIES, GHOSTS_PER_STEP, LATE_TENTHS, MIN_GHOST_SETS,
    NEAR_HUNDREDTHS, STEPS_PER_CAPACITY, TINY,
};
use crate::narrow::{in_memory, low8, low16, low64};
use crate::slot_meta::Region;
use crate::sync::{AtomicU32, CacheLine, Relaxed, prefetch};

const TAG_SHIFT: u32 = 16;
const TIME_SHIFT: u32 = 5;
const TIME_MASK: u16 = (1 << (TAG_SHIFT - TIME_SHIFT)) - 1;
const PROTECTED: u32 = 1 << 4;
/// By how many steps a ghost may be later than now: threads count a few misses for themselves.
const AHEAD: u16 = 16;
/// How many steps before now a vacant word says, less than the most: so for as many steps more, in which its set gets
/// another ghost, it looks older than all others.
const VACANT_FOR: u16 = 512;
/// Ghosts in a set.
const WAYS: usize = 16;
/// For how many steps a ghost may have been away.
#[cfg(feature = "persist")]
const MAX_ABSENT: u16 = TIME_MASK - AHEAD;

type Word = Relaxed<AtomicU32>;

#[derive(Debug)]
pub(super) struct Ghosts {
    sets: Box<[Set]>,
    /// Misses in a step of the coarse time.
    step: Scale,
    near: u64,
    far: u64,
    late: u64,
}

#[derive(Debug)]
struct Set(CacheLine);

/// A key that was evicted.
#[derive(Debug)]
pub(super) struct Ghost {
    pub(super) recent_uses: RecentUses,
    /// How long ago.
    pub(super) absent: u64,
    pub(super) evicted_from: EvictedFrom,
}

/// From where a ghost left, as far as that still says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EvictedFrom {
    /// Probation, so lately that a little more of it would have kept the key.
    Near,
    /// Probation.
    Far,
    /// The protected part.
    Protected,
    /// Too long ago to tell.
    TooLongAgo,
}

impl Ghosts {
    pub(super) fn new(entries: usize) -> Self {
        let least = if entries < TINY { MIN_GHOST_SETS / 2 } else { MIN_GHOST_SETS };
        let sets = entries.div_ceil(ENTRIES_PER_GHOST_SET).max(least);
        let step = (entries / STEPS_PER_CAPACITY).max(sets * WAYS / GHOSTS_PER_STEP);
        let entries = entries as u64;
        Self {
            sets: (0..sets).map(|_| Set::new()).collect(),
            step: Scale::new(step as u64),
            near: entries.saturating_mul(NEAR_HUNDREDTHS) / 100,
            far: entries.saturating_mul(FAR_CAPACITIES),
            late: entries.saturating_mul(LATE_TENTHS) / 10,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// Remembers that a key was evicted from a region now, that had been used so often.
    #[inline]
    pub(super) fn put(&self, region: Region, hash: u64, count: u8, now: u64) {
        let (tag, time) = (tag(hash), self.coarse(now));
        let set = self.set(hash);
        // An entry that nobody has asked for came without a look at what was remembered of its key.
        let own = if count == 0 { set.find(tag) } else { None };
        let place = own.unwrap_or_else(|| set.oldest(time));
        place.set(word(tag, time, region == Region::Protected, count));
    }

    /// Takes out a key that is remembered.
    #[inline]
    pub(super) fn take(&self, hash: u64, now: u64, periods: &Periods) -> Option<Ghost> {
        let word = self.set(hash).find(tag(hash))?;
        let found = word.get();
        let time = self.coarse(now);
        word.set(vacant(time));
        let absent = self.step.times(u64::from(steps_between(time_of(found), time)));
        let evicted_from = match found & PROTECTED != 0 {
            true if absent <= self.late => EvictedFrom::Protected,
            false if absent <= self.near => EvictedFrom::Near,
            false if absent <= self.far => EvictedFrom::Far,
            _ => EvictedFrom::TooLongAgo,
        };
        let recent_uses =
            periods.of_count(low8(found.into()) & MAX_COUNT, now.saturating_sub(absent));
        Some(Ghost { recent_uses, absent, evicted_from })
    }

    /// When a key was evicted last, if that is remembered.
    #[inline]
    pub(super) fn time(&self, hash: u64) -> Option<GhostTime> {
        self.set(hash).find(tag(hash)).map(|word| time_of(word.get()))
    }

    /// How long before `now` a time was.
    pub(super) fn since(&self, time: GhostTime, now: u64) -> u64 {
        self.step.times(u64::from(steps_between(time, self.coarse(now))))
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.set(hash));
    }

    #[inline]
    fn set(&self, hash: u64) -> &Set {
        let mixed = (hash & fingerprint::MASK).wrapping_mul(0xa24b_aed4_963e_e407);
        let nth = low64((u128::from(mixed) * self.sets.len() as u128) >> 64);
        &self.sets[in_memory(nth)]
    }

    /// A time in steps.
    #[inline]
    pub(super) fn coarse(&self, now: u64) -> u16 {
        low16(self.step.steps(now))
    }
}

impl Set {
    fn new() -> Self {
        Self(CacheLine::new(vacant(0)))
    }

    #[inline]
    fn find(&self, tag: u16) -> Option<&Word> {
        self.0.find(tag)
    }

    /// Where a ghost is put now.
    #[inline]
    fn oldest(&self, time: u16) -> &Word {
        self.0.furthest_behind(time.wrapping_add(AHEAD) << TIME_SHIFT)
    }
}

/// When a ghost was evicted, in steps, as far as its word has room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GhostTime(u16);

impl GhostTime {
    /// Whether it is not after another time in steps, as far as times that come round again tell.
    #[inline]
    pub(super) fn is_until(self, other: u16) -> bool {
        (other.wrapping_sub(self.0) << TIME_SHIFT).cast_signed() >= 0
    }
}

#[inline]
fn word(tag: u16, time: u16, protected: bool, count: u8) -> u32 {
    let protected = if protected { PROTECTED } else { 0 };
    u32::from(tag) << TAG_SHIFT | u32::from(time << TIME_SHIFT) | protected | u32::from(count)
}

/// A word without a ghost.
#[inline]
fn vacant(time: u16) -> u32 {
    u32::from(time.wrapping_add(AHEAD + 1 + VACANT_FOR) << TIME_SHIFT)
}

#[inline]
fn time_of(word: u32) -> GhostTime {
    GhostTime(low16(word.into()) >> TIME_SHIFT)
}

/// Steps from one time to another; none if it is a little later.
#[inline]
fn steps_between(from: GhostTime, to: u16) -> u16 {
    (to.wrapping_sub(from.0).wrapping_add(AHEAD) & TIME_MASK).saturating_sub(AHEAD)
}

/// Never zero, so that no ghost looks vacant.
#[inline]
fn tag(hash: u64) -> u16 {
    low16(hash >> 16).max(1)
}

/// What a snapshot has of a key that was evicted.
#[cfg(feature = "persist")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct SavedGhost {
    pub(crate) tag: u16,
    pub(crate) protected: bool,
    /// How often it had been used when it was evicted.
    pub(crate) uses: u8,
    /// How long ago that was, in steps.
    pub(crate) absent: u32,
}

#[cfg(feature = "persist")]
impl Ghosts {
    /// How many sets there are.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The ghosts of a set.
    pub(super) fn saved(&self, set: usize, now: u64) -> Option<Vec<SavedGhost>> {
        let words = self.sets.get(set)?.0.values();
        let ghosts = words.filter(|word| word >> TAG_SHIFT != 0).map(|word| SavedGhost {
            tag: low16((word >> TAG_SHIFT).into()),
            protected: word & PROTECTED != 0,
            uses: low8(word.into()) & MAX_COUNT,
            absent: u32::from(steps_between(time_of(word), self.coarse(now))),
        });
        Some(ghosts.collect())
    }

    /// Puts a ghost back. One that left longer ago than is told apart is forgotten.
    pub(super) fn restore(&self, set: usize, ghost: &SavedGhost, now: u64) {
        let Some(set) = self.sets.get(set).filter(|_| ghost.tag != 0) else { return };
        let Some(absent) = u16::try_from(ghost.absent).ok().filter(|it| *it <= MAX_ABSENT) else {
            return;
        };
        let time = self.coarse(now).wrapping_sub(absent);
        let word = word(ghost.tag, time, ghost.protected, ghost.uses.min(MAX_COUNT));
        set.oldest(self.coarse(now)).set(word);
    }
}

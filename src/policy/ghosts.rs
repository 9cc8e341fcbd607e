//! Who was evicted lately, from where, when, and how often the key had been used.
//!
//! ```text
//!   63      48 47      40 39  33      32      31       0
//!   +---------+----------+------+-----------+-----------+
//!   | tag     | heard    |      | PROTECTED | time      |     zero: vacant
//!   +---------+----------+------+-----------+-----------+
//! ```
//!
//! A set-associative table of words. A set is one cache line of eight; a newcomer takes the place of the same
//! key's older ghost, or a vacant one, or that of the oldest. A key that comes back takes its ghost out.
//!
//! One memory serves two ends. How often a key was used counts for as long as its ghost is there; the
//! region that it left says something only for a while, which is shorter for the protected part.

use super::fingerprint;
use super::recent_uses::RecentUses;
use super::scale::Scale;
use super::tuning::{
    ENTRIES_PER_GHOST_SET, FAR_CAPACITIES, LATE_TENTHS, MIN_GHOST_SETS, NEAR_PART,
    STEPS_PER_CAPACITY,
};
use crate::narrow::{in_memory, low8, low16, low32, low64};
use crate::slot_meta::Region;
use crate::sync::{AtomicU64, Octet, Relaxed, prefetch};

const TAG_SHIFT: u32 = 48;
const RECENT_USES_SHIFT: u32 = 40;
const PROTECTED: u64 = 1 << 32;

type Word = Relaxed<AtomicU64>;

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
struct Set(Octet);

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
        let sets = entries.div_ceil(ENTRIES_PER_GHOST_SET).max(MIN_GHOST_SETS);
        let entries = entries as u64;
        Self {
            sets: (0..sets).map(|_| Set::new()).collect(),
            step: Scale::new(entries / STEPS_PER_CAPACITY),
            near: entries / NEAR_PART,
            far: entries.saturating_mul(FAR_CAPACITIES),
            late: entries.saturating_mul(LATE_TENTHS) / 10,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// Remembers that a key was evicted from a region now.
    #[inline]
    pub(super) fn put(&self, region: Region, hash: u64, recent_uses: RecentUses, now: u64) {
        let (tag, time) = (tag(hash), self.steps(now));
        let protected = if region == Region::Protected { PROTECTED } else { 0 };
        let recent_uses = u64::from(recent_uses.bits()) << RECENT_USES_SHIFT;
        let word = u64::from(tag) << TAG_SHIFT | recent_uses | protected | u64::from(time);
        self.set(hash).slot_for(tag, time).set(word);
    }

    /// Takes out a key that is remembered.
    #[inline]
    pub(super) fn take(&self, hash: u64, now: u64) -> Option<Ghost> {
        let word = self.set(hash).find(tag(hash))?;
        let found = word.get();
        word.set(0);
        let absent = self.step.times(u64::from(self.steps(now).wrapping_sub(low32(found))));
        let evicted_from = match found & PROTECTED != 0 {
            true if absent <= self.late => EvictedFrom::Protected,
            false if absent <= self.near => EvictedFrom::Near,
            false if absent <= self.far => EvictedFrom::Far,
            _ => EvictedFrom::TooLongAgo,
        };
        Some(Ghost {
            recent_uses: RecentUses::from_bits(low8(found >> RECENT_USES_SHIFT)),
            absent,
            evicted_from,
        })
    }

    /// When a key was evicted last, if that is remembered.
    #[inline]
    pub(super) fn time(&self, hash: u64) -> Option<u16> {
        self.set(hash).find(tag(hash)).map(|word| low16(word.get()))
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
        let mixed = (hash & fingerprint::MASK).wrapping_mul(0xa24b_aed4_963e_e407);
        let nth = (u128::from(mixed) * self.sets.len() as u128) >> 64;
        &self.sets[in_memory(low64(nth))]
    }

    #[inline]
    fn steps(&self, now: u64) -> u32 {
        low32(self.step.steps(now))
    }

    /// A time in steps.
    #[inline]
    pub(super) fn coarse(&self, now: u64) -> u16 {
        low16(self.steps(now).into())
    }
}

impl Set {
    fn new() -> Self {
        Self(Octet::new())
    }

    #[inline]
    fn find(&self, tag: u16) -> Option<&Word> {
        self.0.find(tag)
    }

    /// Where a ghost with this tag is put now. A vacant place looks as old as the cache.
    #[inline]
    fn slot_for(&self, tag: u16, time: u32) -> &Word {
        self.find(tag).unwrap_or_else(|| self.0.furthest_behind(time))
    }
}

/// Whether a time is not before another, as far as times that come round again tell.
#[inline]
pub(super) fn is_later(time: u16, other: u16) -> bool {
    time.wrapping_sub(other) as i16 >= 0
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
    pub(crate) uses: u8,
    /// How long ago, in steps.
    pub(crate) absent: u32,
}

#[cfg(feature = "persist")]
impl Ghosts {
    /// How many sets there are.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The ghosts of a set.
    pub(super) fn saved(
        &self,
        set: usize,
        uses: impl Fn(RecentUses) -> u8,
        now: u64,
    ) -> Option<Vec<SavedGhost>> {
        let words = self.sets.get(set)?.0.values();
        let ghosts = words.filter(|word| word >> TAG_SHIFT != 0).map(|word| SavedGhost {
            tag: (word >> TAG_SHIFT) as u16,
            protected: word & PROTECTED != 0,
            uses: uses(RecentUses::from_bits(low8(word >> RECENT_USES_SHIFT))),
            absent: self.steps(now).wrapping_sub(low32(word)),
        });
        Some(ghosts.collect())
    }

    /// Puts a ghost back, with what is heard of its key.
    pub(super) fn restore(
        &self,
        set: usize,
        ghost: &SavedGhost,
        recent_uses: RecentUses,
        now: u64,
    ) {
        let Some(set) = self.sets.get(set).filter(|_| ghost.tag != 0) else { return };
        let time = self.steps(now).wrapping_sub(ghost.absent);
        let protected = if ghost.protected { PROTECTED } else { 0 };
        let recent_uses = u64::from(recent_uses.bits()) << RECENT_USES_SHIFT;
        let word = u64::from(ghost.tag) << TAG_SHIFT | recent_uses | protected | u64::from(time);
        set.slot_for(ghost.tag, self.steps(now)).set(word);
    }
}

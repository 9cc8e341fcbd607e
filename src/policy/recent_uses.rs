//! How often a key was used lately.
//!
//! ```text
//!   7      4 3     0
//!   +--------+-------+
//!   | period | count |     halved once for each period that has passed
//!   +--------+-------+
//! ```
//!
//! An entry carries it while it is in the cache, and its ghost afterwards; a key that comes back goes on from
//! there. A use is counted when the key is inserted, when it is promoted, and when a hand takes one off its
//! count. Two threads that count at the same time may lose one of the counts.

use super::scale::Scale;
use super::tuning::CAPACITIES_PER_PERIOD;
use crate::narrow::low8;

pub(super) const MAX_COUNT: u8 = 0xf;
const PERIOD_BITS: u32 = 4;
const PERIOD_MASK: u8 = (1 << PERIOD_BITS) - 1;

/// A count up to fifteen, and the period in which it was counted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RecentUses(u8);

impl RecentUses {
    /// Of a key that no thread has asked for.
    pub(super) const UNUSED: Self = Self(0);

    #[inline]
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u8 {
        self.0
    }
}

/// The periods of a cache.
#[derive(Debug)]
pub(super) struct Periods(Scale);

impl Periods {
    pub(super) fn new(entries: usize) -> Self {
        Self(Scale::new(CAPACITIES_PER_PERIOD.saturating_mul(entries.max(1) as u64)))
    }

    /// The period at a time that is counted in misses.
    #[inline]
    fn at(&self, now: u64) -> u8 {
        low8(self.0.steps(now)) & PERIOD_MASK
    }

    /// What is left of the count at this time. Sixteen periods in which the key was not used look like
    /// none.
    #[inline]
    pub(super) fn count(&self, recent_uses: RecentUses, now: u64) -> u64 {
        let passed = self.at(now).wrapping_sub(recent_uses.0 >> PERIOD_BITS) & PERIOD_MASK;
        u64::from((recent_uses.0 & MAX_COUNT) >> passed.min(low8(PERIOD_BITS.into())))
    }

    /// So many uses, as of a time.
    #[inline]
    pub(super) fn of_count(&self, count: u8, now: u64) -> RecentUses {
        RecentUses(self.at(now) << PERIOD_BITS | count.min(MAX_COUNT))
    }

    /// The recent uses with one more.
    #[inline]
    pub(super) fn add_use(&self, recent_uses: RecentUses, now: u64) -> RecentUses {
        let count = (low8(self.count(recent_uses, now)) + 1).min(MAX_COUNT);
        RecentUses(self.at(now) << PERIOD_BITS | count)
    }
}

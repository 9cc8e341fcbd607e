//! A bucket's control word: the one word through which new keys come in.
//!
//! ```text
//!   63            32 31             4    3       2       1        0
//!   +---------------+----------------+-------+-------+--------+-----------+
//!   | version       | announced rank | READY | MOVED | FROZEN | OVERFLOWS |
//!   +---------------+----------------+-------+-------+--------+-----------+
//! ```
//!
//! | change | by | version |
//! |---|---|---|
//! | announce the claim at a rank | the claimer, from the word it read before it searched for the key | + 1 |
//! | clear the announcement | whoever is about to unlink what was announced | |
//! | clear OVERFLOWS | whoever took the last link off the chain | + 1 |
//! | set FROZEN, clear the announcement | a migrating writer, once the announced claim is visible | + 1 |
//! | set MOVED | a migrating writer, once both targets are complete | |
//! | set READY | a migrating writer, on a target that was zero | = 1 |
//!
//! The announced rank is stored plus one; zero is none.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Control(pub(super) u64);

const OVERFLOWS: u64 = 1;
const FROZEN: u64 = 1 << 1;
const MOVED: u64 = 1 << 2;
const READY: u64 = 1 << 3;
const RANK_SHIFT: u32 = 4;
const RANK_BITS: u32 = 28;
const RANK_MASK: u64 = ((1 << RANK_BITS) - 1) << RANK_SHIFT;
const VERSION_SHIFT: u32 = 32;
const _: () = assert!(RANK_SHIFT + RANK_BITS == VERSION_SHIFT);

impl Control {
    /// The highest rank that can be announced.
    pub(super) const MAX_RANK: usize = (1 << RANK_BITS) - 2;

    /// A target that was filled by a migration.
    #[inline]
    pub(super) fn ready(overflows: bool) -> Self {
        Self(1 << VERSION_SHIFT | READY | u64::from(overflows))
    }

    #[inline]
    pub(super) fn announced(self) -> Option<usize> {
        (((self.0 & RANK_MASK) >> RANK_SHIFT) as usize).checked_sub(1)
    }

    #[inline]
    pub(super) fn overflows(self) -> bool {
        self.0 & OVERFLOWS != 0
    }

    #[inline]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    #[inline]
    pub(super) fn is_moved(self) -> bool {
        self.0 & MOVED != 0
    }

    #[inline]
    fn next_version(self) -> u64 {
        self.0.wrapping_add(1 << VERSION_SHIFT) & !RANK_MASK
    }

    /// Announces the claim at `rank`.
    #[inline]
    pub(super) fn announcing(self, rank: usize, in_overflow: bool) -> Self {
        debug_assert!(rank <= Self::MAX_RANK);
        Self(self.next_version() | (rank as u64 + 1) << RANK_SHIFT | u64::from(in_overflow))
    }

    #[inline]
    pub(super) fn without_announcement(self) -> Self {
        Self(self.0 & !RANK_MASK)
    }

    #[inline]
    pub(super) fn without_overflow(self) -> Self {
        Self(self.next_version() & !OVERFLOWS)
    }

    #[inline]
    pub(super) fn freezing(self) -> Self {
        Self(self.next_version() | FROZEN)
    }

    #[inline]
    pub(super) fn moved(self) -> Self {
        Self(self.0 | MOVED)
    }

    /// Counts the keys that came in; wraps after 2^32.
    #[inline]
    pub(super) fn version(self) -> u32 {
        (self.0 >> VERSION_SHIFT) as u32
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("version", &self.version())
            .field("announced", &self.announced())
            .field("overflows", &self.overflows())
            .field("frozen", &self.is_frozen())
            .field("moved", &self.is_moved())
            .finish()
    }
}

//! A bucket's header word: the one word through which new keys are inserted.
//!
//! ```text
//!   63      38 37     35   34      33       32      31                 0
//!   +---------+---------+-------+--------+-----------+-------------------+
//!   | version | slot    | MOVED | FROZEN | OVERFLOWS | announced number  |
//!   +---------+---------+-------+--------+-----------+-------------------+
//! ```
//!
//! | change | by | version |
//! |---|---|---|
//! | announce an entry for a slot, or that was claimed in the chain | an insert, from the word it read before it searched for the key | + 1 |
//! | clear the announcement of an entry that has left | an insert that got its number | + 1 |
//! | clear OVERFLOWS and the announcement | the thread that took the last link off the chain, once what is announced is visible | + 1 |
//! | set FROZEN, clear the announcement | a migrating writer, once what is announced is visible | + 1 |
//! | set MOVED | a migrating writer, once both targets are complete | |
//! | fill | a migrating writer, a target that was zero | = 1 |
//!
//! The number zero is none. The last slot stands for the chain. An announcement stands at one version only: whether
//! its entry has been in the slot is told by the version at which the slot was vacated.

use std::fmt;

use super::group::SLOTS_PER_GROUP;
use crate::narrow::{in_memory, low32};
use crate::sync::seeded;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

const OVERFLOWS: u64 = 1 << 32;
const FROZEN: u64 = 1 << 33;
const MOVED: u64 = 1 << 34;
const SLOT_SHIFT: u32 = 35;
const ANNOUNCED: u64 = u32::MAX as u64 | 0b111 << SLOT_SHIFT;
const VERSION_SHIFT: u32 = 38;
const _: () = assert!(SLOTS_PER_GROUP < 1 << (VERSION_SHIFT - SLOT_SHIFT));

/// What a header word announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// Nothing.
    Nothing,
    /// An entry for a slot.
    InSlot(usize, u32),
    /// An entry that was claimed in the chain.
    InChain(u32),
}

impl Header {
    /// A target that was filled by a migration.
    #[inline]
    pub(super) fn ready(overflows: bool) -> Self {
        Self(1 << VERSION_SHIFT | if overflows { OVERFLOWS } else { 0 })
    }

    #[inline(always)]
    pub(super) fn announced(self) -> Announced {
        let (number, slot_index) = (low32(self.0), self.0 >> SLOT_SHIFT & 0b111);
        match in_memory(slot_index) {
            _ if number == 0 => Announced::Nothing,
            SLOTS_PER_GROUP => Announced::InChain(number),
            slot_index => Announced::InSlot(slot_index, number),
        }
    }

    /// Whether it announces this number, wherever.
    #[inline]
    pub(super) fn announces(self, number: u32) -> bool {
        low32(self.0) == number
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
        let announced = if seeded("table-announcement-stays") { 0 } else { ANNOUNCED };
        self.0.wrapping_add(1 << VERSION_SHIFT) & !announced
    }

    /// Announces an entry for a slot of the bucket's own.
    #[inline]
    pub(super) fn announcing(self, slot_index: usize, number: u32) -> Self {
        debug_assert!(slot_index < SLOTS_PER_GROUP);
        let announced = u64::from(number) | (slot_index as u64) << SLOT_SHIFT;
        Self(self.next_version() & !ANNOUNCED | announced)
    }

    /// Announces an entry that was claimed in the chain.
    pub(super) fn announcing_in_chain(self, number: u32) -> Self {
        let announced = u64::from(number) | (SLOTS_PER_GROUP as u64) << SLOT_SHIFT;
        Self(self.next_version() & !ANNOUNCED | announced | OVERFLOWS)
    }

    #[inline]
    pub(super) fn without_announcement(self) -> Self {
        Self(self.next_version())
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

    /// Counts the keys that were inserted; wraps after 2^26.
    #[inline]
    pub(super) fn version(self) -> u32 {
        (self.0 >> VERSION_SHIFT) as u32
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("version", &self.version())
            .field("announced", &self.announced())
            .field("overflows", &self.overflows())
            .field("frozen", &self.is_frozen())
            .field("moved", &self.is_moved())
            .finish()
    }
}

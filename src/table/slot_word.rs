//! The word in a slot: the number of an entry, and all that else is known of it.
//!
//! ```text
//!              63  62   48 47     38     37       36     35   32  31  30        0
//!            +----+-------+---------+---------+--------+--------+---------------+
//!   occupied | 1  | tag   | 0       | CLAIMED | FROZEN | meta   | number        |
//!            +----+-------+---------+---------+--------+--------+------+--------+
//!   vacant   | 0  | version           26 bits | FROZEN | 0      | USED | 0      |
//!            +----+---------------------------+--------+--------+------+--------+
//! ```
//!
//! | word | state | who may leave it, and to what |
//! |---|---|---|
//! | zero | vacant, never used | the thread that fills it, to *visible* or *vacant*; in a chain, any thread, to *claimed* |
//! | USED and the version at which it was vacated | vacant | the thread that fills it for an announcement, to *visible*; in a chain, any thread, to *claimed*, and a remover, to *sealed* |
//! | claimed (only in a chain) | not visible | the claimer, to *vacant*; once announced, any thread, to *visible* |
//! | visible | | any thread: other metadata, another entry (replace), or *vacant* (unlink) |
//! | USED, FROZEN | sealed, or frozen with nothing in it | a remover that gives up, to *vacant* |
//! | occupied, FROZEN | still readable, unless claimed; never to change again | no thread |
//!
//! Zero never comes back once it is left (T6). Every transition is a compare-and-swap from the exact word.
//!
//! The *meta* bits are the policy's ([`SlotMeta`]): of a vacant slot they are zero. The table knows the region that
//! they tell, and that a read adds one to their count.

use crate::narrow::low32;
use crate::slot_meta::{Region, SlotMeta};

const META_SHIFT: u32 = 32;
const META_MASK: u64 = (SlotMeta::MASK as u64) << META_SHIFT;
const ONE_READ: u64 = (SlotMeta::ONE_READ as u64) << META_SHIFT;
const COUNT_MASK: u64 = (SlotMeta::COUNT_MASK as u64) << META_SHIFT;
/// In a vacant word, where it makes no number of a plain record.
const USED: u64 = 1 << 31;
const FROZEN: u64 = 1 << 36;
const CLAIMED: u64 = 1 << 37;
const VERSION_SHIFT: u32 = 37;
const OCCUPIED: u64 = 1 << 63;
const TAG_SHIFT: u32 = 48;

/// The part of the hash that tells the keys of one bucket apart: the lowest 15 bits above those that are none of the
/// hash. With the bit of a word that is occupied.
#[inline(always)]
pub(super) fn tag_of(hash: u64) -> u64 {
    upper(hash) >> 16
}

/// The tag as it lies in the upper half of a word; in the lower half of that the hash has no say.
#[inline(always)]
pub(super) fn upper(hash: u64) -> u64 {
    OCCUPIED >> 32 | hash & 0xffff_ffff
}

/// In the upper half of a word: the bits of the tag that a name tells.
pub(super) const FINGERPRINTED: u64 = 0x3f << 16;
/// In the upper half of a word: an entry, and the stage of one that is protected.
pub(super) const OCCUPIED_UPPER: u64 = OCCUPIED >> 32;
pub(super) const PROTECTED_UPPER: u64 = SlotMeta::STAGE_MASK as u64;

/// A slot's word, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotWord(pub(super) u64);

impl SlotWord {
    /// Never used.
    pub(super) const UNTOUCHED: Self = Self(0);

    /// Vacated when the header word had this version.
    #[inline]
    pub(super) fn vacant(version: u32) -> Self {
        Self(USED | u64::from(version) << VERSION_SHIFT)
    }

    /// Sealed.
    pub(super) fn sealed() -> Self {
        Self(USED | FROZEN)
    }

    /// Visible.
    #[inline]
    pub(super) fn visible(number: u32, hash: u64, meta: SlotMeta) -> Self {
        debug_assert!(!meta.is_vacant(), "an entry without a stage");
        let meta = u64::from(meta.bits()) << META_SHIFT;
        Self(tag_of(hash) << TAG_SHIFT | meta | u64::from(number))
    }

    /// The same, claimed.
    pub(super) fn claimed(self) -> Self {
        Self(self.0 | CLAIMED)
    }

    /// The same, once revealed.
    pub(super) fn revealed(self) -> Self {
        Self(self.0 & !CLAIMED)
    }

    /// The number of the entry.
    #[inline(always)]
    pub(super) fn number(self) -> u32 {
        low32(self.0)
    }

    #[inline(always)]
    pub(super) fn is_occupied(self) -> bool {
        self.0 & OCCUPIED != 0
    }

    /// Whether a reader may take the entry: visible, or frozen while visible.
    #[inline(always)]
    pub(super) fn is_readable(self) -> bool {
        self.0 & (OCCUPIED | CLAIMED) == OCCUPIED
    }

    /// Whether a reader may take the entry, and its tag is this one.
    #[inline(always)]
    pub(super) fn is_readable_as(self, tag: u64) -> bool {
        self.is_own_as(tag) && self.0 & CLAIMED == 0
    }

    /// The same, in a bucket's own slot, where nothing is claimed.
    #[inline(always)]
    pub(super) fn is_own_as(self, tag: u64) -> bool {
        self.0 >> TAG_SHIFT == tag
    }

    /// Whether an entry may be put in, once it is announced.
    #[inline]
    pub(super) fn is_vacant(self) -> bool {
        self.0 & (OCCUPIED | FROZEN) == 0
    }

    /// Whether the slot was vacated at this version of the header word.
    #[inline]
    pub(super) fn is_vacated_at(self, version: u32) -> bool {
        self.0 == Self::vacant(version).0
    }

    pub(super) fn is_claimed(self) -> bool {
        self.0 & (OCCUPIED | CLAIMED | FROZEN) == OCCUPIED | CLAIMED
    }

    #[inline]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    pub(super) fn is_untouched(self) -> bool {
        self == Self::UNTOUCHED
    }

    pub(super) fn frozen(self) -> Self {
        Self(self.0 | FROZEN)
    }

    /// What the policy knows of the entry.
    #[inline]
    pub(super) fn meta(self) -> SlotMeta {
        SlotMeta::from_bits(((self.0 & META_MASK) >> META_SHIFT) as u8)
    }

    /// The same with other metadata.
    #[inline]
    pub(super) fn with_meta(self, meta: SlotMeta) -> Self {
        Self(self.0 & !META_MASK | u64::from(meta.bits()) << META_SHIFT)
    }

    /// The same with another entry of the same key.
    #[inline]
    pub(super) fn with_number(self, number: u32) -> Self {
        Self(self.0 & !u64::from(u32::MAX) | u64::from(number))
    }

    /// One more read; `None` if the count is full, or nothing may change.
    #[inline(always)]
    pub(super) fn touched(self) -> Option<Self> {
        // FROZEN lies above the count: one comparison for both.
        const _: () = assert!(FROZEN > COUNT_MASK);
        (self.0 & (COUNT_MASK | FROZEN) < COUNT_MASK).then(|| Self(self.0 + ONE_READ))
    }

    /// Whether it is a visible entry of a region.
    #[inline]
    pub(super) fn is_of(self, region: Region) -> bool {
        // A visible entry has a stage.
        self.is_readable() && self.meta().is_protected() == (region == Region::Protected)
    }

    /// Whether both are of the same entry, whatever the policy knows of it.
    #[inline]
    pub(super) fn is_same_entry(self, other: Self) -> bool {
        (self.0 ^ other.0) & !(META_MASK | FROZEN) == 0
    }
}

/// An entry in a slot: its number, its hash, and the slot's policy bits.
pub(super) type SlotContents = (u32, u64, SlotMeta);

/// The entries of one bucket: those of its own slots in their order, then those of its chain.
pub(super) type BucketContents = Vec<SlotContents>;

//! One look at all slots of a bucket: their tags, and what else is in the upper half of their words.
//!
//! Eight loads, of which nothing is known but that each happened during the look. On x86-64 they are four
//! loads of 16 bytes, whose halves are loaded whole, and all slots are compared at once.

use super::group::SLOTS_PER_GROUP;
use super::slot_word;
use crate::slot_meta::Region;

/// A set of slots. The bit of a slot is twice as far up as that of the word in its bucket, and one more: so compared
/// words give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitMask(u32);

/// The bits of all slots; the first word of a bucket is none of a slot.
const ALL: u32 = 0xaaa8;
const _: () = assert!(ALL.count_ones() as usize == SLOTS_PER_GROUP);

impl BitMask {
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those at `slot_index` or after it.
    #[inline]
    pub(super) fn from(self, slot_index: usize) -> Self {
        if slot_index >= SLOTS_PER_GROUP {
            Self(0)
        } else {
            Self(self.0 & u32::MAX << (2 * slot_index + 2))
        }
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Iterator for BitMask {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot_index = (self.0.trailing_zeros() as usize >> 1) - 1;
        self.0 &= self.0 - 1;
        // SAFETY: only bits of `ALL` are ever set, and those are of slots.
        unsafe { std::hint::assert_unchecked(slot_index < SLOTS_PER_GROUP) };
        Some(slot_index)
    }
}

/// What was seen of the slots.
#[derive(Clone, Copy)]
pub(super) struct SlotVector(imp::UpperHalves);

impl SlotVector {
    /// Looks at a bucket: a word that is none of a slot, and the slots.
    #[inline(always)]
    pub(super) fn load(bucket: &imp::Line) -> Self {
        Self(imp::UpperHalves::of(bucket))
    }

    /// The slots with an entry.
    #[inline(always)]
    pub(super) fn occupied(self) -> BitMask {
        self.0.with(slot_word::OCCUPIED_UPPER, slot_word::OCCUPIED_UPPER)
    }

    #[inline(always)]
    pub(super) fn unoccupied(self) -> BitMask {
        BitMask(ALL).without(self.occupied())
    }

    /// The slots with an entry that has the tag of a hash.
    #[inline(always)]
    pub(super) fn matching(self, hash: u64) -> BitMask {
        self.0.tagged(slot_word::upper(hash))
    }

    /// The slots with an entry whose tag may be that of a hash of which some bits are known.
    #[inline(always)]
    pub(super) fn matching_fingerprint(self, hash: u64) -> BitMask {
        let asked = slot_word::FINGERPRINTED | slot_word::OCCUPIED_UPPER;
        self.0.with(asked, hash & slot_word::FINGERPRINTED | slot_word::OCCUPIED_UPPER)
    }

    /// The slots whose entries are of a region.
    #[inline(always)]
    pub(super) fn of(self, region: Region) -> BitMask {
        let protected = self.0.with(slot_word::PROTECTED_UPPER, slot_word::PROTECTED_UPPER);
        match region {
            Region::Protected => protected,
            Region::Probation => self.occupied().without(protected),
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(clockhand_loom)))]
mod imp {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi16, _mm_cmpeq_epi32, _mm_movemask_epi8,
        _mm_packs_epi32, _mm_set1_epi32,
    };

    use super::{ALL, BitMask};
    use crate::narrow::low32;

    pub(in crate::table) use crate::table::array::Bucket as Line;

    /// The upper halves of the words: those of the first four, and those of the last four.
    #[derive(Clone, Copy)]
    pub(super) struct UpperHalves(__m128i, __m128i);

    impl UpperHalves {
        #[inline(always)]
        pub(super) fn of(bucket: &Line) -> Self {
            let (first, last): (__m128i, __m128i);
            // ORDERING T-c: Acquire, as loads are on this machine: what is read after it is not read before it. The
            // block may touch any memory, so the compiler keeps to that.
            // SAFETY: reads the bucket and writes nothing. A bucket is one cache line, and its words are atomics: an
            // aligned load of 16 bytes loads either half of them whole.
            unsafe {
                asm!(
                    "movaps {first}, xmmword ptr [{line}]",
                    "shufps {first}, xmmword ptr [{line} + 16], 0xdd",
                    "movaps {last}, xmmword ptr [{line} + 32]",
                    "shufps {last}, xmmword ptr [{line} + 48], 0xdd",
                    line = in(reg) std::ptr::from_ref(bucket),
                    first = out(xmm_reg) first, last = out(xmm_reg) last,
                    options(nostack, preserves_flags),
                );
            }
            Self(first, last)
        }

        /// The slots whose upper halves have this tag.
        #[inline(always)]
        pub(super) fn tagged(self, upper: u64) -> BitMask {
            // SAFETY: every x86-64 has SSE2.
            unsafe { self.compare_tags(upper) }
        }

        #[inline]
        #[target_feature(enable = "sse2")]
        fn compare_tags(self, upper: u64) -> BitMask {
            let upper = _mm_set1_epi32(low32(upper) as i32);
            Self::negative(_mm_cmpeq_epi16(self.0, upper), _mm_cmpeq_epi16(self.1, upper))
        }

        /// The slots whose bits are these, of those that are asked for.
        #[inline(always)]
        pub(super) fn with(self, asked: u64, wanted: u64) -> BitMask {
            // SAFETY: every x86-64 has SSE2.
            unsafe { self.compare(asked, wanted) }
        }

        #[inline]
        #[target_feature(enable = "sse2")]
        fn compare(self, asked: u64, wanted: u64) -> BitMask {
            let (asked, wanted) =
                (_mm_set1_epi32(low32(asked) as i32), _mm_set1_epi32(low32(wanted) as i32));
            let (first, last) = (_mm_and_si128(self.0, asked), _mm_and_si128(self.1, asked));
            Self::negative(_mm_cmpeq_epi32(first, wanted), _mm_cmpeq_epi32(last, wanted))
        }

        /// The slots whose halves are negative: the sign of each half becomes that of 16 bits.
        #[inline]
        #[target_feature(enable = "sse2")]
        fn negative(first: __m128i, last: __m128i) -> BitMask {
            BitMask(_mm_movemask_epi8(_mm_packs_epi32(first, last)) as u32 & ALL)
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", not(clockhand_loom))))]
mod imp {
    use super::BitMask;
    use crate::table::group::SLOTS_PER_GROUP;

    pub(in crate::table) use crate::table::array::Bucket as Line;

    /// The upper half of each slot's word.
    #[derive(Clone, Copy)]
    pub(super) struct UpperHalves([u64; SLOTS_PER_GROUP]);

    impl UpperHalves {
        #[inline(always)]
        pub(super) fn of(bucket: &Line) -> Self {
            Self(std::array::from_fn(|slot_index| bucket.group.word(slot_index).0 >> 32))
        }

        /// The slots whose upper halves have this tag.
        #[inline(always)]
        pub(super) fn tagged(self, upper: u64) -> BitMask {
            self.with(0xffff_0000, upper & 0xffff_0000)
        }

        /// The slots whose bits are these, of those that are asked for.
        #[inline(always)]
        pub(super) fn with(self, asked: u64, wanted: u64) -> BitMask {
            let is = |upper: u64| u32::from(upper & asked == wanted);
            let slot_indices = self.0.iter().enumerate();
            BitMask(slot_indices.fold(0, |slot_indices, (slot_index, &upper)| {
                slot_indices | is(upper) << (2 * slot_index + 3)
            }))
        }
    }
}

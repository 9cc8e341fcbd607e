//! Eight words of a cache line, looked at together.
//!
//! On x86-64 by vector instructions, four words at a time; elsewhere, and in models, one by one.
//! Each word is loaded whole, and nothing is ordered by that.

use super::{AtomicU64, Relaxed};

const WORDS: usize = 8;
/// Lower halves are compared by so many of their lowest bits.
const COMPARED: u32 = 28;

/// Words that are hints.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Octet([Relaxed<AtomicU64>; WORDS]);

impl Octet {
    /// Eight zeros.
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)))
    }

    /// The words as they are now.
    #[cfg(feature = "persist")]
    pub(crate) fn values(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Relaxed::<AtomicU64>::get)
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &[Relaxed<AtomicU64>; WORDS] {
        &self.0
    }

    /// The first word of which these are the upper 16 bits.
    #[inline]
    pub(crate) fn find(&self, upper: u16) -> Option<&Relaxed<AtomicU64>> {
        imp::find(&self.0, upper).map(|nth| &self.0[nth % WORDS])
    }

    /// The word of which the lower half is furthest behind a number, by its lowest 28 bits; the
    /// last of several.
    #[inline]
    pub(crate) fn furthest_behind(&self, number: u32) -> &Relaxed<AtomicU64> {
        &self.0[imp::furthest_behind(&self.0, number) % WORDS]
    }
}

#[cfg(all(target_arch = "x86_64", not(clockhand_loom)))]
#[allow(unsafe_code)]
mod imp {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi16, _mm_cmpgt_epi32,
        _mm_cvtsi128_si32, _mm_movemask_epi8, _mm_or_si128, _mm_packs_epi32, _mm_set_epi32,
        _mm_set1_epi32, _mm_shuffle_epi32, _mm_slli_epi32, _mm_srli_epi32, _mm_sub_epi32,
    };

    use super::{AtomicU64, COMPARED, Relaxed, WORDS};

    /// One half of each word, in their order: the upper ones or the lower ones.
    #[inline(always)]
    fn halves<const UPPER: bool>(words: &[Relaxed<AtomicU64>; WORDS]) -> (__m128i, __m128i) {
        let (first, last): (__m128i, __m128i);
        // ORDERING S-h: Relaxed: nothing is ordered by it.
        // SAFETY: reads the words, which are atomics in one cache line, aligned to it: a load of 16 bytes loads
        // either half of them whole.
        unsafe {
            asm!(
                "movaps {first}, xmmword ptr [{line}]",
                "shufps {first}, xmmword ptr [{line} + 16], {which}",
                "movaps {last}, xmmword ptr [{line} + 32]",
                "shufps {last}, xmmword ptr [{line} + 48], {which}",
                line = in(reg) std::ptr::from_ref(words),
                which = const if UPPER { 0b11_01_11_01 } else { 0b10_00_10_00 },
                first = out(xmm_reg) first, last = out(xmm_reg) last,
                options(nostack, preserves_flags, readonly),
            );
        }
        (first, last)
    }

    #[inline(always)]
    pub(super) fn find(words: &[Relaxed<AtomicU64>; WORDS], upper: u16) -> Option<usize> {
        // SAFETY: every x86-64 has SSE2.
        unsafe { first_of(halves::<true>(words), upper) }
    }

    /// The first of these halves whose upper half this is.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn first_of((first, last): (__m128i, __m128i), upper: u16) -> Option<usize> {
        let sought = _mm_set1_epi32((u32::from(upper) << 16).cast_signed());
        let (first, last) = (_mm_cmpeq_epi16(first, sought), _mm_cmpeq_epi16(last, sought));
        // The sign of each half becomes that of 16 bits.
        let bits = _mm_movemask_epi8(_mm_packs_epi32(first, last)) & 0xaaaa;
        (bits != 0).then(|| bits.trailing_zeros() as usize / 2)
    }

    #[inline(always)]
    pub(super) fn furthest_behind(words: &[Relaxed<AtomicU64>; WORDS], number: u32) -> usize {
        // SAFETY: every x86-64 has SSE2.
        unsafe { furthest_of(halves::<false>(words), number) }
    }

    /// Which of these halves is furthest behind a number.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn furthest_of((first, last): (__m128i, __m128i), number: u32) -> usize {
        let number = _mm_set1_epi32(number.cast_signed());
        let first = key(_mm_sub_epi32(number, first), _mm_set_epi32(3, 2, 1, 0));
        let last = key(_mm_sub_epi32(number, last), _mm_set_epi32(7, 6, 5, 4));
        let four = most(first, last);
        let two = most(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        _mm_cvtsi128_si32(most(two, _mm_shuffle_epi32::<0b10_11_00_01>(two))) as usize % WORDS
    }

    /// Distances, and below each which word it is of; never negative.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn key(behind: __m128i, nth: __m128i) -> __m128i {
        let behind = _mm_slli_epi32::<{ 32 - COMPARED as i32 }>(behind);
        _mm_or_si128(_mm_srli_epi32::<1>(behind), nth)
    }

    /// The larger of each two.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn most(a: __m128i, b: __m128i) -> __m128i {
        let first = _mm_cmpgt_epi32(a, b);
        _mm_or_si128(_mm_and_si128(first, a), _mm_andnot_si128(first, b))
    }
}

#[cfg(not(all(target_arch = "x86_64", not(clockhand_loom))))]
mod imp {
    use super::{AtomicU64, COMPARED, Relaxed, WORDS};
    use crate::narrow::low32;

    pub(super) fn find(words: &[Relaxed<AtomicU64>; WORDS], upper: u16) -> Option<usize> {
        words.iter().position(|word| word.get() >> 48 == u64::from(upper))
    }

    pub(super) fn furthest_behind(words: &[Relaxed<AtomicU64>; WORDS], number: u32) -> usize {
        let behind = |nth: usize| number.wrapping_sub(low32(words[nth].get())) << (32 - COMPARED);
        (0..WORDS).max_by_key(|&nth| behind(nth)).expect("there are eight")
    }
}

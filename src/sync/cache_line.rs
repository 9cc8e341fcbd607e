//! Sixteen words of a cache line, looked at together.
//!
//! On x86-64 by vector instructions, four words at a time; elsewhere, and in models, one by one.
//! Each word is loaded whole, and nothing is ordered by that.

use super::{AtomicU32, Relaxed};

const WORDS: usize = 16;
/// The bits of a lower half by which words are compared.
const COMPARED: u16 = 0xffe0;

/// Words that are hints. The upper half of each is what it is found by.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct CacheLine([Relaxed<AtomicU32>; WORDS]);

impl CacheLine {
    /// Sixteen times this word.
    pub(crate) fn new(word: u32) -> Self {
        Self(std::array::from_fn(|_| Relaxed::<AtomicU32>::new(word)))
    }

    /// The words as they are now.
    #[cfg(feature = "persist")]
    pub(crate) fn values(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(Relaxed::<AtomicU32>::get)
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &[Relaxed<AtomicU32>; WORDS] {
        &self.0
    }

    /// The first word of which this is the upper half.
    #[inline]
    pub(crate) fn find(&self, upper: u16) -> Option<&Relaxed<AtomicU32>> {
        imp::find(&self.0, upper).map(|nth| &self.0[nth % WORDS])
    }

    /// The word of which the lower half is furthest behind a number, by the upper eleven bits of it; the last of several.
    #[inline]
    pub(crate) fn furthest_behind(&self, number: u16) -> &Relaxed<AtomicU32> {
        &self.0[imp::furthest_behind(&self.0, number) % WORDS]
    }
}

#[cfg(all(target_arch = "x86_64", not(clockhand_loom)))]
#[allow(unsafe_code)]
mod imp {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi16, _mm_cvtsi128_si32, _mm_max_epi16,
        _mm_movemask_epi8, _mm_or_si128, _mm_packs_epi16, _mm_packs_epi32, _mm_set_epi32,
        _mm_set1_epi32, _mm_shuffle_epi32, _mm_srli_epi32, _mm_sub_epi32,
    };

    use super::{AtomicU32, COMPARED, Relaxed, WORDS};

    /// Four words each.
    #[inline(always)]
    fn quarters(words: &[Relaxed<AtomicU32>; WORDS]) -> [__m128i; 4] {
        let (a, b, c, d): (__m128i, __m128i, __m128i, __m128i);
        // ORDERING S-h: Relaxed: nothing is ordered by it.
        // SAFETY: reads the words, which are atomics in one cache line, aligned to it: a load of 16 bytes loads
        // each of them whole.
        unsafe {
            asm!(
                "movaps {a}, xmmword ptr [{line}]",
                "movaps {b}, xmmword ptr [{line} + 16]",
                "movaps {c}, xmmword ptr [{line} + 32]",
                "movaps {d}, xmmword ptr [{line} + 48]",
                line = in(reg) std::ptr::from_ref(words),
                a = out(xmm_reg) a, b = out(xmm_reg) b, c = out(xmm_reg) c, d = out(xmm_reg) d,
                options(nostack, preserves_flags, readonly),
            );
        }
        [a, b, c, d]
    }

    #[inline(always)]
    pub(super) fn find(words: &[Relaxed<AtomicU32>; WORDS], upper: u16) -> Option<usize> {
        // SAFETY: every x86-64 has SSE2.
        unsafe { first_of(quarters(words), upper) }
    }

    /// The first of these words whose upper half this is.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn first_of(quarters: [__m128i; 4], upper: u16) -> Option<usize> {
        let sought = _mm_set1_epi32((u32::from(upper) << 16).cast_signed());
        let [a, b, c, d] = quarters.map(|words| _mm_cmpeq_epi16(words, sought));
        // The sign of each word becomes that of 16 bits, and then of eight.
        let bytes = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
        let bits = _mm_movemask_epi8(bytes);
        (bits != 0).then(|| bits.trailing_zeros() as usize)
    }

    #[inline(always)]
    pub(super) fn furthest_behind(words: &[Relaxed<AtomicU32>; WORDS], number: u16) -> usize {
        // SAFETY: every x86-64 has SSE2.
        unsafe { furthest_of(quarters(words), number) }
    }

    /// Which of the lower halves of these words is furthest behind a number.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn furthest_of([a, b, c, d]: [__m128i; 4], number: u16) -> usize {
        let number = _mm_set1_epi32(i32::from(number));
        let a = key(a, number, _mm_set_epi32(3, 2, 1, 0));
        let b = key(b, number, _mm_set_epi32(7, 6, 5, 4));
        let c = key(c, number, _mm_set_epi32(11, 10, 9, 8));
        let d = key(d, number, _mm_set_epi32(15, 14, 13, 12));
        let four = _mm_max_epi16(_mm_max_epi16(a, b), _mm_max_epi16(c, d));
        let two = _mm_max_epi16(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        let one = _mm_max_epi16(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
        _mm_cvtsi128_si32(one) as usize % WORDS
    }

    /// Distances, and below each which word it is of: fifteen bits, so that halves can be compared as signed ones.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn key(words: __m128i, number: __m128i, nth: __m128i) -> __m128i {
        let behind = _mm_sub_epi32(number, words);
        let behind = _mm_and_si128(behind, _mm_set1_epi32(i32::from(COMPARED)));
        _mm_or_si128(_mm_srli_epi32::<1>(behind), nth)
    }
}

#[cfg(not(all(target_arch = "x86_64", not(clockhand_loom))))]
mod imp {
    use super::{AtomicU32, COMPARED, Relaxed, WORDS};
    use crate::narrow::low16;

    pub(super) fn find(words: &[Relaxed<AtomicU32>; WORDS], upper: u16) -> Option<usize> {
        words.iter().position(|word| word.get() >> 16 == u32::from(upper))
    }

    pub(super) fn furthest_behind(words: &[Relaxed<AtomicU32>; WORDS], number: u16) -> usize {
        let behind = |nth: usize| number.wrapping_sub(low16(words[nth].get().into())) & COMPARED;
        (0..WORDS).max_by_key(|&nth| behind(nth)).expect("there are sixteen")
    }
}

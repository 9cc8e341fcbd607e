//! Numbers that are made narrower on purpose. Everywhere else a lint forbids it.
//!
//! What keeps the low bits only is for packed words and hashes: the other bits are other fields, or are not wanted.

#![allow(
    clippy::cast_possible_truncation,
    reason = "each function says why nothing is lost that is wanted"
)]

/// The lowest 8 bits.
#[inline(always)]
pub(crate) const fn low8(word: u64) -> u8 {
    word as u8
}

/// The lowest 16 bits.
#[inline(always)]
pub(crate) const fn low16(word: u64) -> u16 {
    word as u16
}

/// The lowest 32 bits.
#[inline(always)]
pub(crate) const fn low32(word: u64) -> u32 {
    word as u32
}

/// The lowest 64 bits.
#[inline(always)]
pub(crate) const fn low64(word: u128) -> u64 {
    word as u64
}

/// How many things are in memory, or the index of one. Nothing is lost: the library compiles for pointers of 64 bits only.
#[inline(always)]
pub(crate) const fn in_memory(number: u64) -> usize {
    number as usize
}

/// The number of records of a slab, or of its chunks, all of which have numbers of 32 bits.
#[inline(always)]
pub(crate) const fn records(number: usize) -> u32 {
    debug_assert!(number <= u32::MAX as usize);
    number as u32
}

/// A number without its fraction: zero if it is negative or none, and the largest if it is beyond that.
#[inline(always)]
pub(crate) const fn whole(number: f64) -> u64 {
    number as u64
}

/// As [`whole`], of either sign.
#[cfg(feature = "predict")]
#[inline(always)]
pub(crate) const fn whole_signed(number: f64) -> i64 {
    number as i64
}

/// The nearest number of half the precision.
#[cfg(feature = "predict")]
#[inline(always)]
pub(crate) const fn single(number: f64) -> f32 {
    number as f32
}

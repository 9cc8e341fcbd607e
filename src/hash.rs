//! From a hasher's result to the hash that the table uses.

use crate::narrow::low64;

/// Spreads a hash over all 64 bits, so that a weak or an identity hasher does no more harm than its
/// collisions: buckets are chosen by the leading bits and tags from lower ones.
///
/// One multiplication to 128 bits, folded; the constant is the golden ratio's, as in Knuth, *The
/// Art of Computer Programming*, vol. 3, §6.4. It is no bijection: about one pair in 2^64 of
/// different hashes is made equal, like the pairs that the hasher itself makes equal.
#[inline]
pub(crate) fn mix(hash: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(hash ^ GOLDEN) * u128::from(GOLDEN);
    low64(product >> 64) ^ low64(product)
}

/// A key with its hash, which is computed once for each call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashed<Q> {
    pub(crate) hash: u64,
    pub(crate) key: Q,
}

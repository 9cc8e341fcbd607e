//! What the FIFO keeps of a key's hash, in 32 bits: the leading bits, which say where its bucket is, and six of the
//! tag that its entry has there.

use crate::narrow::low32;

/// The lowest bits of a fingerprint are bits of the hash, too: the lowest of the tag that its entry has in the table.
const LOW_BITS: u32 = 6;
const LOW_SHIFT: u32 = 16;
const LOW: u32 = (1 << LOW_BITS) - 1;
/// The bits of a hash that its fingerprint tells.
pub(super) const MASK: u64 = (!LOW as u64) << u32::BITS | (LOW as u64) << LOW_SHIFT;
/// Entries of a cache whose buckets the leading bits of a fingerprint can tell apart.
pub(super) const MAX_ENTRIES: u64 = 1 << (u32::BITS - LOW_BITS);

#[inline]
pub(super) fn of(hash: u64) -> u32 {
    (hash >> u32::BITS) as u32 & !LOW | low32(hash >> LOW_SHIFT) & LOW
}

/// What is [known](MASK) of the hash.
#[inline]
pub(super) fn hash(fingerprint: u32) -> u64 {
    u64::from(fingerprint & !LOW) << u32::BITS | u64::from(fingerprint & LOW) << LOW_SHIFT
}

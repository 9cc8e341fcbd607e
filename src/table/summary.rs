//! Which buckets a hand can skip.

use crate::slot_meta::{Region, SlotMeta};
use crate::sync::{AtomicU64, Relaxed, zeroed};

/// For each region one bit a bucket: whether an entry of the region may be there.
///
/// A hint. A bit stays until a hand has found no entry there, so one that is set without need costs one
/// look. One that is missing keeps its bucket out of
/// the hand's sight until the next entry of the region comes there; to lose one, an insert's load
/// of the word would have to be reordered before the locked exchange that announced its entry, which
/// no machine does whose locked exchanges are full barriers.
#[derive(Debug)]
pub(super) struct Summaries {
    probation: Box<[Relaxed<AtomicU64>]>,
    protected: Box<[Relaxed<AtomicU64>]>,
}

impl Summaries {
    #[inline]
    pub(super) fn new(buckets: usize) -> Self {
        let words = || zeroed(buckets.div_ceil(64), || Relaxed::<AtomicU64>::new(0));
        Self { probation: words(), protected: words() }
    }

    #[inline]
    fn words(&self, region: Region) -> &[Relaxed<AtomicU64>] {
        match region {
            Region::Probation => &self.probation,
            Region::Protected => &self.protected,
        }
    }

    /// Sets the bucket's bit of the region that an entry with this metadata belongs to.
    #[inline(always)]
    pub(super) fn note(&self, index: usize, meta: SlotMeta) {
        if let Some(region) = meta.region() {
            self.set(region, index);
        }
    }

    #[inline(always)]
    pub(super) fn set(&self, region: Region, index: usize) {
        let (word, bit) = (&self.words(region)[index / 64], 1 << (index % 64));
        if word.get() & bit == 0 {
            word.or(bit);
        }
    }

    /// Clears the bucket's bit, if it is set; the caller looks at the bucket once more then.
    #[inline]
    pub(super) fn clear_bit(&self, region: Region, index: usize) -> bool {
        let (word, bit) = (&self.words(region)[index / 64], 1 << (index % 64));
        word.get() & bit != 0 && word.and(!bit) & bit != 0
    }

    /// The first bucket from `index` to `last` whose bit is set.
    #[inline]
    pub(super) fn next(&self, region: Region, index: usize, last: usize) -> Option<usize> {
        if index > last {
            return None;
        }
        let words = self.words(region);
        let mut word = index / 64;
        let mut bits = words[word].get() & (u64::MAX << (index % 64));
        while bits == 0 && word < last / 64 {
            word += 1;
            bits = words[word].get();
        }
        let found = word * 64 + bits.trailing_zeros() as usize;
        (bits != 0 && found <= last).then_some(found)
    }

    #[inline]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.probation) + size_of_val(&*self.protected)
    }
}

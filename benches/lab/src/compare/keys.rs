//! The keys of the comparisons, made outside the timed parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

use crate::arena::{BATCH, Bell};

/// Keys per thread in a prepared stream: long enough to be varied, short enough to stay in a core's
/// own cache beside the table.
pub(super) const STREAM: usize = 1 << 15;

/// Keys per thread where there are a million different ones: most of the often read ones occur.
const LONG_STREAM: usize = 1 << 20;

/// A prepared stream of keys for each thread.
pub(crate) type Streams = Arc<Vec<Vec<u64>>>;

/// The key of an index: far from its neighbours', and no two indices share one.
pub(crate) fn scatter(index: u64) -> u64 {
    index.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A stream of keys for each thread, drawn from `universe` of them with Zipf's law.
pub(crate) fn zipf_streams(universe: u64, exponent: f64, threads: usize) -> Streams {
    let law = Zipf::new(universe as f64, exponent).expect("the exponents are valid constants");
    let length = if universe < LONG_STREAM as u64 / 2 { STREAM } else { LONG_STREAM };
    let stream = |seed| {
        let ranks = law.sample_iter(SmallRng::seed_from_u64(seed)).take(length);
        ranks.map(|rank| scatter(rank as u64 - 1)).collect()
    };
    Arc::new((0..threads as u64).map(stream).collect())
}

/// Indices of keys that were never used: those of a thread are apart from those of the others.
pub(crate) struct NewKeys(Vec<CachePadded<AtomicU64>>);

impl NewKeys {
    const EACH: u64 = 1 << 48;

    pub(crate) fn of(threads: usize) -> Self {
        let first = |id| CachePadded::new(AtomicU64::new(id * Self::EACH));
        Self((0..threads as u64).map(first).collect())
    }

    /// Keys that no thread will use, to fill a cache with.
    pub(crate) fn others(&self) -> impl Iterator<Item = u64> {
        (self.0.len() as u64 * Self::EACH..).map(scatter)
    }

    /// Uses a thread's keys, in batches, until the bell rings. Returns how many those were.
    #[inline]
    pub(crate) fn use_up(
        &self,
        id: usize,
        bell: &Bell,
        mut work: impl FnMut(&[u64; BATCH]),
    ) -> u64 {
        let first = self.0[id].load(Ordering::Relaxed);
        let mut index = first;
        loop {
            work(&std::array::from_fn(|nth| scatter(index + nth as u64)));
            index += BATCH as u64;
            if bell.rang() {
                break;
            }
        }
        self.0[id].store(index, Ordering::Relaxed);
        index - first
    }
}

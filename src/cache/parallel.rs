//! Scans and inserts on all cores, with rayon.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::Cache;

/// Parts that a parallel scan is divided into. A power of two, so that their limits are limits of
/// buckets in any table.
const PARTS: u64 = 256;

/// One part of the table, by places. The last one ends where a whole walk does.
fn part(nth: u64) -> Range<u64> {
    let width = u64::MAX / PARTS + 1;
    nth * width..(nth * width).saturating_add(width)
}

/// Parallel scans and inserts (feature `rayon`).
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync,
{
    /// [`for_each`](Self::for_each), on rayon's threads.
    pub fn par_for_each(&self, f: impl Fn(&K, &V) + Send + Sync) {
        (0..PARTS).into_par_iter().for_each(|nth| self.engine.visit(part(nth), &f));
    }

    /// [`retain`](Self::retain), on rayon's threads.
    pub fn par_retain(&self, keep: impl Fn(&K, &V) -> bool + Send + Sync) {
        (0..PARTS).into_par_iter().for_each(|nth| self.engine.retain(part(nth), &keep));
    }

    /// [`insert`](Self::insert) for all the entries, on rayon's threads.
    ///
    /// If a key comes more than once, one of its values stays.
    pub fn par_extend<I>(&self, entries: I)
    where
        I: IntoParallelIterator<Item = (K, V)>,
    {
        entries.into_par_iter().for_each(|(key, value)| self.insert(key, value));
    }
}

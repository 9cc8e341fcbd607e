//! Scans and inserts on all cores, with rayon.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::Cache;

/// Parts that a parallel scan is divided into, at most. A power of two, like the number of buckets.
const PARTS: u64 = 256;

/// The parts of a table, by places. None begins within a bucket: a bucket that was divided between
/// two parts could be visited by both, or by none, if it is moved meanwhile. Later generations only
/// divide it further.
fn parts(buckets: usize) -> impl ParallelIterator<Item = Range<u64>> {
    let parts = PARTS.min(buckets as u64);
    let width = u64::MAX / parts + 1;
    (0..parts).into_par_iter().map(move |nth| {
        let start = nth * width;
        start..start.saturating_add(width)
    })
}

/// Parallel scans and inserts (feature `rayon`).
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync,
{
    /// [`for_each`](Self::for_each), on rayon's threads.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for rayon's threads.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key: u64| cache.insert(key, key));
    /// cache.par_for_each(|_, _| ());
    /// ```
    pub fn par_for_each(&self, f: impl Fn(&K, &V) + Send + Sync) {
        parts(self.engine.buckets()).for_each(|part| self.engine.visit(part, &f));
    }

    /// [`retain`](Self::retain), on rayon's threads.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for rayon's threads.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key: u64| cache.insert(key, key));
    /// cache.par_retain(|key, _| key % 2 == 0);
    /// assert_eq!(cache.len(), 5);
    /// ```
    pub fn par_retain(&self, keep: impl Fn(&K, &V) -> bool + Send + Sync) {
        parts(self.engine.buckets()).for_each(|part| self.engine.retain(part, &keep));
    }

    /// [`insert`](Self::insert) for all the entries, on rayon's threads.
    ///
    /// If a key comes more than once, one of its values stays.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for rayon's threads.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key: u64| cache.insert(key, key));
    /// cache.par_extend((0..10).map(|key| (key, key)).collect::<Vec<_>>());
    /// assert_eq!(cache.len(), 10);
    /// ```
    pub fn par_extend<I>(&self, entries: I)
    where
        I: IntoParallelIterator<Item = (K, V)>,
    {
        entries.into_par_iter().for_each(|(key, value)| self.insert(key, value));
    }
}

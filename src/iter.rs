//! An iterator over copies of the entries.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::cache::Cache;

/// Copies of the entries of a cache. Made by [`Cache::iter`].
///
/// Between two calls of `next` the iterator holds nothing: it may be kept, and moved to another
/// thread.
pub struct Iter<K, V, S = ahash::RandomState> {
    cache: Cache<K, V, S>,
    place: Option<u64>,
    bucket: Vec<(K, V)>,
}

impl<K, V, S> Iter<K, V, S> {
    pub(crate) fn new(cache: Cache<K, V, S>) -> Self {
        Self { cache, place: Some(0), bucket: Vec::new() }
    }
}

impl<K, V, S> Iterator for Iter<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(entry) = self.bucket.pop() {
                return Some(entry);
            }
            // If a clone panics, the bucket is read again from its beginning.
            let mut bucket = std::mem::take(&mut self.bucket);
            self.place = self.cache.engine().copy(self.place?, &mut bucket);
            self.bucket = bucket;
        }
    }
}

impl<K, V, S> fmt::Debug for Iter<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

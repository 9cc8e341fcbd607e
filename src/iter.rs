//! Iterators: over copies of the entries, and over the values of some keys.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use crate::cache::Cache;
use crate::engine::Batch;
use crate::random_state::RandomState;

/// Copies of the entries of a cache. Made by [`Cache::iter`].
///
/// Between two calls of `next` the iterator holds nothing: it may be kept, and moved to another
/// thread.
pub struct Iter<K, V, S = RandomState> {
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

/// The values of some keys, in their order, each the latest when the iterator comes to it. Made by
/// [`Guard::get_many`](crate::Guard::get_many) and [`Reader::get_many`](crate::Reader::get_many).
pub struct GetMany<'g, K, V, S, Q> {
    batch: Batch<'g, 'g, K, V, S, Q>,
}

impl<'g, K, V, S, Q> GetMany<'g, K, V, S, Q> {
    #[inline]
    pub(crate) fn new(batch: Batch<'g, 'g, K, V, S, Q>) -> Self {
        Self { batch }
    }
}

impl<'g, K, V, S, Q> Iterator for GetMany<'g, K, V, S, Q>
where
    K: Eq,
    S: BuildHasher,
    Q: Hash + Equivalent<K>,
{
    type Item = Option<&'g V>;

    #[inline]
    fn next(&mut self) -> Option<Option<&'g V>> {
        self.batch.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batch.size_hint()
    }
}

impl<K, V, S, Q> ExactSizeIterator for GetMany<'_, K, V, S, Q>
where
    K: Eq,
    S: BuildHasher,
    Q: Hash + Equivalent<K>,
{
}

impl<K, V, S, Q> fmt::Debug for GetMany<'_, K, V, S, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany").finish_non_exhaustive()
    }
}

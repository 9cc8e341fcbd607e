//! Iterators: over copies of what a cache holds, over what is taken out, and over the values of some keys.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use crate::cache::Cache;
use crate::engine::{Batch, EVERYWHERE};
use crate::random_state::RandomState;

/// What is made of the entries of a cache, bucket by bucket.
struct Buckets<K, V, S, T> {
    cache: Cache<K, V, S>,
    /// Where the next bucket begins; `None` behind the last one.
    position: Option<u64>,
    bucket: Vec<T>,
}

impl<K, V, S, T> Buckets<K, V, S, T> {
    fn new(cache: Cache<K, V, S>) -> Self {
        Self { cache, position: Some(0), bucket: Vec::new() }
    }

    /// The next one; `read` reads the bucket that begins somewhere, and says where the one after it does.
    fn next(
        &mut self,
        mut read: impl FnMut(&Cache<K, V, S>, u64, &mut Vec<T>) -> Option<u64>,
    ) -> Option<T> {
        loop {
            if let Some(next) = self.bucket.pop() {
                return Some(next);
            }
            // If a clone panics, the bucket is read again from its beginning.
            let mut bucket = std::mem::take(&mut self.bucket);
            self.position = read(&self.cache, self.position?, &mut bucket);
            self.bucket = bucket;
        }
    }
}

impl<K, V, S, T> Buckets<K, V, S, T>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The next of what `copy` makes of the live entries.
    fn next_copy(&mut self, copy: impl Fn(&K, &V) -> T) -> Option<T> {
        self.next(|cache, from, bucket| {
            let mut visit = |key: &K, value: &V| bucket.push(copy(key, value));
            cache.engine().step_live(from..EVERYWHERE.end, &mut visit)
        })
    }
}

macro_rules! copies {
    ($(#[$doc:meta])* $name:ident, $item:ty, [$($cloned:ident),*], $copy:expr) => {
        $(#[$doc])*
        pub struct $name<K, V, S = RandomState>(Buckets<K, V, S, $item>);

        impl<K, V, S> $name<K, V, S> {
            pub(crate) fn new(cache: Cache<K, V, S>) -> Self {
                Self(Buckets::new(cache))
            }
        }

        impl<K, V, S> Iterator for $name<K, V, S>
        where
            K: Hash + Eq + Send + Sync + 'static,
            V: Send + Sync + 'static,
            $($cloned: Clone,)*
            S: BuildHasher,
        {
            type Item = $item;

            fn next(&mut self) -> Option<$item> {
                self.0.next_copy($copy)
            }
        }

        impl<K, V, S> fmt::Debug for $name<K, V, S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

copies!(
    /// Copies of the entries of a cache. Made by [`Cache::iter`].
    ///
    /// Between two calls of `next` the iterator holds nothing: it may be kept, and moved to another
    /// thread.
    Iter,
    (K, V),
    [K, V],
    |key, value| (key.clone(), value.clone())
);

copies!(
    /// Copies of the keys of a cache. Made by [`Cache::keys`]; holds nothing between two calls of `next`.
    Keys,
    K,
    [K],
    |key, _| key.clone()
);

copies!(
    /// Copies of the values of a cache. Made by [`Cache::values`]; holds nothing between two calls of `next`.
    Values,
    V,
    [V],
    |_, value| value.clone()
);

/// The entries of a cache, each taken out when the iterator comes to its bucket. Made by [`Cache::drain`].
///
/// When it is dropped, what it has not come to is removed as well.
pub struct Drain<K, V, S = RandomState>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    cache: Cache<K, V, S>,
    position: Option<u64>,
    /// What was taken out and is not returned yet.
    bucket: Vec<(K, V)>,
}

impl<K, V, S> Drain<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(crate) fn new(cache: Cache<K, V, S>) -> Self {
        Self { cache, position: Some(0), bucket: Vec::new() }
    }
}

impl<K, V, S> Iterator for Drain<K, V, S>
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
            // If a clone panics, what is out already is returned by the next calls, and then the rest of the bucket.
            self.position = self.cache.engine().drain(self.position?, &mut self.bucket);
        }
    }
}

impl<K, V, S> Drop for Drain<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        if let Some(from) = self.position {
            self.cache.engine().retain(from..EVERYWHERE.end, |_, _| false);
        }
    }
}

impl<K, V, S> fmt::Debug for Drain<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
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

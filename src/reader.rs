//! The handle of a thread that reads all the time.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use crate::cache::Cache;
use crate::engine::{Lens, Seat};
use crate::iter::GetMany;
use crate::random_state::RandomState;

/// A latency-critical thread's own handle: it stays pinned from one read to the next, so that a read
/// needs neither a fence nor a locked instruction.
///
/// Made by [`Cache::reader`]. What a read returns is borrowed until the next one. The handle stays
/// on its thread and keeps the cache alive.
///
/// Between two reads the reader holds up the freeing of retired entries, as a [`Guard`] does: a
/// thread that goes idle must [`park`](Self::park) first. One that does not costs the cache
/// refusals, never memory.
///
/// [`Guard`]: crate::Guard
///
/// # Examples
///
/// ```
/// let cache = clockhand::Cache::new(100);
/// cache.insert("EURUSD", 1.0842);
/// let mut reader = cache.reader();
/// assert_eq!(reader.get("EURUSD"), Some(&1.0842));
/// reader.park(); // nothing to read for a while
/// ```
pub struct Reader<K, V, S = RandomState> {
    // The seat goes before the cache: a table has no seats left when it is dropped.
    seat: Seat<K, V>,
    cache: Cache<K, V, S>,
}

impl<K, V, S> Reader<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(cache: Cache<K, V, S>) -> Self {
        Self { seat: cache.engine().perch(), cache }
    }
}

impl<K, V, S> Reader<K, V, S> {
    /// Lets go of what was read last, so that the cache can free what it has retired. The next read
    /// pins again, for one locked instruction.
    ///
    /// # Progress
    ///
    /// Wait-free: one store.
    pub fn park(&mut self) {
        self.seat.park();
    }

    /// The cache that is read.
    pub fn cache(&self) -> &Cache<K, V, S> {
        &self.cache
    }
}

impl<K: Eq, V, S: BuildHasher> Reader<K, V, S> {
    /// The value of a key, borrowed until the next use of the reader.
    ///
    /// Counts as a read, like [`Cache::get`].
    ///
    /// # Progress
    ///
    /// Wait-free, without a fence; the one conditional write is the one that may count the read.
    #[inline]
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Lens::new(self.cache.engine(), self.seat.pass()).get(key)
    }

    /// The values of some keys, in their order, borrowed until the next use of the reader.
    ///
    /// Each counts as a read, like [`get`](Self::get). The keys are looked up in groups of 16, whose
    /// memory is asked for together: with a cache that is larger than the processor's, that is
    /// several times as fast as one by one. Each value is the latest when the iterator comes to it.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, "one");
    /// cache.insert(3, "three");
    /// let mut reader = cache.reader();
    /// let found: Vec<_> = reader.get_many(&[1, 2, 3]).collect();
    /// assert_eq!(found, [Some(&"one"), None, Some(&"three")]);
    /// ```
    ///
    /// # Progress
    ///
    /// Wait-free for each key, without a fence. Allocates nothing.
    pub fn get_many<'r, Q>(&'r mut self, keys: &'r [Q]) -> GetMany<'r, K, V, S, Q>
    where
        Q: Hash + Equivalent<K>,
    {
        GetMany::new(Lens::new(self.cache.engine(), self.seat.pass()).get_many(keys))
    }

    /// The value of a key, and nobody notices: neither counted nor touched.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn peek<Q>(&mut self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Lens::new(self.cache.engine(), self.seat.pass()).peek(key).map(|entry| entry.value())
    }
}

impl<K, V, S> fmt::Debug for Reader<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

//! The contents as a whole: many keys at once, parts of all entries, and std's traits for collections.

use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::Cache;
use crate::iter::{Drain, Iter, Keys, Values};

/// Many entries at once.
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Removes every entry: [`invalidate_all`](Self::invalidate_all) by the name that std's maps have for it.
    ///
    /// # Progress
    ///
    /// Lock-free; walks the whole table.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, "one");
    /// cache.clear();
    /// assert!(cache.is_empty());
    /// ```
    #[doc(alias = "invalidateAll")]
    pub fn clear(&self) {
        self.invalidate_all();
    }

    /// Removes some keys; returns how many of them were there.
    ///
    /// One after the other: not an atomic step.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<String, u32>::new(100);
    /// cache.insert("a".into(), 1);
    /// assert_eq!(cache.remove_many(["a", "b"]), 1);
    /// ```
    #[doc(alias("invalidate_many", "invalidateAll"))]
    pub fn remove_many<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> usize
    where
        Q: Hash + Equivalent<K> + ?Sized + 'q,
    {
        keys.into_iter().filter(|&key| self.invalidate(key)).count()
    }

    /// Takes all entries out of the cache, and returns clones of them.
    ///
    /// Every entry that is there throughout is removed and returned exactly once; what is inserted concurrently may
    /// stay. Each is removed when the iterator comes to its bucket, so that the entries need not be in memory twice.
    /// When the iterator is dropped, it removes the rest, as std's maps do. The removal listener is told
    /// [`Invalidated`](crate::RemovalCause::Invalidated) for each.
    ///
    /// # Progress
    ///
    /// Lock-free; walks the whole table.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key| cache.insert(key, key * key));
    /// let squares: i32 = cache.drain().map(|(_, square)| square).sum();
    /// assert_eq!((squares, cache.len()), (285, 0));
    /// ```
    #[doc(alias = "take_all")]
    pub fn drain(&self) -> Drain<K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        Drain::new(self.clone())
    }

    /// Iterates over copies of the keys, as [`for_each`](Self::for_each) walks over the entries.
    ///
    /// # Progress
    ///
    /// Each step is lock-free; it allocates for the copies of a bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, "one");
    /// assert_eq!(cache.keys().collect::<Vec<_>>(), [1]);
    /// ```
    #[doc(alias = "keySet")]
    pub fn keys(&self) -> Keys<K, V, S>
    where
        K: Clone,
    {
        Keys::new(self.clone())
    }

    /// Iterates over copies of the values, as [`for_each`](Self::for_each) walks over the entries.
    ///
    /// # Progress
    ///
    /// Each step is lock-free; it allocates for the copies of a bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, "one");
    /// assert_eq!(cache.values().collect::<Vec<_>>(), ["one"]);
    /// ```
    #[doc(alias = "value_iter")]
    pub fn values(&self) -> Values<K, V, S>
    where
        V: Clone,
    {
        Values::new(self.clone())
    }

    /// The keys of up to `most` live entries: those that are used least, beginning with the one used least of all.
    ///
    /// That is the order of [`hottest`](Self::hottest) from its other end, and says roughly which entry is evicted next: an
    /// entry on probation comes before a protected one. The cache counts uses coarsely; entries that are used alike
    /// come in any order.
    ///
    /// # Progress
    ///
    /// Lock-free. Looks at every entry.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(1000);
    /// (0..3).for_each(|key| cache.insert(key, key));
    /// (0..3).for_each(|_| drop(cache.get_many(&[0, 2])));
    /// assert_eq!(cache.coldest(1), [1]);
    /// ```
    pub fn coldest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.engine.coldest(most)
    }

    /// The keys of up to `most` live entries: those whose values were written first, beginning with the oldest.
    ///
    /// Empty if the cache keeps no time, as it does not know the age of its entries then: see
    /// [`Builder::clock`](crate::Builder::clock).
    ///
    /// # Progress
    ///
    /// Lock-free. Looks at every entry.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock};
    ///
    /// let (clock, manual) = Clock::manual();
    /// let cache = Cache::builder().capacity(100).clock(clock).build()?;
    /// for key in 0..3 {
    ///     cache.insert(key, key);
    ///     manual.advance(Duration::from_secs(1));
    /// }
    /// assert_eq!(cache.oldest(2), [0, 1]);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn oldest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.engine.oldest(most)
    }
}

/// Inserts all of them, each as [`Cache::insert`] does: a full cache evicts, and an entry that is refused removes the
/// older value of its key.
impl<K, V, S> Extend<(K, V)> for Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<K, V, S> Extend<(K, V)> for &Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| self.insert(key, value));
    }
}

/// A cache whose capacity is the number of the entries, each of which weighs one: all of them are there, and a new
/// key has to displace one. [`Cache::set_capacity`] makes it larger.
impl<K, V> FromIterator<(K, V)> for Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let cache = Self::new(entries.len() as u64);
        (&cache).extend(entries);
        cache
    }
}

impl<K, V, S> IntoIterator for &Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    type Item = (K, V);

    type IntoIter = Iter<K, V, S>;

    fn into_iter(self) -> Iter<K, V, S> {
        self.iter()
    }
}

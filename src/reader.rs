//! The handle of a thread that reads all the time.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use crate::cache::Cache;
use crate::engine::{OwnedGuard, ReadView, lend_value};
use crate::iter::GetMany;
use crate::random_state::RandomState;

/// A latency-critical thread's own handle: it stays pinned from one read to the next, so that a read
/// needs neither a fence nor a locked instruction.
///
/// Made by [`Cache::reader`]. What a read returns is borrowed until the next one. The handle stays
/// on its thread and keeps the cache alive.
///
/// Between two reads the reader holds up the freeing of retired entries, as a [`Guard`] does: a
/// thread that goes idle should [`park`](Self::park) first. One that does not holds what was in the cache when it was
/// read through last, however long it is idle; several of them may cost refusals. A write of the reader's own thread is
/// not refused for it: where room is short, the reader keeps the one value that it has lent, and nothing else. After
/// [`view`](Self::view) and [`get_many`](Self::get_many) it cannot tell, and should be parked before a write.
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
    // The participant goes before the cache: a table has no participants left when it is dropped.
    guard: OwnedGuard<K, V>,
    cache: Cache<K, V, S>,
}

impl<K, V, S> Reader<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(cache: Cache<K, V, S>) -> Self {
        Self { guard: cache.engine().owned_guard(), cache }
    }
}

impl<K, V, S> Reader<K, V, S> {
    /// Lets go of what was read last, so that the cache can free what it has retired. The next read
    /// pins again, for one locked instruction.
    ///
    /// # Progress
    ///
    /// Wait-free: one store.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// let mut reader = cache.reader();
    /// assert_eq!(reader.get("a"), Some(&1));
    /// reader.park();
    /// std::thread::yield_now(); // or wait for work: nothing is held up meanwhile
    /// assert_eq!(reader.get("a"), Some(&1));
    /// ```
    #[doc(alias = "unpin")]
    pub fn park(&mut self) {
        self.guard.park();
    }

    /// Parks, and calls `f`, which may block: the next read pins again.
    ///
    /// # Progress
    ///
    /// Wait-free, but for `f`.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(7, "seven");
    /// let mut reader = cache.reader();
    /// sender.send(7)?;
    /// let key = reader.parked(|| receiver.recv())?;
    /// assert_eq!(reader.get(&key), Some(&"seven"));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn parked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.park();
        f()
    }

    /// The cache that is read.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// let reader = cache.reader();
    /// reader.cache().insert("a", 1);
    /// assert_eq!(cache.get("a"), Some(1));
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("EURUSD", 1.0842);
    /// let mut reader = cache.reader();
    /// assert_eq!(reader.get("EURUSD"), Some(&1.0842));
    /// ```
    #[inline]
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let engine = self.cache.engine();
        self.guard.lend_one(engine, |engine, guard_ref| {
            ReadView::new(engine, guard_ref).get_entry(key).map(lend_value)
        })
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
    #[doc(alias = "getAllPresent")]
    pub fn get_many<'r, Q>(&'r mut self, keys: &'r [Q]) -> GetMany<'r, K, V, S, Q>
    where
        Q: Hash + Equivalent<K>,
    {
        GetMany::new(ReadView::new(self.cache.engine(), self.guard.guard_ref()).get_many(keys))
    }

    /// Applies `f` to the value of a key: [`get`](Self::get) in the form of [`Cache::read`].
    ///
    /// # Progress
    ///
    /// Wait-free if `f` is.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(7, "a long text".to_string());
    /// assert_eq!(cache.reader().read(&7, |text| text.len()), Some(11));
    /// ```
    pub fn read<Q, R>(&mut self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let value = self.get(key).map(f);
        self.guard.lend_nothing();
        value
    }

    /// Whether a key is there. Does not count as a read.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(7, "seven");
    /// let mut reader = cache.reader();
    /// assert!(reader.contains_key(&7) && !reader.contains_key(&8));
    /// ```
    pub fn contains_key<Q>(&mut self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let is_there = self.peek(key).is_some();
        self.guard.lend_nothing();
        is_there
    }

    /// Borrows several values at once: all that is read through the view lives as long as the view does.
    ///
    /// The view is to the reader what a [`Guard`](crate::Guard) is to the cache, without a fence. While it lives, it
    /// keeps what was retired from being freed.
    ///
    /// # Progress
    ///
    /// Wait-free: one load and at most one store.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("bid", 99);
    /// cache.insert("ask", 101);
    /// let mut reader = cache.reader();
    /// let view = reader.view();
    /// if let (Some(bid), Some(ask)) = (view.get("bid"), view.get("ask")) {
    ///     assert_eq!(ask - bid, 2);
    /// }
    /// ```
    pub fn view(&mut self) -> ReaderView<'_, K, V, S> {
        ReaderView { read_view: ReadView::new(self.cache.engine(), self.guard.guard_ref()) }
    }

    /// The value of a key, without counting as a read.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert_eq!((cache.reader().peek("a"), cache.stats().hits), (Some(&1), 0));
    /// ```
    pub fn peek<Q>(&mut self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let engine = self.cache.engine();
        self.guard.lend_one(engine, |engine, guard_ref| {
            ReadView::new(engine, guard_ref).peek(key).map(lend_value)
        })
    }
}

impl<K, V, S> fmt::Debug for Reader<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<K, V, S> Reader<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// A clone of the value of a key, loaded if it is not there: [`Cache::get_or_load`]. The reader is parked while
    /// it is loaded.
    ///
    /// # Panics
    ///
    /// As [`Cache::get_or_load`].
    ///
    /// # Progress
    ///
    /// A hit is wait-free; a load waits for its loader, or for another caller's.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// let mut reader = cache.reader();
    /// assert_eq!(reader.get_or_load(12, |n| n * n), 144);
    /// assert_eq!(reader.get(&12), Some(&144));
    /// ```
    pub fn get_or_load(&mut self, key: K, load: impl FnOnce(&K) -> V) -> V {
        if let Some(value) = self.get(&key) {
            let value = value.clone();
            self.guard.lend_nothing();
            return value;
        }
        self.park();
        self.cache.get_or_load(key, load)
    }
}

/// What a [`Reader`] lends for a while: several values at once. Made by [`Reader::view`].
pub struct ReaderView<'r, K, V, S = RandomState> {
    read_view: ReadView<'r, K, V, S>,
}

impl<'r, K: Eq, V, S: BuildHasher> ReaderView<'r, K, V, S> {
    /// The value of a key, borrowed for as long as the reader is. Counts as a read.
    ///
    /// # Progress
    ///
    /// Wait-free, without a fence.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("bid", 1.0841);
    /// let mut reader = cache.reader();
    /// let view = reader.view();
    /// assert_eq!((view.get("bid"), view.get("ask")), (Some(&1.0841), None));
    /// ```
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&'r V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.read_view.get(key)
    }

    /// The same. Does not count as a read.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("bid", 1.0841);
    /// let mut reader = cache.reader();
    /// let view = reader.view();
    /// assert_eq!(view.peek("bid"), Some(&1.0841));
    /// ```
    pub fn peek<Q>(&self, key: &Q) -> Option<&'r V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.read_view.peek(key).map(|entry| entry.value())
    }

    /// Whether a key is there. Does not count as a read.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("bid", 1.0841);
    /// let mut reader = cache.reader();
    /// let view = reader.view();
    /// assert!(view.contains_key("bid") && !view.contains_key("ask"));
    /// ```
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.read_view.peek(key).is_some()
    }
}

impl<K, V, S> fmt::Debug for ReaderView<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderView").finish_non_exhaustive()
    }
}

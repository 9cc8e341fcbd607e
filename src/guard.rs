//! Reads several entries at once, by reference.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use crate::engine::{Engine, ReadPin, ReadView};
use crate::iter::GetMany;
use crate::random_state::RandomState;

/// The cache, pinned: values can be borrowed from it, several at a time, without a clone.
///
/// Made by [`Cache::pin`](crate::Cache::pin). Everything that was read stays as it was while the
/// guard lives, whatever becomes of the entries; what is read later is the latest. The guard stays
/// on its thread.
///
/// A guard that is held keeps from being freed what was in the cache when it was read through last, those entries included
/// that were never read. They lie in the retired capacity, which has room for one such guard by default; beside more of
/// them, that is, or one that is read through all the time, the cache refuses new entries when it is full. A
/// forgotten guard ([`std::mem::forget`]) costs that much memory for as long as the cache lives, also after
/// its thread has ended. NeutralizedPin it for a moment; for a thread
/// that reads all the time there is [`Reader`](crate::Reader).
///
/// # Examples
///
/// ```
/// let cache = clockhand::Cache::new(100);
/// cache.insert("bid", 99);
/// cache.insert("ask", 101);
/// let pinned = cache.pin();
/// if let (Some(bid), Some(ask)) = (pinned.get("bid"), pinned.get("ask")) {
///     assert_eq!(ask - bid, 2);
/// }
/// ```
#[must_use = "a guard that is dropped at once lends nothing"]
pub struct Guard<'c, K, V, S = RandomState> {
    engine: &'c Engine<K, V, S>,
    pin: ReadPin<'c, K, V>,
}

impl<'c, K, V, S> Guard<'c, K, V, S> {
    pub(crate) fn new(engine: &'c Engine<K, V, S>, pin: ReadPin<'c, K, V>) -> Self {
        Self { engine, pin }
    }

    fn read_view(&self) -> ReadView<'_, K, V, S> {
        ReadView::new(self.engine, self.pin.guard_ref())
    }
}

impl<K: Eq, V, S: BuildHasher> Guard<'_, K, V, S> {
    /// The value of a key, borrowed for as long as the guard is.
    ///
    /// Counts as a read, like [`Cache::get`](crate::Cache::get).
    ///
    /// # Progress
    ///
    /// Wait-free, without a locked instruction but the one that may count the read.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", "a value".to_string());
    /// let guard = cache.pin();
    /// let value: Option<&String> = guard.get("a");
    /// cache.invalidate("a"); // the reference stays as long as the guard
    /// assert_eq!(value.map(String::as_str), Some("a value"));
    /// ```
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.read_view().get(key)
    }

    /// The values of some keys, in their order, borrowed for as long as the guard is.
    ///
    /// Each counts as a read. The keys are looked up in groups of 16, whose memory is asked for
    /// together: with a cache that is larger than the processor's, that is several times as fast as
    /// one by one. Each value is the latest when the iterator comes to it.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, 10);
    /// cache.insert(3, 30);
    /// let sum: i32 = cache.pin().get_many(&[1, 2, 3]).flatten().sum();
    /// assert_eq!(sum, 40);
    /// ```
    ///
    /// # Progress
    ///
    /// Wait-free for each key. Allocates nothing.
    #[doc(alias = "getAllPresent")]
    pub fn get_many<'p, Q>(&'p self, keys: &'p [Q]) -> GetMany<'p, K, V, S, Q>
    where
        Q: Hash + Equivalent<K>,
    {
        GetMany::new(self.read_view().get_many(keys))
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
    /// assert_eq!((cache.pin().peek("a"), cache.stats().hits), (Some(&1), 0));
    /// ```
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.read_view().peek(key).map(|entry| entry.value())
    }

    /// Whether a key is there; neither counted nor touched.
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
    /// let guard = cache.pin();
    /// assert!(guard.contains_key("a") && !guard.contains_key("b"));
    /// ```
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.read_view().peek(key).is_some()
    }
}

impl<K, V, S> fmt::Debug for Guard<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

//! The cache, as its users see it.

mod by_ref;
mod contents;
#[cfg(feature = "rayon")]
mod parallel;
mod tagged;
mod weak;

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use equivalent::Equivalent;

use self::by_ref::ByRef;
pub use self::weak::WeakCache;
use crate::builder::Builder;
use crate::engine::{DecidedBy, EVERYWHERE, Engine, LoadToken, ReadView, Refused};
use crate::error::{InsertError, InsertErrorKind};
use crate::expiry::LifetimeOverride;
use crate::guard::Guard;
use crate::health::{Health, Thresholds};
use crate::iter::Iter;
use crate::maintenance_thread::MaintenanceThread;
use crate::outcome::{Compute, Computed, Inserted};
use crate::random_state::RandomState;
use crate::reader::Reader;
use crate::settings::Settings;
use crate::stats::{EntryInfo, Explanation, Maintained, Stats, Usage};

/// A concurrent cache with wait-free reads and an exact bound.
///
/// A `Cache` is a handle: clones are cheap and share the same entries. All methods take `&self` and
/// may be called by any number of threads.
///
/// # Consistency
///
/// For each key, operations are linearizable: they take effect at one instant between call and
/// return. A read that starts after a write returned never sees an older value. A key that was
/// inserted may be missed for three reasons only: it was evicted, it expired, or the cache refused
/// it. Several keys have no common order.
///
/// # Keys
///
/// Reads and removals take borrowed forms of the key: a `Cache<String, _>` is asked with a `&str`,
/// and your own types can be made comparable with [`Equivalent`]. As in std's maps, `Hash` and `Eq`
/// must agree and must not change while a key is in the cache.
///
/// # Examples
///
/// ```
/// let cache = clockhand::Cache::new(10_000);
/// cache.insert("EURUSD", 1.0842);
/// assert_eq!(cache.get("EURUSD"), Some(1.0842));
/// assert_eq!(cache.get("EURGBP"), None);
/// assert_eq!(cache.stats().hits, 1);
/// ```
pub struct Cache<K, V, S = RandomState> {
    engine: Arc<Engine<K, V, S>>,
    /// Dropped after the engine's handle: the last one waits for the thread, which may be the last
    /// to let go of the engine.
    maintenance_thread: Option<Arc<MaintenanceThread>>,
}

impl<K, V, S> Clone for Cache<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            maintenance_thread: self.maintenance_thread.clone(),
        }
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A cache for `capacity` entries, each of which weighs one.
    ///
    /// # Progress
    ///
    /// **Blocking**: allocates the first table.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(2);
    /// for key in 0..10 {
    ///     cache.insert(key, ());
    /// }
    /// assert_eq!(cache.len(), 2);
    /// ```
    #[doc(alias("with_capacity", "max_capacity"))]
    #[allow(clippy::missing_panics_doc, reason = "it is sound with any capacity")]
    pub fn new(capacity: u64) -> Self {
        Self::builder().capacity(capacity).build().expect("a capacity is all that a cache needs")
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A cache for `capacity` entries with a hasher of choice: [`Builder::hasher`] says what it has to be.
    ///
    /// # Progress
    ///
    /// **Blocking**: allocates the first table.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::RandomState;
    ///
    /// let cache = clockhand::Cache::with_hasher(100, RandomState::new());
    /// cache.insert(1, "one");
    /// assert_eq!(cache.get(&1), Some("one"));
    /// ```
    #[allow(clippy::missing_panics_doc, reason = "it is sound with any capacity")]
    pub fn with_hasher(capacity: u64, hasher: S) -> Self {
        let builder = Builder::new().capacity(capacity).hasher(hasher);
        builder.build().expect("a capacity is all that a cache needs")
    }
}

impl<K, V> Cache<K, V> {
    /// Configures a cache.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::builder().capacity(1_000).time_to_live(Duration::from_secs(60)).build()?;
    /// cache.insert("EURUSD", 1.0842);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias = "newBuilder")]
    pub fn builder() -> Builder<K, V> {
        Builder::new()
    }
}

impl<K, V, S> Cache<K, V, S> {
    pub(crate) fn assemble(
        engine: Arc<Engine<K, V, S>>,
        maintenance_thread: Option<Arc<MaintenanceThread>>,
    ) -> Self {
        Self { engine, maintenance_thread }
    }

    pub(crate) fn engine(&self) -> &Engine<K, V, S> {
        &self.engine
    }

    /// What the cache is called: [`Builder::name`].
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, f64>::builder().capacity(100).name("prices").build()?;
    /// assert_eq!((cache.name(), clockhand::Cache::<u64, f64>::new(1).name()), ("prices", "cache"));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn name(&self) -> &str {
        self.engine.name()
    }

    /// How the cache was configured, including defaults.
    ///
    /// # Progress
    ///
    /// Wait-free; allocates for the name.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).time_to_live(minute).build()?;
    /// let settings = cache.policy();
    /// assert_eq!((settings.capacity, settings.time_to_live), (100, Some(minute)));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("settings", "config"))]
    pub fn policy(&self) -> Settings {
        self.engine.settings().clone()
    }

    /// The capacity that was asked for last.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::new(100);
    /// cache.set_capacity(50);
    /// assert_eq!(cache.capacity(), 50);
    /// ```
    #[doc(alias("max_capacity", "maximumSize"))]
    pub fn capacity(&self) -> u64 {
        self.engine.capacity()
    }

    /// The number of entries, including expired entries not yet removed.
    ///
    /// Exact when no writer runs; while writers run never above what the capacity allows. Reads one
    /// counter for each thread that uses the cache.
    ///
    /// # Progress
    ///
    /// Wait-free, in proportion to the threads that use the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert_eq!(cache.len(), 1);
    /// ```
    #[doc(alias("entry_count", "estimatedSize", "size"))]
    pub fn len(&self) -> usize {
        self.engine.len()
    }

    /// Whether there is no entry.
    ///
    /// # Progress
    ///
    /// Wait-free, as [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// assert!(cache.is_empty());
    /// cache.insert("a", 1);
    /// assert!(!cache.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the cache holds: charge, retired garbage, entries, and their bounds.
    ///
    /// `charged <= capacity` and `retired <= retired_capacity` hold in every answer.
    ///
    /// # Progress
    ///
    /// Wait-free; reads a few words for each thread that uses the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// cache.insert("b", 2);
    /// let usage = cache.usage();
    /// assert_eq!((usage.entries, usage.charged, usage.capacity), (2, 2, 100));
    /// ```
    #[doc(alias("weighted_size", "weightedSize"))]
    pub fn usage(&self) -> Usage {
        self.engine.usage()
    }

    /// What has happened since the cache was built, and how it stands.
    ///
    /// # Progress
    ///
    /// Wait-free; reads some tens of words for each thread that uses the cache, asks the system for the time, and
    /// allocates the list of the threads that hold up the freeing of garbage. No use of the cache becomes dearer by it.
    ///
    /// # Examples
    ///
    /// See [`Stats`].
    #[doc(alias("metrics", "statistics"))]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Whether all is well, and if not, what is out of bounds and what to do.
    ///
    /// Rates are those of a window that ends now, by the system's clock or by a manual one (see
    /// [`health`](crate::health)). May be called
    /// at any frequency and by any number of callers.
    ///
    /// # Progress
    ///
    /// Blocking among its callers, of this cache: they take a lock, for the time that [`stats`](Self::stats) takes.
    /// No other caller does. Reads a file or two if there is a
    /// [memory limit](Thresholds::memory_limit).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, Thresholds, health::Figure};
    ///
    /// let cache: Cache<u64, Vec<u8>> =
    ///     Cache::builder().capacity(10).weigher(|_, bytes: &Vec<u8>| bytes.len() as u64).build()?;
    /// let thresholds = Thresholds::default();
    /// assert!(cache.health(&thresholds).is_healthy());
    /// cache.insert(1, vec![0; 11]);
    /// let health = cache.health(&thresholds);
    /// assert_eq!(health.reasons[0].figure, Figure::Refusals);
    /// assert_eq!(health.reasons[0].value, 1.0);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn health(&self, thresholds: &Thresholds) -> Health {
        self.engine.health(thresholds)
    }

    /// How long operations took since the cache was built; nothing unless [`Builder::sample_every`] was set. Needs
    /// feature `histograms`.
    ///
    /// # Progress
    ///
    /// Wait-free; reads 10 kilobytes for each kind of operation and each thread that uses the cache, and allocates.
    ///
    /// # Examples
    ///
    /// See [`Latencies`](crate::Latencies).
    #[cfg(feature = "histograms")]
    pub fn latencies(&self) -> Option<crate::latency::Latencies> {
        self.engine.latencies()
    }

    /// How many epochs the most backward reader is behind: zero or one in good health. A number
    /// that stays at one while [`usage`](Self::usage) shows the retired capacity full means that a guard is
    /// held or a [`Reader`] was not parked.
    ///
    /// # Progress
    ///
    /// Wait-free, in proportion to the threads that use the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::new(100);
    /// assert!(cache.reclamation_lag() <= 1);
    /// ```
    pub fn reclamation_lag(&self) -> u64 {
        self.engine.reclamation_lag()
    }

    /// Makes the cache usable in a child process that `fork` made; returns how many threads' participants
    /// in the cache it has cleared.
    ///
    /// Only the thread that called `fork` is in the child. The guards and readers of all others are in its
    /// copy of the cache all the same and are never dropped there: nothing would ever be freed, and once
    /// the retired capacity is full, inserts would be refused. This lets go of them. Guards and readers of
    /// the calling thread, and of threads that the child has started, stay as they are.
    ///
    /// Call it for each cache, in the child, on the thread that called `fork`, which must have built or used
    /// some cache of this library before. On another thread, in a process that was not forked, and a second
    /// time it does nothing.
    ///
    /// What the other threads had in their hands at the moment of the fork is lost to the child: the units of
    /// capacity of an entry on its way in, some retired entries that were being freed, the load of a key. Such
    /// loads count as failed, and [`health`](Self::health) does not wait for their end. So is the memory of some
    /// entries, if others were allocating just then. A lock that another thread
    /// held in that moment, as loads and `health` do for some instructions, stays locked.
    /// Threads that clean up are not in the child, nor are executors. Clocks go on.
    ///
    /// # Progress
    ///
    /// Wait-free; visits every participant that the cache has.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, "one");
    /// // In the child: cache.reset_after_fork();
    /// assert_eq!(cache.reset_after_fork(), 0, "no caller was left behind");
    /// ```
    pub fn reset_after_fork(&self) -> usize {
        self.engine.reset_after_fork()
    }
}

/// Reads.
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A clone of the value of a key.
    ///
    /// # Progress
    ///
    /// Wait-free: one locked instruction to pin, and one conditional write that counts the read
    /// while the entry's count is below three. No lock, no allocation, no system call; no value is
    /// dropped, no listener called, nothing cleaned up. (A thread's first call registers it in the
    /// cache, which may allocate.)
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("EURUSD".to_string(), 1.0842);
    /// assert_eq!(cache.get("EURUSD"), Some(1.0842));
    /// assert_eq!(cache.get("EURGBP"), None);
    /// ```
    #[doc(alias = "getIfPresent")]
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.read(key, V::clone)
    }

    /// Clones of the values of some keys, in their order; faster than a [`get`](Self::get) for each, as the memory of
    /// 16 keys at a time is prefetched: see [`Guard::get_many`].
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(1, "one");
    /// assert_eq!(cache.get_many(&[1, 2]), [Some("one"), None]);
    ///
    /// let prices = clockhand::Cache::<String, f64>::new(100);
    /// prices.insert("EURUSD".into(), 1.0842);
    /// assert_eq!(prices.get_many(["EURUSD", "EURGBP"]), [Some(1.0842), None]);
    /// ```
    ///
    /// # Progress
    ///
    /// Wait-free for each key; allocates the answer and a list of the keys.
    #[doc(alias = "getAllPresent")]
    pub fn get_many<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> Vec<Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized + 'q,
        V: Clone,
    {
        // All of them before the pin: the iterator is the caller's code.
        let keys: Vec<_> = keys.into_iter().map(ByRef).collect();
        self.pin().get_many(&keys).map(|value| value.cloned()).collect()
    }

    /// Applies `f` to the value of a key, without a clone.
    ///
    /// The thread is pinned while `f` runs: keep it short. `f` may use the cache.
    ///
    /// # Progress
    ///
    /// Wait-free if `f` is; see [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert(7, "a long text".to_string());
    /// assert_eq!(cache.read(&7, |text| text.len()), Some(11));
    /// ```
    #[doc(alias = "with_value")]
    #[inline]
    pub fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = self.engine.pin_to_read();
        ReadView::new(&self.engine, pin.guard_ref()).get(key).map(f)
    }

    /// A clone of the value of a key. It does not count as a read: it is neither counted nor does it
    /// keep the entry from being evicted or from idling.
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
    /// assert_eq!(cache.peek("a"), Some(1));
    /// assert_eq!(cache.stats().hits, 0);
    /// ```
    #[doc(alias = "getIfPresentQuietly")]
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        let pin = self.engine.pin_to_read();
        ReadView::new(&self.engine, pin.guard_ref()).peek(key).map(|entry| entry.value().clone())
    }

    /// Applies `f` to an entry. Does not count as a read.
    #[cfg(feature = "dedup")]
    #[inline]
    pub(crate) fn look<Q, R>(&self, key: &Q, f: impl FnOnce(&K, &V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = self.engine.pin_to_read();
        let entry = ReadView::new(&self.engine, pin.guard_ref()).peek(key)?;
        Some(f(entry.key(), entry.value()))
    }

    /// Applies `f` to the entries of a stretch of the table, as [`for_each`](Self::for_each) does. The table is
    /// as long as `u64` reaches.
    #[cfg(feature = "dedup")]
    pub(crate) fn look_over(&self, places: std::ops::Range<u64>, f: impl FnMut(&K, &V)) {
        self.engine.visit(places, f);
    }

    /// Why a key is there, or why it is not, as far as that is known. Does not count as a read.
    ///
    /// What became of keys that are not there is remembered for a while: see [`MissCauses`](crate::MissCauses).
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock};
    ///
    /// let (clock, manual) = Clock::manual();
    /// let cache = Cache::builder()
    ///     .capacity(100)
    ///     .time_to_live(Duration::from_secs(60))
    ///     .clock(clock)
    ///     .build()?;
    /// cache.insert("EURUSD", 1.0842);
    /// manual.advance(Duration::from_secs(20));
    /// assert_eq!(
    ///     cache.explain("EURUSD").to_string(),
    ///     "in the cache, on probation, weighs 1, not read lately, written 20s ago, expires in 40s"
    /// );
    /// manual.advance(Duration::from_secs(40));
    /// assert!(cache.explain("EURUSD").to_string().starts_with("not in the cache: it expired"));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn explain<Q>(&self, key: &Q) -> Explanation
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = self.engine.pin_to_read();
        ReadView::new(&self.engine, pin.guard_ref()).explain(key)
    }

    /// What is known of the entry of a key: its weight, its age, when it expires, how it is used. `None` if the key
    /// is not there, or has expired. Does not count as a use.
    ///
    /// [`explain`](Self::explain) also says why a key is not there.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("EURUSD", 1.0842);
    /// let info = cache.entry_info("EURUSD").expect("just inserted");
    /// assert_eq!((info.charge, info.reads, info.expires_in), (1, 0, None));
    /// assert!(cache.entry_info("EURGBP").is_none());
    /// ```
    #[doc(alias("getEntry", "expires_at"))]
    pub fn entry_info<Q>(&self, key: &Q) -> Option<EntryInfo>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = self.engine.pin_to_read();
        ReadView::new(&self.engine, pin.guard_ref()).entry_info(key)
    }

    /// Whether a key is there; like [`peek`](Self::peek), without the clone.
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
    /// assert!(cache.contains_key("a") && !cache.contains_key("b"));
    /// ```
    #[doc(alias("contains", "containsKey"))]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = self.engine.pin_to_read();
        ReadView::new(&self.engine, pin.guard_ref()).peek(key).is_some()
    }

    /// The value of a key and, if it is to be renewed, the age at which it is. No load whose token `is_reloading` is
    /// about to do it.
    #[inline]
    pub(crate) fn get_and_age<Q>(
        &self,
        key: &Q,
        age: (Option<Duration>, f64),
        is_reloading: impl Fn(&LoadToken, Duration) -> bool,
    ) -> Option<(V, Option<Duration>)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        let pin = self.engine.pin_to_read();
        let found =
            ReadView::new(&self.engine, pin.guard_ref()).get_and_age(key, age, is_reloading);
        found.map(|(value, due)| (value.clone(), due))
    }

    /// Pins the thread, to borrow several values at once.
    ///
    /// # Progress
    ///
    /// Wait-free: one locked instruction, none if the thread is pinned already.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("bid", "1.0841".to_string());
    /// cache.insert("ask", "1.0843".to_string());
    /// let guard = cache.pin();
    /// if let (Some(bid), Some(ask)) = (guard.get("bid"), guard.get("ask")) {
    ///     assert!(bid < ask); // references into the cache
    /// }
    /// ```
    #[doc(alias("guard", "epoch"))]
    pub fn pin(&self) -> Guard<'_, K, V, S> {
        Guard::new(&self.engine, self.engine.pin_to_read())
    }

    /// A handle for a thread that reads all the time: its reads need no fence.
    ///
    /// # Progress
    ///
    /// Lock-free; may allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("EURUSD", 1.0842);
    /// let mut reader = cache.reader();
    /// assert_eq!(reader.get("EURUSD"), Some(&1.0842));
    /// reader.park(); // before the thread waits for something
    /// ```
    #[doc(alias = "local_handle")]
    pub fn reader(&self) -> Reader<K, V, S> {
        Reader::new(self.clone())
    }
}

/// Writes.
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts a value in, whether the key is there or not.
    ///
    /// The cache may refuse: an entry that is heavier than the capacity, or when there is no room at
    /// the moment. Then the refusal is counted, an older value of the key is removed, as it is not
    /// to be seen again, and the listener is called with [`RemovalCause::Refused`](crate::RemovalCause::Refused). To
    /// be told instead, use [`try_insert`](Self::try_insert).
    ///
    /// # Progress
    ///
    /// Lock-free. Evicts as many entries as the new one's charge needs, and frees some retired ones:
    /// up to 16 at every eighth that its thread retires; where the retired capacity is full, 16 at a time,
    /// and it ends after 16 times in which it got no further: 272 for an entry that weighs one. Destructors
    /// may write; their writes are included, as they free nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("EURUSD", 1.0842);
    /// cache.insert("EURUSD", 1.0843);
    /// assert_eq!(cache.get("EURUSD"), Some(1.0843));
    /// ```
    #[doc(alias("put", "set", "push"))]
    pub fn insert(&self, key: K, value: V) {
        if let Err(refused) = self.put(key, value, LifetimeOverride::default()) {
            self.engine.refuse(refused);
        }
    }

    /// Inserts a value, and returns a clone of the live one that it has taken the place of.
    ///
    /// One atomic step: the value that is returned is the one that was there. If the cache refuses the new value, the
    /// key is removed, as by [`insert`](Self::insert), and what it had is returned. [`insert`](Self::insert) may let
    /// a value go first that is heavier than the whole retired capacity; this is refused then.
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// assert_eq!(cache.replace("EURUSD", 1.08), None);
    /// assert_eq!(cache.replace("EURUSD", 1.09), Some(1.08));
    /// ```
    #[doc(alias = "put")]
    pub fn replace(&self, key: K, value: V) -> Option<V>
    where
        V: Clone,
    {
        let old = RefCell::new(None);
        let over = |held: &V, _: &V| {
            let cloned = Some(held.clone());
            // What an earlier attempt has found was not replaced.
            drop(old.replace(cloned));
            true
        };
        // A clone is code of the user's, which may write the key itself.
        match self.engine.put(key, value, (over, DecidedBy::ByClosure)) {
            Ok(Inserted::Replaced) => old.into_inner(),
            Ok(_) => None,
            Err(refused) => self.engine.refuse_and(refused, V::clone),
        }
    }

    /// Puts a value in, or tells why not.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::InsertErrorKind::TooLarge) or [`NoRoom`](crate::InsertErrorKind::NoRoom), with the key
    /// and the value. An older value of the key stays; the listener is not called.
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, InsertErrorKind, Inserted};
    ///
    /// let cache = Cache::builder().capacity(10).weigher(|_, text: &&str| text.len() as u64).build()?;
    /// assert_eq!(cache.try_insert(1, "hello").unwrap(), Inserted::New);
    /// assert_eq!(cache.try_insert(1, "goodbye").unwrap(), Inserted::Replaced);
    /// let error = cache.try_insert(1, "a long farewell").unwrap_err();
    /// assert_eq!(error.kind, InsertErrorKind::TooLarge { charge: 15, capacity: 10 });
    /// assert_eq!(cache.get(&1), Some("goodbye"));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias = "try_put")]
    pub fn try_insert(&self, key: K, value: V) -> Result<Inserted, InsertError<K, V>> {
        self.put(key, value, LifetimeOverride::default()).map_err(InsertError::from)
    }

    /// Inserts a value that lives for `ttl` from now on, unless it is replaced, removed or evicted before; as
    /// [`insert`](Self::insert) otherwise.
    ///
    /// `ttl` takes the place of the cache's time to live, be it shorter or longer, and of what an
    /// [`Expiry`](crate::Expiry) would say of a new value; a time to idle goes on. In a cache with an `Expiry`, the
    /// time to live remains the longest that an entry lives, and the `Expiry` is asked after each read. Zero: the
    /// entry is expired at once. [`Duration::MAX`]: it never expires. A later [`insert`](Self::insert) of the key is
    /// an ordinary one.
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: see [`Builder::per_entry_ttl`].
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build()?;
    /// cache.insert_with_ttl("token", 7, Duration::from_secs(300));
    /// cache.insert_with_ttl("gone", 8, Duration::ZERO);
    /// assert_eq!((cache.get("token"), cache.get("gone")), (Some(7), None));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("expireVariably", "insert_with_expiry", "put_with_ttl"))]
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) {
        self.assert_keeps_time();
        if let Err(refused) = self.put(key, value, LifetimeOverride::of_ttl(ttl)) {
            self.engine.refuse(refused);
        }
    }

    /// Inserts a value that lives for `ttl` from now on, or says why not: [`insert_with_ttl`](Self::insert_with_ttl)
    /// with the answer of [`try_insert`](Self::try_insert).
    ///
    /// # Errors
    ///
    /// Those of [`try_insert`](Self::try_insert), and [`Untimed`](crate::InsertErrorKind::Untimed) if the cache keeps
    /// no time. Key and value come back.
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, InsertErrorKind};
    ///
    /// let cache = Cache::new(100);
    /// let error = cache.try_insert_with_ttl("token", 7, Duration::from_secs(300)).unwrap_err();
    /// assert_eq!(error.kind, InsertErrorKind::Untimed);
    /// ```
    pub fn try_insert_with_ttl(
        &self,
        key: K,
        value: V,
        ttl: Duration,
    ) -> Result<Inserted, InsertError<K, V>> {
        if !self.engine.keeps_time() {
            return Err(InsertError { kind: InsertErrorKind::Untimed, key, value });
        }
        self.put(key, value, LifetimeOverride::of_ttl(ttl)).map_err(InsertError::from)
    }

    /// Puts a value in, over whatever there is.
    #[inline]
    fn put(
        &self,
        key: K,
        value: V,
        lifetime_override: LifetimeOverride,
    ) -> Result<Inserted, Refused<K, V>> {
        let over = (|_: &V, _: &V| true, DecidedBy::ByOperation);
        self.engine.put_with_lifetime(key, value, over, (&lifetime_override, None))
    }

    fn assert_keeps_time(&self) {
        assert!(self.engine.keeps_time(), "{}", InsertErrorKind::Untimed);
    }

    /// Gives the entry of a key another time to live, counted from now; returns whether the key was there.
    ///
    /// The new deadline is in force when the call returns, and takes the place of the one that the entry had, as in
    /// [`insert_with_ttl`](Self::insert_with_ttl). An entry that a thread has seen as expired stays expired. Zero: it
    /// expires now. [`Duration::MAX`]: it never expires. The value is not touched, and the call does not count as a
    /// read. If another thread replaces the value concurrently, either value may be the one whose life is set. A
    /// value that a load under way puts in the place of this one later lives as long as any loaded value.
    ///
    /// If a load begins to renew the value at the same moment, it puts the value into a new record, and other threads
    /// may see the former deadline there until that load has begun, also where the new one is earlier.
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: see [`Builder::per_entry_ttl`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build()?;
    /// cache.insert("session", 7);
    /// assert!(cache.set_ttl("session", Duration::from_secs(60)));
    /// assert!(!cache.set_ttl("other", Duration::from_secs(60)));
    /// assert!(cache.set_ttl("session", Duration::ZERO));
    /// assert_eq!(cache.get("session"), None);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("setExpiresAfter", "expire", "touch"))]
    pub fn set_ttl<Q>(&self, key: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.assert_keeps_time();
        self.engine.set_ttl(key, ttl)
    }

    /// Puts a value in if the key is not there.
    ///
    /// Of several threads that do this at once with one key, exactly one succeeds.
    ///
    /// # Errors
    ///
    /// [`Occupied`](crate::InsertErrorKind::Occupied) if the key is there, which counts as a read of it, and
    /// those of [`try_insert`](Self::try_insert).
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// assert!(cache.insert_if_absent("leader", 1).is_ok());
    /// assert_eq!(cache.insert_if_absent("leader", 2).unwrap_err().value, 2);
    /// assert_eq!(cache.get("leader"), Some(1));
    /// ```
    #[doc(alias("putIfAbsent", "or_insert", "entry"))]
    pub fn insert_if_absent(&self, key: K, value: V) -> Result<(), InsertError<K, V>> {
        let over = (|_: &V, _: &V| false, DecidedBy::ByOperation);
        self.engine.put(key, value, over).map(drop).map_err(InsertError::from)
    }

    /// Inserts a value unless the key has one that is as new or newer, in one atomic step: a message
    /// that comes late, or twice, does not undo a later one. `version` says how new a value is; it
    /// may be called several times.
    ///
    /// # Errors
    ///
    /// [`Occupied`](crate::InsertErrorKind::Occupied) if the value that is there is as new or newer, which
    /// counts as a read of it; [`Contended`](crate::InsertErrorKind::Contended) if `version` itself writes the key;
    /// else as [`try_insert`](Self::try_insert). Key and value come back.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let prices = Cache::new(100);
    /// let sequence = |&(sequence, _): &(u64, f64)| sequence;
    /// assert!(prices.insert_if_newer("EURUSD", (2, 1.09), sequence).is_ok());
    /// assert!(prices.insert_if_newer("EURUSD", (1, 1.08), sequence).is_err());
    /// assert_eq!(prices.get("EURUSD"), Some((2, 1.09)));
    /// ```
    #[doc(alias = "upsert")]
    pub fn insert_if_newer<T: Ord>(
        &self,
        key: K,
        value: V,
        version: impl Fn(&V) -> T,
    ) -> Result<Inserted, InsertError<K, V>> {
        let is_newer = |old: &V, new: &V| version(new) > version(old);
        let over = (is_newer, DecidedBy::ByClosure);
        self.engine.put(key, value, over).map_err(InsertError::from)
    }

    /// Decides, from what a key has now, what it shall have.
    ///
    /// One atomic step for each key: what `f` returned takes effect only if nothing happened to the
    /// key since `f` was called; else `f` is called again with what is there then. So `f` should be
    /// quick, and should have no other effects. The thread is pinned while it runs; it may use the
    /// cache. A panic in it changes nothing. One that writes its own key is called 256 times at most, and
    /// ends in [`InsertErrorKind::Contended`].
    ///
    /// A value that is kept counts as read. One that replaces another evicts no other entry, unless it is heavier;
    /// where the older one cannot be freed and there is no room for both, it is refused, and nothing is lost.
    ///
    /// # Progress
    ///
    /// Lock-free: `f` runs again where another write of the key, or a new key in the same bucket, took
    /// effect, where the bucket is moved as the table grows or shrinks, and where garbage had to be freed to
    /// make room.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, Compute, Computed};
    ///
    /// let counts = Cache::new(100);
    /// let count = |n: Option<&u64>| Compute::Put(n.copied().unwrap_or(0) + 1);
    /// assert_eq!(counts.compute("seen", count), Computed::Inserted);
    /// assert_eq!(counts.compute("seen", count), Computed::Replaced);
    /// assert_eq!(counts.get("seen"), Some(2));
    /// ```
    #[doc(alias("entry", "and_upsert_with", "and_compute_with"))]
    pub fn compute(&self, key: K, f: impl FnMut(Option<&V>) -> Compute<V>) -> Computed<V> {
        self.engine.compute(key, f)
    }

    /// Decides as [`compute`](Self::compute), and returns a clone of the value that the key has after that; `None` if
    /// it has none.
    ///
    /// If the new value is refused, that is the older one.
    ///
    /// # Progress
    ///
    /// As [`compute`](Self::compute). The value is cloned once for each call of `f`.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, Compute};
    ///
    /// let counts = Cache::new(100);
    /// let count = |n: Option<&u64>| Compute::Put(n.copied().unwrap_or(0) + 1);
    /// assert_eq!(counts.compute_and_get("seen", count), Some(1));
    /// assert_eq!(counts.compute_and_get("seen", count), Some(2));
    /// assert_eq!(counts.compute_and_get("seen", |_| Compute::Remove), None);
    /// ```
    #[doc(alias("and_compute_with", "computeIfPresent", "fetch_update"))]
    pub fn compute_and_get(&self, key: K, mut f: impl FnMut(Option<&V>) -> Compute<V>) -> Option<V>
    where
        V: Clone,
    {
        let (mut old, mut new) = (None, None);
        let computed = self.engine.compute(key, |held| {
            let wanted = f(held);
            (old, new) = match &wanted {
                Compute::Put(value) | Compute::PutWithTtl(value, _) => {
                    (held.cloned(), Some(value.clone()))
                }
                Compute::Keep => (held.cloned(), None),
                Compute::Remove => (None, None),
            };
            wanted
        });
        match computed {
            Computed::Inserted | Computed::Replaced => new,
            Computed::Kept | Computed::Refused { .. } => old,
            Computed::Absent | Computed::Removed | Computed::Contended => None,
        }
    }

    /// Removes a key and returns a clone of its value.
    ///
    /// A clone, as readers may be looking at the value still.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert_eq!((cache.remove("a"), cache.remove("a")), (Some(1), None));
    /// ```
    #[doc(alias("pop", "take"))]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.engine.remove(key, (|value: &V| Some(value.clone()), false))
    }

    /// Removes a key; whether it was there.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert!(cache.invalidate("a"));
    /// assert!(!cache.invalidate("a"));
    /// ```
    #[doc(alias("delete", "del"))]
    pub fn invalidate<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.engine.remove(key, (|_: &V| Some(()), false)).is_some()
    }

    /// Removes a key if its value is such that `condition` holds; whether it was removed.
    ///
    /// Atomic: the value that `condition` has seen is the one that is removed. If it is replaced in
    /// between, `condition` is asked again; one that replaces it itself each time, 256 times at most, and then
    /// nothing is removed.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("tries", 3);
    /// assert!(!cache.remove_if("tries", |tries| *tries > 3));
    /// assert!(cache.remove_if("tries", |tries| *tries == 3));
    /// ```
    #[doc(alias = "conditional_remove")]
    pub fn remove_if<Q>(&self, key: &Q, mut condition: impl FnMut(&V) -> bool) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.engine.remove(key, (|value: &V| condition(value).then_some(()), true)).is_some()
    }

    /// Removes every entry that was there when the call began.
    ///
    /// Entries that are inserted meanwhile may stay. When the call returns, no older value is seen again.
    ///
    /// # Progress
    ///
    /// Lock-free; walks the whole table.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key| cache.insert(key, key));
    /// cache.invalidate_all();
    /// assert!(cache.is_empty());
    /// ```
    #[doc(alias("invalidateAll", "flush"))]
    pub fn invalidate_all(&self) {
        self.retain(|_, _| false);
    }

    /// Removes every entry that `keep` does not want.
    ///
    /// Visits every entry that is there throughout exactly once, concurrently with writers. An entry is removed
    /// only if it is still the one that `keep` has seen.
    ///
    /// # Progress
    ///
    /// Lock-free; walks the whole table.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key| cache.insert(key, key));
    /// cache.retain(|key, _| key % 2 == 0);
    /// assert_eq!(cache.len(), 5);
    /// ```
    #[doc(alias("invalidate_entries_if", "removeIf"))]
    pub fn retain(&self, keep: impl FnMut(&K, &V) -> bool) {
        self.engine.retain(EVERYWHERE, keep);
    }
}

/// Scans.
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The keys of up to `most` live entries: those that are used most, beginning with the one used
    /// most of all. The cache counts uses coarsely, and forgets them in time; entries that are used
    /// alike come in any order.
    ///
    /// # Consistency
    ///
    /// Walks the cache concurrently with writers, as [`for_each`](Self::for_each).
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..100).for_each(|key| cache.insert(key, key));
    /// (0..3).for_each(|_| drop(cache.get(&42)));
    /// assert_eq!(cache.hottest(1), [42]);
    /// ```
    ///
    /// # Progress
    ///
    /// Lock-free. Looks at every entry.
    pub fn hottest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.engine.hottest(most)
    }

    /// Calls `f` for the entries, concurrently with writers.
    ///
    /// Visits every entry that is there throughout exactly once; one that comes or goes meanwhile,
    /// once or not at all. Neither counted nor touched. The pin is renewed from bucket to bucket, so
    /// a long walk holds nothing up; `f` may use the cache.
    ///
    /// # Progress
    ///
    /// Lock-free if `f` is.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key| cache.insert(key, key));
    /// let mut sum = 0;
    /// cache.for_each(|_, value| sum += value);
    /// assert_eq!(sum, 45);
    /// ```
    #[doc(alias = "asMap")]
    pub fn for_each(&self, f: impl FnMut(&K, &V)) {
        self.engine.visit(EVERYWHERE, f);
    }

    /// Iterates over copies of the entries, as [`for_each`](Self::for_each) does.
    ///
    /// # Progress
    ///
    /// Each step is lock-free; it allocates for the copies of a bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..10).for_each(|key| cache.insert(key, key));
    /// assert_eq!(cache.iter().filter(|(key, _)| key % 2 == 0).count(), 5);
    /// ```
    #[doc(alias = "entries")]
    pub fn iter(&self) -> Iter<K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        Iter::new(self.clone())
    }

    /// Copies of all entries, each from some moment during the call.
    ///
    /// # Progress
    ///
    /// Lock-free; allocates for all entries.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert_eq!(cache.snapshot(), [("a", 1)]);
    /// ```
    #[doc(alias("asMap", "to_vec"))]
    pub fn snapshot(&self) -> Vec<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        self.iter().collect()
    }
}

/// Upkeep.
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Sets the capacity, while everything else goes on.
    ///
    /// More is there at once. Less is in force when the call returns: until the entries fit, it
    /// evicts. If readers hold retired garbage until the retired capacity is full, the call does not
    /// wait for them: [`usage`](Self::usage) shows the bound in force. Whatever is freed lowers it
    /// before anything else can use it, each insert that evicts evicts up to two entries more, and
    /// [`maintain`](Self::maintain) goes on with it. The retired capacity follows, unless the cache was built with
    /// [one of its own](crate::Builder::retired_capacity): more of it is there at once as well, and what retired entries
    /// hold beyond a smaller one is not used again.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// (0..100).for_each(|key| cache.insert(key, key));
    /// cache.set_capacity(10);
    /// assert!(cache.len() <= 10);
    /// ```
    #[doc(alias("setMaximum", "set_max_capacity", "resize"))]
    pub fn set_capacity(&self, capacity: u64) {
        self.engine.set_capacity(capacity);
    }

    /// Frees up to `budget` retired entries and looks at about `budget` entries for their deadlines.
    /// Goes on with a [`set_capacity`](Self::set_capacity) that readers stopped: evicts up to
    /// `budget` entries for it.
    ///
    /// Frees no more than there was when it was called: what destructors put in and what is retired
    /// meanwhile is for the next call. Called inside a destructor, it frees nothing.
    ///
    /// Destructors of values run on the calling thread. With [`Maintenance::Manual`] this is the one
    /// place where they do as a rule; with the others it does no harm.
    ///
    /// [`Maintenance::Manual`]: crate::Maintenance::Manual
    ///
    /// # Progress
    ///
    /// Lock-free; bounded by `budget`.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, Maintenance};
    ///
    /// let cache = Cache::builder().capacity(100).maintenance(Maintenance::Manual).build()?;
    /// (0..200).for_each(|key| cache.insert(key, key));
    /// // From time to time, on a thread that has time.
    /// let done = cache.maintain(1_000);
    /// assert!(done.freed <= 1_000);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("run_pending_tasks", "cleanUp"))]
    pub fn maintain(&self, budget: usize) -> Maintained {
        self.engine.maintain(budget)
    }

    /// Removes every entry that has expired; returns how many it removed.
    ///
    /// # Progress
    ///
    /// Lock-free; walks the whole table.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock};
    ///
    /// let (clock, manual) = Clock::manual();
    /// let minute = Duration::from_secs(60);
    /// let cache = Cache::builder().capacity(100).time_to_live(minute).clock(clock).build()?;
    /// cache.insert("a", 1);
    /// manual.advance(minute);
    /// assert_eq!((cache.remove_expired(), cache.len()), (1, 0));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("purge", "cleanup"))]
    pub fn remove_expired(&self) -> usize {
        self.engine.remove_expired()
    }

    /// The bytes that the table and the policy's memory take now, without the entries: the part of
    /// the cache's memory that no entry is charged for.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::new(1_000);
    /// assert!(cache.overhead() > 1_000);
    /// ```
    pub fn overhead(&self) -> usize {
        self.engine.overhead()
    }

    /// Recomputes every count from the contents, and panics where one is off. For tests; no other
    /// thread may use the cache meanwhile.
    ///
    /// # Panics
    ///
    /// If the cache is inconsistent, or in use.
    #[cfg(any(fuzzing, clockhand_fuzz))]
    pub fn validate(&self) {
        self.engine.validate();
    }
}

impl<K, V> From<Refused<K, V>> for InsertError<K, V> {
    fn from(refused: Refused<K, V>) -> Self {
        let (kind, key, value) = refused.into_parts();
        Self { kind, key, value }
    }
}

impl<K, V, S> fmt::Debug for Cache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Usage { charged, lingering, retired, entries, capacity, retired_capacity } =
            self.usage();
        f.debug_struct("Cache")
            .field("entries", &entries)
            .field("charged", &charged)
            .field("capacity", &capacity)
            .field("lingering", &lingering)
            .field("retired", &retired)
            .field("retired_capacity", &retired_capacity)
            .finish_non_exhaustive()
    }
}

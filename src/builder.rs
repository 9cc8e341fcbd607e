//! How a cache is configured.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::engine::{Engine, Plan, Rules};
use crate::error::BuildError;
use crate::expiry::{Expiration, Expiry};
use crate::latency::Sampling;
use crate::load_policy::LoadPolicy;
use crate::maintenance_thread;
use crate::outcome::RemovalCause;
use crate::random_state::RandomState;
use crate::settings::{Maintenance, Settings, default_retired_capacity};
use crate::time::Clock;

/// Entries for which the first table is made, at most, unless the builder is told how many to expect.
const UNASKED: usize = 1 << 20;
/// The same where entries are weighed, so that the capacity tells nothing about their number.
const UNASKED_WEIGHED: usize = 1 << 10;
/// The most entries that a table can be made for.
const MOST: usize = 1 << 34;
/// For how long a write waits by default: what a thread needs that is in the cache and has lost its processor to
/// ten others, three times over.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a cache is called by default.
const UNNAMED: &str = "cache";

/// Bytes that an entry takes in addition to its key, its value, and what these own on the heap: for weighers
/// that count bytes.
///
/// Its record, its share of the table and of what the policy remembers, and what an allocator adds.
/// That is 51 to 108 bytes, between a full table of entries that do not expire and one that has just
/// doubled, of entries with a time to idle. The constant is not below any of these. Where there is a
/// [`cost`](Builder::cost), add eight.
///
/// # Examples
///
/// ```
/// use clockhand::ENTRY_OVERHEAD;
///
/// fn bytes(key: &String, value: &Vec<u8>) -> u64 {
///     let own = size_of_val(key) + key.capacity() + size_of_val(value) + value.capacity();
///     own as u64 + ENTRY_OVERHEAD
/// }
/// let cache = clockhand::Cache::builder().capacity(64 << 20).weigher(bytes).build()?;
/// # cache.insert(String::new(), Vec::new());
/// # Ok::<_, clockhand::BuildError>(())
/// ```
pub const ENTRY_OVERHEAD: u64 = 108;

/// Configures a cache. Made by [`Cache::builder`].
///
/// # Progress
///
/// All methods are wait-free, but for those that say otherwise: they set a field.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::{Cache, ENTRY_OVERHEAD};
///
/// let cache = Cache::builder()
///     .capacity(64 << 20)
///     .weigher(|key: &u64, value: &Vec<u8>| {
///         (size_of_val(key) + size_of_val(value) + value.capacity()) as u64 + ENTRY_OVERHEAD
///     })
///     .time_to_live(Duration::from_secs(60))
///     .build()?;
/// cache.insert(17, b"hello".to_vec());
/// assert!(cache.contains_key(&17));
/// # Ok::<_, clockhand::BuildError>(())
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct Builder<K, V, S = RandomState> {
    capacity: Option<u64>,
    retired_capacity: Option<u64>,
    patience: Duration,
    expected_entries: Option<usize>,
    maintenance: Maintenance,
    remembers: bool,
    sampling: Sampling,
    clock: Option<Clock>,
    time_to_live: Option<Duration>,
    time_to_idle: Option<Duration>,
    per_entry_ttl: bool,
    expiry: Option<Arc<dyn Expiry<K, V> + Send + Sync>>,
    rules: Rules<K, V>,
    hasher: S,
}

impl<K, V> Builder<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            capacity: None,
            retired_capacity: None,
            patience: PATIENCE,
            expected_entries: None,
            maintenance: Maintenance::Inline,
            remembers: true,
            sampling: Sampling::OFF,
            clock: None,
            time_to_live: None,
            time_to_idle: None,
            per_entry_ttl: false,
            expiry: None,
            rules: Rules::new(UNNAMED),
            hasher: RandomState::new(),
        }
    }
}

impl<K, V> Default for Builder<K, V> {
    /// As [`Cache::builder`]: what is not set has its default, and the capacity has none.
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V, S: Clone> Clone for Builder<K, V, S> {
    /// A builder of another cache with the same settings. Both caches call the same weigher, cost, expiry and
    /// listener, use the same clock if the builder was given one, and hash alike.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Builder, Cache};
    ///
    /// let common: Builder<u64, String> = Cache::builder().time_to_live(Duration::from_secs(60));
    /// let users = common.clone().capacity(100).name("users").build()?;
    /// let teams = common.capacity(10).name("teams").build()?;
    /// users.insert(1, "ann".to_string());
    /// assert_eq!((users.len(), teams.len()), (1, 0));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    fn clone(&self) -> Self {
        Self {
            capacity: self.capacity,
            retired_capacity: self.retired_capacity,
            patience: self.patience,
            expected_entries: self.expected_entries,
            maintenance: self.maintenance,
            remembers: self.remembers,
            sampling: self.sampling,
            clock: self.clock.clone(),
            time_to_live: self.time_to_live,
            time_to_idle: self.time_to_idle,
            per_entry_ttl: self.per_entry_ttl,
            expiry: self.expiry.clone(),
            rules: self.rules.to_build_another(),
            hasher: self.hasher.clone(),
        }
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// The most that all entries together may weigh. Must be given.
    ///
    /// Exact and global: at no instant does the sum of the entries' charges exceed it, and no entry
    /// is evicted while a new one still fits. A capacity of zero refuses everything.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(2).build()?;
    /// (0..5).for_each(|key| cache.insert(key, key));
    /// assert_eq!(cache.len(), 2);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("max_capacity", "maximumSize", "maximumWeight", "weight_capacity"))]
    pub fn capacity(mut self, capacity: u64) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// What the cache is called in [`Stats`](crate::Stats) and in everything that is made of them, so that several
    /// caches can be told apart. Without it, `"cache"`.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, f64>::builder().capacity(100).name("prices").build()?;
    /// assert_eq!(cache.name(), "prices");
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.rules.name = name.into().into();
        self
    }

    /// What an entry weighs; without a weigher, one.
    ///
    /// Called once for each write, on the writing thread, before anything is taken or changed; what
    /// it returns is the entry's charge as long as it lives. It may use the cache. A panic in it
    /// leaves the cache as it was.
    ///
    /// The unit is yours. With bytes: the size of key and value, what they own on the heap, and
    /// [`ENTRY_OVERHEAD`] (`docs/guide.md` says what is in it).
    ///
    /// What saves least for its weight is evicted first: see [`cost`](Self::cost). A heavy entry that would
    /// displace others that are worth more together makes room itself, at once: it is evicted by its own write. That
    /// concerns those that need more than a sixty-fourth of the capacity and displace more than four others of
    /// average weight, in a cache of 32 entries or more. One that needs more than a quarter of the capacity is evicted
    /// by its own write also while lighter entries, for which there would be room, are evicted and asked for again.
    ///
    /// An entry that weighs nothing is never evicted, and one that weighs 2^63 or more is never inserted.
    ///
    /// # Examples
    ///
    /// ```
    /// let texts = clockhand::Cache::builder()
    ///     .capacity(10)
    ///     .weigher(|_: &u64, text: &String| text.len() as u64)
    ///     .build()?;
    /// texts.insert(1, "four".to_string());
    /// texts.insert(2, "fifteen letters".to_string()); // heavier than the capacity
    /// assert_eq!((texts.usage().charged, texts.len()), (4, 1));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("weighter", "Weighter"))]
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.rules.weigher = Some(Arc::new(weigher));
        self
    }

    /// What a miss costs, in any unit: time, money, requests; without it, one. The cache keeps what saves most cost
    /// for each unit of weight: how often a key is asked for, times the cost of a miss, divided by the weight.
    ///
    /// - Without a cost, and with a weigher that counts bytes, that is hits: small entries stay before large ones.
    /// - With a cost that is the weight, it is bytes that hit: what counts for traffic, or for a disk behind the
    ///   cache.
    /// - With a cost in microseconds, it is time that callers do not wait.
    ///
    /// Called once for each write, before the weigher, and under the same conditions. It only chooses
    /// which entries are evicted: a cost that is wrong costs hits, and nothing else. An entry whose cost
    /// is zero is evicted first. Each entry takes eight bytes more.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// struct Answer { text: String, millis: u64 }
    ///
    /// let cache: Cache<u64, Answer> = Cache::builder()
    ///     .capacity(64 << 20)
    ///     .weigher(|_, answer: &Answer| answer.text.len() as u64 + clockhand::ENTRY_OVERHEAD)
    ///     .cost(|_, answer| answer.millis)
    ///     .build()?;
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn cost(mut self, cost: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.rules.cost = Some(Arc::new(cost));
        self
    }

    /// Whether a miss of what was loaded costs what the load took: the cache then keeps what saves most waiting for
    /// its weight. Off by default.
    ///
    /// The cost of an entry is the time from when its loader was called until that returned, in whole microseconds,
    /// one at least. It is measured at each load: a [renewal](crate::load::LoadingCache::refresh_after) or a
    /// [refresh](crate::load::LoadingCache::refresh) gives its value a new one, and while it is under way the old
    /// value keeps its own. Keys that are loaded by one query, as by
    /// [`get_many`](crate::load::LoadingCache::get_many), cost what the query took, each of them.
    ///
    /// What is inserted without a load, by [`insert`](crate::Cache::insert) or [`compute`](crate::Cache::compute), costs
    /// what [`cost`](Self::cost) says: give one, in microseconds, where both happen. Without it, one: as little as
    /// what is loaded in a microsecond.
    ///
    /// Time is measured by the processor's clock, or by that of [`Clock::manual`] if the cache has one. It is as long
    /// as the caller would wait: a thread that was not scheduled, or a backend that was slow once, counts. As with
    /// every cost, that costs hits and nothing else. Each entry takes eight bytes more.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let cache: Cache<u64, String> = Cache::builder()
    ///     .capacity(64 << 20)
    ///     .weigher(|_, page: &String| page.len() as u64 + clockhand::ENTRY_OVERHEAD)
    ///     .cost_of_load_time(true)
    ///     .build()?;
    /// let page = cache.get_or_load(7, |id| format!("what was slow to make of {id}"));
    /// assert_eq!(cache.get(&7), Some(page));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn cost_of_load_time(mut self, on: bool) -> Self {
        self.rules.costs_load_time = on;
        self
    }

    /// How long an entry lives after its value was written. Zero: not at all. What is too long for
    /// the clock, like [`Duration::MAX`], is forever.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).time_to_live(Duration::from_secs(60)).build()?;
    /// cache.insert(1, 1);
    /// assert!(cache.entry_info(&1).is_some_and(|info| info.expires_in.is_some()));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("expireAfterWrite", "ttl"))]
    pub fn time_to_live(mut self, duration: Duration) -> Self {
        self.time_to_live = Some(duration);
        self
    }

    /// How long an entry lives after it was last read or written. Zero: not at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).time_to_idle(Duration::from_secs(60)).build()?;
    /// cache.insert(1, 1);
    /// assert_eq!(cache.get(&1), Some(1)); // and it lives for another minute
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("expireAfterAccess", "tti"))]
    pub fn time_to_idle(mut self, duration: Duration) -> Self {
        self.time_to_idle = Some(duration);
        self
    }

    /// Lets callers say how long an entry lives: [`Cache::insert_with_ttl`], [`Cache::set_ttl`],
    /// [`Compute::PutWithTtl`](crate::Compute::PutWithTtl). A cache with a time to live, a time to idle, an `expiry`
    /// or a clock does so anyway; one without any of these needs this, as its entries would have no place for a
    /// deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build()?;
    /// cache.insert("stays", 1);
    /// cache.insert_with_ttl("goes", 2, Duration::from_secs(60));
    /// assert_eq!(cache.entry_info("stays").and_then(|info| info.expires_in), None);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias = "expireVariably")]
    pub fn per_entry_ttl(mut self) -> Self {
        self.per_entry_ttl = true;
        self
    }

    /// Lets entries have tags, by which they can be invalidated together: [`Cache::insert_tagged`],
    /// [`Cache::invalidate_tag`].
    ///
    /// A cache with tags keeps time, as with [`per_entry_ttl`](Self::per_entry_ttl). Each entry takes eight bytes
    /// more for them, and one that has tags about 80 more and eight for each. A tag itself takes about 200 bytes for
    /// as long as there is an entry that has it. Reads of entries that have tags look at one word of each.
    ///
    /// # Examples
    ///
    /// ```
    /// let pages = clockhand::Cache::builder().capacity(100).tags().build()?;
    /// pages.insert_tagged("/cart", "three things", ["user:7", "shop"]);
    /// pages.insert_tagged("/news", "nothing new", ["news"]);
    /// pages.invalidate_tag("user:7");
    /// assert_eq!((pages.get("/cart"), pages.get("/news")), (None, Some("nothing new")));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("groups", "dependencies", "remove_by_tag"))]
    pub fn tags(mut self) -> Self {
        self.rules.tagged = true;
        self
    }

    /// How long each entry lives, decided entry by entry.
    ///
    /// # Examples
    ///
    /// See [`Expiry`].
    #[doc(alias("expireAfter", "expire_after"))]
    pub fn expiry(mut self, expiry: impl Expiry<K, V> + Send + Sync + 'static) -> Self {
        self.expiry = Some(Arc::new(expiry));
        self
    }

    /// Called once for every entry that leaves, and for every one that `insert` could not take, with
    /// the cause.
    ///
    /// It runs on the thread whose call removed the entry, after the entry can no longer be read,
    /// while the thread is pinned and nothing else is held. It may use the cache: but what it writes while it
    /// is told of an eviction evicts eight entries of the same cache at most, as it is told of these inside of that,
    /// and is refused with [`NoRoom`](crate::InsertErrorKind::NoRoom) where that is not enough. The value is
    /// dropped later, when no reader looks at it any more. A panic goes to the caller of the
    /// operation when that is done: the entry is gone, and an insert that was making room has taken place.
    ///
    /// What takes time belongs to another thread or to a task: [`removal_queue`](crate::removal_queue) makes a listener
    /// that passes everything on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::Arc;
    /// use clockhand::Cache;
    ///
    /// let evicted = Arc::new(AtomicU64::new(0));
    /// let count = Arc::clone(&evicted);
    /// let cache = Cache::builder()
    ///     .capacity(2)
    ///     .removal_listener(move |_: &u64, _: &u64, cause| {
    ///         count.fetch_add(cause.was_evicted().into(), Ordering::Relaxed);
    ///     })
    ///     .build()?;
    /// (0..5).for_each(|key| cache.insert(key, key));
    /// assert_eq!(evicted.load(Ordering::Relaxed), 3);
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    #[doc(alias("eviction_listener", "evictionListener", "Lifecycle"))]
    pub fn removal_listener(
        mut self,
        listener: impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static,
    ) -> Self {
        self.rules.listener = Some(Arc::new(listener));
        self
    }

    /// The hasher. Weak hashers suffice: the result is spread over all bits once more.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::RandomState;
    ///
    /// let cache = clockhand::Cache::builder().capacity(100).hasher(RandomState::new()).build()?;
    /// cache.insert(1, "one");
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("build_with_hasher", "with_hasher"))]
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> Builder<K, V, T> {
        Builder {
            capacity: self.capacity,
            retired_capacity: self.retired_capacity,
            patience: self.patience,
            expected_entries: self.expected_entries,
            maintenance: self.maintenance,
            remembers: self.remembers,
            sampling: self.sampling,
            clock: self.clock,
            time_to_live: self.time_to_live,
            time_to_idle: self.time_to_idle,
            per_entry_ttl: self.per_entry_ttl,
            expiry: self.expiry,
            rules: self.rules,
            hasher,
        }
    }

    /// The clock by which entries expire. Without it, a coarse one with a resolution of a millisecond,
    /// or a precise one if entries are to live for less than that.
    /// A cache that is given a clock keeps time, even if its entries do not expire:
    /// [`LoadingCache::refresh_after`](crate::LoadingCache::refresh_after) needs that. Without any of these it
    /// reads no clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock};
    ///
    /// let (clock, manual) = Clock::manual(); // for tests: time passes when it is told to
    /// let cache = Cache::builder().capacity(100).time_to_live(Duration::from_secs(60)).clock(clock).build()?;
    /// cache.insert("a", 1);
    /// manual.advance(Duration::from_secs(60));
    /// assert_eq!(cache.get("a"), None);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias = "ticker")]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The most that entries may weigh that have left the cache and are not freed yet, because a
    /// reader may still look at them. Without it, the capacity, and an eighth of it more; a fourth
    /// where that is no more than 1,024, and at least 128. That follows when the capacity is
    /// [changed](crate::Cache::set_capacity) later; what is set here stays.
    ///
    /// A thread that sleeps in a guard, or with a reader that is not parked, holds what was in the
    /// cache when garbage had come to a 24th of the capacity, and that 24th: what is retired later is
    /// freed all the same, however long it sleeps. So the default is enough for one that sleeps; for
    /// `k` of them that fell asleep at different times set it to about `k` times the capacity and an
    /// eighth.
    ///
    /// When that much is waiting, an insert that would have to evict waits for its
    /// [`patience`](Self::patience), and is refused then. With zero, an evicted entry counts against
    /// the capacity until it is freed. Such an entry, and one that is heavier than the whole retired
    /// capacity, makes room only when no reader is in the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).retired_capacity(10).build()?;
    /// assert_eq!(cache.usage().retired_capacity, 10);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn retired_capacity(mut self, capacity: u64) -> Self {
        self.retired_capacity = Some(capacity);
        self
    }

    /// For how long a write waits before it is refused for want of room, because another thread is in the cache.
    /// Without it, 250 milliseconds.
    ///
    /// A thread that holds no guard is in the cache for less than a microsecond, unless the scheduler takes its
    /// processor away there. Then what others retire is not freed before it runs again, and in a small cache the
    /// retired capacity fills up. A write that finds no room gives its processor away until there is some.
    ///
    /// # Progress
    ///
    /// Each write waits no longer than this, and no write waits for a thread that has stood in the way
    /// for that long already. So a guard that is held for a minute costs each writer that needs room this much time
    /// once, or twice, and then refusals at once; while what another thread holds that sleeps is kept for it, after
    /// up to 25 milliseconds. Where the thread in the way is writing, it gets up to 2 milliseconds each time,
    /// as it needs a processor. A write that no other thread blocks never waits: one of
    /// a thread that holds a guard itself, one from within a destructor, and one whose room is taken by what stays.
    ///
    /// A write that has waited for five milliseconds goes first: those that begin after it stand back for some
    /// milliseconds, once, so that they do not take what is freed for it.
    ///
    /// While it waits, the thread is not in the cache, and uses its processor only if nothing else wants it; after
    /// some vain looks it sleeps between them, for 50 microseconds each. With
    /// [`Duration::ZERO`] no write waits: for threads that must not, as they have a deadline or run tasks of an
    /// executor.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = clockhand::Cache::builder().capacity(100).patience(Duration::ZERO);
    /// let cache: clockhand::Cache<u64, u64> = builder.build()?;
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// When loads are taken over from leaders that make no progress. Without it, [`LoadPolicy::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::LoadPolicy;
    ///
    /// let policy = LoadPolicy::new().renewal_limit(Duration::from_secs(30));
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).load_policy(policy).build()?;
    /// cache.insert(1, 1);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn load_policy(mut self, policy: LoadPolicy) -> Self {
        self.rules.load_policy = policy;
        self
    }

    /// How many entries to make the first table for. It grows when there are more, which a table that
    /// is large enough from the start saves, and shrinks again after a burst, but never below this size.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).expected_entries(50).build()?;
    /// cache.insert(1, 1);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("initial_capacity", "initialCapacity", "estimated_items_capacity"))]
    pub fn expected_entries(mut self, entries: usize) -> Self {
        self.expected_entries = Some(entries);
        self
    }

    /// Which threads free garbage and remove expired entries. Without it, [`Maintenance::Inline`].
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Maintenance;
    ///
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).maintenance(Maintenance::Manual).build()?;
    /// cache.insert(1, 1);
    /// cache.maintain(100);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("scheduler", "housekeeper"))]
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// Without a memory of what became of keys that were removed or have expired: for caches whose reads are not
    /// counted.
    #[cfg(feature = "dedup")]
    pub(crate) fn forgetful(mut self) -> Self {
        self.remembers = false;
        self
    }

    /// Takes the time of operations, for [`Cache::latencies`] and for [health](crate::health): of one read, and one
    /// insert, of one in `every` on average, and of each load and each call of `maintain`. 64 is a good choice: a
    /// read costs about a nanosecond more on average. Zero takes every one. Without it, nothing is timed. Needs
    /// feature `histograms`.
    ///
    /// Each thread that reads and inserts has 20 kilobytes more in the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).sample_every(64).build()?;
    /// cache.insert(1, 1);
    /// assert!(cache.latencies().is_some());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("recordStats", "record_stats"))]
    #[cfg(feature = "histograms")]
    pub fn sample_every(mut self, operations: u32) -> Self {
        self.sampling = Sampling::one_of(operations);
        self
    }

    /// What the cache is made by, and is told of it.
    pub(crate) fn settings(
        &self,
        capacity: u64,
        clock: Option<&Clock>,
    ) -> Result<Settings, BuildError> {
        Ok(Settings {
            name: self.rules.name.to_string(),
            capacity,
            retired_capacity: self
                .retired_capacity
                .unwrap_or_else(|| default_retired_capacity(capacity)),
            retired_follows: self.retired_capacity.is_none(),
            patience: self.patience,
            expected_entries: self.entries(capacity)?,
            maintenance: self.maintenance,
            weighed: self.rules.weigher.is_some(),
            has_cost: self.rules.cost.is_some(),
            cost_of_load_time: self.rules.costs_load_time,
            time_to_live: self.time_to_live,
            time_to_idle: self.time_to_idle,
            has_expiry: self.expiry.is_some(),
            keeps_time: clock.is_some(),
            clock_resolution: clock.and_then(Clock::resolution),
            has_tags: self.rules.tagged,
            has_listener: self.rules.listener.is_some(),
            load_policy: self.rules.load_policy,
        })
    }

    /// The number of entries that the first table is made for.
    fn entries(&self, capacity: u64) -> Result<usize, BuildError> {
        let most = usize::try_from(capacity).unwrap_or(usize::MAX);
        let weighed = self.rules.weigher.is_some();
        match self.expected_entries {
            Some(expected) if expected > MOST => {
                Err(BuildError::TooManyEntries { expected, limit: MOST })
            }
            Some(expected) if !weighed && expected > most => {
                Err(BuildError::ExpectedEntriesOverCapacity { expected, capacity })
            }
            Some(expected) => Ok(expected),
            None if weighed => Ok(UNASKED_WEIGHED),
            None => Ok(most.min(UNASKED)),
        }
    }

    /// The clock, if anything expires.
    fn clock_to_use(&mut self) -> Result<Option<Clock>, BuildError> {
        let timed = self.per_entry_ttl
            || self.rules.tagged
            || self.time_to_live.is_some()
            || self.time_to_idle.is_some()
            || self.expiry.is_some();
        if !timed && self.clock.is_none() {
            return Ok(None);
        }
        let durations = [self.time_to_live, self.time_to_idle];
        let shortest = durations.into_iter().flatten().filter(|d| !d.is_zero()).min();
        let clock = self.clock.take().unwrap_or_else(|| Clock::fine_enough_for(shortest));
        if let Some(resolution) = clock.resolution() {
            if resolution.is_zero() {
                return Err(BuildError::ClockResolutionZero);
            }
            if let Some(shortest) = shortest.filter(|&shortest| shortest < resolution) {
                return Err(BuildError::ClockTooCoarse { resolution, shortest });
            }
        }
        Ok(Some(clock))
    }
}

impl<K, V, S> Builder<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Builds the cache.
    ///
    /// # Progress
    ///
    /// **Blocking**: allocates the table and, where the settings need one, starts a thread.
    ///
    /// # Errors
    ///
    /// If no capacity was given, if settings contradict each other, if there is not the memory for a table of the
    /// expected entries, or if a thread that the settings ask for cannot be started. The message says how to fix it.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{BuildError, Cache};
    ///
    /// let cache: Cache<u64, u64> = Cache::builder().capacity(100).build()?;
    /// let unbounded: Result<Cache<u64, u64>, _> = Cache::builder().build();
    /// assert!(matches!(unbounded, Err(BuildError::CapacityMissing)));
    /// # Ok::<_, BuildError>(())
    /// ```
    pub fn build(mut self) -> Result<Cache<K, V, S>, BuildError> {
        let capacity = self.capacity.ok_or(BuildError::CapacityMissing)?;
        let clock = self.clock_to_use()?;
        let plan = Plan {
            settings: self.settings(capacity, clock.as_ref())?,
            remembers: self.remembers,
            sampling: self.sampling,
        };
        if self.rules.has_costs() {
            // Where entries differ in cost, the policy goes by worth, and they weigh one.
            self.rules.weigher.get_or_insert_with(|| Arc::new(|_, _| 1));
        }
        let tagged = self.rules.tagged;
        let expiration = clock.map(|clock| {
            Expiration::new(clock, self.time_to_live, self.time_to_idle, self.expiry, tagged)
        });
        #[cfg(feature = "predict")]
        let expiration = expiration.map(|it| it.per_entry(self.per_entry_ttl));
        self.rules.expiration = expiration;
        Self::assert_available(plan.settings.expected_entries, &self.rules)?;
        let engine = Arc::new(Engine::new(plan, self.rules, self.hasher));
        let thread = match self.maintenance {
            Maintenance::Thread => {
                Some(maintenance_thread::start(&engine).map_err(BuildError::Thread)?)
            }
            Maintenance::Inline | Maintenance::Manual => None,
        };
        Ok(Cache::assemble(engine, thread))
    }
}

impl<K, V, S> Builder<K, V, S> {
    /// Looks whether the table can be had before it is made, as an allocation that fails ends the process.
    fn assert_available(entries: usize, rules: &Rules<K, V>) -> Result<(), BuildError> {
        let bytes = Engine::<K, V, S>::overhead_for(entries, rules);
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
        let got = Vec::<u8>::new().try_reserve_exact(wanted);
        got.map_err(|_| BuildError::OutOfMemory { entries, bytes: wanted })
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("retired_capacity", &self.retired_capacity)
            .field("patience", &self.patience)
            .field("expected_entries", &self.expected_entries)
            .field("maintenance", &self.maintenance)
            .field("clock", &self.clock)
            .field("time_to_live", &self.time_to_live)
            .field("time_to_idle", &self.time_to_idle)
            .field("per_entry_ttl", &self.per_entry_ttl)
            .field("expiry", &self.expiry.is_some())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

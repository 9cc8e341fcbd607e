//! What has happened in a cache.

use std::sync::Arc;
use std::time::Duration;

use super::causes::{MissCauses, Refusals, RemovedCharge};
use super::rates::Rates;
use super::regions::{Holder, RegionUsage};

/// What has happened in a cache since it was built, and its present state.
///
/// Every number is the sum of counters that threads keep for themselves, read one after another: a
/// snapshot taken while the cache is in use is approximately of one moment. While no operation
/// runs, it is exact, and these hold:
///
/// - `insertions = entries + evictions + expirations + invalidations`
/// - `misses = misses_by.sum()`
///
/// There are two kinds of numbers. *Counters* only grow; [`since`](Self::since) takes the
/// difference of two snapshots, and [`per_second`](Self::per_second) turns that into rates.
/// *Gauges* are the state at one moment: `entries` and all fields after it.
///
/// # Progress
///
/// All methods are wait-free.
///
/// # Examples
///
/// ```
/// use clockhand::Cache;
///
/// let cache = Cache::builder().capacity(100).name("prices").build()?;
/// cache.insert(1, "one");
/// let before = cache.stats();
/// assert_eq!((&*before.name, before.entries), ("prices", 1));
///
/// cache.get(&1);
/// cache.get(&2);
/// let stats = cache.stats().since(&before);
/// assert_eq!((stats.hits, stats.misses, stats.insertions), (1, 1, 0));
/// assert_eq!(stats.hit_ratio(), 0.5);
/// # Ok::<_, clockhand::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
#[doc(alias = "CacheStats")]
pub struct Stats {
    /// The cache's name: [`Builder::name`](crate::Builder::name).
    pub name: Arc<str>,
    /// how long the cache has existed; after [`since`](Self::since), the time between the two
    /// snapshots. By a manual clock if the cache has one, otherwise by the system's.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub at: Duration,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not find their key.
    pub misses: u64,
    /// The misses by cause.
    pub misses_by: MissCauses,
    /// Keys that were inserted.
    pub insertions: u64,
    /// Values that replaced another value.
    pub replacements: u64,
    /// Entries that were evicted to make room.
    pub evictions: u64,
    /// Entries that were removed because they had expired.
    pub expirations: u64,
    /// Entries that were removed by a call.
    pub invalidations: u64,
    /// The charge of the entries that were removed, by cause.
    pub removed_charge: RemovedCharge,
    /// Entries that were refused: too large, or no room.
    pub refusals: u64,
    /// The refusals by reason.
    pub refusals_by: Refusals,
    /// Loads that were started, each key of many counted by itself. What is neither in
    /// `loads_succeeded` nor in `loads_failed` is under way: if that does not change, loaders hang.
    pub loads_started: u64,
    /// Loads that returned a value, or that there is none.
    pub loads_succeeded: u64,
    /// Loads that ended with an error or a panic, or were abandoned.
    pub loads_failed: u64,
    /// Calls that waited for the load of another caller.
    pub loads_joined: u64,
    /// Calls whose time limit was over while they waited.
    pub loads_timed_out: u64,
    /// Loads that a waiter, or another reader, has taken over from a leader that died or stalled.
    pub loads_relieved: u64,
    /// What the loads that have ended took, together, from when their leaders began.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub load_time: Duration,
    /// Loads of values ahead of their expiry, or in the place of one that has expired, that were
    /// started in the background; they are in `loads_started` once they run.
    pub renewals: u64,
    /// Those that failed, were abandoned, or were taken over. The old value stays until it expires.
    pub renewals_failed: u64,

    /// The number of entries, including expired entries that are not removed yet.
    pub entries: usize,
    /// Keys whose value is being loaded, and those whose load has failed, which is remembered.
    pub awaited: usize,
    /// The sum of the charges of the entries, with what running operations have reserved.
    pub charged: u64,
    /// The charge of removed entries that counts against the capacity: see
    /// [`Usage::lingering`](crate::Usage::lingering).
    pub lingering: u64,
    /// The bound of `charged` and `lingering` together.
    pub capacity: u64,
    /// The largest use of the capacity at one time.
    pub peak_charged: u64,
    /// The charges of entries that were unlinked and are not freed yet, without those that linger.
    pub retired: u64,
    /// The bound of `retired`.
    pub retired_capacity: u64,
    /// The largest use of the retired capacity at one time.
    pub peak_retired: u64,
    /// How many epochs the slowest reader is behind: zero or one in a healthy cache.
    pub reclamation_lag: u64,
    /// The number of retired entries that are not freed yet.
    pub backlog: usize,
    /// The entries on probation.
    pub probation: RegionUsage,
    /// The protected entries.
    pub protected: RegionUsage,
    /// The charge on probation, as a part of the capacity.
    pub probation_share: f64,
    /// The target for the part of the capacity on probation. The policy moves it between 0.01 and
    /// 0.8.
    pub probation_target: f64,
    /// The threads that keep retired entries from being freed.
    pub holders: Vec<Holder>,
}

impl Stats {
    /// Hits as a part of all reads; zero if there were none.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert_eq!((cache.get("a"), cache.get("b")), (Some(1), None));
    /// assert_eq!(cache.stats().hit_ratio(), 0.5);
    /// ```
    pub fn hit_ratio(&self) -> f64 {
        let reads = self.hits.saturating_add(self.misses);
        if reads == 0 { 0.0 } else { self.hits as f64 / reads as f64 }
    }

    /// What has happened between an `earlier` snapshot of the same cache and this one: the
    /// differences of the counters, with this one's gauges, and the time that passed as `at`.
    ///
    /// A counter that is higher in `earlier`, which then is of another cache or a later snapshot,
    /// gives zero.
    ///
    /// # Examples
    ///
    /// See [`Stats`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut span = self.clone();
        span.at = self.at.saturating_sub(earlier.at);
        span.load_time = self.load_time.saturating_sub(earlier.load_time);
        for (counter, before) in span.counters().into_iter().zip(earlier.clone().counters()) {
            *counter = counter.saturating_sub(*before);
        }
        span
    }

    /// The counters for each second of [`at`](Self::at): on average since the cache was built; of
    /// what [`since`](Self::since) returns, between the two snapshots. Zero if no time has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock};
    ///
    /// let (clock, manual) = Clock::manual();
    /// let cache = Cache::builder().capacity(10).clock(clock).build()?;
    /// (0..30).for_each(|key| cache.insert(key, key));
    /// manual.advance(Duration::from_secs(2));
    /// let rates = cache.stats().per_second();
    /// assert_eq!((rates.insertions, rates.evictions), (15.0, 10.0));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[must_use]
    pub fn per_second(&self) -> Rates {
        Rates::of(self)
    }

    /// All counters, including the causes.
    fn counters(&mut self) -> [&mut u64; 29] {
        [
            &mut self.hits,
            &mut self.misses,
            &mut self.misses_by.never_seen,
            &mut self.misses_by.evicted,
            &mut self.misses_by.expired,
            &mut self.misses_by.invalidated,
            &mut self.misses_by.refused,
            &mut self.misses_by.absent,
            &mut self.insertions,
            &mut self.replacements,
            &mut self.evictions,
            &mut self.expirations,
            &mut self.invalidations,
            &mut self.removed_charge.replaced,
            &mut self.removed_charge.evicted,
            &mut self.removed_charge.expired,
            &mut self.removed_charge.invalidated,
            &mut self.refusals,
            &mut self.refusals_by.too_large,
            &mut self.refusals_by.no_room,
            &mut self.refusals_by.contended,
            &mut self.loads_started,
            &mut self.loads_succeeded,
            &mut self.loads_failed,
            &mut self.loads_joined,
            &mut self.loads_timed_out,
            &mut self.loads_relieved,
            &mut self.renewals,
            &mut self.renewals_failed,
        ]
    }
}

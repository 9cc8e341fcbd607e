//! The statistics and the health of a cache with a loader.

use std::hash::{BuildHasher, Hash};

use super::LoadingCache;
use crate::health::{Health, Thresholds};
use crate::stats::{Explanation, Stats};

/// Figures. They are those of the cache, and include what happens through other handles.
impl<K, V, L, S> LoadingCache<K, V, L, S> {
    /// What has happened since the cache was built, and its present state: [`Cache::stats`].
    ///
    /// A call that finds no live value is a miss, whether it loads, joins a load, or returns a
    /// stale value. Renewals count as loads, and are counted separately as well.
    ///
    /// [`Cache::stats`]: crate::Cache::stats
    ///
    /// # Progress
    ///
    /// As [`Cache::stats`].
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let lengths = Cache::new(100).loading(|word: &&str| Ok::<_, String>(word.len()));
    /// lengths.get(&"four")?;
    /// lengths.get(&"four")?;
    /// let stats = lengths.stats();
    /// assert_eq!((stats.hits, stats.misses, stats.loads_succeeded), (1, 1, 1));
    /// # Ok::<_, clockhand::LoadError<String>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.cache.stats()
    }

    /// Whether the cache is healthy, and if not, which figure is out of bounds: [`Cache::health`].
    ///
    /// Loads are judged by [`LoadErrors`](crate::health::Figure::LoadErrors),
    /// [`LoadAge`](crate::health::Figure::LoadAge) and
    /// [`RenewalFailures`](crate::health::Figure::RenewalFailures). [`Cache::health`] returns the
    /// same for the same thresholds.
    ///
    /// [`Cache::health`]: crate::Cache::health
    ///
    /// # Progress
    ///
    /// As [`Cache::health`].
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, Thresholds, health::Figure};
    ///
    /// let down = |_: &u64| Err::<u64, _>("the origin is down");
    /// let prices = Cache::new(100).loading(down);
    /// let thresholds = Thresholds::default().min_events(1);
    /// assert!(prices.health(&thresholds).is_healthy());
    /// assert!(prices.get(&1).is_err());
    /// assert_eq!(prices.health(&thresholds).reasons[0].figure, Figure::LoadErrors);
    /// ```
    pub fn health(&self, thresholds: &Thresholds) -> Health {
        self.cache.health(thresholds)
    }

    /// How long operations took since the cache was built, including loads: [`Cache::latencies`].
    /// `None` unless [`Builder::sample_every`](crate::Builder::sample_every) was set. Needs feature
    /// `histograms`.
    ///
    /// Every load is timed; reads are sampled.
    ///
    /// [`Cache::latencies`]: crate::Cache::latencies
    ///
    /// # Progress
    ///
    /// As [`Cache::latencies`].
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::builder().capacity(100).sample_every(1).build()?;
    /// let lengths = cache.loading(|word: &&str| Ok::<_, String>(word.len()));
    /// assert_eq!(lengths.get(&"four"), Ok(4));
    /// assert_eq!(lengths.latencies().expect("they are taken").load.count(), 1);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[cfg(feature = "histograms")]
    pub fn latencies(&self) -> Option<crate::latency::Latencies> {
        self.cache.latencies()
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Why a key has a value, or why it has none: [`Cache::explain`]. Loads nothing.
    ///
    /// [`Cache::explain`]: crate::Cache::explain
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let lengths = Cache::new(100).loading(|word: &&str| Ok::<_, String>(word.len()));
    /// assert!(!lengths.explain(&"four").is_resident());
    /// lengths.get(&"four")?;
    /// assert!(lengths.explain(&"four").is_resident());
    /// # Ok::<_, clockhand::LoadError<String>>(())
    /// ```
    pub fn explain(&self, key: &K) -> Explanation {
        self.cache.explain(key)
    }
}

//! Whose figures are told.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::iter;

use clockhand::Cache;
use clockhand::dedup::{Deduplicator, OffsetTracker, PartitionStatus};
use clockhand::health::Thresholds;

use crate::figures::cache::CacheReport;
use crate::figures::dedup::DedupReport;

/// Asks one source for its figures.
pub(crate) type Ask<R> = Box<dyn Fn(&Thresholds) -> R + Send + Sync>;

/// The figures of caches, deduplicators and trackers, read when they are asked for.
///
/// A [`prometheus_client` collector](prometheus_client::collector::Collector) for the registry that you have: give one
/// collector all sources, as two would tell every family twice. It holds handles, so the caches live as long as it does.
///
/// # Progress
///
/// Nothing is counted for it, and nothing runs between two scrapes. A scrape reads what the threads have counted for
/// themselves, and takes a lock for each verdict on health and for each partition of a tracker; readers and writers of a
/// cache are not held up.
///
/// # Examples
///
/// ```
/// use clockhand::Cache;
/// use clockhand_metrics::Collector;
/// use prometheus_client::{encoding::prometheus_text, registry::Registry};
///
/// let prices: Cache<u64, f64> = Cache::builder().capacity(1000).name("prices").build()?;
/// prices.insert(1, 1.0842);
/// prices.get(&1);
///
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(Collector::new().cache(&prices)));
///
/// let mut text = String::new();
/// prometheus_text::encode(&mut text, &registry)?;
/// assert!(text.contains("clockhand_cache_hits_total{cache=\"prices\"} 1"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
#[must_use = "a collector does nothing until it is registered"]
pub struct Collector {
    pub(crate) caches: Vec<Source<CacheReport>>,
    pub(crate) deduplicators: Vec<Source<DedupReport>>,
    pub(crate) trackers: Vec<Source<DedupReport>>,
    pub(crate) partitions: Vec<Source<Vec<PartitionStatus>>>,
    #[cfg(feature = "predict")]
    pub(crate) predictors: Vec<Source<clockhand::predict::PredictorStats>>,
    pub(crate) thresholds: Thresholds,
}

/// What is asked, and by which name its figures are told.
pub(crate) struct Source<R> {
    pub(crate) name: String,
    pub(crate) in_bytes: bool,
    pub(crate) ask: Ask<R>,
}

impl Collector {
    /// A collector without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cache. Its figures have the label `cache`, which is the [name](Cache::name) that it was built with. No two
    /// sources of a kind are told by one label: the second `prices` is `prices-2`, by the order in which they are added.
    pub fn cache<K, V, S>(self, cache: &Cache<K, V, S>) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        self.weighed(cache, false)
    }

    /// Adds a cache whose weigher gives bytes. Its charges are told as such, in families whose names end in `_bytes`.
    pub fn cache_in_bytes<K, V, S>(self, cache: &Cache<K, V, S>) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        self.weighed(cache, true)
    }

    fn weighed<K, V, S>(mut self, cache: &Cache<K, V, S>, in_bytes: bool) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let (name, cache) = (own(&self.caches, cache.name()), cache.clone());
        let ask: Ask<CacheReport> = Box::new(move |thresholds| CacheReport {
            health: cache.health(thresholds),
            stats: cache.stats(),
            #[cfg(feature = "histograms")]
            latencies: cache.latencies(),
        });
        self.caches.push(Source { name, in_bytes, ask });
        self
    }

    /// Adds a deduplicator. Its figures have the label `dedup`, with this name.
    pub fn deduplicator<Id>(mut self, name: impl Into<String>, seen: &Deduplicator<Id>) -> Self
    where
        Id: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let seen = seen.clone();
        let ask: Ask<DedupReport> = Box::new(move |thresholds| DedupReport {
            health: seen.health(thresholds),
            metrics: seen.metrics(),
        });
        let name = own(&self.deduplicators, &name.into());
        self.deduplicators.push(Source { name, in_bytes: false, ask });
        self
    }

    /// Adds a tracker. Its figures have the label `tracker`, with this name; those of its partitions `topic` and
    /// `partition` as well.
    pub fn tracker(mut self, name: impl Into<String>, tracker: &OffsetTracker) -> Self {
        let name = own(&self.trackers, &name.into());
        let whole = tracker.clone();
        let ask: Ask<DedupReport> = Box::new(move |thresholds| DedupReport {
            health: whole.health(thresholds),
            metrics: whole.metrics(),
        });
        self.trackers.push(Source { name: name.clone(), in_bytes: false, ask });
        let tracker = tracker.clone();
        let ask: Ask<Vec<PartitionStatus>> = Box::new(move |_| tracker.partitions());
        self.partitions.push(Source { name, in_bytes: false, ask });
        self
    }

    /// Adds a predictor. Its figures have the label `predictor`, with this name. It need not be kept: after it has
    /// stopped, its last figures are told. Needs feature `predict`.
    #[cfg(feature = "predict")]
    pub fn predictor(
        mut self,
        name: impl Into<String>,
        predictor: &clockhand::predict::Predictor,
    ) -> Self {
        let (name, stats) = (own(&self.predictors, &name.into()), predictor.stats_source());
        let ask: Ask<clockhand::predict::PredictorStats> = Box::new(move |_| stats());
        self.predictors.push(Source { name, in_bytes: false, ask });
        self
    }

    /// By what the figure `health` is judged. Without it, by the defaults.
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }
}

/// The name, or the name and a number if another source has it: a reader of two series of one name takes one for
/// the other, or refuses all.
fn own<R>(sources: &[Source<R>], name: &str) -> String {
    let is_free = |name: &String| sources.iter().all(|source| source.name != *name);
    let numbered = (2..=sources.len() + 1).map(|nth| format!("{name}-{nth}"));
    iter::once(name.to_string()).chain(numbered).find(is_free).unwrap_or_default()
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caches: Vec<&str> = self.caches.iter().map(|source| &*source.name).collect();
        f.debug_struct("Collector").field("caches", &caches).finish_non_exhaustive()
    }
}

//! What is exposed, and how.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use clockhand::Cache;
use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::health::Thresholds;
use clockhand_metrics::Collector;
use prometheus_client::registry::Registry;

use crate::events::Frames;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::part::{OtherPart, PartHealth};
use crate::parts::{DedupPart, TrackerPart};
use crate::source::{Exposed, Source};
use crate::token::{self, Token};

/// Caches, deduplicators and trackers that are seen from outside. Clones are handles of the same service.
///
/// # Examples
///
/// ```
/// use clockhand::Cache;
/// use clockhand_http::{Keys, Service};
///
/// let prices: Cache<String, f64> = Cache::builder().capacity(10_000).name("prices").build()?;
/// let service = Service::builder().cache(&prices, Keys::text()).build()?;
///
/// let reply = service.explain(Some("prices"), "EURUSD");
/// assert_eq!(reply.status, 200);
/// assert!(reply.body.contains("EURUSD"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Service {
    pub(crate) shared: Arc<Shared>,
}

/// What all handles share.
pub(crate) struct Shared {
    pub(crate) caches: Vec<Box<dyn Source>>,
    pub(crate) deduplicators: Vec<Box<dyn DedupPart>>,
    pub(crate) trackers: Vec<TrackerPart>,
    pub(crate) others: Vec<OtherPart>,
    #[cfg(feature = "predict")]
    pub(crate) predictors: Vec<crate::parts::PredictorPart>,
    pub(crate) thresholds: Thresholds,
    pub(crate) limits: Limits,
    pub(crate) token: Option<Token>,
    pub(crate) registry: Registry,
    pub(crate) frames: Frames,
    #[cfg(feature = "axum")]
    pub(crate) gates: crate::gates::Gates,
}

impl Service {
    /// Says what is exposed.
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder::default()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caches: Vec<&str> = self.shared.caches.iter().map(|cache| cache.name()).collect();
        f.debug_struct("Service").field("caches", &caches).finish_non_exhaustive()
    }
}

/// Says what a service exposes. Made by [`Service::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until build() is called"]
pub struct ServiceBuilder {
    caches: Vec<Box<dyn Source>>,
    deduplicators: Vec<Box<dyn DedupPart>>,
    trackers: Vec<TrackerPart>,
    others: Vec<OtherPart>,
    #[cfg(feature = "predict")]
    predictors: Vec<crate::parts::PredictorPart>,
    collector: Collector,
    collectors: Vec<Box<dyn prometheus_client::collector::Collector>>,
    thresholds: Thresholds,
    limits: Limits,
    token: Option<String>,
}

impl ServiceBuilder {
    /// Exposes a cache, by the [name](Cache::name) that it was built with.
    pub fn cache<K, V, S>(mut self, cache: &Cache<K, V, S>, keys: Keys<K>) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        self.collector = self.collector.cache(cache);
        self.caches.push(Box::new(Exposed::new(cache.clone(), keys, false)));
        self
    }

    /// Exposes a cache whose weigher gives bytes: charges are shown, and named in the metrics, as such.
    pub fn cache_in_bytes<K, V, S>(mut self, cache: &Cache<K, V, S>, keys: Keys<K>) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        self.collector = self.collector.cache_in_bytes(cache);
        self.caches.push(Box::new(Exposed::new(cache.clone(), keys, true)));
        self
    }

    /// Exposes a deduplicator by a name.
    pub fn deduplicator<Id>(mut self, name: impl Into<String>, seen: &Deduplicator<Id>) -> Self
    where
        Id: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let name = name.into();
        self.collector = self.collector.deduplicator(name.clone(), seen);
        self.deduplicators.push(Box::new((name, seen.clone())));
        self
    }

    /// Exposes a tracker by a name.
    pub fn tracker(mut self, name: impl Into<String>, tracker: &OffsetTracker) -> Self {
        let name = name.into();
        self.collector = self.collector.tracker(name.clone(), tracker);
        self.trackers.push(TrackerPart::new(name, tracker.clone()));
        self
    }

    /// Exposes a predictor by a name: in the statistics, in health, and in the metrics. Needs feature `predict`.
    #[cfg(feature = "predict")]
    pub fn predictor(
        mut self,
        name: impl Into<String>,
        predictor: &clockhand::predict::Predictor,
    ) -> Self {
        let name = name.into();
        self.collector = self.collector.predictor(name.clone(), predictor);
        let stats = Box::new(predictor.stats_source());
        self.predictors.push(crate::parts::PredictorPart { name, stats });
        self
    }

    /// Exposes another part of the program, such as a second tier, by its kind and its name: in health.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::health::Status;
    /// use clockhand_http::{PartHealth, Request, Service};
    ///
    /// // With the crate `clockhand-redis`: `tier.health()` has a status and reasons, `tier.stats()` the figures.
    /// let health = || PartHealth::healthy().reason(Status::Degraded, "no connection").figure("hits", 7);
    /// let service = Service::builder().part("tier", "prices", health).build()?;
    /// let answer = service.answer(&Request::new("GET", "/cache/health"));
    /// assert!(answer.body.contains("no connection"));
    /// # Ok::<_, clockhand_http::ServiceError>(())
    /// ```
    pub fn part(
        mut self,
        kind: impl Into<String>,
        name: impl Into<String>,
        health: impl Fn() -> PartHealth + Send + Sync + 'static,
    ) -> Self {
        let (kind, name) = (kind.into(), name.into());
        self.others.push(OtherPart { kind, name, health: Box::new(health) });
        self
    }

    /// Adds a collector to `/metrics`, such as that of a second tier.
    pub fn collector(
        mut self,
        collector: impl prometheus_client::collector::Collector + 'static,
    ) -> Self {
        self.collectors.push(Box::new(collector));
        self
    }

    /// By what health is judged. Without it, by the defaults.
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// How much is done at the same time, and how large it may be.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds the routes that change something, for callers that show this token: at least 16 bytes, from a source
    /// of random numbers. White space round it is no part of it. Without it, there are no such routes.
    pub fn admin(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The service.
    ///
    /// # Errors
    ///
    /// If two caches, two deduplicators, two trackers or two predictors have the same name, or the token is too short.
    pub fn build(self) -> Result<Service, ServiceError> {
        distinct(self.caches.iter().map(|cache| cache.name()))?;
        distinct(self.deduplicators.iter().map(|part| part.name()))?;
        distinct(self.trackers.iter().map(TrackerPart::name))?;
        let others: Vec<String> =
            self.others.iter().map(|part| format!("{} {}", part.kind, part.name)).collect();
        distinct(others.iter().map(|name| &name[..]))?;
        #[cfg(feature = "predict")]
        distinct(self.predictors.iter().map(|part| part.name.as_str()))?;
        let token = match self.token {
            None => None,
            Some(text) => Some(Token::new(&text).ok_or(ServiceError::TokenTooShort)?),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.collector.thresholds(self.thresholds.clone())));
        self.collectors.into_iter().for_each(|collector| registry.register_collector(collector));
        let shared = Shared {
            caches: self.caches,
            deduplicators: self.deduplicators,
            trackers: self.trackers,
            others: self.others,
            #[cfg(feature = "predict")]
            predictors: self.predictors,
            thresholds: self.thresholds,
            limits: self.limits,
            token,
            registry,
            frames: Frames::default(),
            #[cfg(feature = "axum")]
            gates: crate::gates::Gates::new(&self.limits),
        };
        Ok(Service { shared: Arc::new(shared) })
    }
}

/// No thread could tell apart what has the same name.
fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), ServiceError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(ServiceError::NameTwice { name: name.to_string() });
        }
    }
    Ok(())
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What is wrong with a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceError {
    /// Two of a kind have the same name.
    NameTwice {
        /// The name.
        name: String,
    },
    /// The token has fewer than 16 bytes.
    TokenTooShort,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTwice { name } => {
                write!(f, "two of a kind are named `{name}`; give caches names with Builder::name")
            }
            Self::TokenTooShort => {
                write!(f, "the token has fewer than {} bytes", token::SHORTEST)
            }
        }
    }
}

impl Error for ServiceError {}

//! A cache whatever its keys are.

use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clockhand::health::{Health, Thresholds};
use clockhand::{Cache, Explanation, Stats};

use crate::keys::Keys;
#[cfg(feature = "histograms")]
use crate::latency::{Earlier, LatencyReport};

/// The shortest time between two walks for the hottest keys.
const REST: Duration = Duration::from_secs(5);
/// How many times as long as a walk took the next one is waited for.
const SHARE: u32 = 20;

/// What the service asks of a cache. A key that cannot be read is an error, which says why.
pub(crate) trait Source: Send + Sync {
    fn name(&self) -> &str;
    /// Whether charges are bytes.
    fn in_bytes(&self) -> bool;
    fn stats(&self) -> Stats;
    fn health(&self, thresholds: &Thresholds) -> Health;
    /// How long operations took lately, if that is taken.
    #[cfg(feature = "histograms")]
    fn latencies(&self) -> Option<LatencyReport>;
    /// The hottest keys as text, as they were at the last walk.
    fn hottest(&self, most: usize) -> Vec<String>;
    fn explain(&self, key: &str) -> Result<Explanation, String>;
    fn invalidate(&self, key: &str) -> Result<bool, String>;
    fn invalidate_all(&self);
    fn set_capacity(&self, capacity: u64);
}

/// A cache and how its keys are read and shown.
pub(crate) struct Exposed<K, V, S> {
    cache: Cache<K, V, S>,
    keys: Keys<K>,
    in_bytes: bool,
    hottest: Mutex<Walk>,
    #[cfg(feature = "histograms")]
    earlier: Earlier,
}

/// What the last walk over the cache has found.
#[derive(Default)]
struct Walk {
    keys: Vec<String>,
    /// Not before then is the next one.
    next: Option<Instant>,
}

impl<K, V, S> Exposed<K, V, S> {
    pub(crate) fn new(cache: Cache<K, V, S>, keys: Keys<K>, in_bytes: bool) -> Self {
        Self {
            cache,
            keys,
            in_bytes,
            hottest: Mutex::default(),
            #[cfg(feature = "histograms")]
            earlier: Earlier::default(),
        }
    }
}

impl<K, V, S> Source for Exposed<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        self.cache.name()
    }

    fn in_bytes(&self) -> bool {
        self.in_bytes
    }

    fn stats(&self) -> Stats {
        self.cache.stats()
    }

    fn health(&self, thresholds: &Thresholds) -> Health {
        self.cache.health(thresholds)
    }

    #[cfg(feature = "histograms")]
    fn latencies(&self) -> Option<LatencyReport> {
        self.cache.latencies().map(|now| self.earlier.report(now))
    }

    fn hottest(&self, most: usize) -> Vec<String> {
        if most == 0 {
            return Vec::new();
        }
        let mut walk = self.hottest.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        if walk.next.is_none_or(|next| next <= began) {
            walk.keys = self.cache.hottest(most).iter().map(|key| self.keys.show(key)).collect();
            let ended = Instant::now();
            walk.next = Some(ended + REST.max((ended - began) * SHARE));
        }
        walk.keys.clone()
    }

    fn explain(&self, key: &str) -> Result<Explanation, String> {
        Ok(self.cache.explain(&self.keys.parse(key)?))
    }

    fn invalidate(&self, key: &str) -> Result<bool, String> {
        Ok(self.cache.invalidate(&self.keys.parse(key)?))
    }

    fn invalidate_all(&self) {
        self.cache.invalidate_all();
    }

    fn set_capacity(&self, capacity: u64) {
        self.cache.set_capacity(capacity);
    }
}

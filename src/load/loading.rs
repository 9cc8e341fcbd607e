//! A cache that fills itself.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};

use super::blocking::turn;
use super::lead::is_reloading;
use super::settings::Rules;
use super::turn::{Turn, old_or_newer};
use super::{LoadError, LoadSource, Loaded, Loader, alone};
use crate::cache::Cache;
use crate::engine::{LoadKind, LoadToken};
use crate::random_state::RandomState;

/// A cache with a loader: it fills itself.
///
/// From [`Cache::loading`]. A handle, like the cache: clones share everything. The cache itself may be
/// used beside it, and what happens there counts: see [`Cache::get_or_load`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::Cache;
///
/// let prices = Cache::builder()
///     .capacity(10_000)
///     .time_to_live(Duration::from_secs(5))
///     .build()?
///     .loading(|symbol: &String| Ok::<_, String>(symbol.len() as f64))
///     .refresh_after(Duration::from_secs(1))
///     .stale_if_error(Duration::from_secs(60))
///     .jitter(0.1)
///     .build()?;
/// assert_eq!(prices.get(&"EURUSD".to_string()), Ok(6.0));
/// # Ok::<(), clockhand::BuildError>(())
/// ```
pub struct LoadingCache<K, V, L, S = RandomState> {
    pub(super) cache: Cache<K, V, S>,
    pub(super) loader: Arc<L>,
    pub(super) rules: Rules,
    /// Set once the loader is known to have no `load_many` of its own.
    pub(super) single: Arc<OnceLock<()>>,
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The cache with a loader, which fills it: a [`Loader`] or, with the feature `async`, an
    /// `AsyncLoader`.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let lengths = Cache::new(100).loading(|word: &&str| Ok::<_, String>(word.len()));
    /// assert_eq!(lengths.get(&"four"), Ok(4));
    /// assert_eq!(lengths.cache().len(), 1);
    /// ```
    pub fn loading<L>(&self, loader: L) -> LoadingCache<K, V, L, S> {
        LoadingCache {
            cache: self.clone(),
            loader: Arc::new(loader),
            rules: Rules::new(),
            single: Arc::default(),
        }
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The cache that is filled.
    pub fn cache(&self) -> &Cache<K, V, S> {
        &self.cache
    }

    /// The value if it is there, and whether it is to be renewed.
    #[inline]
    pub(super) fn glance(&self, key: &K) -> Option<(V, bool)> {
        let Some(after) = self.rules.refresh_after else {
            return self.cache.get(key).map(|value| (value, false));
        };
        let age = (after, self.rules.jitter);
        let is_reloading =
            |token: &LoadToken| self.is_reloading(token, LoadKind::RenewIfOlderThan(after, age.1));
        self.cache.get_and_age(key, age, is_reloading)
    }

    /// A value that has expired and is served all the same, and whether it is to be renewed.
    pub(super) fn stale(&self, key: &K) -> Option<(Loaded<V>, bool)> {
        let grace = self.rules.stale_while_revalidate?;
        let kept = self.cache.engine().stand_in(key, grace)?;
        let flown =
            kept.token.as_ref().is_some_and(|token| self.is_reloading(token, LoadKind::Load));
        let due = !kept.live && !flown;
        Some((old_or_newer(kept), due))
    }

    /// Whether the background has nothing to do for a load with this token.
    fn is_reloading(&self, token: &LoadToken, fare: LoadKind) -> bool {
        is_reloading::<V>(token, |rest| self.rules.defers(fare, rest))
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, loaded if it is not there.
    ///
    /// # Errors
    ///
    /// The loader's, of this call or of the one that it has joined; [`LoadError::Cycle`] instead of
    /// waiting for oneself.
    ///
    /// # Progress
    ///
    /// A hit is wait-free, and costs what [`Cache::get`] costs. A miss runs the loader, or waits for
    /// another caller that does.
    ///
    /// # Examples
    ///
    /// See [`LoadingCache`].
    #[inline]
    pub fn get(&self, key: &K) -> Result<V, LoadError<L::Error>> {
        self.get_with_source(key).map(|loaded| loaded.value)
    }

    /// As [`get`](Self::get), and says where the value came from.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn get_with_source(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        match self.glance(key) {
            Some((value, due)) => {
                if due {
                    self.refresh_soon(key);
                }
                Ok(Loaded::new(value, LoadSource::Hit))
            }
            None => self.load(key),
        }
    }

    #[cold]
    fn load(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        if let Some((stale, due)) = self.stale(key) {
            if due {
                self.renew_soon(self.begin_reload(key, LoadKind::Load).into_iter().collect());
            }
            return Ok(stale);
        }
        self.cache.load_missing(key, self.rules.wish(), |key| self.loader.load(key))
    }

    /// Starts a reload in the background, unless one is under way.
    #[cold]
    fn refresh_soon(&self, key: &K) {
        let lead = self.rules.aged().and_then(|aged| self.begin_reload(key, aged));
        self.renew_soon(lead.into_iter().collect());
    }

    /// Loads the value of a key anew, whether it is there or not, and waits for it. If a load of the
    /// key is under way, joins that. Errors that are remembered do not keep it from that.
    ///
    /// Where garbage leaves no room to renew a value that is there, the new one is returned and not put in.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a value that is there stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use clockhand::Cache;
    ///
    /// let version = AtomicU64::new(1);
    /// let load = move |_: &&str| Ok::<_, String>(version.fetch_add(1, Ordering::Relaxed));
    /// let cache = Cache::new(10).loading(load);
    /// assert_eq!(cache.get(&"key"), Ok(1));
    /// assert_eq!(cache.refresh(&"key"), Ok(2));
    /// assert_eq!(cache.get(&"key"), Ok(2));
    /// ```
    pub fn refresh(&self, key: &K) -> Result<V, LoadError<L::Error>> {
        let loaded = match turn(&self.cache, key, LoadKind::Renew, self.rules.fresh()) {
            Turn::Told(loaded) => loaded,
            Turn::Lead(lead) => self.reload(lead),
            Turn::Alone | Turn::Absent => self.load_anew(key),
        };
        loaded.map(|loaded| loaded.value)
    }

    /// Loads a value where there is none, or no room to renew it.
    fn load_anew(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        let loaded =
            self.cache.load_missing(key, self.rules.fresh(), |key| self.loader.load(key))?;
        // There is one after all.
        if loaded.source == LoadSource::Hit {
            drop(loaded);
            alone::load(&self.cache, key, self.rules.fresh(), |key| self.loader.load(key))
        } else {
            Ok(loaded)
        }
    }
}

impl<K, V, L, S> Clone for LoadingCache<K, V, L, S> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            loader: Arc::clone(&self.loader),
            rules: self.rules.clone(),
            single: Arc::clone(&self.single),
        }
    }
}

impl<K, V, L, S> fmt::Debug for LoadingCache<K, V, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadingCache")
            .field("cache", &self.cache)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

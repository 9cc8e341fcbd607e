//! A cache with a loader.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};

use equivalent::Equivalent;

use super::blocking::join_or_lead;
use super::leader::is_reloading;
use super::next::{Next, stale_loaded};
use super::settings::LoadSettings;
use super::{LoadError, LoadSource, Loaded, Loader, alone};
use crate::cache::Cache;
use crate::engine::{LoadKind, LoadToken};
use crate::random_state::RandomState;
use crate::sync::NoAbort;

/// A cache with a loader, which loads the values that are missing.
///
/// From [`Cache::loading`]. A handle, like the cache: clones share everything. The cache itself may
/// be used as well, and loads take account of what happens there: see [`Cache::get_or_load`].
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
#[doc(alias = "AsyncLoadingCache")]
#[doc(alias = "refreshAfterWrite")]
pub struct LoadingCache<K, V, L, S = RandomState> {
    pub(super) cache: Cache<K, V, S>,
    pub(super) loader: Arc<L>,
    pub(super) settings: LoadSettings,
    /// Set when the loader is known to have no `load_many` of its own.
    pub(super) single: Arc<OnceLock<()>>,
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the cache with a loader: a [`Loader`] or, with the feature `async`, an
    /// `AsyncLoader`.
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
    /// assert_eq!(lengths.get(&"four"), Ok(4));
    /// assert_eq!(lengths.cache().len(), 1);
    /// ```
    #[doc(alias = "LoadingCache")]
    pub fn loading<L>(&self, loader: L) -> LoadingCache<K, V, L, S> {
        LoadingCache {
            cache: self.clone(),
            loader: Arc::new(loader),
            settings: LoadSettings::new(),
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
    /// The cache into which values are loaded.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let lengths = clockhand::Cache::new(100).loading(|word: &String| Ok::<_, String>(word.len()));
    /// assert_eq!(lengths.get("four"), Ok(4));
    /// assert_eq!(lengths.cache().peek("four"), Some(4));
    /// ```
    pub fn cache(&self) -> &Cache<K, V, S> {
        &self.cache
    }

    /// Returns the value if it is there, and the renewal that is due.
    #[inline]
    pub(super) fn lookup<Q>(&self, key: &Q) -> Option<(V, Option<LoadKind>)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let jitter = self.settings.jitter;
        let is_reloading = |token: &LoadToken, age| {
            self.is_reloading(token, LoadKind::RenewIfOlderThan(age, jitter))
        };
        let age = (self.settings.refresh_after, jitter);
        let (value, due) = self.cache.get_and_age(key, age, is_reloading)?;
        Some((value, due.map(|age| LoadKind::RenewIfOlderThan(age, jitter))))
    }

    /// Returns an expired value that may be served while a reload runs, and whether that is to
    /// begin.
    pub(super) fn stale(&self, key: &K) -> Option<(Loaded<V>, bool)> {
        let grace = self.settings.stale_while_revalidate?;
        let kept = self.cache.engine().stale_value(key, grace)?;
        let flown =
            kept.token.as_ref().is_some_and(|token| self.is_reloading(token, LoadKind::Load));
        let due = !kept.live && !flown;
        Some((stale_loaded(kept), due))
    }

    /// Whether no reload is to begin, because of the load with this `token`.
    fn is_reloading(&self, token: &LoadToken, kind: LoadKind) -> bool {
        is_reloading::<V>(token, |failed| self.settings.defers(kind, failed))
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the value of `key`, loaded if it is not there. The key may be borrowed: a `&str` where keys are
    /// `String`s.
    ///
    /// # Errors
    ///
    /// The loader's error, of this call or of the one that it has joined; [`LoadError::Cycle`] if
    /// the caller would wait for itself.
    ///
    /// # Progress
    ///
    /// A hit is wait-free, and costs what [`Cache::get`] costs. A miss runs the loader, or waits
    /// for another caller that does.
    ///
    /// # Examples
    ///
    /// See [`LoadingCache`].
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Result<V, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        self.get_with_source(key).map(|loaded| loaded.value)
    }

    /// As [`get`](Self::get), and also returns where the value came from.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Progress
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// let lengths = clockhand::Cache::new(100).loading(|word: &String| Ok::<_, String>(word.len()));
    /// let source = || lengths.get_with_source("four").map(|loaded| loaded.source);
    /// assert_eq!(source(), Ok(clockhand::LoadSource::Loaded));
    /// assert_eq!(source(), Ok(clockhand::LoadSource::Hit));
    /// ```
    #[inline]
    pub fn get_with_source<Q>(&self, key: &Q) -> Result<Loaded<V>, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        match self.lookup(key) {
            Some((value, due)) => {
                if let Some(kind) = due {
                    self.refresh_soon(&NoAbort::new(key.to_owned()), kind);
                }
                Ok(Loaded::new(value, LoadSource::Hit))
            }
            None => self.load(&NoAbort::new(key.to_owned())),
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
        self.cache.load_missing(key, self.settings.options(), |key| self.loader.load_fresh(key))
    }

    /// Starts a reload in the background, unless one is under way.
    #[cold]
    fn refresh_soon(&self, key: &K, kind: LoadKind) {
        self.renew_soon(self.begin_reload(key, kind).into_iter().collect());
    }

    /// Loads the value of `key` again, whether it is there or not, and waits for it. If a load of
    /// the key is under way, the call joins that. It loads even if an error is remembered. The key may be borrowed: a
    /// `&str` where keys are `String`s.
    ///
    /// If there is no room to renew the value, as too much removed data is not freed yet, the new
    /// value is returned and not put in.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the old value stays in the cache.
    ///
    /// # Progress
    ///
    /// Runs the loader, or waits for another caller that does.
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
    #[doc(alias = "reload")]
    pub fn refresh<Q>(&self, key: &Q) -> Result<V, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let (own, options) = (NoAbort::new(key.to_owned()), self.settings.fresh_options());
        let loaded =
            NoAbort::new(match join_or_lead(&self.cache, &own, LoadKind::Renew, options) {
                Next::Done(loaded) => loaded,
                Next::Lead(leader) => self.reload(leader),
                Next::LoadAlone | Next::Absent => self.load_anew(&own),
            });
        drop(own);
        loaded.into_inner().map(|loaded| loaded.value)
    }

    /// Loads a value that is not there, or that there is no room to renew.
    fn load_anew(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        let loaded = self
            .cache
            .load_missing(key, self.settings.fresh_options(), |key| self.loader.load_fresh(key))?;
        // It has been put in meanwhile, but the caller wants a value loaded after its call.
        if loaded.source == LoadSource::Hit {
            drop(loaded);
            alone::load(&self.cache, key, self.settings.fresh_options(), |key| {
                self.loader.load_fresh(key)
            })
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
            settings: self.settings.clone(),
            single: Arc::clone(&self.single),
        }
    }
}

impl<K, V, L, S> fmt::Debug for LoadingCache<K, V, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadingCache")
            .field("cache", &self.cache)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

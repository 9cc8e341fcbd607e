//! How a cache with a loader loads.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoadingCache;
#[cfg(feature = "async")]
use super::driven::Driven;
use super::executor::{Executor, Job};
use super::failed_load::FailedLoad;
use super::next::LoadOptions;
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::error::BuildError;
use crate::expiry::LifetimeOverride;
use crate::time::nanos;

/// A value whose renewal has failed is not renewed again for `refresh_after` divided by this.
const PAUSE_DIVISOR: u32 = 10;

/// How values are loaded.
#[derive(Debug, Clone)]
pub(super) struct LoadSettings {
    pub(super) refresh_after: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
    pub(super) stale_while_revalidate: Option<Duration>,
    pub(super) negative_ttl: Option<Duration>,
    pub(super) load_timeout: Option<Duration>,
    pub(super) jitter: f64,
    pub(super) executor: Executor,
    /// The renewals that readers poll; `None` in the handle that a renewal itself holds.
    #[cfg(feature = "async")]
    pub(super) driven: Option<Arc<Driven>>,
}

impl LoadSettings {
    pub(super) fn new() -> Self {
        Self {
            refresh_after: None,
            stale_if_error: None,
            stale_while_revalidate: None,
            negative_ttl: None,
            load_timeout: None,
            jitter: 0.0,
            executor: Executor::Pool,
            #[cfg(feature = "async")]
            driven: Some(Arc::default()),
        }
    }

    pub(super) fn options(&self) -> LoadOptions {
        LoadOptions {
            lifetime_override: LifetimeOverride {
                lifetime: None,
                jitter: self.jitter,
                ..LifetimeOverride::default()
            },
            stale_if_error: self.stale_if_error,
            negative_ttl: self.negative_ttl,
            until: self.load_timeout.and_then(|limit| Instant::now().checked_add(limit)),
            ..LoadOptions::default()
        }
    }

    /// For calls that accept neither a stale value nor a remembered error.
    pub(super) fn fresh_options(&self) -> LoadOptions {
        LoadOptions { stale_if_error: None, ignores_failures: true, ..self.options() }
    }

    /// For calls that load many keys.
    pub(super) fn bulk_options(&self) -> LoadOptions {
        LoadOptions { accepts_absence: true, ..self.options() }
    }

    /// Whether a key is not reloaded yet, because of a load that has failed.
    pub(super) fn defers(&self, kind: LoadKind, failed: &FailedLoad) -> bool {
        let pause = match kind {
            LoadKind::RenewIfOlderThan(age, _) => nanos(age / PAUSE_DIVISOR),
            _ => 0,
        };
        failed.failure(self.negative_ttl).is_some() || failed.is_younger(pause)
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Checks the settings against each other and against those of the cache. Calling it is
    /// optional; without it, settings that contradict each other have no effect.
    ///
    /// # Progress
    ///
    /// Wait-free: compares settings.
    ///
    /// # Errors
    ///
    /// [`RefreshAfterExpiry`](BuildError::RefreshAfterExpiry) if values would expire before they
    /// are due to be renewed: then they are never renewed, and a read after their expiry waits for
    /// a load.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{BuildError, Cache};
    ///
    /// let second = Duration::from_secs(1);
    /// let cache = Cache::builder().capacity(100).time_to_live(5 * second).build()?;
    /// let load = |key: &u64| Ok::<_, String>(key * 2);
    /// let doubles = cache.loading(load).refresh_after(4 * second).build()?;
    /// assert_eq!(doubles.get(&2), Ok(4));
    ///
    /// let never = cache.loading(load).refresh_after(5 * second).build();
    /// assert!(matches!(never, Err(BuildError::RefreshAfterExpiry { .. })));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn build(self) -> Result<Self, BuildError> {
        let life = self.cache.engine().time_to_live();
        match self.settings.refresh_after.zip(life) {
            Some((refresh_after, time_to_live)) if refresh_after >= time_to_live => {
                Err(BuildError::RefreshAfterExpiry { refresh_after, time_to_live })
            }
            _ => Ok(self),
        }
    }

    /// Renews values ahead of their expiry: a read of a value that has reached `age` returns it at
    /// once, and starts one reload in the background. If that fails, the value stays until it
    /// expires, and is tried again after a tenth of `age`, or after
    /// [`negative_ttl`](Self::negative_ttl) if that is longer. A value that the loader has given an age of its own, by
    /// [`Fresh::refresh_after`](crate::Fresh::refresh_after), goes by that.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Panics
    ///
    /// If the cache has no clock: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::builder().capacity(100).time_to_live(Duration::from_secs(60)).build()?;
    /// let lengths = cache
    ///     .loading(|word: &String| Ok::<_, String>(word.len()))
    ///     .refresh_after(Duration::from_secs(50))
    ///     .build()?;
    /// assert_eq!(lengths.get("four"), Ok(4));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias = "refreshAfterWrite")]
    pub fn refresh_after(mut self, age: Duration) -> Self {
        expect_time(&self.cache, "refresh_after");
        self.settings.refresh_after = Some(age);
        self
    }

    /// Returns an expired value instead of an error, for up to `grace` after its expiry. Each
    /// handle of the cache applies its own setting: others may allow more or less. A value that was
    /// replaced, removed or invalidated never stands in. Until `grace` is over the value stays in
    /// memory, unless its room is needed; it is returned as [`LoadSource::Stale`].
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Panics
    ///
    /// If the cache has no clock: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    ///
    /// [`LoadSource::Stale`]: crate::load::LoadSource::Stale
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::builder().capacity(100).time_to_live(Duration::from_secs(60)).build()?;
    /// let lengths = cache
    ///     .loading(|word: &String| Ok::<_, String>(word.len()))
    ///     .stale_if_error(Duration::from_secs(600))
    ///     .build()?;
    /// assert_eq!(lengths.get("four"), Ok(4));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn stale_if_error(mut self, grace: Duration) -> Self {
        expect_time(&self.cache, "stale_if_error");
        self.cache.engine().keep_expired(grace);
        self.settings.stale_if_error = Some(grace);
        self
    }

    /// Returns an expired value at once, for up to `grace` after its expiry, while one reload runs
    /// in the background. If that fails, the next read starts another one or, with
    /// [`negative_ttl`](Self::negative_ttl), the first read after that time. A value that was
    /// replaced, removed or invalidated is never returned. The value is returned as
    /// [`LoadSource::Stale`], by this handle only, and stays in memory until `grace` is over,
    /// unless its room is needed.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Panics
    ///
    /// If the cache has no clock: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock, LoadSource};
    ///
    /// let (clock, manual) = Clock::manual();
    /// let pages = Cache::builder()
    ///     .capacity(100)
    ///     .time_to_live(Duration::from_secs(60))
    ///     .clock(clock)
    ///     .build()?
    ///     .loading(|path: &String| Ok::<_, String>(path.len()))
    ///     .stale_while_revalidate(Duration::from_secs(600))
    ///     .build()?;
    /// assert_eq!(pages.get(&"/".to_string()), Ok(1));
    /// manual.advance(Duration::from_secs(61));
    /// let stale = pages.get_with_source(&"/".to_string()).unwrap();
    /// assert_eq!((stale.value, stale.source), (1, LoadSource::Stale));
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    ///
    /// [`LoadSource::Stale`]: crate::load::LoadSource::Stale
    #[doc(alias = "refresh")]
    pub fn stale_while_revalidate(mut self, grace: Duration) -> Self {
        expect_time(&self.cache, "stale_while_revalidate");
        self.cache.engine().keep_expired(grace);
        self.settings.stale_while_revalidate = Some(grace);
        self
    }

    /// Remembers for `lifetime` that a key could not be loaded: calls for it return the error
    /// meanwhile, unless a value may stand in, and the key is neither loaded nor renewed in the
    /// background. A key for which [`load_many`](crate::load::Loader::load_many) has no value is
    /// remembered in the same way.
    ///
    /// The error is forgotten when the key is inserted, removed or invalidated, or loaded after
    /// all, as by [`refresh`](Self::refresh), which loads in any case. If one of these happens
    /// between the beginning of the load and its error, the error is not remembered at all. Each
    /// handle applies its own duration. A cache remembers about the last thousand errors.
    ///
    /// The time is that of the cache's clock, if it has one, and otherwise the system's.
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
    /// let cache = Cache::builder().capacity(100).time_to_live(Duration::from_secs(60)).build()?;
    /// let lengths = cache
    ///     .loading(|word: &String| Ok::<_, String>(word.len()))
    ///     .negative_ttl(Duration::from_secs(5))
    ///     .build()?;
    /// assert_eq!(lengths.get("four"), Ok(4));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias = "cache_errors")]
    pub fn negative_ttl(mut self, lifetime: Duration) -> Self {
        self.settings.negative_ttl = Some(lifetime);
        self
    }

    /// Limits how long a call waits for a load that it has joined; after `limit` it returns
    /// [`LoadError::TimedOut`], or a stale value if [`stale_if_error`](Self::stale_if_error) allows
    /// for it. The load goes on, and its value is put in. The caller that leads the load is not
    /// interrupted: its loader should have time limits of its own.
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
    /// let prices = Cache::new(100)
    ///     .loading(|symbol: &String| Ok::<_, String>(symbol.len()))
    ///     .load_timeout(Duration::from_millis(200));
    /// assert_eq!(prices.get(&"EURUSD".to_string()), Ok(6));
    /// ```
    ///
    /// [`LoadError::TimedOut`]: crate::load::LoadError::TimedOut
    #[doc(alias = "deadline")]
    pub fn load_timeout(mut self, limit: Duration) -> Self {
        self.settings.load_timeout = Some(limit);
        self
    }

    /// Shortens the life of each loaded value by a random part of it, up to `fraction`, so that
    /// values loaded together do not expire together. Zero by default; values above one count as
    /// one.
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
    /// let cache = Cache::builder().capacity(100).time_to_live(Duration::from_secs(60)).build()?;
    /// let lengths = cache
    ///     .loading(|word: &String| Ok::<_, String>(word.len()))
    ///     .jitter(0.1)
    ///     .build()?;
    /// assert_eq!(lengths.get("four"), Ok(4));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn jitter(mut self, fraction: f64) -> Self {
        // NaN counts as zero.
        self.settings.jitter = if fraction > 0.0 { fraction.min(1.0) } else { 0.0 };
        self
    }

    /// Renews values on an executor of the user's. The thread that reads calls `spawn` with a job:
    /// it should pass the job on, and not run it.
    ///
    /// Without one, threads named `clockhand-load` renew the values of all caches of the process:
    /// at most eight, not counting those whose loads have run for more than a second, and at most
    /// sixty-four in all. They are started as needed, and end after ten seconds without work.
    /// Renewals that they cannot keep up with are dropped, and started again by later reads.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// # use clockhand::Cache;
    /// # let loading = Cache::<u8, u8>::new(10).loading(|key: &u8| Ok::<_, String>(*key));
    /// let loading = loading.executor(|job| { std::thread::spawn(job); });
    /// ```
    #[doc(alias = "scheduler")]
    pub fn executor(mut self, spawn: impl Fn(Job) + Send + Sync + 'static) -> Self {
        self.settings.executor = Executor::Given(Arc::new(spawn));
        self
    }
}

/// Panics if the cache has no clock, which `what` needs.
pub(super) fn expect_time<K, V, S>(cache: &Cache<K, V, S>, what: &str) {
    assert!(
        cache.engine().clock().is_some(),
        "{what} needs a cache that keeps time: give its builder time_to_live, time_to_idle, expiry \
         or clock"
    );
}

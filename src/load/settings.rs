//! How a cache that fills itself does it.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoadingCache;
#[cfg(feature = "async")]
use super::driven::Driven;
use super::executor::{Executor, Job};
use super::rest::Rest;
use super::turn::Wish;
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::error::BuildError;
use crate::expiry::Terms;
use crate::time::nanos;

/// A value whose renewal has failed is not renewed again for this part of `refresh_after`.
const PAUSE: u32 = 10;

/// How values are loaded.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) refresh_after: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
    pub(super) stale_while_revalidate: Option<Duration>,
    pub(super) negative_ttl: Option<Duration>,
    pub(super) load_timeout: Option<Duration>,
    pub(super) jitter: f64,
    pub(super) executor: Executor,
    /// The renewals that are left to those who read; nothing in the handle that one of them has.
    #[cfg(feature = "async")]
    pub(super) driven: Option<Arc<Driven>>,
}

impl Rules {
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

    pub(super) fn wish(&self) -> Wish {
        Wish {
            terms: Terms { lifetime: None, jitter: self.jitter, ..Terms::default() },
            stale: self.stale_if_error,
            negative: self.negative_ttl,
            until: self.load_timeout.and_then(|limit| Instant::now().checked_add(limit)),
            ..Wish::default()
        }
    }

    /// For those to whom neither an old value nor an old error is of use.
    pub(super) fn fresh(&self) -> Wish {
        Wish { stale: None, anew: true, ..self.wish() }
    }

    /// For those who ask for many keys.
    pub(super) fn many(&self) -> Wish {
        Wish { absent: true, ..self.wish() }
    }

    /// To renew what is there, ahead of its expiry.
    pub(super) fn aged(&self) -> Option<LoadKind> {
        Some(LoadKind::RenewIfOlderThan(self.refresh_after?, self.jitter))
    }

    /// Whether the background leaves a key alone because of a load that has failed.
    pub(super) fn defers(&self, fare: LoadKind, rest: &Rest) -> bool {
        let pause = match fare {
            LoadKind::RenewIfOlderThan(age, _) => nanos(age / PAUSE),
            LoadKind::Load | LoadKind::Renew => 0,
        };
        rest.failure(self.negative_ttl).is_some() || rest.is_younger(pause)
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Checks the settings against each other and against the cache's. A cache that is used without
    /// this does what it can of settings that contradict each other.
    ///
    /// # Errors
    ///
    /// [`RefreshAfterExpiry`](BuildError::RefreshAfterExpiry) if values would be renewed when they
    /// have expired only: unchecked, they never are, and a read after their expiry waits for a load.
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
        match self.rules.refresh_after.zip(life) {
            Some((refresh_after, time_to_live)) if refresh_after >= time_to_live => {
                Err(BuildError::RefreshAfterExpiry { refresh_after, time_to_live })
            }
            _ => Ok(self),
        }
    }

    /// Renews values ahead of their expiry: a read of a value that is this old returns it at once,
    /// and starts one reload in the background. If that fails, the value stays until it expires, and
    /// is tried again after a tenth of this time, or after [`negative_ttl`](Self::negative_ttl) if
    /// that is longer.
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    pub fn refresh_after(mut self, age: Duration) -> Self {
        expect_time(&self.cache, "refresh_after");
        self.rules.refresh_after = Some(age);
        self
    }

    /// Lets a value stand in for one that could not be loaded, for so long after it has expired. It
    /// is judged by the handle that asks: other handles of the cache may allow more or less. What was
    /// replaced, removed or invalidated, by whomever, never stands in. Until its time is over, the
    /// value stays in memory, unless its room is needed, and is returned as [`LoadSource::Stale`].
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    ///
    /// [`LoadSource::Stale`]: crate::load::LoadSource::Stale
    pub fn stale_if_error(mut self, grace: Duration) -> Self {
        expect_time(&self.cache, "stale_if_error");
        self.cache.engine().keep_expired(grace);
        self.rules.stale_if_error = Some(grace);
        self
    }

    /// Serves a value that has expired at once, for so long after its expiry, while one reload runs in
    /// the background. If that fails, the next read starts another one, or, with
    /// [`negative_ttl`](Self::negative_ttl), the first one after that time. What was replaced, removed
    /// or invalidated is never served. The value is returned as [`LoadSource::Stale`], by this handle
    /// only, and stays in memory until then, unless its room is needed.
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock, LoadSource};
    ///
    /// let (clock, hand) = Clock::manual();
    /// let pages = Cache::builder()
    ///     .capacity(100)
    ///     .time_to_live(Duration::from_secs(60))
    ///     .clock(clock)
    ///     .build()?
    ///     .loading(|path: &String| Ok::<_, String>(path.len()))
    ///     .stale_while_revalidate(Duration::from_secs(600))
    ///     .build()?;
    /// assert_eq!(pages.get(&"/".to_string()), Ok(1));
    /// hand.advance(Duration::from_secs(61));
    /// let stale = pages.get_with_source(&"/".to_string()).unwrap();
    /// assert_eq!((stale.value, stale.source), (1, LoadSource::Stale));
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    ///
    /// [`LoadSource::Stale`]: crate::load::LoadSource::Stale
    pub fn stale_while_revalidate(mut self, grace: Duration) -> Self {
        expect_time(&self.cache, "stale_while_revalidate");
        self.cache.engine().keep_expired(grace);
        self.rules.stale_while_revalidate = Some(grace);
        self
    }

    /// Remembers for so long that a key could not be loaded: whoever asks for it meanwhile gets the
    /// error, unless a value may stand in, and nothing is loaded, nor renewed in the background. A key
    /// that [`load_many`](crate::load::Loader::load_many) has no value for is remembered in the same
    /// way.
    ///
    /// It is forgotten when the key is inserted, removed or invalidated, or loaded after all, as by
    /// [`refresh`](Self::refresh), which asks in any case; and where one of these comes between the
    /// load and its error, the error is not remembered at all. Each handle judges by its own
    /// duration. The last thousand or so of a cache are remembered.
    ///
    /// The time is the cache's, where it keeps one, and the system's where it does not.
    pub fn negative_ttl(mut self, lifetime: Duration) -> Self {
        self.rules.negative_ttl = Some(lifetime);
        self
    }

    /// How long a call waits for a load that it has joined; then it gets [`LoadError::TimedOut`], or the
    /// old value as [`stale_if_error`](Self::stale_if_error) says. The load goes on, and its value is
    /// put in. The caller that leads the load is not interrupted: its loader should have limits of
    /// its own.
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
    pub fn load_timeout(mut self, limit: Duration) -> Self {
        self.rules.load_timeout = Some(limit);
        self
    }

    /// Shortens the life of each loaded value by a part of it that is chosen anew each time, up to
    /// this fraction, so that what was loaded together does not expire together. Zero to begin with;
    /// at most one.
    pub fn jitter(mut self, fraction: f64) -> Self {
        // A fraction that is not a number is none.
        self.rules.jitter = if fraction > 0.0 { fraction.min(1.0) } else { 0.0 };
        self
    }

    /// Renews values on an executor of the user's. The function is called with a job by the thread
    /// that reads: it should pass the job on, and not run it.
    ///
    /// Without one, threads named `clockhand-load` renew the values of all caches of the process: eight
    /// at most, not counting those whose loads have run for more than a second, and sixty-four in all.
    /// They are started as they are needed, and end after ten seconds without work. What they cannot
    /// keep up with is given up, and comes again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use clockhand::Cache;
    /// # let loading = Cache::<u8, u8>::new(10).loading(|key: &u8| Ok::<_, String>(*key));
    /// let loading = loading.executor(|job| { std::thread::spawn(job); });
    /// ```
    pub fn executor(mut self, spawn: impl Fn(Job) + Send + Sync + 'static) -> Self {
        self.rules.executor = Executor::Given(Arc::new(spawn));
        self
    }
}

/// Panics if the cache keeps no time, which `what` needs.
pub(super) fn expect_time<K, V, S>(cache: &Cache<K, V, S>, what: &str) {
    assert!(
        cache.engine().clock().is_some(),
        "{what} needs a cache that keeps time: give its builder time_to_live, time_to_idle, expiry \
         or clock"
    );
}

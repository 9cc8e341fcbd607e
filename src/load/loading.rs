//! A cache that fills itself.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::blocking::turn;
use super::executor::{Executor, Job};
use super::flight::{Kind, News};
use super::lead::{Lead, Start, is_flown, start};
use super::turn::{Turn, Wish, alone, settle};
use super::{LoadError, LoadSource, Loaded, Loader, SharedError, now, patience};
use crate::cache::Cache;
use crate::engine::Fare;
use crate::expiry::Terms;
use crate::random_state::RandomState;
use crate::time::nanos;

/// Errors that are kept at most, where they are.
const FAILURES: u64 = 1024;
/// A value whose renewal has failed is not renewed again for this part of `refresh_after`.
const PAUSE: u32 = 10;

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
///     .jitter(0.1);
/// assert_eq!(prices.get(&"EURUSD".to_string()), Ok(6.0));
/// # Ok::<(), clockhand::BuildError>(())
/// ```
pub struct LoadingCache<K, V, L, S = RandomState> {
    pub(super) cache: Cache<K, V, S>,
    pub(super) loader: Arc<L>,
    pub(super) rules: Rules,
    /// Errors that are remembered.
    pub(super) failures: Option<Cache<K, Fault>>,
}

type Fault = Arc<dyn Any + Send + Sync>;

/// How values are loaded.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) refresh_after: Option<Duration>,
    pub(super) stale_if_error: Option<Duration>,
    pub(super) jitter: f64,
    pub(super) executor: Executor,
}

impl Rules {
    pub(super) fn wish(&self) -> Wish {
        let terms = Terms { lifetime: None, jitter: self.jitter };
        Wish { terms, until: None, stale: self.stale_if_error.is_some() }
    }

    /// For those to whom an old value is of no use.
    pub(super) fn fresh(&self) -> Wish {
        Wish { stale: false, ..self.wish() }
    }

    /// In nanoseconds.
    fn pause(&self) -> u64 {
        nanos(self.refresh_after.unwrap_or_default() / PAUSE)
    }
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
        let rules = Rules {
            refresh_after: None,
            stale_if_error: None,
            jitter: 0.0,
            executor: Executor::Pool,
        };
        LoadingCache { cache: self.clone(), loader: Arc::new(loader), rules, failures: None }
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

    /// Renews values ahead of their expiry: a read of a value that is this old returns it at once,
    /// and starts one reload in the background. If that fails, the value stays until it expires, and
    /// is tried again after a tenth of this time.
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

    /// Lets a value stand in for one that could not be loaded, for so long after it has expired. Only
    /// reads through this handle return it, as [`LoadSource::Stale`]; until then it stays in memory,
    /// unless its room is needed.
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
    /// `clock`.
    pub fn stale_if_error(mut self, grace: Duration) -> Self {
        expect_time(&self.cache, "stale_if_error");
        self.cache.engine().keep_expired(grace);
        self.rules.stale_if_error = Some(grace);
        self
    }

    /// Remembers errors for so long: whoever asks for the key meanwhile gets the error, and nothing is
    /// loaded. The last thousand or so are remembered.
    ///
    /// An error is remembered beside the cache: removing or invalidating its key does not forget it,
    /// inserting a value hides it.
    ///
    /// # Panics
    ///
    /// If the cache's clock is coarser than `lifetime`, or, where it has none, a thread for one could
    /// not be started.
    pub fn negative_ttl(mut self, lifetime: Duration) -> Self {
        let mut builder = Cache::builder().capacity(FAILURES).time_to_live(lifetime);
        if let Some(clock) = self.cache.engine().clock() {
            builder = builder.clock(clock);
        }
        self.failures = match builder.build() {
            Ok(failures) => Some(failures),
            Err(error) => panic!("negative_ttl: {error}"),
        };
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
    /// that reads: it should pass the job on, and not run it. Without one, two threads renew the values
    /// of all caches of the process; what they cannot keep up with is given up, and comes again.
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

    /// The value if it is there, and whether it is to be renewed.
    #[inline]
    pub(super) fn glance(&self, key: &K) -> Option<(V, bool)> {
        match self.rules.refresh_after {
            None => self.cache.get(key).map(|value| (value, false)),
            Some(after) => self.cache.get_and_age(key, (after, self.rules.jitter), is_flown::<V>),
        }
    }

    pub(super) fn remembered<E: Send + Sync + 'static>(&self, key: &K) -> Option<LoadError<E>> {
        let fault = self.failures.as_ref()?.get(key)?;
        Some(LoadError::Failed(SharedError::new(fault.downcast().ok()?)))
    }

    /// Remembers the error of a load.
    pub(super) fn remember<T, E: Send + Sync + 'static>(
        &self,
        key: &K,
        loaded: Result<T, LoadError<E>>,
    ) -> Result<T, LoadError<E>> {
        if let (Some(failures), Err(LoadError::Failed(error))) = (&self.failures, &loaded) {
            // Of all that share the error the first one does it.
            drop(failures.insert_if_absent(key.clone(), error.clone().into_arc()));
        }
        loaded
    }

    /// Begins to renew a value, unless that is under way.
    pub(super) fn begin_reload(&self, key: &K) -> Option<Lead<K, V, S>> {
        let fare = Fare::RenewAged(self.rules.refresh_after?, self.rules.jitter);
        match start(&self.cache, key, fare, Kind::Job, self.rules.pause()) {
            Start::Lead(lead) => {
                // A job that nobody runs is begun anew after a while.
                lead.flight.look_again(now().saturating_add(patience().silent));
                Some(lead)
            }
            Start::Join(lead) => Self::take_over(lead),
            Start::Live(_) | Start::Nothing => None,
        }
    }

    /// Takes a reload over that stalls. Nobody waits for it, so nobody else does.
    fn take_over(lead: Lead<K, V, S>) -> Option<Lead<K, V, S>> {
        let flight = &lead.flight;
        flight.look_again(now().saturating_add(patience().silent));
        let seat = flight.join(Kind::Job, Waker::noop().clone())?;
        if let News::Promoted = flight.poll(seat, Waker::noop(), now(), patience()) {
            return Some(lead.promote(seat));
        }
        if flight.leave(seat, now()) {
            lead.clear_away();
        }
        None
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
        if let Some(error) = self.remembered(key) {
            return Err(error);
        }
        let wish = self.rules.wish();
        let loaded = self.cache.load_missing(key, wish, |key| self.loader.load(key));
        self.remember(key, loaded)
    }

    /// Starts a reload in the background, unless one is under way.
    #[cold]
    pub(super) fn refresh_soon(&self, key: &K) {
        let Some(lead) = self.begin_reload(key) else { return };
        let own = self.clone();
        self.rules.executor.spawn(Box::new(move || {
            if lead.flight.led_by_thread(lead.seat, super::cycle::thread()) {
                lead.flight.look_again(u64::MAX);
                // A failure has been told to those that wait, and the value stays.
                let _ = own.reload(lead);
            }
        }));
    }

    fn reload(&self, lead: Lead<K, V, S>) -> Result<Loaded<V>, LoadError<L::Error>> {
        let loaded = match &lead.old {
            Some(old) => self.loader.reload(&lead.key, old),
            None => self.loader.load(&lead.key),
        };
        settle(lead, loaded, self.rules.fresh())
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
        let loaded = match turn(&self.cache, key, Fare::Renew, self.rules.fresh()) {
            Turn::Told(loaded) => loaded,
            Turn::Lead(lead) => self.reload(lead),
            Turn::Alone => self.load_anew(key),
        };
        loaded.map(|loaded| loaded.value)
    }

    /// Loads a value where there is none, or no room to renew it.
    fn load_anew(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        let loaded =
            self.cache.load_missing(key, self.rules.fresh(), |key| self.loader.load(key))?;
        // There is one after all.
        if loaded.source == LoadSource::Hit { alone(self.loader.load(key)) } else { Ok(loaded) }
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

impl<K, V, L, S> Clone for LoadingCache<K, V, L, S> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            loader: Arc::clone(&self.loader),
            rules: self.rules.clone(),
            failures: self.failures.clone(),
        }
    }
}

impl<K, V, L, S> fmt::Debug for LoadingCache<K, V, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadingCache")
            .field("cache", &self.cache)
            .field("rules", &self.rules)
            .field("remembers_errors", &self.failures.is_some())
            .finish_non_exhaustive()
    }
}

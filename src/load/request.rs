//! A call that loads, in steps.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use equivalent::Equivalent;

use super::fresh::{Answer, Fresh};
use super::next::LoadOptions;
use super::{LoadError, LoadSource, Loaded};
use crate::cache::Cache;
use crate::random_state::RandomState;
use crate::sync::NoAbort;

/// A call that is about to load a value. From [`Cache::load`].
///
/// # Progress
///
/// All methods are wait-free, but for those that say otherwise: they set a field.
#[must_use = "nothing is loaded before `run`"]
pub struct Load<'c, 'q, K, V, S = RandomState, Q: ?Sized = K, O = OfValue>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    cache: &'c Cache<K, V, S>,
    key: &'q Q,
    options: LoadOptions,
    timeout: Option<Duration>,
    output: PhantomData<fn() -> O>,
}

/// What a [`Load`] returns.
pub trait LoadOutput<V> {
    /// Its type.
    type Output;

    /// Made of what was loaded.
    #[doc(hidden)]
    fn of(loaded: Loaded<V>) -> Self::Output;
}

/// A [`Load`] returns the value alone.
#[derive(Debug)]
#[non_exhaustive]
pub enum OfValue {}

/// A [`Load`] returns the value and where it came from: a [`Loaded`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WithSource {}

impl<V> LoadOutput<V> for OfValue {
    type Output = V;
    #[inline]
    fn of(loaded: Loaded<V>) -> V {
        loaded.value
    }
}

impl<V> LoadOutput<V> for WithSource {
    type Output = Loaded<V>;
    #[inline]
    fn of(loaded: Loaded<V>) -> Loaded<V> {
        loaded
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Begins a call that loads the value of `key` if it is not there: what it may wait, how long the value lives, and
    /// what it returns are said step by step, and [`run`](Load::run) does it.
    ///
    /// The key may be borrowed: a `&str` where keys are `String`s. It is cloned on a miss only.
    ///
    /// # Progress
    ///
    /// Does nothing yet: see [`Load::run`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, LoadSource};
    ///
    /// let cache: Cache<String, u16> = Cache::builder().capacity(100).per_entry_ttl().build()?;
    /// let port = cache
    ///     .load("http")
    ///     .timeout(Duration::from_secs(1))
    ///     .ttl(Duration::from_secs(60))
    ///     .with_source()
    ///     .run(|_| "80".parse::<u16>())?;
    /// assert_eq!((port.value, port.source), (80, LoadSource::Loaded));
    /// assert_eq!(cache.get("http"), Some(80));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("entry", "entry_by_ref", "get_with"))]
    pub fn load<'q, Q>(&self, key: &'q Q) -> Load<'_, 'q, K, V, S, Q>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let options = LoadOptions::default();
        Load { cache: self, key, options, timeout: None, output: PhantomData }
    }

    /// As `load_with`, for a key that is borrowed.
    pub(super) fn load_by_ref<Q, E>(
        &self,
        key: &Q,
        options: impl FnOnce() -> LoadOptions,
        load: impl FnOnce(&Q) -> Result<Fresh<V>, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
    {
        if let Some(value) = self.get(key) {
            return Ok(Loaded::new(value, LoadSource::Hit));
        }
        let own = NoAbort::new(key.to_owned());
        let loaded = NoAbort::new(self.load_missing(&own, options(), |_| load(key)));
        drop(own);
        loaded.into_inner()
    }
}

impl<'c, 'q, K, V, S, Q: ?Sized, O> Load<'c, 'q, K, V, S, Q, O>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    Q: Hash + Equivalent<K> + ToOwned<Owned = K>,
    O: LoadOutput<V>,
{
    /// Waits for another caller's load at most for `timeout`, counted from the call of [`run`](Self::run). The caller's
    /// own loader is not interrupted.
    ///
    /// # Examples
    ///
    /// See [`Cache::load`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Gives the value a time to live of its own, unless the loader says another one: see [`Fresh::ttl`].
    ///
    /// # Examples
    ///
    /// See [`Cache::load`].
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.lifetime_override.ttl = Some(ttl);
        self
    }

    /// Remembers for `negative_ttl` that the loader has failed, or has found no value, as
    /// [`LoadingCache::negative_ttl`](crate::load::LoadingCache::negative_ttl) does: calls that say how long they count
    /// such a failure are told it again, until something happens to the key.
    ///
    /// # Examples
    ///
    /// See [`run_optional`](Self::run_optional).
    pub fn negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.options.negative_ttl = Some(negative_ttl);
        self
    }

    /// Returns where the value came from as well: a [`Loaded`].
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Cache::load`].
    pub fn with_source(self) -> Load<'c, 'q, K, V, S, Q, WithSource> {
        let Self { cache, key, options, timeout, .. } = self;
        Load { cache, key, options, timeout, output: PhantomData }
    }

    /// Now that it matters, until when the call waits.
    fn options(self) -> LoadOptions {
        let until = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        LoadOptions { until, ..self.options }
    }

    /// Returns the value, loaded by `load` if it is not there.
    ///
    /// As [`Cache::get_or_load`] and [`Cache::try_get_or_load`]; `load` answers a value, a [`Fresh`] or a `Result` of
    /// one of them.
    ///
    /// # Errors
    ///
    /// Those of [`Cache::try_get_or_load`], and [`LoadError::TimedOut`].
    ///
    /// # Panics
    ///
    /// If `load` does, or if the value has a time to live and the cache keeps no time.
    ///
    /// # Progress
    ///
    /// A hit is wait-free and allocates nothing. A miss runs the loader, or waits for another caller that does.
    ///
    /// # Examples
    ///
    /// See [`Cache::load`].
    pub fn run<A, F>(self, load: impl FnOnce(&Q) -> A) -> Result<O::Output, LoadError<A::Error>>
    where
        A: Answer<V, F, Error: Send + Sync + 'static>,
    {
        let (cache, key) = (self.cache, self.key);
        cache.load_by_ref(key, || self.options(), |key| load(key).into_fresh()).map(O::of)
    }

    /// Returns the value, loaded by `load` if it is not there, or `None` if `load` has found none.
    ///
    /// Callers that have joined such a load and accept that there is no value are told so; others load for themselves.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Progress
    ///
    /// As [`run`](Self::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let cache: Cache<String, u16> = Cache::new(100);
    /// let ask = |known: Option<u16>| {
    ///     let load = cache.load("gopher").negative_ttl(Duration::from_secs(60));
    ///     load.run_optional(|_| Ok::<_, String>(known))
    /// };
    /// assert_eq!(ask(None), Ok(None));
    /// assert_eq!(ask(Some(70)), Ok(None), "it is remembered");
    /// cache.invalidate("gopher");
    /// assert_eq!(ask(Some(70)), Ok(Some(70)));
    /// ```
    pub fn run_optional<E>(
        self,
        load: impl FnOnce(&Q) -> Result<Option<V>, E>,
    ) -> Result<Option<O::Output>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let (cache, key) = (self.cache, self.key);
        if let Some(value) = cache.get(key) {
            return Ok(Some(O::of(Loaded::new(value, LoadSource::Hit))));
        }
        let own = NoAbort::new(key.to_owned());
        let loaded = NoAbort::new(cache.load_optional(&own, self.options(), |_| load(key)));
        drop(own);
        loaded.into_inner().map(|loaded| loaded.map(O::of))
    }
}

/// For tasks.
#[cfg(feature = "async")]
impl<K, V, S, Q: ?Sized, O> Load<'_, '_, K, V, S, Q, O>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    Q: Hash + Equivalent<K> + ToOwned<Owned = K>,
    O: LoadOutput<V>,
{
    /// As [`run`](Self::run), by a future: see [`Cache::get_or_load_async`].
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`].
    ///
    /// # Progress
    ///
    /// As [`Cache::get_or_load_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let cache: Cache<String, u16> = Cache::new(100);
    /// let load = cache.load("http").timeout(Duration::from_secs(1));
    /// assert_eq!(load.run_async(|_| async { "80".parse::<u16>() }).await, Ok(80));
    /// # });
    /// ```
    pub async fn run_async<A, F, Fut>(
        self,
        load: impl FnOnce(&Q) -> Fut,
    ) -> Result<O::Output, LoadError<A::Error>>
    where
        Fut: Future<Output = A>,
        A: Answer<V, F, Error: Send + Sync + 'static>,
    {
        let (cache, key) = (self.cache, self.key);
        let load = async { load(key).await.into_fresh() };
        cache.load_by_ref_async(key, || self.options(), load).await.map(O::of)
    }

    /// As [`run_optional`](Self::run_optional), by a future.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`].
    ///
    /// # Progress
    ///
    /// As [`Cache::get_or_load_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let cache: clockhand::Cache<String, u16> = clockhand::Cache::new(100);
    /// let none = cache.load("gopher").run_optional_async(|_| async { Ok::<_, String>(None) });
    /// assert_eq!(none.await, Ok(None));
    /// # });
    /// ```
    pub async fn run_optional_async<E, Fut>(
        self,
        load: impl FnOnce(&Q) -> Fut,
    ) -> Result<Option<O::Output>, LoadError<E>>
    where
        Fut: Future<Output = Result<Option<V>, E>>,
        E: Send + Sync + 'static,
    {
        let (cache, key) = (self.cache, self.key);
        if let Some(value) = cache.get(key) {
            return Ok(Some(O::of(Loaded::new(value, LoadSource::Hit))));
        }
        let own = NoAbort::new(key.to_owned());
        let load = async { load(key).await };
        let loaded = NoAbort::new(cache.load_optional_async(&own, self.options(), load).await);
        drop(own);
        loaded.into_inner().map(|loaded| loaded.map(O::of))
    }
}

impl<K, V, S, Q: ?Sized, O> fmt::Debug for Load<'_, '_, K, V, S, Q, O>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("timeout", &self.timeout)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

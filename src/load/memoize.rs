//! Functions whose results are cached.

use std::convert::Infallible;
#[cfg(feature = "async")]
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::fresh::Answer;
use super::next::LoadOptions;
use super::settings::expect_time;
use crate::cache::Cache;
use crate::expiry::LifetimeOverride;
#[cfg(feature = "async")]
use crate::sync::NoAbort;

/// A function of a future whose results are cached. From [`memoize_async`].
#[cfg(feature = "async")]
pub struct AsyncMemo<A, V, S, F> {
    cache: Cache<(&'static str, A), V, S>,
    prefix: &'static str,
    options: LoadOptions,
    f: F,
}

/// As [`memoize`], for a function that returns a future, which owns what it needs of the argument.
///
/// # Panics
///
/// As [`memoize`].
///
/// # Progress
///
/// Wait-free.
///
/// # Examples
///
/// ```
/// # futures_executor::block_on(async {
/// use std::time::Duration;
/// use clockhand::Cache;
/// use clockhand::load::memoize_async;
///
/// let hour = Duration::from_secs(3600);
/// let cache = Cache::builder().capacity(1_000).time_to_live(hour).build()?;
/// let area = memoize_async(&cache, "area", hour, |&(a, b): &(u64, u64)| async move { a * b });
/// assert_eq!(area.call((3, 4)).await, 12);
/// assert_eq!((area.call((3, 4)).await, cache.len()), (12, 1));
/// # Ok::<(), clockhand::BuildError>(())
/// # }).unwrap();
/// ```
#[cfg(feature = "async")]
pub fn memoize_async<A, V, S, F>(
    cache: &Cache<(&'static str, A), V, S>,
    prefix: &'static str,
    ttl: Duration,
    f: F,
) -> AsyncMemo<A, V, S, F>
where
    A: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    expect_time(cache, "memoize_async");
    AsyncMemo { cache: cache.clone(), prefix, options: options_for(ttl), f }
}

#[cfg(feature = "async")]
impl<A, V, S, F> AsyncMemo<A, V, S, F>
where
    A: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The result for this argument.
    ///
    /// # Panics
    ///
    /// If the function does, or if it calls itself with the same argument.
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
    /// See [`memoize_async`].
    pub async fn call<Fut, R, Form>(&self, argument: A) -> V
    where
        F: Fn(&A) -> Fut,
        Fut: Future<Output = R>,
        R: Answer<V, Form, Error = Infallible>,
    {
        let key = NoAbort::new((self.prefix, argument));
        let load = async { (self.f)(&key.1).await.into_fresh() };
        match self.cache.load_by_ref_async(&*key, || self.options, load).await {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("memoize: {error}"),
        }
    }
}

#[cfg(feature = "async")]
impl<A, V, S, F> fmt::Debug for AsyncMemo<A, V, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncMemo").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// How a result is kept.
fn options_for(ttl: Duration) -> LoadOptions {
    let lifetime_override =
        LifetimeOverride { lifetime: Some(ttl), jitter: 0.0, ..LifetimeOverride::default() };
    LoadOptions { lifetime_override, ..LoadOptions::default() }
}

/// Wraps a function so that its results are cached: it is called once for equal arguments, and the
/// result is kept for `ttl`, but no longer than the cache keeps its entries. If `f` answers a
/// [`Fresh`](crate::Fresh), that may say a shorter time.
///
/// Several functions may share a cache, each with a `prefix` of its own. Of concurrent calls with
/// equal arguments, one calls the function and the others wait, as with [`Cache::get_or_load`].
///
/// # Panics
///
/// If the cache has no clock: its builder needs `time_to_live`, `time_to_idle`, `expiry` or
/// `clock`. The wrapped function panics if `f` does, or if it calls itself with the same argument.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::{Cache, Clock};
/// use clockhand::load::memoize;
///
/// let hour = Duration::from_secs(3600);
/// let cache = Cache::builder().capacity(1_000).time_to_live(hour).build()?;
/// let area = memoize(&cache, "area", hour, |(a, b): &(u64, u64)| a * b);
/// let perimeter = memoize(&cache, "perimeter", hour, |(a, b): &(u64, u64)| 2 * (a + b));
/// assert_eq!((area((3, 4)), perimeter((3, 4))), (12, 14));
/// assert_eq!((area((3, 4)), cache.len()), (12, 2));
/// # Ok::<(), clockhand::BuildError>(())
/// ```
pub fn memoize<A, V, S, F, R, Form>(
    cache: &Cache<(&'static str, A), V, S>,
    prefix: &'static str,
    ttl: Duration,
    f: F,
) -> impl Fn(A) -> V + Send + Sync + use<A, V, S, F, R, Form>
where
    A: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    F: Fn(&A) -> R + Send + Sync,
    R: Answer<V, Form, Error = Infallible>,
{
    expect_time(cache, "memoize");
    let cache = cache.clone();
    let options = options_for(ttl);
    move |argument| {
        let call = |(_, argument): &(&'static str, A)| f(argument).into_fresh();
        match cache.load_with((prefix, argument), options, call) {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("memoize: {error}"),
        }
    }
}

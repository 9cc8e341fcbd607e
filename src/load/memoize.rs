//! Functions whose results are cached.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::fresh::Answer;
use super::next::LoadOptions;
use super::settings::expect_time;
use crate::cache::Cache;
use crate::expiry::LifetimeOverride;

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
    let lifetime_override =
        LifetimeOverride { lifetime: Some(ttl), jitter: 0.0, ..LifetimeOverride::default() };
    let options = LoadOptions { lifetime_override, ..LoadOptions::default() };
    move |argument| {
        let call = |(_, argument): &(&'static str, A)| f(argument).into_fresh();
        match cache.load_with((prefix, argument), options, call) {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("memoize: {error}"),
        }
    }
}

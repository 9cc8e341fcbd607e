//! What functions with the attribute `memoize` call. Not for other code: it may change with any version.

#![allow(
    clippy::missing_panics_doc,
    clippy::type_complexity,
    reason = "only the attribute uses it"
)]

use std::convert::Infallible;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use equivalent::Equivalent;

use super::{LoadError, LoadingCache};
use crate::cache::Cache;

/// A result that has expired is kept until its room is needed.
const FALLBACK: Duration = Duration::MAX;

/// What the attribute says of the cache: how many results are kept at most, for how many seconds, whether they are
/// computed anew in the background, and whether one that has expired may stand in for an error.
pub type Settings = (u64, Option<u64>, bool, bool);

/// The cache of a function.
///
/// # Panics
///
/// If there is not the memory for it.
pub fn cache<K, V>(name: &str, (max_size, ttl_secs, refreshed, fallback): Settings) -> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let mut builder = Cache::builder().name(name).capacity(max_size);
    if let Some(seconds) = ttl_secs {
        builder = builder.time_to_live(Duration::from_secs(seconds));
    }
    if refreshed {
        builder = builder.per_entry_ttl();
    }
    let cache = builder.build().unwrap_or_else(|error| panic!("memoize: {name}: {error}"));
    if fallback {
        cache.engine().keep_expired(FALLBACK);
    }
    cache
}

/// The same for a function that is called in the background.
///
/// # Panics
///
/// As [`cache`].
pub fn loading<K, V, E>(
    name: &str,
    settings: Settings,
    refresh_secs: u64,
    load: fn(&K) -> Result<V, E>,
) -> LoadingCache<K, V, fn(&K) -> Result<V, E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let fallback = settings.3;
    let loading = cache(name, settings).loading(load);
    let loading = loading.refresh_after(Duration::from_secs(refresh_secs));
    if fallback { loading.stale_if_error(FALLBACK) } else { loading }
}

/// The result of an earlier call.
pub fn found<K, V, Q>(cache: &Cache<K, V>, key: &Q) -> Option<V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    Q: Hash + Equivalent<K> + ?Sized,
{
    // What is not there is counted by the load that follows.
    if cache.contains_key(key) { cache.get(key) } else { None }
}

/// The result of this call, or of another one that runs.
pub fn load<K, V>(cache: &Cache<K, V>, key: K, call: impl FnOnce() -> V) -> V
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    match cache.try_get_or_load(key, |_| Ok::<V, Infallible>(call())) {
        Ok(value) => value,
        Err(error) => panic!("memoize: {}: {error}", cache.name()),
    }
}

/// The same for a function that may fail. An error that can be shared is shared with those that wait; others call the
/// function themselves.
///
/// # Errors
///
/// Those of the function.
pub fn try_load<K, V, E, S>(
    cache: &Cache<K, V>,
    key: K,
    fallback: bool,
    call: impl FnOnce() -> Result<V, E>,
    share: impl Fn(&E) -> S,
) -> Result<V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: Shared<E>,
{
    let kept = fallback.then(|| key.clone());
    let (mut call, mut own) = (Some(call), None);
    let loaded = cache.try_get_or_load(key, |_| {
        let call = call.take().expect("a loader is called once");
        call().map_err(|error| {
            let shared = share(&error);
            own = Some(error);
            shared
        })
    });
    let error = match settle(cache, loaded, own) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Some(old) = kept.and_then(|key| fallen_back(cache, &key)) {
        return Ok(old);
    }
    match (error, call) {
        (Some(error), _) => Err(error),
        (None, Some(call)) => call(),
        (None, None) => unreachable!("the error of a call is its own"),
    }
}

/// The error of a load, if the caller has it: its own, or a clone of another's.
fn settle<K, V, E, S: Shared<E>>(
    cache: &Cache<K, V>,
    loaded: Result<V, LoadError<S>>,
    own: Option<E>,
) -> Result<V, Option<E>> {
    match loaded {
        Ok(value) => Ok(value),
        Err(LoadError::Failed(shared)) => Err(own.or_else(|| shared.get())),
        Err(error) => panic!("memoize: {}: {}", cache.name(), error.map(|_| Failed)),
    }
}

/// The last result, which may have expired.
fn fallen_back<K, V>(cache: &Cache<K, V>, key: &K) -> Option<V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    cache.engine().stale_value(key, FALLBACK).map(|old| old.value)
}

/// As [`load`], for a task.
#[cfg(feature = "async")]
pub async fn load_async<K, V>(cache: &Cache<K, V>, key: K, call: impl Future<Output = V>) -> V
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let call = async { Ok::<V, Infallible>(call.await) };
    match cache.try_get_or_load_async(key, |_| call).await {
        Ok(value) => value,
        Err(error) => panic!("memoize: {}: {error}", cache.name()),
    }
}

/// As [`try_load`], for a task.
///
/// # Errors
///
/// Those of the function.
#[cfg(feature = "async")]
pub async fn try_load_async<K, V, E, S>(
    cache: &Cache<K, V>,
    key: K,
    fallback: bool,
    call: impl Future<Output = Result<V, E>>,
    share: impl Fn(&E) -> S,
) -> Result<V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: Shared<E>,
{
    let kept = fallback.then(|| key.clone());
    let (mut call, mut own, mut called) = (std::pin::pin!(call), None, false);
    let loaded = {
        let (call, own, called) = (call.as_mut(), &mut own, &mut called);
        let load = async {
            *called = true;
            call.await.map_err(|error| {
                let shared = share(&error);
                *own = Some(error);
                shared
            })
        };
        cache.try_get_or_load_async(key, |_| load).await
    };
    let error = match settle(cache, loaded, own) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Some(old) = kept.and_then(|key| fallen_back(cache, &key)) {
        return Ok(old);
    }
    match error {
        Some(error) => Err(error),
        None => {
            assert!(!called, "the error of a call is its own");
            call.await
        }
    }
}

/// The result of a function that is called in the background.
///
/// # Errors
///
/// Those of the function.
pub fn get<K, V, E>(loading: &LoadingCache<K, V, fn(&K) -> Result<V, E>>, key: &K) -> Result<V, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    loading.get(key).map_err(|error| match error {
        LoadError::Failed(error) => {
            Arc::try_unwrap(error.into_arc()).unwrap_or_else(|error| (*error).clone())
        }
        error => panic!("memoize: {}: {}", loading.cache().name(), error.map(|_| Failed)),
    })
}

/// Stands for an error that may have no text.
#[derive(Debug)]
struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

/// Gives a future the type that the function declares.
pub fn typed<T, F: Future<Output = T>>(future: F) -> F {
    future
}

/// The types of a `Result`, whatever it is called.
pub trait IsResult {
    /// What is in an `Ok`.
    type Value;
    /// What is in an `Err`.
    type Error;
}

impl<V, E> IsResult for Result<V, E> {
    type Value = V;
    type Error = E;
}

/// What those that wait for a call get of its error.
pub trait Shared<E>: Send + Sync + 'static {
    /// An error for one of them.
    fn get(&self) -> Option<E>;
}

/// A clone.
#[derive(Debug)]
pub struct Cloned<E>(E);

impl<E: Clone + Send + Sync + 'static> Shared<E> for Cloned<E> {
    fn get(&self) -> Option<E> {
        Some(self.0.clone())
    }
}

/// Nothing.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the attribute builds it")]
pub struct Nothing;

impl<E> Shared<E> for Nothing {
    fn get(&self) -> Option<E> {
        None
    }
}

/// An error of which no caller knows yet whether it can be shared: of both methods `share`, the compiler takes the
/// one that needs no further reference.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the attribute builds it")]
pub struct Probe<'a, E>(pub &'a E);

/// See [`Probe`].
pub trait ShareClone<E> {
    /// A clone to be shared.
    fn share(&self) -> Cloned<E>;
}

impl<E: Clone + Send + Sync + 'static> ShareClone<E> for Probe<'_, E> {
    fn share(&self) -> Cloned<E> {
        Cloned(self.0.clone())
    }
}

/// See [`Probe`].
pub trait ShareNothing {
    /// Nothing to be shared.
    fn share(&self) -> Nothing;
}

impl<E> ShareNothing for &Probe<'_, E> {
    fn share(&self) -> Nothing {
        Nothing
    }
}

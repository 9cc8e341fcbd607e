//! Loads that no other caller can join, as there was no room for a placeholder: each caller loads
//! for itself.
//!
//! No caller waits for such a load, so no other thread or task can close a cycle over it. Only the
//! loader itself can ask for its own key again, further down on the same stack, where the runs are.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::fresh::Fresh;
use super::next::{LoadOptions, stale_or_error};
use super::run::{Run, stack_of_records};
use super::{LoadError, LoadSource, Loaded};
use crate::cache::Cache;
use crate::sync::{NoAbort, NoAborts};

/// The keys that a run loads for its caller alone.
struct AloneKeys<K> {
    cache: usize,
    keys: NoAborts<K>,
}

/// Identifies a cache while a call of it runs.
fn cache_address<K, V, S>(cache: &Cache<K, V, S>) -> usize
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    std::ptr::from_ref(cache.engine()).addr()
}

/// Whether the calling thread is inside such a load of `key`.
pub(super) fn is_inside<K, V, S>(cache: &Cache<K, V, S>, key: &K) -> bool
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    let own = cache_address(cache);
    let loads = |run: &Arc<Run>| {
        let alone = run.loads_alone::<AloneKeys<K>>().filter(|alone| alone.cache == own);
        alone.is_some_and(|alone| alone.keys.contains(key))
    };
    stack_of_records().iter().any(loads)
}

/// A run that loads `keys` for its caller alone, and perhaps other keys for their flights.
pub(super) fn run<'k, K, V, S>(cache: &Cache<K, V, S>, keys: impl IntoIterator<Item = &'k K>) -> Run
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    let mut own = NoAborts::new(Vec::new());
    keys.into_iter().for_each(|key| own.push(key.clone()));
    if own.is_empty() {
        return Run::default();
    }
    Run::alone(Box::new(AloneKeys { cache: cache_address(cache), keys: own }))
}

/// Loads `key` for the caller alone, as a thread.
pub(super) fn load<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    options: LoadOptions,
    load: impl FnOnce(&K) -> Result<Fresh<V>, E>,
) -> Result<Loaded<V>, LoadError<E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    if is_inside(cache, key) {
        return Err(LoadError::Cycle);
    }
    let begun = cache.engine().elapsed();
    let run = Arc::new(run(cache, [key]));
    let value = NoAbort::new(run.enter(|| load(key).map(Fresh::into_value)));
    drop(run);
    loaded(cache, (key, options), begun, value.into_inner())
}

/// The result for a caller that has loaded for itself alone since `begun`. If its loader has
/// failed, the value of the key may stand in, as it may for callers that wait for others.
pub(super) fn loaded<K, V, S, E>(
    cache: &Cache<K, V, S>,
    (key, options): (&K, LoadOptions),
    begun: Duration,
    loaded: Result<V, E>,
) -> Result<Loaded<V>, LoadError<E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    let engine = cache.engine();
    engine.count_load(|loads| &loads.started);
    engine.count_load_time(begun);
    engine.count_load(|loads| if loaded.is_ok() { &loads.succeeded } else { &loads.failed });
    match loaded {
        Ok(value) => Ok(Loaded::new(value, LoadSource::Loaded)),
        Err(error) => stale_or_error(error, |failure| options.stale_for(cache, key, failure)),
    }
}

//! Loads that nobody can join, as there was no room for one in the table: each caller loads for itself.
//!
//! Nobody waits for such a load, so no other thread or task can close a circle over it. Only the load itself can come to
//! its own key again, further down on the same stack, where the runs are.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::run::{Run, stack};
use super::turn::{Wish, old_or_error};
use super::{LoadError, LoadSource, Loaded};
use crate::cache::Cache;
use crate::sync::{NoAbort, NoAborts};

/// What a run loads for its caller alone.
struct Keys<K> {
    cache: usize,
    keys: NoAborts<K>,
}

/// Which cache it is, as long as a call of it runs.
fn place<K, V, S>(cache: &Cache<K, V, S>) -> usize
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    std::ptr::from_ref(cache.engine()).addr()
}

/// Whether the calling thread is inside of such a load of this key.
pub(super) fn is_inside<K, V, S>(cache: &Cache<K, V, S>, key: &K) -> bool
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    let own = place(cache);
    let loads = |run: &Arc<Run>| {
        let alone = run.loads_alone::<Keys<K>>().filter(|alone| alone.cache == own);
        alone.is_some_and(|alone| alone.keys.contains(key))
    };
    stack().iter().any(loads)
}

/// A run that loads these keys for its caller alone, others aside.
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
    Run::alone(Box::new(Keys { cache: place(cache), keys: own }))
}

/// Loads a key for the caller alone, as a thread.
pub(super) fn load<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    wish: Wish,
    load: impl FnOnce(&K) -> Result<V, E>,
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
    let value = NoAbort::new(run.enter(|| load(key)));
    drop(run);
    loaded(cache, (key, wish), begun, value.into_inner())
}

/// What a caller has loaded for itself alone, beginning then. Where it has failed, what the key has may stand in, as for
/// those that wait for others.
pub(super) fn loaded<K, V, S, E>(
    cache: &Cache<K, V, S>,
    (key, wish): (&K, Wish),
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
        Err(error) => old_or_error(error, |failure| wish.stand_in(cache, key, failure)),
    }
}

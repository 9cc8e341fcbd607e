//! Where the loads of a job run.

use std::hash::{BuildHasher, Hash};

use super::ends::JobEnds;
#[cfg(feature = "async")]
use crate::load::AsyncLoader;
use crate::load::{Loader, WeakLoadingCache};

/// A key, and whether its value is renewed.
pub(super) type JobKey<K> = (K, bool);
/// The keys of a job.
pub(super) type JobKeys<K> = Vec<JobKey<K>>;

/// Has the loads of a job run.
pub(super) type RunJob<K, V, L, S> = fn(WeakLoadingCache<K, V, L, S>, JobKeys<K>, JobEnds);

/// How jobs run, for a predictor without a thread and for one with it. A job does not keep the cache alive while it is
/// queued.
#[derive(Debug)]
pub(super) struct JobRunner<K, V, L, S> {
    pub(super) stepped: RunJob<K, V, L, S>,
    pub(super) threaded: RunJob<K, V, L, S>,
    /// Whether the cache has to have a spawner.
    #[cfg(feature = "async")]
    pub(super) wants_spawner: bool,
}

impl<K, V, L, S> JobRunner<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// In the round, and on the executor of the loading cache.
    pub(super) fn of_threads() -> Self {
        Self {
            stepped: run,
            threaded: run_on_executor,
            #[cfg(feature = "async")]
            wants_spawner: false,
        }
    }
}

fn run<K, V, L, S>(loading: WeakLoadingCache<K, V, L, S>, keys: JobKeys<K>, ends: JobEnds)
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    if let Some(loading) = loading.upgrade() {
        loading.load_predicted(&keys, |index, end| ends.note(index, end));
    }
}

fn run_on_executor<K, V, L, S>(
    loading: WeakLoadingCache<K, V, L, S>,
    keys: JobKeys<K>,
    ends: JobEnds,
) where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let own = loading.clone();
    loading.spawn(Box::new(move || run(own, keys, ends)));
}

#[cfg(feature = "async")]
impl<K, V, L, S> JobRunner<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// As a task of the user's runtime, in any case.
    pub(super) fn of_tasks() -> Self {
        Self { stepped: run_as_task, threaded: run_as_task, wants_spawner: true }
    }
}

#[cfg(feature = "async")]
fn run_as_task<K, V, L, S>(loading: WeakLoadingCache<K, V, L, S>, keys: JobKeys<K>, ends: JobEnds)
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let own = loading.clone();
    loading.spawn_task(Box::pin(async move {
        if let Some(loading) = own.upgrade() {
            loading.load_predicted_async(keys, |index, end| ends.note(index, end)).await;
        }
    }));
}

//! Loads that a predictor has asked for: of values that are likely to be asked for.
//!
//! They are loads like others: one for each key at a time, fenced, joined by callers that miss meanwhile. They differ
//! in what they mean to the policy, which [`LoadKind::Predicted`] says.

use std::hash::{BuildHasher, Hash};
#[cfg(feature = "async")]
use std::pin::pin;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "async")]
use super::AsyncLoader;
use super::bulk::into_option;
#[cfg(feature = "async")]
use super::bulk::keys_of;
use super::executor::Job;
#[cfg(feature = "async")]
use super::executor::{BoxFuture, Executor};
use super::flight::Runner;
#[cfg(feature = "async")]
use super::leader::begin_jobs;
use super::leader::{Begin, Leader, begin_load};
#[cfg(feature = "async")]
use super::loading_async::caught;
use super::renewal::RenewalResult;
use super::settings::LoadSettings;
use super::{Loader, LoadingCache};
use crate::cache::WeakCache;
use crate::engine::LoadKind;
use crate::sync::{NoAborts, quietly};

/// What became of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PredictedLoad {
    /// The loader returned a value, or that there is none.
    Loaded,
    /// It failed, or panicked.
    Failed,
    /// It was not called: the value is there, is being loaded, or its failure is remembered.
    NotNeeded,
}

/// A cache with a loader that does not keep the cache alive.
pub(crate) struct WeakLoadingCache<K, V, L, S> {
    cache: WeakCache<K, V, S>,
    loader: Arc<L>,
    settings: LoadSettings,
    single: Arc<OnceLock<()>>,
}

impl<K, V, L, S> Clone for WeakLoadingCache<K, V, L, S> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            loader: Arc::clone(&self.loader),
            settings: self.settings.clone(),
            single: Arc::clone(&self.single),
        }
    }
}

impl<K, V, L, S> WeakLoadingCache<K, V, L, S> {
    pub(crate) fn new(loading: &LoadingCache<K, V, L, S>) -> Self {
        Self {
            cache: loading.cache.downgrade(),
            loader: Arc::clone(&loading.loader),
            settings: loading.settings.clone(),
            single: Arc::clone(&loading.single),
        }
    }

    /// The cache; `None` if it was dropped.
    pub(crate) fn upgrade(&self) -> Option<LoadingCache<K, V, L, S>> {
        Some(LoadingCache {
            cache: self.cache.upgrade()?,
            loader: Arc::clone(&self.loader),
            settings: self.settings.clone(),
            single: Arc::clone(&self.single),
        })
    }

    /// The cache has no predictor any more.
    pub(crate) fn release_predictor(&self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.engine().release_predictor();
        }
    }

    /// Has a job done by the executor that renews values.
    pub(crate) fn spawn(&self, job: Job) {
        self.settings.executor.spawn(job);
    }

    /// Has a task run by the user's runtime. Without a spawner it is dropped.
    #[cfg(feature = "async")]
    pub(crate) fn spawn_task(&self, task: BoxFuture) {
        drop(self.settings.executor.spawn_future(task));
    }
}

/// The leaders of a job's loads, and the index of each; and the keys that are loaded one after another.
struct StartedLoads<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    leaders: Vec<Leader<K, V, S>>,
    of_leaders: Vec<usize>,
    singly: Vec<usize>,
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Whether futures run somewhere, whether values are read or not.
    #[cfg(feature = "async")]
    pub(crate) fn has_spawner(&self) -> bool {
        matches!(self.settings.executor, Executor::Tasks(_))
    }

    /// Begins the loads of a job, as far as they are begun at once.
    fn begin_all_predicted(
        &self,
        keys: &[(K, bool)],
        tell: &mut impl FnMut(usize, PredictedLoad),
    ) -> StartedLoads<K, V, S> {
        let (mut leaders, mut of_leaders, mut singly) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (key, renews)) in keys.iter().enumerate() {
            if self.is_single() {
                singly.push(index);
                continue;
            }
            match quietly(|| self.begin_predicted(key, *renews)).flatten() {
                Some(leader) => {
                    leaders.push(leader);
                    of_leaders.push(index);
                }
                None => tell(index, PredictedLoad::NotNeeded),
            }
        }
        StartedLoads { leaders, of_leaders, singly }
    }

    /// Begins a load, unless there is no need for it.
    fn begin_predicted(&self, key: &K, renews: bool) -> Option<Leader<K, V, S>> {
        let kinds = [true, false].map(|renews| LoadKind::Predicted { renews });
        for kind in kinds.into_iter().skip(usize::from(!renews)) {
            let begun = begin_load(&self.cache, key, kind, Runner::Job, |failed| {
                self.settings.defers(kind, failed)
            });
            match begun {
                Begin::Lead(leader) => return Some(leader),
                Begin::NotStarted => {}
                Begin::Live(_) | Begin::Join(_) | Begin::Failed(_) => return None,
            }
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
    /// Loads the values of `keys`, by one query as far as the loader has one, on the calling thread. A key whose
    /// flag is set is renewed if it has a value, and loaded otherwise; others are loaded if they have none. Calls `tell` for
    /// each key, with its index; what it says last holds.
    ///
    /// A load begins when its loader is about to be called, so that no other caller waits for one that is queued.
    pub(crate) fn load_predicted(
        &self,
        keys: &[(K, bool)],
        mut tell: impl FnMut(usize, PredictedLoad),
    ) {
        let room = self.cache.engine().permits_for_batch(keys.len());
        let StartedLoads { leaders, of_leaders, singly } =
            self.begin_all_predicted(keys, &mut tell);
        // Until more is known of them: a panic of a key may end this at any step, and what was begun has cost a load.
        of_leaders.iter().for_each(|index| tell(*index, PredictedLoad::Failed));
        let mut ends = Vec::new();
        let taken = NoAborts::new(self.renew(leaders, |renewed| {
            ends.push(ended(&renewed));
            true
        }));
        tell_ends((keys, &of_leaders), &taken, ends, &mut tell);
        drop(room);
        for index in singly {
            tell(index, self.load_predicted_one(&keys[index]));
        }
    }

    fn load_predicted_one(&self, (key, renews): &(K, bool)) -> PredictedLoad {
        let loaded = quietly(|| match self.begin_predicted(key, *renews) {
            Some(leader) => ended(&Some(into_option(self.reload(leader)))),
            None => PredictedLoad::NotNeeded,
        });
        loaded.unwrap_or(PredictedLoad::Failed)
    }
}

#[cfg(feature = "async")]
impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// As [`load_predicted`](Self::load_predicted), as a task. A load that was begun counts as failed until more is known
    /// of it: so it is if the task is dropped, or its query panics.
    pub(crate) async fn load_predicted_async(
        mut self,
        keys: Vec<(K, bool)>,
        mut tell: impl FnMut(usize, PredictedLoad),
    ) {
        self.settings.driven = None;
        let keys = NoAborts::new(keys);
        let room = self.cache.engine().permits_for_batch(keys.len());
        let StartedLoads { leaders, of_leaders, singly } =
            self.begin_all_predicted(&keys, &mut tell);
        of_leaders.iter().for_each(|index| tell(*index, PredictedLoad::Failed));
        let [leaders, overtaken] = begin_jobs(leaders, Runner::Task);
        let mut taken = keys_of(&overtaken);
        drop(overtaken);
        let mut ends = Vec::new();
        let more = self.renew_async(leaders, |renewed| ends.push(ended(&renewed))).await;
        taken.extend(more.into_inner());
        tell_ends((&keys, &of_leaders), &taken, ends, &mut tell);
        drop(room);
        for index in singly {
            tell(index, PredictedLoad::Failed);
            let (key, renews) = &keys[index];
            let loaded = async {
                match self.begin_predicted(key, *renews) {
                    Some(leader) => ended(&Some(into_option(self.reload_async(leader).await))),
                    None => PredictedLoad::NotNeeded,
                }
            };
            tell(index, caught(pin!(loaded)).await.unwrap_or(PredictedLoad::Failed));
        }
    }
}

/// Tells what became of the loads that were begun together; other callers have taken over some of their keys.
fn tell_ends<K: PartialEq>(
    (keys, begun): (&[(K, bool)], &[usize]),
    taken: &[K],
    ends: Vec<PredictedLoad>,
    tell: &mut impl FnMut(usize, PredictedLoad),
) {
    let is_own = |index: &&usize| !taken.contains(&keys[**index].0);
    let (own, others): (Vec<&usize>, Vec<&usize>) = begun.iter().partition(is_own);
    own.iter().zip(ends).for_each(|(index, end)| tell(**index, end));
    others.iter().for_each(|index| tell(**index, PredictedLoad::NotNeeded));
}

fn ended<V, E>(renewed: &RenewalResult<V, E>) -> PredictedLoad {
    match renewed {
        Some(Ok(_)) => PredictedLoad::Loaded,
        Some(Err(_)) | None => PredictedLoad::Failed,
    }
}

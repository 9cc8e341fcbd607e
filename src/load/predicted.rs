//! Loads that a predictor has asked for: of values that are likely to be asked for.
//!
//! They are loads like others: one for each key at a time, fenced, joined by callers that miss meanwhile. They differ
//! in what they mean to the policy, which [`LoadKind::Predicted`] says.

use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};

use super::bulk::into_option;
use super::executor::Job;
use super::flight::Runner;
use super::leader::{Begin, Leader, begin_load};
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
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Loads the values of `keys`, by one query as far as the loader has one, on the calling thread. A key whose
    /// flag is set is renewed if it has a value, and loaded otherwise; others are loaded if they have none. Calls `tell` once
    /// for each key, with its index.
    ///
    /// A load begins when its loader is about to be called, so that no other caller waits for one that is queued.
    pub(crate) fn load_predicted(
        &self,
        keys: &[(K, bool)],
        mut tell: impl FnMut(usize, PredictedLoad),
    ) {
        let room = self.cache.engine().permits_for_batch(keys.len());
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
        let mut ends = Vec::new();
        let taken = NoAborts::new(self.renew(leaders, |renewed| {
            ends.push(ended(&renewed));
            true
        }));
        // Those that other callers have taken over were not noted.
        let is_own = |index: &&usize| !taken.iter().any(|key| *key == keys[**index].0);
        let (own, others): (Vec<&usize>, Vec<&usize>) = of_leaders.iter().partition(is_own);
        own.iter().zip(ends).for_each(|(index, end)| tell(**index, end));
        others.iter().for_each(|index| tell(**index, PredictedLoad::NotNeeded));
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

fn ended<V, E>(renewed: &RenewalResult<V, E>) -> PredictedLoad {
    match renewed {
        Some(Ok(_)) => PredictedLoad::Loaded,
        Some(Err(_)) | None => PredictedLoad::Failed,
    }
}

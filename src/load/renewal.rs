//! Values that are renewed in the background: ahead of their expiry, or while a stale one is
//! served.

use std::hash::{BuildHasher, Hash};
use std::task::Waker;

use super::bulk::{done, each, into_option, keys_of};
use super::caller::Caller;
use super::flight::{FlightPoll, Runner};
use super::leader::{Begin, Leader, begin_jobs, begin_load, start_run};
use super::next::{LoadOptions, finish_load};
use super::run::Run;
use super::{LoadError, Loaded, Loader, LoadingCache, now};
use crate::engine::LoadKind;
use crate::sync::quietly;

/// The result of a renewal; `None` if the loader panicked.
pub(super) type RenewalResult<V, E> = Option<Result<Option<V>, LoadError<E>>>;

/// What a caller found that wants to renew a value.
pub(super) enum RefreshStart<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// It leads the load.
    Lead(Leader<K, V, S>),
    /// A failure that is remembered.
    Failed(Result<Option<V>, LoadError<E>>),
    /// Another caller's load, or no room for a placeholder.
    Other,
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Begins a load in the background, unless one is under way or has just failed.
    pub(super) fn begin_reload(&self, key: &K, kind: LoadKind) -> Option<Leader<K, V, S>> {
        match begin_load(&self.cache, key, kind, Runner::Job, |failed| {
            self.settings.defers(kind, failed)
        }) {
            Begin::Lead(mut leader) => {
                leader.mark_renewal();
                Some(leader)
            }
            Begin::Join(caller) if caller.flight.recheck_due(now) => Self::take_over(caller),
            Begin::Join(_) | Begin::Live(_) | Begin::Failed(_) | Begin::NotStarted => None,
        }
    }

    /// Begins to renew a value, or to load it if there is none, unless a failure is remembered.
    pub(super) fn begin_refresh<E>(&self, key: &K) -> RefreshStart<K, V, S, E>
    where
        E: Send + Sync + 'static,
    {
        let options = LoadOptions { stale_if_error: None, ..self.settings.bulk_options() };
        for kind in [LoadKind::Renew, LoadKind::Load] {
            let counts = |failed: &_| options.failure::<E>(failed).is_some();
            match begin_load(&self.cache, key, kind, Runner::Job, counts) {
                Begin::Lead(leader) => return RefreshStart::Lead(leader),
                Begin::Failed(failed) => {
                    let failure = options.failure::<E>(&failed);
                    let next =
                        failure.and_then(|failure| options.answer(&self.cache, key, failure));
                    return next.and_then(done).map_or(RefreshStart::Other, RefreshStart::Failed);
                }
                Begin::NotStarted => {}
                Begin::Live(_) | Begin::Join(_) => return RefreshStart::Other,
            }
        }
        RefreshStart::Other
    }

    /// Takes over a reload if it stalls. As no caller waits for a reload, none would replace its
    /// leader otherwise.
    fn take_over(caller: Caller<K, V, S>) -> Option<Leader<K, V, S>> {
        let flight = &caller.flight;
        flight.set_recheck(now().saturating_add(flight.limits().renewal));
        let id = flight.join(Runner::Job, Waker::noop().clone())?;
        if let FlightPoll::Promoted = flight.poll(id, Waker::noop(), now()) {
            caller.cache.engine().count_load(|loads| &loads.relieved);
            let mut leader = Leader::promoted(caller, id);
            leader.mark_renewal();
            return Some(leader);
        }
        caller.leave(id);
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
    /// Renews values in the background, by one query if they are several.
    pub(super) fn renew_soon(&self, leaders: Vec<Leader<K, V, S>>) {
        if leaders.is_empty() {
            return;
        }
        let own = self.clone();
        self.settings.executor.spawn(Box::new(move || {
            // Waiters have been told of a failure, and the old value stays.
            own.renew(leaders, |_| true);
        }));
    }

    /// Renews values, by one query if they are several, and calls `tell` with each result. If each
    /// is a load of its own, stops when `tell` returns false. A panic of the loader, which was
    /// reported by the panic hook, ends the renewal of the values of that call only. Returns the
    /// keys that other callers have taken over.
    pub(super) fn renew(
        &self,
        leaders: Vec<Leader<K, V, S>>,
        mut tell: impl FnMut(RenewalResult<V, L::Error>) -> bool,
    ) -> Vec<K> {
        let [leaders, taken] = begin_jobs(leaders, Runner::Thread);
        let (mut taken, keys) = (keys_of(&taken), keys_of(&leaders));
        let run = start_run(&leaders, Runner::Thread, Run::default);
        let query = || if keys.len() > 1 { run.enter(|| self.query(&keys)) } else { None };
        let Some(loaded) = quietly(query) else {
            // The query has panicked, so none of them was renewed.
            keys.iter().for_each(|_| {
                tell(None);
            });
            return taken.into_inner();
        };
        let mut loaded = loaded.map(each);
        if loaded.is_none() {
            leaders.iter().skip(1).for_each(Leader::postpone);
        }
        for (leader, key) in leaders.into_iter().zip(&**keys) {
            let goes_on = match &mut loaded {
                Some(loaded) => {
                    let query = self.query_to_renew();
                    tell(quietly(|| query.complete_one((key, Some(leader)), loaded())));
                    true
                }
                None if leader.resume(Runner::Thread) => {
                    tell(quietly(|| into_option(self.reload(leader))))
                }
                None => {
                    taken.push(key.clone());
                    true
                }
            };
            if !goes_on {
                break;
            }
        }
        taken.into_inner()
    }

    pub(super) fn reload(&self, leader: Leader<K, V, S>) -> Result<Loaded<V>, LoadError<L::Error>> {
        leader.start_run(Runner::Thread);
        let loaded = leader.enter(|| match &leader.old {
            Some(old) => self.loader.reload_fresh(&leader.key, old),
            None => self.loader.load_fresh(&leader.key),
        });
        let options = self.settings.fresh_options();
        let (loaded, options) = options.with_terms(&self.cache, loaded);
        finish_load(leader, loaded, options)
    }
}

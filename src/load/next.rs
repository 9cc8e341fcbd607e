//! What a caller that wants a value does next: it returns, leads a load, or loads for itself.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::caller::Caller;
use super::failed_load::{FailedLoad, Failure};
use super::flight::{CallerId, FlightOutcome, Runner};
use super::leader::{Begin, Leader, begin_load};
use super::{LoadError, LoadSource, Loaded, SharedError};
use crate::cache::Cache;
use crate::engine::{LoadKind, StaleValue};
use crate::expiry::LifetimeOverride;
use crate::sync::NoAbort;

/// How one call loads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LoadOptions {
    /// How long a loaded value lives.
    pub(super) lifetime_override: LifetimeOverride,
    /// When a caller that has joined a load stops waiting.
    pub(super) until: Option<Instant>,
    /// For how long after its expiry a value may stand in for an error.
    pub(super) stale_if_error: Option<Duration>,
    /// For how long a failure is remembered.
    pub(super) negative_ttl: Option<Duration>,
    /// Whether the caller loads although a failure is remembered.
    pub(super) ignores_failures: bool,
    /// Whether it is an answer for the caller that a key has no value. Others load it themselves.
    pub(super) accepts_absence: bool,
}

/// What a caller does next.
pub(super) enum Next<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// It returns this.
    Done(Result<Loaded<V>, LoadError<E>>),
    /// It returns that the key has no value. Only for callers that accept that.
    Absent,
    /// It calls its loader, and ends the flight with the result.
    Lead(Leader<K, V, S>),
    /// It calls its loader for itself alone: there is nothing to renew, or no room for a
    /// placeholder.
    LoadAlone,
}

impl LoadOptions {
    /// Returns the failure of a load that has failed, if it is remembered for this caller and is an
    /// answer for it.
    pub(super) fn failure<'r, E: 'static>(&self, failed: &'r FailedLoad) -> Option<&'r Failure> {
        if self.ignores_failures {
            None
        } else {
            failed.failure(self.negative_ttl).filter(|f| self.accepts::<E>(f))
        }
    }

    /// Whether `failure` is an answer for this caller, whose loader fails with an `E`.
    fn accepts<E: 'static>(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Error(error) => error.is::<E>(),
            Failure::Absent => self.accepts_absence,
        }
    }

    /// What the key has, if it may stand in: never what was replaced, removed or invalidated.
    pub(super) fn stale_for<K, V, S>(
        &self,
        cache: &Cache<K, V, S>,
        key: &K,
        failure: &Failure,
    ) -> Option<StaleValue<V>>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        S: BuildHasher,
    {
        if matches!(failure, Failure::Absent) { None } else { self.stale_value(cache, key) }
    }

    /// Returns the value of `key`, if it may stand in for one that could not be loaded.
    fn stale_value<K, V, S>(&self, cache: &Cache<K, V, S>, key: &K) -> Option<StaleValue<V>>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        S: BuildHasher,
    {
        cache.engine().stale_value(key, self.stale_if_error?)
    }

    /// What this caller does after another caller's load has failed. Returns `None` if that failure
    /// is no answer for it.
    pub(super) fn answer<K, V, S, E>(
        &self,
        cache: &Cache<K, V, S>,
        key: &K,
        failure: &Failure,
    ) -> Option<Next<K, V, S, E>>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        S: BuildHasher,
        E: Send + Sync + 'static,
    {
        match failure {
            failure if !self.accepts::<E>(failure) => None,
            Failure::Absent => Some(Next::Absent),
            Failure::Error(error) => Some(Next::Done(match self.stale_for(cache, key, failure) {
                Some(old) => Ok(stale_loaded(old)),
                None => Err(failed_with(Arc::clone(error).downcast().ok()?)),
            })),
        }
    }
}

/// What a caller does next, or the caller, if it has joined a load and has to wait first.
pub(super) type NextOrJoin<K, V, S, E> = Result<Next<K, V, S, E>, Caller<K, V, S>>;

/// Looks for the value of `key`, or for a load of it, and begins a load if there is neither.
pub(super) fn next_or_join<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    (kind, runner): (LoadKind, Runner),
    options: &LoadOptions,
) -> NextOrJoin<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    let counts = |failed: &FailedLoad| options.failure::<E>(failed).is_some();
    loop {
        match begin_load(cache, key, kind, runner, counts) {
            Begin::Live(value) => {
                let loaded = Loaded::new(value.into_inner(), LoadSource::Hit);
                return Ok(Next::Done(Ok(loaded)));
            }
            Begin::Lead(leader) => return Ok(Next::Lead(leader)),
            Begin::NotStarted => return Ok(Next::LoadAlone),
            Begin::Join(caller) => return Err(caller),
            Begin::Failed(failed) => {
                let failure = options.failure::<E>(&failed);
                if let Some(next) = failure.and_then(|failure| options.answer(cache, key, failure))
                {
                    return Ok(next);
                }
            }
        }
    }
}

/// What a caller that has joined a load does next.
impl<K, V, S, E> Next<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    /// After the end of the flight. Returns `None` if the outcome is no answer for the caller,
    /// which then looks for the key again.
    pub(super) fn after_flight(
        caller: &Caller<K, V, S>,
        outcome: NoAbort<Arc<FlightOutcome<V>>>,
        options: &LoadOptions,
    ) -> Option<Self> {
        let next = NoAbort::new(match &**outcome {
            FlightOutcome::Value(value) => {
                Some(Self::Done(Ok(Loaded::new(value.clone(), LoadSource::Joined))))
            }
            FlightOutcome::Failed(failure) => options.answer(&caller.cache, &caller.key, failure),
        });
        // This may be the last reference: a value of the user's is dropped here.
        drop(outcome);
        next.into_inner()
    }

    /// After its promotion: it leads.
    pub(super) fn promoted(caller: Caller<K, V, S>, id: CallerId) -> Self {
        caller.cache.engine().count_load(|loads| &loads.relieved);
        Self::Lead(Leader::promoted(caller, id))
    }

    /// After its time limit: a stale value stands in, if the options allow for one.
    pub(super) fn timed_out(caller: &Caller<K, V, S>, options: &LoadOptions) -> Self {
        caller.cache.engine().count_load(|loads| &loads.timed_out);
        let old = options.stale_value(&caller.cache, &caller.key).map(stale_loaded);
        Self::Done(old.ok_or(LoadError::TimedOut))
    }
}

/// A value that stands in for an error: an expired one, or one inserted meanwhile.
pub(super) fn stale_loaded<V>(kept: StaleValue<V>) -> Loaded<V> {
    Loaded::new(kept.value, if kept.live { LoadSource::Hit } else { LoadSource::Stale })
}

pub(super) fn failed_with<E>(error: Arc<E>) -> LoadError<E> {
    LoadError::Failed(SharedError::new(error))
}

/// Ends a flight with the result of its leader's loader.
pub(super) fn finish_load<K, V, S, E>(
    leader: Leader<K, V, S>,
    loaded: Result<V, E>,
    options: LoadOptions,
) -> Result<Loaded<V>, LoadError<E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    match loaded {
        Ok(value) => {
            let value = NoAbort::new(value);
            leader.complete(&value, options.lifetime_override);
            Ok(Loaded::new(value.into_inner(), LoadSource::Loaded))
        }
        Err(error) => stale_or_error(error, |failure| leader.fail(failure, &options)),
    }
}

/// What a caller returns whose load has failed: the value that stands in, or the error.
pub(super) fn stale_or_error<V, E: Send + Sync + 'static>(
    error: E,
    stale_for: impl FnOnce(&Failure) -> Option<StaleValue<V>>,
) -> Result<Loaded<V>, LoadError<E>> {
    let error = NoAbort::new(Arc::new(error));
    let old = stale_for(&Failure::Error(Arc::clone(&error) as _));
    match old.map(NoAbort::new) {
        Some(old) => {
            drop(error);
            Ok(stale_loaded(old.into_inner()))
        }
        None => Err(failed_with(error.into_inner())),
    }
}

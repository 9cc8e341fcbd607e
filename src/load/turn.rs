//! What a caller that wants a value does next: it is told, it leads a load, or it loads for itself.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flight::Outcome;
use super::lead::Lead;
use super::rest::{Failure, Rest};
use super::{LoadError, LoadSource, Loaded, SharedError};
use crate::cache::Cache;
use crate::engine::StandIn;
use crate::expiry::Terms;
use crate::sync::NoAbort;

/// How a load differs from the plain one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    pub(super) terms: Terms,
    /// When a caller that has joined a load stops to wait.
    pub(super) until: Option<Instant>,
    /// For how long after its expiry a value may stand in for an error.
    pub(super) stale: Option<Duration>,
    /// For how long a failure is remembered.
    pub(super) negative: Option<Duration>,
    /// Whether the caller asks though a failure is remembered.
    pub(super) anew: bool,
    /// Whether the caller is content to learn that a key has no value. Others ask for it themselves.
    pub(super) absent: bool,
}

/// How waiting ended.
pub(super) enum Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The flight did.
    Over(Option<NoAbort<Arc<Outcome<V>>>>),
    /// The waiter is the leader now.
    Promoted(Lead<K, V, S>),
    /// It would have waited for itself.
    Cycle,
    TimedOut,
}

/// What is left to do for a caller.
pub(super) enum Turn<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Nothing.
    Told(Result<Loaded<V>, LoadError<E>>),
    /// Nothing: the key has no value. Only for callers that are content with that.
    Absent,
    /// To load, and to end the flight with that.
    Lead(Lead<K, V, S>),
    /// To load for itself: there is nothing to renew, or no room.
    Alone,
}

impl Wish {
    /// What a load that failed has left for this caller.
    pub(super) fn failure<'r, E: 'static>(&self, rest: &'r Rest) -> Option<&'r Failure> {
        if self.anew { None } else { rest.failure(self.negative).filter(|f| self.takes::<E>(f)) }
    }

    /// Whether a failure answers this caller, whose loader has this type of errors.
    fn takes<E: 'static>(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Error(error) => error.is::<E>(),
            Failure::Absent => self.absent,
        }
    }

    /// What the key has, if it may stand in: never what was replaced, removed or invalidated.
    pub(super) fn stand_in<K, V, S>(
        &self,
        cache: &Cache<K, V, S>,
        key: &K,
        failure: &Failure,
    ) -> Option<StandIn<V>>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        S: BuildHasher,
    {
        if matches!(failure, Failure::Absent) { None } else { self.old(cache, key) }
    }

    /// What the key has, if it may stand in for a value that does not come.
    fn old<K, V, S>(&self, cache: &Cache<K, V, S>, key: &K) -> Option<StandIn<V>>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        S: BuildHasher,
    {
        cache.engine().stand_in(key, self.stale?)
    }

    /// What a caller makes of a failure of somebody else's load; nothing if that is no answer for it.
    pub(super) fn answer<K, V, S, E>(
        &self,
        cache: &Cache<K, V, S>,
        key: &K,
        failure: &Failure,
    ) -> Option<Turn<K, V, S, E>>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        S: BuildHasher,
        E: Send + Sync + 'static,
    {
        match failure {
            failure if !self.takes::<E>(failure) => None,
            Failure::Absent => Some(Turn::Absent),
            Failure::Error(error) => Some(Turn::Told(match self.stand_in(cache, key, failure) {
                Some(old) => Ok(old_or_newer(old)),
                None => Err(shared(Arc::clone(error).downcast().ok()?)),
            })),
        }
    }
}

impl<K, V, S> Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whose turn it is then; nothing if the caller has to look again, as the flight has come to
    /// nothing that it could use.
    pub(super) fn turn<E: Send + Sync + 'static>(
        self,
        cache: &Cache<K, V, S>,
        key: &K,
        wish: Wish,
    ) -> Option<Turn<K, V, S, E>> {
        match self {
            Self::Over(outcome) => {
                let outcome = outcome?;
                // In the end the outcome may be dropped here, with what is in it.
                let turn = NoAbort::new(match &**outcome {
                    Outcome::Value(value) => {
                        Some(Turn::Told(Ok(Loaded::new(value.clone(), LoadSource::Joined))))
                    }
                    Outcome::Failed(failure) => wish.answer(cache, key, failure),
                });
                drop(outcome);
                turn.into_inner()
            }
            Self::Promoted(lead) => {
                cache.engine().count_load(|loads| &loads.relieved);
                Some(Turn::Lead(lead))
            }
            Self::Cycle => Some(Turn::Told(Err(LoadError::Cycle))),
            Self::TimedOut => {
                cache.engine().count_load(|loads| &loads.timed_out);
                let old = wish.old(cache, key).map(old_or_newer);
                Some(Turn::Told(old.ok_or(LoadError::TimedOut)))
            }
        }
    }
}

/// What stands in for an error: a value that has expired, or one that has come in meanwhile.
pub(super) fn old_or_newer<V>(kept: StandIn<V>) -> Loaded<V> {
    Loaded::new(kept.value, if kept.live { LoadSource::Hit } else { LoadSource::Stale })
}

pub(super) fn shared<E>(error: Arc<E>) -> LoadError<E> {
    LoadError::Failed(SharedError::new(error))
}

/// Ends a flight with what its leader has loaded.
pub(super) fn settle<K, V, S, E>(
    lead: Lead<K, V, S>,
    loaded: Result<V, E>,
    wish: Wish,
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
            lead.land(&value, wish.terms);
            Ok(Loaded::new(value.into_inner(), LoadSource::Loaded))
        }
        Err(error) => old_or_error(error, |failure| lead.fail(failure, &wish)),
    }
}

/// What a caller gets whose load has failed: what the key has, if that may stand in, or the error.
pub(super) fn old_or_error<V, E: Send + Sync + 'static>(
    error: E,
    stand_in: impl FnOnce(&Failure) -> Option<StandIn<V>>,
) -> Result<Loaded<V>, LoadError<E>> {
    let error = NoAbort::new(Arc::new(error));
    let old = stand_in(&Failure::Error(Arc::clone(&error) as _));
    match old.map(NoAbort::new) {
        Some(old) => {
            drop(error);
            Ok(old_or_newer(old.into_inner()))
        }
        None => Err(shared(error.into_inner())),
    }
}

//! What a caller that wants a value does next: it is told, it leads a load, or it loads for itself.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Instant;

use super::flight::Outcome;
use super::lead::Lead;
use super::{LoadError, LoadSource, Loaded, SharedError};
use crate::expiry::Terms;

/// How a load differs from the plain one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    pub(super) terms: Terms,
    /// When a caller that has joined a load stops to wait.
    pub(super) until: Option<Instant>,
    /// Whether an expired value may stand in for an error.
    pub(super) stale: bool,
}

/// How waiting ended.
pub(super) enum Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The flight did.
    Over(Option<Arc<Outcome<V>>>),
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
    /// To load, and to end the flight with that.
    Lead(Lead<K, V, S>),
    /// To load for itself: there is nothing to renew, or no room.
    Alone,
}

impl<K, V, S> Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whose turn it is then; nothing if the caller has to look again, as the flight has come to
    /// nothing that it could use.
    pub(super) fn turn<E: Send + Sync + 'static>(self, wish: Wish) -> Option<Turn<K, V, S, E>> {
        match self {
            Self::Over(outcome) => told(&*outcome?, wish).map(Turn::Told),
            Self::Promoted(lead) => Some(Turn::Lead(lead)),
            Self::Cycle => Some(Turn::Told(Err(LoadError::Cycle))),
            Self::TimedOut => Some(Turn::Told(Err(LoadError::TimedOut))),
        }
    }
}

/// What a caller makes of the outcome that it waited for; nothing if it is an error of another type.
fn told<V, E>(outcome: &Outcome<V>, wish: Wish) -> Option<Result<Loaded<V>, LoadError<E>>>
where
    V: Clone,
    E: Send + Sync + 'static,
{
    match outcome {
        Outcome::Value(value) => Some(Ok(Loaded::new(value.clone(), LoadSource::Joined))),
        Outcome::Failed(_, Some(old)) if wish.stale => {
            Some(Ok(Loaded::new(old.clone(), LoadSource::Stale)))
        }
        Outcome::Failed(error, _) => {
            let error = Arc::clone(error).downcast::<E>().ok()?;
            Some(Err(LoadError::Failed(SharedError::new(error))))
        }
    }
}

/// What a caller has loaded for itself alone, as there was no room for a load that others could join.
pub(super) fn alone<V, E>(loaded: Result<V, E>) -> Result<Loaded<V>, LoadError<E>> {
    match loaded {
        Ok(value) => Ok(Loaded::new(value, LoadSource::Loaded)),
        Err(error) => Err(LoadError::Failed(SharedError::new(Arc::new(error)))),
    }
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
            lead.land(&value, wish.terms);
            Ok(Loaded::new(value, LoadSource::Loaded))
        }
        Err(error) => {
            let error = Arc::new(error);
            match lead.fail(Arc::clone(&error) as _, wish.stale) {
                Some(old) => Ok(Loaded::new(old, LoadSource::Stale)),
                None => Err(LoadError::Failed(SharedError::new(error))),
            }
        }
    }
}

//! A caller that takes part in a load.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::failed_load::{FailedLoad, Failure};
use super::flight::{CallerId, Flight};
use super::leader_state::StallLimits;
use super::now;
use crate::cache::Cache;
use crate::engine::{AnyFlight, LoadToken, ThinLoad};
use crate::sync::{NoAbort, quietly};

/// A load of a key of a cache, as a caller holds it that has joined. The caller that leads holds a
/// [`Leader`](super::leader::Leader), which has one of these.
pub(super) struct Caller<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) cache: Cache<K, V, S>,
    pub(super) key: NoAbort<K>,
    pub(super) flight: NoAbort<Arc<Flight<V>>>,
}

/// Gives up a flight whose token may be in the table, as user code has panicked while it was put
/// there.
pub(super) struct AbandonOnDrop<'c, K, V, S>(&'c Caller<K, V, S>)
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher;

impl<K, V, S> AbandonOnDrop<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Nothing has panicked.
    pub(super) fn defuse(self) {
        std::mem::forget(self);
    }
}

impl<K, V, S> Drop for AbandonOnDrop<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        self.0.abandon(Flight::<V>::FIRST);
    }
}

/// The flight of a load, which is made if the load has none so far. `None` if it is over, which only a load that
/// began thin tells in this way.
pub(super) fn flight_of<V: Send + Sync + 'static>(
    token: &LoadToken,
    limits: StallLimits,
) -> Option<Arc<Flight<V>>> {
    match token {
        LoadToken::Thin(load) => inflate(*load, limits),
        LoadToken::Flight(flight) => Some(Flight::of(Arc::clone(flight))),
        LoadToken::RenewAfter(_) => None,
    }
}

/// The same for a load that began thin.
pub(super) fn inflate<V: Send + Sync + 'static>(
    load: ThinLoad,
    limits: StallLimits,
) -> Option<Arc<Flight<V>>> {
    load.inflate(|| Arc::new(Flight::<V>::inflated(load, limits, now()))).map(Flight::of)
}

impl<K, V, S> Caller<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) fn token(&self) -> LoadToken {
        self.flight.token()
    }

    /// Abandons the flight as its first leader on drop, unless that is defused.
    pub(super) fn abandon_on_drop(&self) -> AbandonOnDrop<'_, K, V, S> {
        AbandonOnDrop(self)
    }

    /// Removes the placeholder of the flight: no caller waits for it.
    pub(super) fn cancel(&self) {
        self.cache.engine().cancel_load(&self.key, &self.token());
    }

    /// Leaves the flight as the waiter `id`.
    pub(super) fn leave(&self, id: CallerId) {
        if self.flight.leave(id, now()) {
            self.cancel();
        }
    }

    /// Gives the flight up as the leader `id`; does nothing if it is over, or goes on without that
    /// one.
    ///
    /// A panic (of a waker, or of user code that looking for the key calls) stays here: the caller
    /// may be unwinding already. A token that is left behind is known to be over.
    pub(super) fn abandon(&self, id: CallerId) {
        quietly(|| {
            if self.flight.abandon(id, now()) {
                let failed = self.failed_now(None);
                let kept = failed.is_kept();
                let _ = self.flight.failed.set(failed);
                if kept {
                    self.remember_failure();
                } else {
                    self.cancel();
                }
            }
        });
    }

    /// Has the table know the load by its flight, which remembers how it ended, if it began thin. Returns false if
    /// the failure cannot be remembered. A panic of `Clone` is no reason to withhold it from those that wait.
    pub(super) fn settle(&self) -> bool {
        if self.flight.thin().is_none() {
            return true;
        }
        let flight: AnyFlight = Arc::clone(&self.flight) as _;
        quietly(|| self.cache.engine().settle_token(&self.key, &flight)).unwrap_or(false)
    }

    /// Has the table remember that the load has failed.
    pub(super) fn remember_failure(&self) {
        let flight: AnyFlight = Arc::clone(&self.flight) as _;
        self.cache.engine().remember_failure(&self.key, &flight);
    }

    /// The record of a load that ends now without a value.
    pub(super) fn failed_now(&self, failure: Option<(Failure, Duration)>) -> Arc<FailedLoad> {
        let clock = self.cache.engine().clock();
        Arc::new(FailedLoad::new(failure, self.flight.inherited.get(), clock))
    }
}

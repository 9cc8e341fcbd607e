//! The leader's part of a flight.

use std::any::Any;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::flight::{End, Flight, Kind, Outcome, Seat};
use super::now;
use crate::cache::Cache;
use crate::engine::{Boarding, Fare, Landing, Ticket};
use crate::expiry::Terms;

/// The flight of a ticket.
pub(super) fn flight<V: Send + Sync + 'static>(ticket: &Ticket) -> Arc<Flight<V>> {
    Arc::clone(ticket).downcast().expect("the tickets of a cache are of flights of its values")
}

/// A caller that has to load. When it is dropped before the flight has ended, as in a panic or when
/// a task is cancelled, the first waiter is promoted.
pub(super) struct Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    cache: Cache<K, V, S>,
    pub(super) key: K,
    pub(super) flight: Arc<Flight<V>>,
    pub(super) seat: Seat,
    /// What the key had.
    pub(super) old: Option<V>,
    /// Whether the ticket may be in the table.
    boarded: bool,
}

/// What a caller found who looked for a value or a load.
pub(super) enum Start<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    Live(V),
    Join(Arc<Flight<V>>),
    Lead(Lead<K, V, S>),
    Nothing,
}

/// Looks for the value of a key or its load, and else begins one.
///
/// A flight that is over is none; one that has failed counts until `pause` nanoseconds later.
pub(super) fn start<K, V, S>(
    cache: &Cache<K, V, S>,
    key: &K,
    fare: Fare,
    kind: Kind,
    pause: u64,
) -> Start<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let began = now();
    let own = Arc::new(Flight::<V>::new(kind, began));
    if kind == Kind::Thread {
        own.thread.set(super::cycle::thread());
    }
    let is_over = |ticket: &Ticket| flight::<V>(ticket).is_over(began.saturating_sub(pause));
    // Before it boards: if user code panics on the way, the flight is given up.
    let mut lead = Lead::promoted(cache, key, own, Flight::<V>::FIRST);
    let boarding = cache.engine().board(key, fare, &lead.ticket(), is_over);
    lead.boarded = matches!(boarding, Boarding::Boarded(_));
    match boarding {
        Boarding::Live(value) => Start::Live(value),
        Boarding::Joined(ticket) => Start::Join(flight(&ticket)),
        Boarding::Nothing => Start::Nothing,
        Boarding::Boarded(old) => {
            lead.old = old;
            Start::Lead(lead)
        }
    }
}

impl<K, V, S> Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The part of a waiter that was promoted.
    pub(super) fn promoted(
        cache: &Cache<K, V, S>,
        key: &K,
        flight: Arc<Flight<V>>,
        seat: Seat,
    ) -> Self {
        Self { cache: cache.clone(), key: key.clone(), flight, seat, old: None, boarded: true }
    }

    fn ticket(&self) -> Ticket {
        Arc::clone(&self.flight) as Ticket
    }

    /// Puts the value in unless something has overtaken it, and gives it to all that wait.
    pub(super) fn land(self, value: &V, terms: Terms) -> Landing {
        if !self.flight.begin_landing(self.seat) {
            return Landing::Overtaken;
        }
        let ticket = self.ticket();
        let landing = self.cache.engine().land(&self.key, value.clone(), &ticket, terms);
        self.end(None, || Outcome::Value(value.clone()));
        landing
    }

    /// Gives the error to all that wait, and to nobody who comes later.
    pub(super) fn fail(self, error: Arc<dyn Any + Send + Sync>, stale: Option<V>) {
        if self.flight.begin_landing(self.seat) {
            self.cache.engine().disembark(&self.key, &self.ticket());
            self.end(Some(now()), || Outcome::Failed(error, stale));
        }
    }

    fn end(&self, failed: Option<u64>, outcome: impl FnOnce() -> Outcome<V>) {
        if self.flight.end(self.seat, &None, failed) == End::Wanted {
            let outcome = Some(Arc::new(outcome()));
            self.flight.end(self.seat, &outcome, failed);
        }
    }
}

impl<K, V, S> Drop for Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        // Nothing where the flight has ended, or goes on without this one.
        if self.boarded && self.flight.abandon(self.seat, now(), true) {
            self.cache.engine().disembark(&self.key, &self.ticket());
        }
    }
}

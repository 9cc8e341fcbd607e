//! The leader's part of a flight.

use std::any::Any;
use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::flight::{End, Flight, Kind, Outcome, Seat};
use super::{cycle, now};
use crate::cache::Cache;
use crate::engine::{Boarding, Fare, Ticket};
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
    /// How long a reload that has failed is not tried again, in nanoseconds.
    pause: u64,
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
    /// Somebody else's load; the part to play if the caller is promoted.
    Join(Lead<K, V, S>),
    Lead(Lead<K, V, S>),
    /// There is nothing to renew, or no room.
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
    let own = Arc::new(Flight::<V>::new(kind, cycle::thread(), began));
    let is_over = |ticket: &Ticket| flight::<V>(ticket).is_over(began.saturating_sub(pause));
    // Before it boards: if user code panics on the way, the flight is given up.
    let mut lead = Lead {
        cache: cache.clone(),
        key: key.clone(),
        flight: own,
        seat: Flight::<V>::FIRST,
        old: None,
        pause,
        boarded: true,
    };
    let boarding = cache.engine().board(key, fare, &lead.ticket(), is_over);
    lead.boarded = matches!(boarding, Boarding::Boarded(_));
    match boarding {
        Boarding::Live(value) => Start::Live(value),
        Boarding::Nothing => Start::Nothing,
        Boarding::Joined(ticket) => {
            lead.flight = flight(&ticket);
            Start::Join(lead)
        }
        Boarding::Boarded(old) => {
            lead.old = old;
            Start::Lead(lead)
        }
    }
}

/// Whether a load that has this ticket is about to renew a value, as far as that can be told at a
/// glance.
pub(super) fn is_flown<V: Send + Sync + 'static>(ticket: &Ticket) -> bool {
    let flight: Option<&Flight<V>> = ticket.downcast_ref();
    flight.is_some_and(|flight| !flight.is_worth_a_look(now))
}

impl<K, V, S> Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The waiter has been promoted.
    pub(super) fn promote(mut self, seat: Seat) -> Self {
        (self.seat, self.boarded) = (seat, true);
        self
    }

    /// The waiter has left, and nobody is left: the ticket has to go.
    pub(super) fn clear_away(&self) {
        self.cache.engine().disembark(&self.key, &self.ticket());
    }

    /// An older value that may stand in.
    fn stand_in(&mut self) -> Option<V> {
        self.old.take().or_else(|| self.cache.engine().kept(&self.key))
    }

    fn ticket(&self) -> Ticket {
        Arc::clone(&self.flight) as Ticket
    }

    /// Puts the value in unless something has overtaken it, and gives it to all that wait.
    pub(super) fn land(self, value: &V, terms: Terms) {
        if self.flight.begin_landing(self.seat, cycle::thread()) {
            self.cache.engine().land(&self.key, value.clone(), &self.ticket(), terms);
            self.end(None, || Outcome::Value(value.clone()));
        }
    }

    /// Gives the error to all that wait, and to nobody who comes later. If `stale`, an older value may
    /// stand in for the one that was wanted: for them, and for the caller.
    pub(super) fn fail(mut self, error: Arc<dyn Any + Send + Sync>, stale: bool) -> Option<V> {
        let old = if stale { self.stand_in() } else { None };
        // Before the landing begins: if `Clone` panics, the first waiter leads.
        let theirs = old.clone();
        if self.flight.begin_landing(self.seat, cycle::thread()) {
            self.clear_away();
            self.end(Some(now()), || Outcome::Failed(error, theirs));
            self.flight.look_again(now().saturating_add(self.pause));
        }
        old
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
        if !self.boarded {
            return;
        }
        // Nothing where the flight has ended, or goes on without this one. A panic (of a waker, or of what
        // looking for the key calls) stays here: it may be on the way already. A ticket that is left
        // behind is known to be over.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let over = self.flight.abandon(self.seat, now(), true);
            self.flight.look_again(now().saturating_add(self.pause));
            if over {
                self.clear_away();
            }
        }));
    }
}

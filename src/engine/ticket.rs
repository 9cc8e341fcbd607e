//! How a load takes part in the table.
//!
//! A load *boards*: it puts an entry with its ticket where its value is going to be. Then it *lands*:
//! it replaces that very entry by the value. Whatever happens to the key in between (an insert, a
//! removal, a sweep that invalidates) replaces or unlinks the entry, in the same step in which it
//! takes effect; so the landing finds its ticket exactly if nothing has happened.
//!
//! An awaited entry weighs nothing and is never evicted. It has a berth until it is freed, and the number of
//! berths is bounded; a load that gets none is its caller's alone. An
//! entry that is renewed weighs what its older value weighs, and is evicted only where there is nothing else to
//! evict; its load then lands nowhere.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::bury::{Found, State, Table};
use super::panic::Panicked;
use super::work::{Attempt, Obstacle, Work};
use super::write::Site;
use super::{Engine, Pin};
use crate::entry::{EntryRef, Ticket};
use crate::error::InsertErrorKind;
use crate::expiry::{Expiration, Terms};
use crate::outcome::RemovalCause;
use crate::sync::{AtomicU64, FirstPanic, NoAbort, Relaxed, seeded};
use crate::table::Spotted;

/// Awaited entries, those included that are not freed yet, that there may be in any case; where the retired capacity
/// is larger, as many as it has room for.
const BERTHS: u64 = 1 << 10;

/// What a load found.
pub(crate) enum Boarding<V> {
    /// A value that may be read.
    Live(V),
    /// A load that is under way.
    Joined(Ticket),
    /// The ticket is in the table now. There may be an older value: live if it is to be renewed,
    /// else expired, and good only if the load fails.
    Boarded(Option<V>),
    /// There is nothing to renew, or no room.
    Nothing,
}

/// A value that may stand in for one that could not be loaded.
pub(crate) struct Kept<V> {
    pub(crate) value: V,
    /// Whether it has not expired.
    pub(crate) live: bool,
    /// Of a load that is to replace it, or could not.
    pub(crate) ticket: Option<Ticket>,
}

/// Keys that are loaded together: while this lives, each may have a berth on top of all others.
#[derive(Debug)]
pub(crate) struct BatchOfLoads<'e> {
    batched: &'e Relaxed<AtomicU64>,
    keys: u64,
}

impl Drop for BatchOfLoads<'_> {
    fn drop(&mut self) {
        self.batched.sub(self.keys);
    }
}

/// A berth for an entry that is not in the table yet. Given back if it does not get there, as its key
/// may panic when it is cloned.
struct Berth<'e>(&'e Relaxed<AtomicU64>);

impl Berth<'_> {
    /// Leaves it to the entry, until that is freed.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Berth<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fare {
    /// To load a value if there is none.
    Load,
    /// To renew a value that is there.
    Renew,
    /// To renew it if it is so old, or up to a part younger. The caller has seen one that was; another
    /// load may have landed since.
    RenewAged(Duration, f64),
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts a ticket in unless there is a value or another load; a ticket that `is_over` is none.
    pub(crate) fn board(
        &self,
        key: &K,
        fare: Fare,
        ticket: &Ticket,
        is_over: impl Fn(&Ticket) -> bool,
    ) -> Boarding<V> {
        let hash = self.hash(key);
        let mut pin = self.pin();
        let mut work = self.work(pin.local());
        // Loads that run are no garbage.
        work.patient = false;
        let boarding = self.persist(&mut pin, &mut work, |pin, work| {
            self.try_board(pin, work, (hash, key), fare, ticket, &is_over)
        });
        let boarding = NoAbort::new(boarding.unwrap_or(Boarding::Nothing));
        drop(work);
        // A reader of an old value does not clean up.
        if matches!(*boarding, Boarding::Boarded(_)) && !matches!(fare, Fare::RenewAged(..)) {
            self.tidy(pin);
        }
        boarding.into_inner()
    }

    fn try_board(
        &self,
        pin: &Pin<'_, K, V>,
        work: &mut Work<'_>,
        (hash, key): (u64, &K),
        fare: Fare,
        ticket: &Ticket,
        is_over: impl Fn(&Ticket) -> bool,
    ) -> Attempt<Boarding<V>> {
        let view = self.table.view(pin.pass());
        let held = match view.locate(hash, |k| k == key) {
            Spotted::Held(held) => held,
            Spotted::Open(_) if fare != Fare::Load => return Ok(Boarding::Nothing),
            Spotted::Open(open) => {
                let berth = self.berth().ok_or(Obstacle::Garbage)?;
                let entry = view.awaited(hash, key.clone(), Arc::clone(ticket));
                let bits = self.start(view, work, entry.as_ref());
                self.commit(view, &work.shift, open, (entry, bits))
                    .map_err(|_| Obstacle::Changed)?;
                berth.keep();
                work.local.tally.boardings.bump();
                work.local.tally.awaited.bump();
                self.grow_if_crowded(view);
                return Ok(Boarding::Boarded(None));
            }
        };
        let state = self.state(held.entry());
        let other = held.entry().ticket().filter(|ticket| !is_over(ticket));
        match (state, other) {
            (State::Live, _) if fare == Fare::Load => {
                held.touch();
                Ok(Boarding::Live(held.entry().value().clone()))
            }
            (_, Some(other)) => Ok(Boarding::Joined(Arc::clone(other))),
            (State::Awaited, None) if fare != Fare::Load => Ok(Boarding::Nothing),
            (State::Awaited, None) => {
                // Left behind by a load that is over.
                self.bury(view, held, RemovalCause::Expired);
                Err(Obstacle::Changed)
            }
            (State::Expired, None) if fare != Fare::Load => Ok(Boarding::Nothing),
            (State::Expired, None) if !self.is_kept(held.entry()) => {
                self.bury(view, held, RemovalCause::Expired);
                Err(Obstacle::Changed)
            }
            (State::Live, None) if !self.is_due(held.entry(), fare) => Ok(Boarding::Nothing),
            (State::Live | State::Expired, None) => self.renew(view, work, held, ticket),
        }
    }

    /// Makes room for the loads of so many keys. They are as many as the caller has in its hands, so it
    /// is the caller who bounds them; what they leave to be freed is bounded like that of other loads.
    pub(crate) fn batch_of_loads(&self, keys: usize) -> BatchOfLoads<'_> {
        let keys = keys as u64;
        self.batched.add(keys);
        BatchOfLoads { batched: &self.batched, keys }
    }

    /// Takes a berth for an awaited entry, until that is freed. Garbage of loads that fail one after the
    /// other is bounded like any other.
    fn berth(&self) -> Option<Berth<'_>> {
        let taken = self.berths.add(1);
        let berth = Berth(&self.berths);
        let more = self.failures.len().saturating_add(self.batched.get());
        let berths = self.retired.limit().max(BERTHS).saturating_add(more);
        (taken < berths).then_some(berth)
    }

    fn is_due(&self, entry: EntryRef<'_, K, V>, fare: Fare) -> bool {
        let Fare::RenewAged(age, jitter) = fare else { return true };
        let expiration = self.rules.expiration.as_ref();
        expiration.is_some_and(|time| time.is_due(entry, (age, jitter), time.now()))
    }

    /// Puts an entry with the same value and a ticket in the place of one without.
    fn renew<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        held: Found<'g, K, V>,
        ticket: &Ticket,
    ) -> Attempt<Boarding<V>> {
        let (old, charge) = (held.entry(), held.entry().charge());
        let bearer = self.bearer_of_replaced(work, charge);
        // Where the retired capacity has no room for it, the old entry stays charged, and the new one is, too.
        let need = charge - bearer.frees(charge) + bearer.costs(charge);
        self.find_room(work, need)?;
        let own = NoAbort::new(old.key().clone());
        let (own_value, value) =
            (NoAbort::new(old.value().clone()), NoAbort::new(old.value().clone()));
        let contents = (own.into_inner(), own_value.into_inner());
        let entry = view.renewed(old.hash(), contents, charge, Arc::clone(ticket));
        copy_words(old, entry.as_ref());
        let Ok(unlinked) = self.replace(view, &work.shift, held, entry) else {
            work.hand.surrender();
            return Err(Obstacle::Changed);
        };
        let account = self.settle(bearer, charge);
        work.spend(need);
        work.local.tally.boardings.bump();
        view.retire(unlinked, account);
        Ok(Boarding::Boarded(Some(value.into_inner())))
    }

    /// What a key has at this moment, live or expired for less than `grace`: it may stand in for a value that could not be loaded. What was replaced, removed or
    /// invalidated is not in the table, and so is never returned.
    pub(crate) fn stand_in(&self, key: &K, grace: Duration) -> Option<Kept<V>> {
        let pin = self.pin();
        let view = self.table.view(pin.pass());
        let held = view.find(self.hash(key), |k| k == key)?;
        let entry = held.entry();
        let in_time =
            |expiration: &Expiration<K, V>| expiration.was_live(entry, expiration.now(), grace);
        let live = self.is_live(entry);
        let longest = seeded("stale-by-the-longest") && self.is_kept(entry);
        if !live && !self.rules.expiration.as_ref().is_none_or(in_time) && !longest {
            return None;
        }
        held.touch();
        let ticket = entry.ticket().map(Arc::clone);
        Some(Kept { value: entry.value().clone(), live, ticket })
    }

    /// Puts a value in the place of its ticket, unless something has happened to the key since that
    /// came in. A value that the bound does not let in goes, and what stood there, too.
    pub(crate) fn land(&self, key: &K, value: V, ticket: &Ticket, terms: Terms) {
        let value = NoAbort::new(value);
        let charge = self.rules.weigh(key, &value);
        let hash = self.hash(key);
        let mut pin = self.pin();
        let mut work = self.work_of(&pin);
        work.terms = terms;
        if let Err(kind) = self.fits(charge) {
            return self.turn_away(pin, work, (hash, key, &value), (ticket, kind));
        }
        let (own, value) = (key.clone(), value.into_inner());
        let new = self.table.view(pin.pass()).entry(hash, own, value, charge);
        let mut new = Some(new);
        let done = self.persist(&mut pin, &mut work, |pin, work| {
            let view = self.table.view(pin.pass());
            let Some(held) = self.ticketed(view, hash, key, ticket) else { return Ok(()) };
            let state = self.state(held.entry());
            self.put_from(view, work, Site::Held(held, state), &mut new)?;
            self.settle_in(view, work);
            Ok(())
        });
        let Err(kind) = done else {
            drop(work);
            return self.tidy(pin);
        };
        let (own, value) = new.expect("an entry that was refused is still here").into_parts();
        let (_own, value) = (NoAbort::new(own), NoAbort::new(value));
        self.turn_away(pin, work, (hash, key, &value), (ticket, kind));
    }

    /// Takes the ticket out of the table with a value that the bound does not let in.
    fn turn_away<'e>(
        &'e self,
        pin: Pin<'e, K, V>,
        mut work: Work<'_>,
        (hash, key, value): (u64, &K, &V),
        (ticket, kind): (&Ticket, InsertErrorKind),
    ) {
        work.local.tally.refusals.count(kind);
        let mut panicked = std::mem::take(&mut work.panicked);
        drop(work);
        let notify = || {
            self.note_refused(hash);
            self.rules.notify(key, value, RemovalCause::Refused);
        };
        panicked.call(|| self.take_out(pin, (hash, key), ticket, (|_| true, notify)));
    }

    /// Takes the ticket of a load that has failed out of the table, unless there is a value with it.
    pub(crate) fn disembark(&self, key: &K, ticket: &Ticket) {
        let hash = self.hash(key);
        self.take_out(self.pin(), (hash, key), ticket, (|entry| entry.is_awaited(), || ()));
    }

    /// Removes what a key has if it carries this ticket: its load says that there is no value.
    pub(crate) fn vacate(&self, key: &K, ticket: &Ticket) {
        let hash = self.hash(key);
        self.take_out(self.pin(), (hash, key), ticket, (|entry| !entry.is_awaited(), || ()));
    }

    /// Leaves the ticket of a load that has failed where it is, if it is still there, as long as it
    /// counts and not too many others do.
    pub(crate) fn remember(&self, key: &K, ticket: &Ticket) {
        let hash = self.hash(key);
        let pin = self.pin();
        let held = self.ticketed(self.table.view(pin.pass()), hash, key, ticket);
        // With a value it is charged, and goes when that does.
        let key = held.filter(|held| held.entry().is_awaited()).map(|_| key.clone());
        drop(pin);
        if let Some(key) = key {
            let mut panics = FirstPanic::default();
            for (key, ticket) in self.failures.push(key, ticket) {
                panics.catch(|| {
                    let key = NoAbort::new(key);
                    self.disembark(&key, &ticket);
                });
            }
            panics.pass_on();
        }
    }

    /// Removes the entry with this ticket if it `may_go`, and calls `then` if it went.
    fn take_out<'e>(
        &'e self,
        pin: Pin<'e, K, V>,
        (hash, key): (u64, &K),
        ticket: &Ticket,
        (may_go, then): (impl Fn(EntryRef<'_, K, V>) -> bool, impl FnOnce()),
    ) {
        let cause = RemovalCause::Invalidated;
        let view = self.table.view(pin.pass());
        let find = || self.ticketed(view, hash, key, ticket).filter(|held| may_go(held.entry()));
        while let Some(held) = find() {
            if self.take_away(view, held, cause) {
                let entry = Some(held.entry()).filter(|entry| !entry.is_awaited());
                let mut panicked = Panicked::default();
                panicked.call(|| entry.into_iter().for_each(|entry| self.report(entry, cause)));
                panicked.call(then);
                break;
            }
        }
        self.tidy(pin);
    }

    /// Whether a ticket is still in the table: nothing has happened to the key since it came in.
    pub(crate) fn has_ticket(&self, key: &K, ticket: &Ticket) -> bool {
        let pin = self.pin();
        self.ticketed(self.table.view(pin.pass()), self.hash(key), key, ticket).is_some()
    }

    /// The entry of a key, if it carries this ticket.
    fn ticketed<'g>(
        &self,
        view: Table<'g, K, V>,
        hash: u64,
        key: &K,
        ticket: &Ticket,
    ) -> Option<Found<'g, K, V>> {
        let Spotted::Held(held) = view.locate(hash, |k| k == key) else { return None };
        let own = held.entry().ticket().is_some_and(|other| Arc::ptr_eq(other, ticket));
        (own || seeded("ticket-unchecked")).then_some(held)
    }
}

/// A read that has found the old entry, and moves its deadline from this moment on, is lost.
fn copy_words<K, V>(from: EntryRef<'_, K, V>, to: EntryRef<'_, K, V>) {
    let words = [
        (from.deadline(), to.deadline()),
        (from.idle_deadline(), to.idle_deadline()),
        (from.modified(), to.modified()),
    ];
    for (from, to) in words {
        if let (Some(from), Some(to)) = (from, to) {
            to.set(from.get());
        }
    }
}

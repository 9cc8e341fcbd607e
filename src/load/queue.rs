//! Those who wait for a flight, in the order in which they are promoted.
//!
//! They are promoted by turns: each time the one with the next seat, and after the last one the first.
//! So a waiter that was promoted, did not come and was put back has its next turn after all the others.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::task::Waker;

use super::flight::{Kind, Seat};

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    /// Nothing if it was woken and has not been back since: it is on its way.
    pub(super) waker: Option<Waker>,
    pub(super) kind: Kind,
}

/// All that wait. Each step is logarithmic in their number.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<Seat, Waiter>,
    /// The seat that was promoted last.
    last: Seat,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn put(&mut self, seat: Seat, waiter: Waiter) {
        let other = self.waiters.insert(seat, waiter);
        debug_assert!(other.is_none(), "two waiters with one seat");
    }

    pub(super) fn get(&mut self, seat: Seat) -> Option<&mut Waiter> {
        self.waiters.get_mut(&seat)
    }

    pub(super) fn remove(&mut self, seat: Seat) -> Option<Waiter> {
        self.waiters.remove(&seat)
    }

    /// Takes the next one out.
    pub(super) fn next(&mut self) -> Option<(Seat, Waiter)> {
        let after = self.waiters.range((Excluded(self.last), Unbounded)).next();
        let seat = after.or_else(|| self.waiters.first_key_value()).map(|(seat, _)| *seat)?;
        self.last = seat;
        self.waiters.remove_entry(&seat)
    }

    /// Takes the wakers of so many whose turn would be next: they have had it then.
    pub(super) fn rouse(&mut self, most: usize) -> Vec<Waker> {
        let most = most.min(self.waiters.len());
        let (last, mut taken, mut wakers) = (self.last, 0, Vec::new());
        let after = (Excluded(last), Unbounded);
        // Once round at most: after the last one come those up to where it began.
        for range in [after, (Unbounded, Included(last))] {
            for (seat, waiter) in self.waiters.range_mut(range).take(most - taken) {
                wakers.extend(waiter.waker.take());
                (self.last, taken) = (*seat, taken + 1);
            }
        }
        wakers
    }

    /// The wakers of all of them, in the order of their seats.
    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.waiters.into_values().filter_map(|waiter| waiter.waker)
    }

    #[cfg(test)]
    pub(super) fn seats(&self) -> impl Iterator<Item = Seat> {
        self.waiters.keys().copied()
    }
}

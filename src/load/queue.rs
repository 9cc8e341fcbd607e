//! The waiters of a flight, in the order in which they are promoted.
//!
//! They are promoted round robin: each time the one with the next id, and after the last one the
//! first. So a waiter that was promoted, did not arrive and was put back has its next turn after
//! all the others.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::task::Waker;

use super::flight::{CallerId, Runner};

/// A caller that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    /// `None` if it was woken and has not polled since.
    pub(super) waker: Option<Waker>,
    pub(super) runner: Runner,
}

/// The waiters. Each step is logarithmic in their number.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<CallerId, Waiter>,
    /// The waiter that was promoted last.
    last: CallerId,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn insert(&mut self, id: CallerId, waiter: Waiter) {
        let other = self.waiters.insert(id, waiter);
        debug_assert!(other.is_none(), "two waiters with one id");
    }

    pub(super) fn get(&mut self, id: CallerId) -> Option<&mut Waiter> {
        self.waiters.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: CallerId) -> Option<Waiter> {
        self.waiters.remove(&id)
    }

    /// Removes the next waiter.
    pub(super) fn next(&mut self) -> Option<(CallerId, Waiter)> {
        let after = self.waiters.range((Excluded(self.last), Unbounded)).next();
        let id = after.or_else(|| self.waiters.first_key_value()).map(|(id, _)| *id)?;
        self.last = id;
        self.waiters.remove_entry(&id)
    }

    /// Takes the wakers of up to `most` waiters that would be promoted next. They have had their
    /// turn then.
    pub(super) fn take_wakers(&mut self, most: usize) -> Vec<Waker> {
        let most = most.min(self.waiters.len());
        let (last, mut taken, mut wakers) = (self.last, 0, Vec::new());
        let after = (Excluded(last), Unbounded);
        // Once around at most: after the last waiter, those up to where it began.
        for range in [after, (Unbounded, Included(last))] {
            for (id, waiter) in self.waiters.range_mut(range).take(most - taken) {
                wakers.extend(waiter.waker.take());
                (self.last, taken) = (*id, taken + 1);
            }
        }
        wakers
    }

    /// Returns the wakers of all waiters, in the order of their ids.
    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.waiters.into_values().filter_map(|waiter| waiter.waker)
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> impl Iterator<Item = CallerId> {
        self.waiters.keys().copied()
    }
}

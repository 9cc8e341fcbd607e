//! Failures of loads that are remembered.
//!
//! A load that has failed may leave its awaited entry in the table: whoever finds its ticket there
//! knows that the load has failed, and that nothing has happened to the key since. Such entries are
//! not evicted, so their number is bounded here: the oldest one goes. The table alone says what is
//! remembered; a key in this list whose entry has another ticket by now, or none, means nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::Ticket;
use crate::entry::Hold;
use crate::sync::{AtomicU64, Mutex, NoAborts, Relaxed, lock};

/// Failures of one cache that are remembered at most.
const MOST: usize = 1 << 10;

/// Whose failures are remembered, in the order in which they came.
pub(super) struct Failures<K> {
    list: Mutex<VecDeque<Failed<K>>>,
    length: Relaxed<AtomicU64>,
}

/// A key, and the ticket of its load.
type Failed<K> = (K, Weak<dyn Hold + Send + Sync>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self { list: Mutex::new(VecDeque::new()), length: Relaxed::<AtomicU64>::new(0) }
    }
}

impl<K> Drop for Failures<K> {
    /// Drops one after the other, whatever panics.
    fn drop(&mut self) {
        drop(NoAborts::new(std::mem::take(&mut *lock(&self.list)).into()));
    }
}

impl<K> Failures<K> {
    /// Adds one. Returns those that are to be forgotten for it: they are too old, or too many.
    pub(super) fn push(&self, key: K, ticket: &Ticket) -> Vec<(K, Ticket)> {
        // Dropped without the lock: what they hold may be the user's.
        let (mut front, mut forgotten) = (None, Vec::new());
        let mut list = lock(&self.list);
        list.push_back((key, Arc::downgrade(ticket)));
        while let Some((_, ticket)) = list.front() {
            front = ticket.upgrade();
            if list.len() <= MOST && front.as_ref().is_some_and(|ticket| ticket.holds()) {
                break;
            }
            forgotten.push((list.pop_front(), front.take()));
        }
        self.length.set(list.len() as u64);
        drop(list);
        drop(front);
        let known = |(failed, ticket): (Option<Failed<K>>, Option<Ticket>)| {
            failed.map(|(key, _)| key).zip(ticket)
        };
        forgotten.into_iter().filter_map(known).collect()
    }

    /// How many entries they may keep in the table.
    pub(super) fn len(&self) -> u64 {
        self.length.get()
    }
}

//! Failures of loads that are remembered.
//!
//! A load that has failed may leave its placeholder in the table: a caller that finds its token
//! there knows that the load has failed, and that nothing has happened to the key since. Such
//! placeholders are not evicted, so their number is bounded here: the oldest one goes. Only the
//! table says what is remembered; a key in this list whose entry has another token by now, or none,
//! means nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::LoadToken;
use crate::entry::{AnyFlight, LoadStatus};
use crate::sync::{AtomicU64, Mutex, NoAborts, Relaxed, lock};

/// Limit on the failures of one cache that are remembered.
const MAX_FAILURES: usize = 1 << 10;

/// The keys whose failures are remembered, oldest first.
pub(super) struct Failures<K> {
    list: Mutex<VecDeque<Failed<K>>>,
    length: Relaxed<AtomicU64>,
}

/// A key, and the flight of its load.
type Failed<K> = (K, Weak<dyn LoadStatus + Send + Sync>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self { list: Mutex::new(VecDeque::new()), length: Relaxed::<AtomicU64>::new(0) }
    }
}

impl<K> Drop for Failures<K> {
    /// Drops the keys one after another, even if some of their destructors panic.
    fn drop(&mut self) {
        drop(NoAborts::new(std::mem::take(&mut *lock(&self.list)).into()));
    }
}

impl<K> Failures<K> {
    /// Adds a failure. Returns those that are to be forgotten: they are outdated, or too many.
    pub(super) fn push(&self, key: K, flight: &AnyFlight) -> Vec<(K, LoadToken)> {
        // Dropped after the lock is released: keys and tokens may hold values of the user's.
        let (mut front, mut forgotten) = (None, Vec::new());
        let mut list = lock(&self.list);
        list.push_back((key, Arc::downgrade(flight)));
        while let Some((_, token)) = list.front() {
            front = token.upgrade();
            if list.len() <= MAX_FAILURES && front.as_ref().is_some_and(|token| token.keeps_entry())
            {
                break;
            }
            forgotten.push((list.pop_front(), front.take()));
        }
        self.length.set(list.len() as u64);
        drop(list);
        drop(front);
        let known = |(failed, flight): (Option<Failed<K>>, Option<AnyFlight>)| {
            failed.map(|(key, _)| key).zip(flight.map(LoadToken::Flight))
        };
        forgotten.into_iter().filter_map(known).collect()
    }

    /// How many placeholders remembered failures may keep in the table.
    pub(super) fn len(&self) -> u64 {
        self.length.get()
    }
}

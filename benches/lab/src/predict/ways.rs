//! Ways to load ahead without a model: renew everything, or what is read most.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Duration;

use super::drive::{Ahead, Store};

/// How often is looked what is read most.
const LOOK: u64 = 60_000;

/// Renews values at their deadlines, all of them or those that are read most.
pub(super) struct Renewing {
    /// How many are renewed; all without it.
    hottest: Option<usize>,
    chosen: HashSet<u64, ahash::RandomState>,
    next_look: u64,
    /// When each value is looked at, and whether it was there a millisecond before.
    due: BinaryHeap<Reverse<(u64, u64, bool)>>,
}

impl Renewing {
    pub(super) fn new(hottest: Option<usize>) -> Self {
        Self { hottest, chosen: HashSet::default(), next_look: 0, due: BinaryHeap::new() }
    }

    fn is_chosen(&self, key: u64) -> bool {
        self.hottest.is_none() || self.chosen.contains(&key)
    }
}

impl Ahead for Renewing {
    fn next(&self) -> Option<u64> {
        let look = self.hottest.map_or(u64::MAX, |_| self.next_look);
        Some(self.due.peek().map_or(look, |Reverse((at, ..))| look.min(*at)))
    }

    fn act(&mut self, store: &Store) {
        let due = self.due.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        if let Some(most) = self.hottest.filter(|_| self.next_look <= due) {
            self.chosen = store.cache().hottest(most).into_iter().collect();
            self.next_look += LOOK;
            return;
        }
        let Some(Reverse((at, key, was_there))) = self.due.pop() else { return };
        if was_there {
            // What fails counts as not loaded.
            let _ = store.refresh(&key);
        } else if self.is_chosen(key) {
            let info = store.cache().entry_info(&key);
            let left = info.and_then(|info| info.expires_in);
            // Of a value that was loaded anew meanwhile there is another, later one.
            if left.is_some_and(|left| left <= Duration::from_millis(1)) {
                self.due.push(Reverse((at + 1, key, true)));
            }
        }
    }

    fn loaded(&mut self, key: u64, until: u64) {
        self.due.push(Reverse((until - 1, key, false)));
    }

    fn memory(&self) -> usize {
        self.due.len() * size_of::<(u64, u64, bool)>() + self.chosen.len() * size_of::<u64>()
    }
}

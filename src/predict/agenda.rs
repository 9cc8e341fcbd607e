//! Which keys are looked at when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::time::nanos;

/// When a key is due, in nanoseconds; the number of the entry; the hash.
type Due = (u64, u64, u64);

/// Keys by the time at which they are looked at; those of the same time in the order in which they came.
///
/// It has room for twice as many as there are keys: a key that is entered anew leaves its older entry behind.
#[derive(Debug)]
pub(super) struct Agenda {
    due: BinaryHeap<Reverse<Due>>,
    entered: u64,
}

impl Agenda {
    /// The bytes that it takes for each key.
    pub(super) const BYTES_PER_KEY: usize = 2 * size_of::<Due>();

    pub(super) fn for_keys(keys: usize) -> Self {
        Self { due: BinaryHeap::with_capacity(2 * keys), entered: 0 }
    }

    pub(super) fn enter(&mut self, at: Duration, hash: u64) {
        self.entered += 1;
        self.due.push(Reverse((nanos(at), self.entered, hash)));
    }

    /// The next key that is due, and since when.
    pub(super) fn next(&mut self, now: Duration) -> Option<(Duration, u64)> {
        let Reverse((at, _, hash)) = *self.due.peek()?;
        if at > nanos(now) {
            return None;
        }
        self.due.pop();
        Some((Duration::from_nanos(at), hash))
    }

    /// Whether the next entry would be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.due.len() == self.due.capacity()
    }

    /// Drops the keys that are not `wanted` at their times any more, and all but one entry of a key for the same time.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(Duration, u64) -> bool) {
        self.due.retain(|Reverse((at, _, hash))| wanted(Duration::from_nanos(*at), *hash));
        let mut due = std::mem::take(&mut self.due).into_vec();
        due.sort_unstable_by_key(|Reverse((at, number, hash))| (*at, *hash, *number));
        due.dedup_by_key(|Reverse((at, _, hash))| (*at, *hash));
        self.due = due.into();
    }
}

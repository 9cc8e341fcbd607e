//! The order in which keys were missed: a log, and where each key is in it.
//!
//! The log has each key once for each time that it was missed, and where that was the time before: so the occurrences of
//! a key are a chain through the log, of which its row has the last one. What followed there is what may follow again.
//! Log and rows are of fixed size: the log forgets what is oldest, a set of rows the key that occurred least lately.

use std::collections::VecDeque;

use super::memory::heap_share;
use super::trust::Trust;
use crate::narrow::{in_memory, low16, low32, low64};

const WAYS: usize = 8;
/// Occurrences of a key that are looked at.
pub(super) const OCCURRENCES: usize = 3;
/// A key is not logged that takes more than one in so many parts of what keys may have on the heap.
const LONGEST_KEY: usize = 32;

/// What is known of a key. Numbers and hashes are kept in part: one that is taken for another is a wrong prediction, and
/// no more.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// The lower half of the number of the event at which it occurred last; zero for none.
    at: u32,
    /// Bits of its hash; others tell the set.
    hash: u16,
    pub(super) trust: Trust,
}

/// Where a key occurred before, the last time first, as numbers of events; and whether it is to be trusted.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) at: [u64; OCCURRENCES],
    pub(super) trust: Trust,
}

#[derive(Debug)]
pub(super) struct History<K> {
    keys: VecDeque<K>,
    /// Where each of them occurred before, as in a row.
    before: VecDeque<u32>,
    /// What each of them has on the heap; none where keys have nothing there.
    heaps: VecDeque<u32>,
    places: usize,
    rows: Box<[Row]>,
    /// The number of the last event; one for the first.
    last: u64,
    /// Bytes that keys have on the heap, and how many there may be.
    heap: usize,
    max_heap: usize,
}

fn hash_in_row(hash: u64) -> u16 {
    low16(hash >> 20)
}

impl<K> History<K> {
    /// Bytes for an event, and for a row.
    const EACH: usize = size_of::<K>()
        + size_of::<u32>()
        + if std::mem::needs_drop::<K>() { size_of::<u32>() } else { 0 }
        + size_of::<Row>();

    /// The fewest bytes that it takes.
    pub(super) const LEAST: usize = 2 * WAYS * Self::EACH;

    /// As large as `bytes` allow for: as many rows as events.
    pub(super) fn new(bytes: usize) -> Self {
        let max_heap = heap_share::<K>(bytes, 4);
        let places = ((bytes - max_heap) / Self::EACH / WAYS).max(1) * WAYS;
        let of_heaps = if std::mem::needs_drop::<K>() { places } else { 0 };
        Self {
            keys: VecDeque::with_capacity(places),
            before: VecDeque::with_capacity(places),
            heaps: VecDeque::with_capacity(of_heaps),
            places,
            rows: vec![Row::default(); places].into(),
            last: 0,
            heap: 0,
            max_heap,
        }
    }

    /// The bytes that it takes, with those that keys may have on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.places * Self::EACH + self.max_heap
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The events that are remembered.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    fn place(&self, number: u64) -> Option<usize> {
        let age = self.last.checked_sub(number)?;
        self.keys.len().checked_sub(1 + usize::try_from(age).ok()?)
    }

    /// The key of an event, if that is remembered.
    pub(super) fn event(&self, number: u64) -> Option<&K> {
        self.keys.get(self.place(number)?)
    }

    /// All events that are remembered, the oldest first.
    #[cfg(feature = "persist")]
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &K)> {
        let first = self.last + 1 - self.keys.len() as u64;
        (first..).zip(&self.keys)
    }

    /// Whether a key is to be trusted; `None` if this was not its last occurrence.
    #[cfg(feature = "persist")]
    pub(super) fn trust_at(&self, number: u64, hash: u64) -> Option<Trust> {
        let mut rows = self.rows[self.set(hash)].iter();
        let row = rows.find(|row| row.at == low32(number) && row.hash == hash_in_row(hash));
        row.map(|row| row.trust)
    }

    pub(super) fn row(&mut self, hash: u64) -> Option<&mut Row> {
        let set = self.set(hash);
        self.rows[set].iter_mut().find(|row| row.at != 0 && row.hash == hash_in_row(hash))
    }

    fn set(&self, hash: u64) -> std::ops::Range<usize> {
        let sets = (self.rows.len() / WAYS) as u128;
        let first = in_memory(low64((u128::from(hash) * sets) >> 64)) * WAYS;
        first..first + WAYS
    }

    /// A key has occurred that has so much on the heap. Returns where it did before.
    pub(super) fn note(&mut self, (hash, key): (u64, K), heap: usize) -> Before {
        if LONGEST_KEY * heap > self.max_heap {
            return Before::default();
        }
        while self.keys.len() == self.places || self.heap + heap > self.max_heap {
            self.forget_oldest();
        }
        self.last += 1;
        let (last, number) = (self.last, low32(self.last));
        let (before, trust) = match self.row(hash) {
            Some(row) => (std::mem::replace(&mut row.at, number), row.trust),
            None => (0, self.add_row(hash)),
        };
        self.keys.push_back(key);
        self.before.push_back(before);
        if std::mem::needs_drop::<K>() {
            let heap = u32::try_from(heap).unwrap_or(u32::MAX);
            self.heaps.push_back(heap);
            self.heap += in_memory(u64::from(heap));
        }
        let mut at = [0; OCCURRENCES];
        let mut next = Some(before);
        for at in &mut at {
            let Some(number) = next.filter(|number| *number != 0) else { break };
            // The greatest number with this lower half that is not in the future.
            *at = last.saturating_sub(u64::from(low32(last).wrapping_sub(number)));
            next = self.place(*at).map(|place| self.before[place]);
        }
        Before { at, trust }
    }

    fn forget_oldest(&mut self) {
        // Dropped last: if its destructor panics, keys and what is known of them are as many all the same.
        let key = self.keys.pop_front();
        self.before.pop_front();
        self.heap -= self.heaps.pop_front().map_or(0, |heap| in_memory(u64::from(heap)));
        drop(key);
    }

    /// A row for a key that has occurred now.
    fn add_row(&mut self, hash: u64) -> Trust {
        let (set, number) = (self.set(hash), low32(self.last));
        let is_oldest = |row: &&mut Row| (row.at == 0, number.wrapping_sub(row.at));
        if let Some(row) = self.rows[set].iter_mut().max_by_key(is_oldest) {
            *row = Row { at: number, hash: hash_in_row(hash), ..Row::default() };
        }
        Trust::default()
    }
}

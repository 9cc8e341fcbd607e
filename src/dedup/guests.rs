//! Ids that are done and not in the ring: those that came from a snapshot, each with a time of its own, and those to
//! which the ring came too early, as others had been forgotten by a call.
//!
//! The ring is for ids with one and the same time to live, whose order of completion is the order in which they are
//! due. A guest has less time left than what is completed now, so it would be forgotten too late there, and take the
//! place of what is live. Guests are in a heap of their own, by the time at which they are due, and give way to
//! whatever is completed here: they share what the ring leaves of the capacity. The heap is empty at the latest a
//! time to live after the last restore, and nobody comes here then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::record::{GUESTS, Visiting};
use super::word::Until;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, unique};
use crate::time::{Deadline, Moment};

/// A guest, by which its record is found. The one that is due first is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Guest {
    due: u64,
    place: u64,
    hash: u64,
}

impl Guest {
    fn record(self) -> Visiting {
        Visiting { hash: self.hash, place: self.place }
    }
}

/// The guests.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// How many there are. A hint: changed under the lock, read without.
    number: Relaxed<AtomicU64>,
    heap: Mutex<BinaryHeap<Reverse<Guest>>>,
}

impl Guests {
    /// Whether there are none: what is asked on every completion.
    pub(super) fn is_empty(&self) -> bool {
        self.number.get() == 0
    }

    /// A place that no other record has.
    pub(super) fn take_place() -> u64 {
        GUESTS | unique()
    }

    pub(super) fn enter(&self, place: u64, hash: u64, due: Until) {
        let mut heap = lock(&self.heap);
        heap.push(Reverse(Guest { due: due.deadline().to_word(), place, hash }));
        self.number.set(heap.len() as u64);
    }

    /// Takes out the guest that is due first, if `wanted`; `forget` is called for it under the lock.
    pub(super) fn take<R>(
        &self,
        wanted: impl FnOnce(Deadline) -> bool,
        forget: impl FnOnce(&Visiting) -> R,
    ) -> Option<(Visiting, R)> {
        if self.is_empty() {
            return None;
        }
        let mut heap = lock(&self.heap);
        let Reverse(first) = *heap.peek()?;
        if !wanted(Deadline::from_word(first.due)) {
            return None;
        }
        heap.pop();
        self.number.set(heap.len() as u64);
        let record = first.record();
        let answer = forget(&record);
        Some((record, answer))
    }

    /// Those that are not due yet, the first that will be first.
    pub(super) fn all(&self, now: Moment) -> Vec<Visiting> {
        let mut all: Vec<Guest> = lock(&self.heap).iter().map(|&Reverse(guest)| guest).collect();
        all.retain(|guest| !Deadline::from_word(guest.due).is_passed(now));
        all.sort_unstable();
        all.into_iter().map(Guest::record).collect()
    }
}

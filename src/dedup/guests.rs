//! Ids that are done and not in the ring: those that came from a snapshot, each with a time of its own, and those to
//! which the ring came too early, as others had been forgotten by a call.
//!
//! The ring is for ids with one and the same time to live, whose order of completion is the order in which they are
//! due. A guest has less time left than what is completed now, so it would be forgotten too late there, and take the
//! place of what is live. Guests are in sets of their own, by the time at which they are due, and give way to
//! whatever is completed here: they share what the ring leaves of the capacity. What was restored gives way first, as
//! the others were completed here, too. The sets are empty at the latest a time to live after the last restore or
//! forgetting, and nobody comes here then.

use std::collections::BTreeSet;

use super::record::{GUESTS, Record, Visiting};
use super::word::Until;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, unique};
use crate::time::{Deadline, Moment};

/// How an id came to be a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    Restored,
    /// It was completed here.
    Sheltered,
}

/// By what a guest's record is found, and when it goes. The one that is due first is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stay {
    due: u64,
    place: u64,
    hash: u64,
}

impl Stay {
    fn new(place: u64, hash: u64, due: Until) -> Self {
        Self { due: due.deadline().to_word(), place, hash }
    }

    fn is_over(&self, now: Moment) -> bool {
        Deadline::from_word(self.due).is_passed(now)
    }

    fn record(self) -> Visiting {
        Visiting { hash: self.hash, place: self.place }
    }
}

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    restored: BTreeSet<Stay>,
    sheltered: BTreeSet<Stay>,
}

impl Rooms {
    fn len(&self) -> usize {
        self.restored.len() + self.sheltered.len()
    }

    /// Who makes room.
    pub(super) fn first_to_go(&self) -> Option<Stay> {
        self.restored.first().or_else(|| self.sheltered.first()).copied()
    }

    /// One whose time is over.
    pub(super) fn first_expired(&self, now: Moment) -> Option<Stay> {
        let firsts = [self.restored.first(), self.sheltered.first()];
        firsts.into_iter().flatten().find(|stay| stay.is_over(now)).copied()
    }

    fn remove(&mut self, stay: &Stay) {
        if !self.restored.remove(stay) {
            self.sheltered.remove(stay);
        }
    }
}

/// The guests.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// How many there are. A hint: changed under the lock, read without.
    number: Relaxed<AtomicU64>,
    rooms: Mutex<Rooms>,
}

impl Guests {
    /// Whether there are none: what is asked on every completion.
    pub(super) fn is_empty(&self) -> bool {
        self.number.get() == 0
    }

    /// Bytes of the sets, about.
    pub(super) fn bytes(&self) -> usize {
        // The tree's nodes are half full at least.
        self.number.get() as usize * 2 * size_of::<Stay>()
    }

    /// Calls `change` under the lock, where no user code may run.
    fn change<R>(&self, change: impl FnOnce(&mut Rooms) -> R) -> R {
        let mut rooms = lock(&self.rooms);
        let answer = change(&mut rooms);
        self.number.set(rooms.len() as u64);
        answer
    }

    /// Makes a record that is done a guest, which answers to a place that no other has from then on.
    pub(super) fn enter<Id>(&self, record: &Record<Id>, due: Until, how: Guest) {
        let place = GUESTS | unique();
        let stay = Stay::new(place, record.hash(), due);
        self.change(|rooms| {
            record.set_place(place);
            match how {
                Guest::Restored => rooms.restored.insert(stay),
                Guest::Sheltered => rooms.sheltered.insert(stay),
            }
        });
    }

    /// Takes out a guest whose record stands for nothing any more.
    pub(super) fn leave(&self, place: u64, hash: u64, due: Until) {
        self.change(|rooms| rooms.remove(&Stay::new(place, hash, due)));
    }

    /// Takes out the guest that is chosen; `forget` is called for it under the lock.
    pub(super) fn take<R>(
        &self,
        choose: impl FnOnce(&Rooms) -> Option<Stay>,
        forget: impl FnOnce(&Visiting) -> R,
    ) -> Option<(Visiting, R)> {
        if self.is_empty() {
            return None;
        }
        self.change(|rooms| {
            let chosen = choose(rooms)?;
            rooms.remove(&chosen);
            let record = chosen.record();
            let answer = forget(&record);
            Some((record, answer))
        })
    }

    /// Those whose time is not over, the first that is due first.
    pub(super) fn all(&self, now: Moment) -> Vec<Visiting> {
        let mut all: Vec<Stay> = {
            let rooms = lock(&self.rooms);
            rooms.restored.iter().chain(&rooms.sheltered).copied().collect()
        };
        all.retain(|stay| !stay.is_over(now));
        all.sort_unstable();
        all.into_iter().map(Stay::record).collect()
    }
}

//! Ids that are done and not in the ring: those restored from a snapshot, each with a time of its
//! own, and those displaced from the ring although there was room, as other ids had been forgotten
//! by calls.
//!
//! All ids in the ring have the same time to live, so the order of completion is the order in which
//! they expire. A restored id has less time left than one that is completed now: in the ring it
//! would be forgotten too late, and displace live ids. So these ids are in sets ordered by expiry,
//! and share the part of the capacity that the ring leaves free. If there is no room, restored ids
//! are forgotten first, as the others were completed by this deduplicator. One time to live after
//! the last restore or `forget` at the latest the sets are empty, and cost nothing.

use std::collections::BTreeSet;

use super::claim_word::ClaimDeadline;
use super::record::{ByDueEntry, OUTSIDE_RING, Record};
use crate::narrow::in_memory;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, unique};
use crate::time::{Deadline, Moment};

/// Why an id is in the due set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Restored,
    /// It was completed here, and displaced from the ring.
    Displaced,
}

/// An id in the due set: when it expires, and how its record is found. The one that expires first
/// is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DueEntry {
    due: u64,
    position: u64,
    hash: u64,
}

impl DueEntry {
    fn new(position: u64, hash: u64, due: ClaimDeadline) -> Self {
        Self { due: due.deadline().to_word(), position, hash }
    }

    fn is_over(&self, now: Moment) -> bool {
        Deadline::from_word(self.due).is_passed(now)
    }

    fn record(self) -> ByDueEntry {
        ByDueEntry { hash: self.hash, position: self.position }
    }
}

/// The sets, by the origin of ids.
#[derive(Debug, Default)]
pub(super) struct Sets {
    restored: BTreeSet<DueEntry>,
    displaced: BTreeSet<DueEntry>,
}

impl Sets {
    fn len(&self) -> usize {
        self.restored.len() + self.displaced.len()
    }

    /// The id that is forgotten next to make room.
    pub(super) fn first_to_go(&self) -> Option<DueEntry> {
        self.restored.first().or_else(|| self.displaced.first()).copied()
    }

    /// An id that has expired.
    pub(super) fn first_expired(&self, now: Moment) -> Option<DueEntry> {
        let firsts = [self.restored.first(), self.displaced.first()];
        firsts.into_iter().flatten().find(|entry| entry.is_over(now)).copied()
    }

    fn remove(&mut self, entry: &DueEntry) {
        if !self.restored.remove(entry) {
            self.displaced.remove(entry);
        }
    }
}

/// The due set.
#[derive(Debug, Default)]
pub(super) struct DueSet {
    /// How many ids there are. A hint: written under the lock, read without it.
    number: Relaxed<AtomicU64>,
    sets: Mutex<Sets>,
}

impl DueSet {
    /// Whether there are none. Every completion asks this.
    pub(super) fn is_empty(&self) -> bool {
        self.number.get() == 0
    }

    /// Approximate bytes of the sets.
    pub(super) fn bytes(&self) -> usize {
        // The tree's nodes are at least half full.
        in_memory(self.number.get()) * 2 * size_of::<DueEntry>()
    }

    /// Calls `change` under the lock, where no user code may run.
    fn change<R>(&self, change: impl FnOnce(&mut Sets) -> R) -> R {
        let mut sets = lock(&self.sets);
        let answer = change(&mut sets);
        self.number.set(sets.len() as u64);
        answer
    }

    /// Adds a record that is done, with a position that no other has.
    pub(super) fn enter<Id>(&self, record: &Record<Id>, due: ClaimDeadline, how: Origin) {
        let position = OUTSIDE_RING | unique();
        let entry = DueEntry::new(position, record.hash(), due);
        self.change(|sets| {
            record.set_position(position);
            match how {
                Origin::Restored => sets.restored.insert(entry),
                Origin::Displaced => sets.displaced.insert(entry),
            }
        });
    }

    /// Removes an id whose record is a tombstone.
    pub(super) fn leave(&self, position: u64, hash: u64, due: ClaimDeadline) {
        self.change(|sets| sets.remove(&DueEntry::new(position, hash, due)));
    }

    /// Removes the entry that `choose` selects, and calls `forget` for it under the lock.
    pub(super) fn take<R>(
        &self,
        choose: impl FnOnce(&Sets) -> Option<DueEntry>,
        forget: impl FnOnce(&ByDueEntry) -> R,
    ) -> Option<(ByDueEntry, R)> {
        if self.is_empty() {
            return None;
        }
        self.change(|sets| {
            let chosen = choose(sets)?;
            sets.remove(&chosen);
            let record = chosen.record();
            let answer = forget(&record);
            Some((record, answer))
        })
    }

    /// Returns the ids that have not expired, the one that expires next first.
    pub(super) fn all(&self, now: Moment) -> Vec<ByDueEntry> {
        let mut all: Vec<DueEntry> = {
            let sets = lock(&self.sets);
            sets.restored.iter().chain(&sets.displaced).copied().collect()
        };
        all.retain(|entry| !entry.is_over(now));
        all.sort_unstable();
        all.into_iter().map(DueEntry::record).collect()
    }
}

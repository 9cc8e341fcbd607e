//! What the cache keeps of an id, and the ways to ask for it.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use equivalent::Equivalent;

use super::ring::RingEntry;
use crate::narrow::low16;
use crate::sync::{AtomicU64, Relaxed};

/// No position: the id is in progress, or its completion is under way.
const NO_POSITION: u64 = u64::MAX;
/// From here on, positions are those of ids in the due set, which are not in the ring.
pub(super) const OUTSIDE_RING: u64 = 1 << 63;

/// A key of the cache: an id, its hash, and its position in the order of completion.
#[derive(Debug)]
pub(super) struct Record<Id> {
    hash: u64,
    /// Written by the thread that completes the id, before its hash is put into the ring, and by a
    /// thread that moves the id from the ring to the due set.
    position: Relaxed<AtomicU64>,
    id: Id,
}

impl<Id> Record<Id> {
    pub(super) fn new(hash: u64, id: Id) -> Self {
        Self { hash, position: Relaxed::<AtomicU64>::new(NO_POSITION), id }
    }

    pub(super) fn id(&self) -> &Id {
        &self.id
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn set_position(&self, position: u64) {
        self.position.set(position);
    }

    /// Its position outside the ring, if it is in the due set.
    pub(super) fn due_set_position(&self) -> Option<u64> {
        Some(self.position.get())
            .filter(|&position| position >= OUTSIDE_RING && position != NO_POSITION)
    }
}

impl<Id> Hash for Record<Id> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Id: PartialEq> PartialEq for Record<Id> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<Id: Eq> Eq for Record<Id> {}

/// Finds the record of an id, by the id or a borrowed form of it.
pub(super) struct ById<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) id: &'a Q,
}

impl<Q: ?Sized> Hash for ById<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Id: Borrow<Q>, Q: Eq + ?Sized> Equivalent<Record<Id>> for ById<'_, Q> {
    fn equivalent(&self, record: &Record<Id>) -> bool {
        *self.id == *record.id.borrow()
    }
}

/// Finds the record that was completed at a position of the ring. A record is found by this only
/// while its hash is in the ring.
pub(super) struct ByPosition {
    pub(super) at: RingEntry,
    /// The number of cells.
    pub(super) cells: u64,
}

impl Hash for ByPosition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.at.hash);
    }
}

impl<Id> Equivalent<Record<Id>> for ByPosition {
    fn equivalent(&self, record: &Record<Id>) -> bool {
        let position = record.position.get();
        let here =
            position % self.cells == self.at.cell && low16(position / self.cells) == self.at.lap;
        here && position < OUTSIDE_RING && record.hash == self.at.hash
    }
}

/// Finds the record of an id in the due set.
pub(super) struct ByDueEntry {
    pub(super) hash: u64,
    pub(super) position: u64,
}

impl Hash for ByDueEntry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Id> Equivalent<Record<Id>> for ByDueEntry {
    fn equivalent(&self, record: &Record<Id>) -> bool {
        record.position.get() == self.position && record.hash == self.hash
    }
}

/// Passes on the hash of a record, which was computed when the record was made.
#[derive(Debug, Default)]
pub(super) struct PassThroughHasher(u64);

impl Hasher for PassThroughHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached: records, and what they are found by, write one word.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

/// Builds hashers that pass a record's hash on.
pub(super) type PassThroughState = BuildHasherDefault<PassThroughHasher>;

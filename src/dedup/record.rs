//! What the cache keeps of an id, and the ways to ask for it.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use equivalent::Equivalent;

use super::ring::Oldest;
use crate::sync::{AtomicU64, Relaxed};

/// No place: the id is in progress, or its completion is under way.
const NOWHERE: u64 = u64::MAX;
/// From here on, places are those of guests, which are not in the ring.
pub(super) const GUESTS: u64 = 1 << 63;

/// A key of the cache: an id, its hash, and its place in the order of completion.
#[derive(Debug)]
pub(super) struct Record<Id> {
    hash: u64,
    /// Written by whoever completed the id, before its hash is put into the ring, and by whoever took its hash out
    /// there to make it a guest.
    place: Relaxed<AtomicU64>,
    id: Id,
}

impl<Id> Record<Id> {
    pub(super) fn new(hash: u64, id: Id) -> Self {
        Self { hash, place: Relaxed::<AtomicU64>::new(NOWHERE), id }
    }

    pub(super) fn id(&self) -> &Id {
        &self.id
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn set_place(&self, place: u64) {
        self.place.set(place);
    }

    /// Its place among the guests, if it is one.
    pub(super) fn guest_place(&self) -> Option<u64> {
        Some(self.place.get()).filter(|&place| place >= GUESTS && place != NOWHERE)
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

/// Asks for the record of an id, by the id or what can be borrowed of it.
pub(super) struct Wanted<'a, Q: ?Sized> {
    pub(super) hash: u64,
    pub(super) id: &'a Q,
}

impl<Q: ?Sized> Hash for Wanted<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Id: Borrow<Q>, Q: Eq + ?Sized> Equivalent<Record<Id>> for Wanted<'_, Q> {
    fn equivalent(&self, record: &Record<Id>) -> bool {
        *self.id == *record.id.borrow()
    }
}

/// Asks for the record that was completed at a certain place of the ring. A record answers to this from then on,
/// until its hash is taken out there, or never.
pub(super) struct Placed {
    pub(super) at: Oldest,
    /// The number of cells.
    pub(super) cells: u64,
}

impl Hash for Placed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.at.hash);
    }
}

impl<Id> Equivalent<Record<Id>> for Placed {
    fn equivalent(&self, record: &Record<Id>) -> bool {
        let place = record.place.get();
        let here = place % self.cells == self.at.cell && (place / self.cells) as u16 == self.at.lap;
        here && place < GUESTS && record.hash == self.at.hash
    }
}

/// Asks for the record of a guest.
pub(super) struct Visiting {
    pub(super) hash: u64,
    pub(super) place: u64,
}

impl Hash for Visiting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<Id> Equivalent<Record<Id>> for Visiting {
    fn equivalent(&self, record: &Record<Id>) -> bool {
        record.place.get() == self.place && record.hash == self.hash
    }
}

/// A record's hash was computed when the record was made; the cache is to use it as it is.
#[derive(Debug, Default)]
pub(super) struct Passing(u64);

impl Hasher for Passing {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached: records and the ways to ask for them write one word.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

/// Hands a record's hash through.
pub(super) type Through = BuildHasherDefault<Passing>;

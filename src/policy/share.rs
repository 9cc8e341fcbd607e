//! How much of the cache is on probation.

use std::cell::Cell;

use super::marks::{Marks, Region};
use super::rounds::Rounds;
use super::verdict::Policy;

/// What one operation changes of probation's share: summed up, and applied once at the end. An insert
/// that evicts an entry of probation touches no shared word.
#[derive(Debug)]
pub(crate) struct Shift<'p> {
    policy: &'p Policy,
    rounds: &'p Rounds,
    by: Cell<u64>,
    /// The same in entries, which the thread counts for itself.
    entries: Cell<u64>,
}

impl<'p> Shift<'p> {
    #[inline]
    pub(super) fn new(policy: &'p Policy, rounds: &'p Rounds) -> Self {
        Self { policy, rounds, by: Cell::new(0), entries: Cell::new(0) }
    }

    /// An entry with these bits has come in; whether it is on probation.
    #[inline]
    pub(crate) fn joined(&self, bits: u8, charge: u64) -> bool {
        let counts = is_on_probation(bits);
        if counts {
            self.by.set(self.by.get().wrapping_add(charge));
            self.entries.set(self.entries.get().wrapping_add(1));
        }
        counts
    }

    /// An entry with these bits has left: the bits that its slot had when it was unlinked.
    #[inline]
    pub(crate) fn left(&self, bits: u8, charge: u64) {
        if is_on_probation(bits) {
            self.lost(Some(charge));
        }
    }

    /// An entry is not on probation any more that counted so much, if it was.
    #[inline]
    pub(crate) fn lost(&self, charge: Option<u64>) {
        if let Some(charge) = charge {
            self.by.set(self.by.get().wrapping_sub(charge));
            self.entries.set(self.entries.get().wrapping_sub(1));
        }
    }

    /// Probation's share, with what this operation has changed.
    #[inline]
    pub(super) fn probation(&self) -> u64 {
        not_negative(self.policy.probation.get().wrapping_add(self.by.get()))
    }
}

/// A share that operations change in any order: for a moment it may be less than nothing.
#[inline]
pub(super) fn not_negative(share: u64) -> u64 {
    if share > u64::MAX / 2 { 0 } else { share }
}

/// Whether an entry with these bits is on probation.
#[inline]
fn is_on_probation(bits: u8) -> bool {
    Marks::from_bits(bits).is_some_and(|marks| marks.region() == Region::Probation)
}

impl Drop for Shift<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.by.get() != 0 {
            self.policy.probation.add(self.by.get());
        }
        if self.entries.get() != 0 {
            self.rounds.shift(self.entries.get());
        }
    }
}

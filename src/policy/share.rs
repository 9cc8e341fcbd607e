//! How much of the cache is on probation.

use std::cell::Cell;

use super::marks::{Marks, Region};
use super::verdict::Policy;

/// What one operation changes of probation's share: summed up, and applied once at the end. An insert
/// that evicts an entry of probation touches no shared word.
#[derive(Debug)]
pub(crate) struct Shift<'p> {
    policy: &'p Policy,
    by: Cell<u64>,
}

impl<'p> Shift<'p> {
    #[inline]
    pub(super) fn new(policy: &'p Policy) -> Self {
        Self { policy, by: Cell::new(0) }
    }

    /// An entry with these bits has come in; whether it is on probation.
    #[inline]
    pub(crate) fn joined(&self, bits: u8, charge: u64) -> bool {
        let counts = is_on_probation(bits);
        if counts {
            self.by.set(self.by.get().wrapping_add(charge));
        }
        counts
    }

    /// An entry with these bits has left: the bits that its slot had when it was unlinked.
    #[inline]
    pub(crate) fn left(&self, bits: u8, charge: u64) {
        if is_on_probation(bits) {
            self.lost(charge);
        }
    }

    /// So much is not on probation any more.
    #[inline]
    pub(crate) fn lost(&self, charge: u64) {
        self.by.set(self.by.get().wrapping_sub(charge));
    }

    /// Probation's share, with what this operation has changed.
    #[inline]
    pub(super) fn probation(&self) -> u64 {
        let share = self.policy.probation.get().wrapping_add(self.by.get());
        // Other operations' changes come in any order: for a moment, less than nothing.
        if share > u64::MAX / 2 { 0 } else { share }
    }
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
    }
}

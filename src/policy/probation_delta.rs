//! How much of the cache is on probation.

use std::cell::Cell;

use super::cursor::EvictionCursor;
use crate::slot_meta::SlotMeta;
use crate::sync::{AtomicU64, Relaxed};

/// What one operation changes of probation's share: summed up, and applied once at the end. An insert
/// that evicts an entry of probation touches no shared word.
#[derive(Debug)]
pub(crate) struct ProbationDelta<'p> {
    /// What all operations have changed it to.
    shared: &'p Relaxed<AtomicU64>,
    cursor: &'p EvictionCursor,
    charge: Cell<u64>,
    /// The same in entries, which the thread counts for itself.
    entries: Cell<u64>,
}

/// The same where every entry counts one, without a place where it is to be applied.
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "a change that is not applied is lost"]
pub(crate) struct ProbationChange(pub(super) u64);

impl ProbationChange {
    /// An entry with this metadata was inserted.
    #[inline(always)]
    pub(crate) fn added(self, meta: SlotMeta) -> Self {
        Self(self.0.wrapping_add(u64::from(meta.is_on_probation())))
    }

    /// An entry was unlinked whose slot had this metadata.
    #[inline(always)]
    pub(crate) fn removed(self, meta: SlotMeta) -> Self {
        Self(self.0.wrapping_sub(u64::from(meta.is_on_probation())))
    }
}

impl<'p> ProbationDelta<'p> {
    #[inline]
    pub(super) fn new(shared: &'p Relaxed<AtomicU64>, cursor: &'p EvictionCursor) -> Self {
        Self { shared, cursor, charge: Cell::new(0), entries: Cell::new(0) }
    }

    /// An entry with this metadata was inserted; whether it is on probation.
    #[inline]
    pub(crate) fn added(&self, meta: SlotMeta, charge: u64) -> bool {
        let counts = meta.is_on_probation();
        if counts {
            self.charge.set(self.charge.get().wrapping_add(charge));
            self.entries.set(self.entries.get().wrapping_add(1));
        }
        counts
    }

    /// An entry was removed whose slot had this metadata when it was unlinked.
    #[inline]
    pub(crate) fn removed(&self, meta: SlotMeta, charge: u64) {
        if meta.is_on_probation() {
            self.subtract(Some(charge));
        }
    }

    /// An entry with this charge is not on probation any more, if it was.
    #[inline]
    pub(crate) fn subtract(&self, charge: Option<u64>) {
        if let Some(charge) = charge {
            self.charge.set(self.charge.get().wrapping_sub(charge));
            self.entries.set(self.entries.get().wrapping_sub(1));
        }
    }

    /// Takes it out, to be applied later.
    pub(crate) fn take(&self) -> ProbationChange {
        debug_assert_eq!(self.charge.get(), self.entries.get(), "entries with weights");
        self.entries.set(0);
        ProbationChange(self.charge.replace(0))
    }

    /// Whether nothing is to be applied.
    #[inline]
    pub(crate) fn is_zero(&self) -> bool {
        self.charge.get() | self.entries.get() == 0
    }

    /// Probation's share, with what this operation has changed.
    #[inline]
    pub(super) fn probation_charge(&self) -> u64 {
        not_negative(self.shared.get().wrapping_add(self.charge.get()))
    }
}

/// A share that operations change in any order: for a moment it may be less than nothing.
#[inline]
pub(super) fn not_negative(charge: u64) -> u64 {
    if charge > u64::MAX / 2 { 0 } else { charge }
}

impl Drop for ProbationDelta<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.charge.get() != 0 {
            self.shared.add(self.charge.get());
        }
        if self.entries.get() != 0 {
            self.cursor.add_on_probation(self.entries.get());
        }
    }
}

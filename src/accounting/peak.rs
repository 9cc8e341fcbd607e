//! The most that was out of the pool at one time.
//!
//! What is out of the pool grows when units are taken, and shrinks only when units are put back. So it is
//! looked at there, just before they are, and when somebody asks: no highest point lies anywhere else. A
//! cache that fills, and one that is full and in which each newcomer gets what its victim had, write nothing
//! for it.
//!
//! What is out is the limit less the pool, two words. While somebody moves the limit they may not belong
//! together: units by which it was raised, and that are not in the pool yet, look as if they were in use. So
//! whoever moves it counts before and after, and a look between counts that differ, or changes meanwhile,
//! is not taken down. A highest point that lies within a change of the capacity may be missed for it, and
//! none is ever noted that was not there.

use crate::sync::{AtomicU64, Ordering, Relaxed, seeded};

#[derive(Debug, Default)]
pub(super) struct Peak {
    most: Relaxed<AtomicU64>,
    /// How often somebody began to move the limit, and was done with it.
    begun: AtomicU64,
    ended: AtomicU64,
}

/// Somebody moves the limit.
#[must_use]
pub(super) struct Moving<'p>(&'p Peak);

/// Nobody moved the limit when this was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look(u64);

impl Peak {
    /// To be called before the limit is moved, and kept until the units are where they belong.
    pub(super) fn moving(&self) -> Moving<'_> {
        // ORDERING L-i: AcqRel: who sees what is moved sees that it was begun; pairs with `note`.
        self.begun.fetch_add(1, Ordering::AcqRel);
        Moving(self)
    }

    /// To be called before limit and pool are read.
    #[inline]
    pub(super) fn look(&self) -> Option<Look> {
        // ORDERING L-i: Acquire, both: what was moved before is seen in full; pairs with the end of
        // `Moving`.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Acquire);
        (begun == ended || seeded("ledger-peak-beside-growth")).then_some(Look(begun))
    }

    /// So much was out of the pool, unless the limit was moved since that look.
    #[inline]
    pub(super) fn note(&self, look: Look, out: u64) {
        if out <= self.most.get() {
            return;
        }
        // ORDERING L-i: Acquire: not before the words that were read; a change that they show has
        // begun, which this load sees; pairs with `moving`.
        if self.begun.load(Ordering::Acquire) == look.0 || seeded("ledger-peak-beside-growth") {
            self.most.max(out);
        }
    }

    pub(super) fn most(&self) -> u64 {
        self.most.get()
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        // ORDERING L-i: AcqRel: publishes what was moved; pairs with `look`.
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

//! The largest number of units that were out of the pool at one time.
//!
//! That number grows when units are taken, and shrinks only when units are put back. So it is
//! enough to record it just before units are put back, and when it is asked for. A cache that
//! fills, and a full one in which each new entry gets the charge of its victim, write nothing for
//! it.
//!
//! The units out of the pool are the limit minus the pool, two words. While a thread moves the
//! limit, the two may not belong together: units by which it was raised, and which are not in the
//! pool yet, look as if they were in use. So a thread that moves the limit counts that before and
//! after, and a sample is discarded if these counts differ or change meanwhile. A peak during a
//! change of the capacity may be missed for this, but none is ever recorded that did not occur.

use crate::sync::{AtomicU64, Ordering, Relaxed, seeded};

#[derive(Debug, Default)]
pub(super) struct Peak {
    highest: Relaxed<AtomicU64>,
    /// How often a thread has begun to move the limit, and has ended that.
    begun: AtomicU64,
    ended: AtomicU64,
}

/// While this exists, a thread moves the limit.
#[must_use]
pub(super) struct LimitMove<'p>(&'p Peak);

/// The beginning of a sample: no thread moved the limit then.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeakSample(u64);

impl Peak {
    /// To be called before the limit is moved, and dropped when the units are in their place.
    pub(super) fn limit_move(&self) -> LimitMove<'_> {
        // ORDERING L-i: AcqRel: a thread that sees what is moved sees that it was begun; pairs with
        // `record`.
        self.begun.fetch_add(1, Ordering::AcqRel);
        LimitMove(self)
    }

    /// To be called before limit and pool are read.
    #[inline]
    pub(super) fn sample(&self) -> Option<PeakSample> {
        // ORDERING L-i: Acquire, both: what was moved before is seen in full; pairs with the end of
        // `LimitMove`.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Acquire);
        (begun == ended || seeded("ledger-peak-beside-growth")).then_some(PeakSample(begun))
    }

    /// Records that `out` units were out of the pool, unless the limit was moved since the sample
    /// began.
    #[inline]
    pub(super) fn record(&self, sample: PeakSample, out: u64) {
        if out <= self.highest.get() {
            return;
        }
        // ORDERING L-i: Acquire: not before the words that were read; a change that they show has
        // begun, which this load sees; pairs with `limit_move`.
        if self.begun.load(Ordering::Acquire) == sample.0 || seeded("ledger-peak-beside-growth") {
            self.highest.max(out);
        }
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest.get()
    }
}

impl Drop for LimitMove<'_> {
    fn drop(&mut self) {
        // ORDERING L-i: AcqRel: publishes what was moved; pairs with `sample`.
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

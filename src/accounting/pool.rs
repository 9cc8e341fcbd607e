//! The units that no thread holds.

use crate::sync::{AtomicU64, CachePadded, Ordering, relaxed_if_seeded, seeded};

#[derive(Debug)]
pub(super) struct Pool(CachePadded<AtomicU64>);

impl Pool {
    #[inline]
    pub(super) fn new(units: u64) -> Self {
        Self(CachePadded::new(AtomicU64::new(units)))
    }

    /// The units now, for observers and as a hint.
    #[inline]
    pub(super) fn units(&self) -> u64 {
        // ORDERING L-h: Acquire: an observer's later loads are no older than this one; pairs with
        // the exchanges below. Wherever the value decides, an exchange on this word checks it.
        self.0.load(Ordering::Acquire)
    }

    /// Takes `wanted`, or what there is.
    ///
    /// Lock-free: the exchange fails only if another thread's succeeded.
    #[inline]
    pub(super) fn take_up_to(&self, wanted: u64) -> u64 {
        let mut units = self.0.load(Ordering::Relaxed);
        loop {
            let part = units.min(wanted);
            if part == 0 {
                return 0;
            }
            if seeded("ledger-check-then-act") {
                self.0.store(units - part, Ordering::Release);
                return part;
            }
            // ORDERING L-a: AcqRel on success. Acquire: the raise of the limit that these units
            // came from happened before, so a payment with them cannot lower the limit below zero;
            // pairs with `put`. Release: a shrink publishes its target to threads that put units
            // here later. Outcomes: of two takers of the last unit one succeeds, and the other sees
            // what is left. Relaxed on failure: the value is only tried again.
            match self.0.compare_exchange_weak(units, units - part, exchange(), Ordering::Relaxed) {
                Ok(_) => return part,
                Err(seen) => units = seen,
            }
        }
    }

    /// Puts units here, and returns how many were here before. Wait-free.
    #[inline]
    pub(super) fn put(&self, units: u64) -> u64 {
        // ORDERING L-b: AcqRel. Release: hands over the raise of the limit that the units came
        // from; pairs with `take_up_to`. Acquire: if a shrink was here before (`order_with_puts`),
        // its target is visible to the caller, which checks for debt next.
        let before = self.0.fetch_add(units, exchange());
        debug_assert!(before.checked_add(units).is_some(), "more given than was taken");
        before
    }

    /// Changes nothing, but orders the caller, a resize, with every `put`.
    #[inline]
    pub(super) fn order_with_puts(&self) {
        // ORDERING L-b: AcqRel: a `put` is either before, and the caller finds its units, or after,
        // and the putter finds the caller's target.
        self.0.fetch_add(0, exchange());
    }
}

#[inline]
fn exchange() -> Ordering {
    relaxed_if_seeded("ledger-pool-relaxed", Ordering::AcqRel)
}

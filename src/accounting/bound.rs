//! The limit in force, and the target that it follows.

use crate::sync::{AtomicU64, Ordering, relaxed_if_seeded, seeded};

/// `limit` is what L1 conserves. It follows `target`: up at once, and down as units are paid. The
/// difference on the way down is the debt.
#[derive(Debug)]
pub(super) struct Bound {
    limit: AtomicU64,
    target: AtomicU64,
}

impl Bound {
    #[inline]
    pub(super) fn new(capacity: u64) -> Self {
        Self { limit: AtomicU64::new(capacity), target: AtomicU64::new(capacity) }
    }

    #[inline]
    pub(super) fn limit(&self) -> u64 {
        // ORDERING L-h: Acquire: an observer's later loads are no older than this one; pairs with
        // the exchange in `balance`.
        self.limit.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn target(&self) -> u64 {
        // ORDERING L-g: Relaxed: a single word; where it matters that the newest one is seen, an
        // exchange on the limit, the pool or a stripe has acquired it.
        self.target.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn debt(&self) -> u64 {
        let limit = self.limit();
        limit.saturating_sub(self.target())
    }

    /// Whether the limit is at the target.
    #[inline]
    pub(super) fn is_at_target(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint before units are put down; after that, the exchange that put
        // them down has acquired what a shrink wrote (see the races of this module).
        self.limit.load(Ordering::Relaxed) == self.target.load(Ordering::Relaxed)
    }

    /// Sets the target, and orders the caller with every thread that is moving the limit.
    #[inline]
    pub(super) fn set_target(&self, target: u64) {
        // ORDERING L-g: AcqRel: published to threads that acquire from the exchanges that the caller
        // makes next, on the limit here and on the pool and the stripes in `Ledger::set_capacity`.
        self.target.swap(target, Ordering::AcqRel);
        // ORDERING L-f: AcqRel: a payment by an older target is either before, and the caller reads
        // the limit that it left, or after, and the payer, which checks again, reads this target.
        self.limit.fetch_add(0, exchange());
    }

    /// Moves the limit towards the target with `held` units, and returns the units held then: fewer
    /// if they paid debt, more if the limit was raised.
    ///
    /// Lock-free: a round is repeated only if another thread moved the limit or the target.
    pub(super) fn balance(&self, mut held: u64) -> u64 {
        loop {
            let limit = self.limit();
            let target = self.target();
            let next = if limit < target { target } else { limit - (limit - target).min(held) };
            if next == limit {
                return held;
            }
            // ORDERING L-f: AcqRel. Release: a raise is visible to threads that get the units that it
            // made, through the pool. Acquire: if a resize exchanged this word before
            // (`set_target`), the next round reads its target. Outcomes: of two threads that move
            // the limit one succeeds, and the other decides again. Relaxed on failure: the next
            // round loads again.
            if self.limit.compare_exchange(limit, next, exchange(), Ordering::Relaxed).is_ok() {
                held = if next > limit { held + (next - limit) } else { held - (limit - next) };
                if seeded("ledger-no-second-look") {
                    return held;
                }
            }
        }
    }
}

#[inline]
fn exchange() -> Ordering {
    relaxed_if_seeded("ledger-limit-relaxed", Ordering::AcqRel)
}

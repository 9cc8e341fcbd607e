//! The bound in force and the bound that was asked for.

use crate::sync::{AtomicU64, Ordering, seeded};

/// `limit` is what L1 conserves. It follows `target`: up at once, down as units are paid.
/// The difference while it is on its way down is the debt.
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

    /// Whether the limit is where it was asked to be.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint before units are put down; afterwards the exchange that put
        // them down has acquired what a shrink wrote (see the races of this module).
        self.limit.load(Ordering::Relaxed) == self.target.load(Ordering::Relaxed)
    }

    /// Sets the target, and meets everybody who is moving the limit.
    #[inline]
    pub(super) fn aim(&self, target: u64) {
        // ORDERING L-g: AcqRel: published to whoever acquires from the exchanges that the caller
        // makes next, on the limit here and on the pool and the stripes in `Ledger::set_capacity`.
        self.target.swap(target, Ordering::AcqRel);
        // ORDERING L-f: AcqRel: a payment by an older target is either before, and the caller reads
        // the limit that it left, or after, and the payer, which looks again, reads this target.
        self.limit.fetch_add(0, exchange());
    }

    /// Moves the limit towards the target with what `hand` holds, and returns what the hand holds
    /// then: less, if it paid debt; more, if it raised the limit.
    ///
    /// Lock-free: a round is repeated only if somebody else moved the limit or the target.
    pub(super) fn balance(&self, mut hand: u64) -> u64 {
        loop {
            let limit = self.limit();
            let target = self.target();
            let next = if limit < target { target } else { limit - (limit - target).min(hand) };
            if next == limit {
                return hand;
            }
            // ORDERING L-f: AcqRel. Release: a raise is visible to whoever gets the units that it
            // made, through the pool. Acquire: if a resize met this word before (`aim`), the next
            // round reads its target. Outcomes: of two who move the limit one succeeds, the other
            // decides anew. Relaxed on failure: the next round loads again.
            if self.limit.compare_exchange(limit, next, exchange(), Ordering::Relaxed).is_ok() {
                hand = if next > limit { hand + (next - limit) } else { hand - (limit - next) };
                if seeded("ledger-no-second-look") {
                    return hand;
                }
            }
        }
    }
}

#[inline]
fn exchange() -> Ordering {
    if seeded("ledger-limit-relaxed") { Ordering::Relaxed } else { Ordering::AcqRel }
}

//! The word that a thread reads when it pins: the epoch, and a count of how often threads were neutralized.
//!
//! An owned guard is renewed without a fence, and not at all while the epoch stands. So it would hold all that is retired while a
//! write that has lost its processor keeps the epoch where it is, however often it is renewed meanwhile; and might then fall
//! asleep with it. The count tells it when to pin anew, with a fence: from then on it holds nothing that was sealed in an older
//! era. It is read together with the epoch, so that a renewal looks at one word and no more.

use std::fmt;

use crate::sync::{AtomicU64, CachePadded, Ordering, seeded};

/// The lowest bit of the count.
const COUNT_SHIFT: u32 = 54;
const EPOCH_MASK: u64 = (1 << COUNT_SHIFT) - 1;
/// What the state of a participant has room for.
const COUNT_MASK: u64 = (1 << 8) - 1;

/// The present epoch of a domain.
#[derive(Default)]
pub(super) struct Epoch(CachePadded<AtomicU64>);

/// What the word said at one moment.
#[derive(Clone, Copy)]
pub(super) struct Stamp(u64);

impl Stamp {
    #[inline(always)]
    pub(super) fn of(word: u64) -> Self {
        Self(word)
    }

    /// The word. The two highest bits do not count.
    #[inline(always)]
    pub(super) fn to_word(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(super) fn epoch(self) -> u64 {
        self.0 & EPOCH_MASK
    }

    /// Whether the count is the same. One that has come round is seen with the next step.
    #[inline]
    pub(super) fn is_count_of(self, other: Self) -> bool {
        (self.0 ^ other.0) >> COUNT_SHIFT & COUNT_MASK == 0
    }
}

impl Epoch {
    #[inline(always)]
    pub(super) fn stamp(&self, ordering: Ordering) -> Stamp {
        Stamp(self.0.load(ordering))
    }

    #[inline]
    pub(super) fn load(&self, ordering: Ordering) -> u64 {
        self.stamp(ordering).epoch()
    }

    /// Moves the epoch by one, unless the word has changed since it was read.
    pub(super) fn advance(&self, from: Stamp) -> bool {
        // ORDERING R-f: AcqRel: publishes what was acquired from the participants to the thread that reads the
        // epoch. Relaxed on failure: another thread has moved it, or has neutralized others.
        self.0.compare_exchange(from.0, from.0 + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Threads were neutralized, and the era was moved before.
    pub(super) fn count_neutralized(&self) {
        if !seeded("reclaim-renew-uncounted") {
            // ORDERING R-y: AcqRel: Release: the era, which the thread reads next that sees the count; pairs with the load in
            // `refresh_participant`. Acquire: continues the chain of advances.
            self.0.fetch_add(1 << COUNT_SHIFT, Ordering::AcqRel);
        }
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING R-n: Relaxed: a report.
        self.load(Ordering::Relaxed).fmt(f)
    }
}

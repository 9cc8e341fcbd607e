//! A hand: a position that walks round the table.

use super::face::Place;
use crate::sync::{AtomicU64, CachePadded, Relaxed, seeded};

/// Points on the face at which a hand notes the time.
const CHECKPOINTS: usize = 64;

/// A position that evictors move on, and the times at which it passed the checkpoints: so one knows
/// how long ago the hand was last where it is now, without a word in each entry.
#[derive(Debug)]
pub(super) struct Hand {
    at: CachePadded<Relaxed<AtomicU64>>,
    /// When the hand last came past each checkpoint.
    passed: [Relaxed<AtomicU64>; CHECKPOINTS],
}

fn checkpoint(place: u64) -> usize {
    (place >> (u64::BITS - CHECKPOINTS.trailing_zeros())) as usize
}

impl Hand {
    pub(super) fn new() -> Self {
        Self {
            at: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            passed: std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)),
        }
    }

    pub(super) fn at(&self) -> Place {
        Place(self.at.get())
    }

    /// Moves the hand on. Whoever moves it from a place owns the step over what lies there; false if
    /// another evictor was faster.
    pub(super) fn advance(&self, from: Place, to: Place, now: u64) -> bool {
        if seeded("policy-hand-unclaimed") {
            self.at.set(to.0);
        } else if !self.at.try_set(from.0, to.0) {
            return false;
        }
        let (mut nth, end) = (checkpoint(from.0), checkpoint(to.0));
        if nth == end && to.0 < from.0 {
            // All the way round.
            self.passed.iter().for_each(|time| time.set(now));
        }
        while nth != end {
            nth = (nth + 1) % CHECKPOINTS;
            self.passed[nth].set(now);
        }
        true
    }

    /// How long a round takes: the time since the hand last came past the checkpoint that it comes
    /// to next.
    pub(super) fn age(&self, now: u64) -> u64 {
        let next = (checkpoint(self.at.get()) + 1) % CHECKPOINTS;
        now.saturating_sub(self.passed[next].get())
    }
}

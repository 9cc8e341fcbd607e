//! What a thread saw of the entry at the protected hand.

use super::tuning::{MAX_COMPARISONS, MIN_FREQUENCY_LEAD};
use super::worth::Worth;
use crate::sync::{AtomicU64, Relaxed};

/// What a thread saw of the entry at the protected hand when it looked last.
#[derive(Debug, Default)]
pub(crate) struct Incumbent {
    /// Zero if it was read, one if it was not, and two more than how often it had been used if it stayed.
    seen: Relaxed<AtomicU64>,
    comparisons_left: Relaxed<AtomicU64>,
    /// Where entries differ in worth: the last one that was worth more than a candidate.
    frequency: Relaxed<AtomicU64>,
    cost: Relaxed<AtomicU64>,
    weight: Relaxed<AtomicU64>,
}

impl Incumbent {
    /// It was worth more than a candidate.
    #[inline]
    pub(super) fn set_worth(&self, worth: Worth) {
        self.frequency.set(worth.frequency);
        self.cost.set(worth.cost);
        self.weight.set(worth.weight);
    }

    /// What the last one was worth that was worth more than a candidate.
    #[inline]
    pub(super) fn worth(&self) -> Worth {
        Worth { frequency: self.frequency.get(), cost: self.cost.get(), weight: self.weight.get() }
    }

    /// The hand came to an entry that was not read, or found all read.
    #[inline]
    pub(super) fn observe(&self, unread: bool) {
        self.seen.set(u64::from(unread));
    }

    /// It won over a candidate, with its key used this often.
    #[inline]
    pub(super) fn won(&self, frequency: u64) {
        self.seen.set(2 + frequency);
        self.comparisons_left.set(MAX_COMPARISONS);
    }

    #[inline]
    pub(super) fn is_unread(&self) -> bool {
        self.seen.get() > 0
    }

    /// Whether it stayed, although its key had been used less often than this.
    #[inline]
    pub(super) fn is_used_less_than(&self, frequency: u64) -> bool {
        (2..2 + frequency).contains(&self.seen.get())
    }

    /// Whether it would win over this candidate, too: no key was used less often than a moment
    /// ago. Saves a look at the entry.
    #[inline]
    pub(super) fn is_better(&self, candidate: u64) -> bool {
        let (seen, comparisons_left) = (self.seen.get(), self.comparisons_left.get());
        if seen < 2 || comparisons_left == 0 {
            return false;
        }
        self.comparisons_left.set(comparisons_left - 1);
        (candidate..candidate + MIN_FREQUENCY_LEAD).contains(&(seen - 2))
    }
}

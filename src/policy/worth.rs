//! What an entry is worth, where entries differ in weight or a miss in cost.
//!
//! The *worth* of an entry is what it saves for each unit of weight: how often its key is used, times the cost of a
//! miss, divided by the weight. Two are compared by products, so nothing is divided or rounded.
//!
//! One is *better* than another if it saves more for each unit of weight, used no more often.

use crate::sync::seeded;

/// How often the key of an entry is asked for, what a miss of it costs, and what it weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(super) frequency: u64,
    pub(super) cost: u64,
    pub(super) weight: u64,
}

impl Worth {
    #[inline]
    pub(crate) fn new(frequency: u64, cost: u64, weight: u64) -> Self {
        let weight = if seeded("policy-blind-to-weight") { 1 } else { weight };
        Self { frequency, cost, weight }
    }

    /// What it saves; cut off.
    #[inline]
    pub(super) fn saves(self) -> u64 {
        self.frequency.saturating_mul(self.cost)
    }

    /// Whether it saves more for each unit of weight than another, or than `times` as much.
    #[inline]
    pub(super) fn exceeds(self, other: Self, times: u64) -> bool {
        u128::from(self.saves()) * u128::from(other.weight)
            > u128::from(other.saves().saturating_mul(times)) * u128::from(self.weight)
    }

    /// Whether it would save more, or `times` as much, if it were asked for no more often than another. What was
    /// read just now does not stand back behind what was read often long ago, but behind what is lighter or dearer.
    #[inline]
    pub(super) fn is_better_than(self, other: Self, times: u64) -> bool {
        Self { frequency: self.frequency.min(other.frequency), ..self }.exceeds(other, times)
    }
}

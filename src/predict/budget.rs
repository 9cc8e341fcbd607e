//! How many loads a predictor may start: a token bucket.

use std::time::Duration;

use crate::sync::seeded;

/// How many loads a predictor may start.
///
/// Unused loads are kept for later: up to those of one second, or of a hundred demand loads, and one at least.
///
/// # Examples
///
/// ```
/// use clockhand::predict::Budget;
///
/// let at_most_fifty_a_second = Budget::per_second(50.0);
/// let at_most_one_for_five_demand_loads = Budget::share(0.2);
/// # assert_ne!(at_most_fifty_a_second, at_most_one_for_five_demand_loads);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget(Unit);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    PerSecond(f64),
    OfDemand(f64),
}

impl Budget {
    /// So many loads in a second.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Budget`].
    #[must_use]
    pub const fn per_second(loads: f64) -> Self {
        Self(Unit::PerSecond(loads))
    }

    /// So many loads for each demand load: of a caller that waits, or a renewal that a read has started.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Budget`].
    #[must_use]
    pub const fn share(of_demand_loads: f64) -> Self {
        Self(Unit::OfDemand(of_demand_loads))
    }

    fn rate(self) -> f64 {
        let (Unit::PerSecond(rate) | Unit::OfDemand(rate)) = self.0;
        rate
    }

    /// Whether it allows for any load.
    pub(super) fn is_sound(self) -> bool {
        self.rate() > 0.0 && self.rate().is_finite()
    }
}

/// What is left of a budget.
#[derive(Debug)]
pub(super) struct TokenBucket {
    budget: Budget,
    tokens: f64,
    at: Duration,
    demand: u64,
}

/// Demand loads whose share is kept.
const KEPT_DEMAND_LOADS: f64 = 100.0;

impl TokenBucket {
    /// An empty one.
    pub(super) fn new(budget: Budget, at: Duration, demand: u64) -> Self {
        Self { budget, tokens: 0.0, at, demand }
    }

    /// Adds what has come since the last call. Time and demand loads that go back add nothing.
    pub(super) fn refill(&mut self, now: Duration, demand: u64) {
        let (came, most) = match self.budget.0 {
            Unit::PerSecond(rate) => (rate * now.saturating_sub(self.at).as_secs_f64(), rate),
            Unit::OfDemand(share) => {
                (share * demand.saturating_sub(self.demand) as f64, share * KEPT_DEMAND_LOADS)
            }
        };
        self.at = self.at.max(now);
        self.demand = self.demand.max(demand);
        self.tokens = (self.tokens + came).min(most.max(1.0));
    }

    /// Takes the token for a load, if there is one.
    pub(super) fn take(&mut self) -> bool {
        if self.tokens < 1.0 {
            return seeded("predict-no-budget");
        }
        self.tokens -= 1.0;
        true
    }

    /// Gives a token back: its load was not needed.
    pub(super) fn give(&mut self) {
        self.tokens += 1.0;
    }

    /// The loads that may be started now.
    pub(super) fn tokens(&self) -> f64 {
        self.tokens
    }
}

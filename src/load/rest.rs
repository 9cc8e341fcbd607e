//! What is left of a load that has failed.
//!
//! It lies in the flight, and the flight in the table, as the ticket of its key's entry. So whatever
//! happens to the key (an insert, a removal, an invalidation, another load that lands) takes it along,
//! in the same step in which it takes effect; and where the ticket is gone when the load fails,
//! something has overtaken it, and nobody will find what is left of it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::now;
use crate::time::{Clock, nanos};

/// Why a load has no value.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The loader's error.
    Error(Arc<dyn Any + Send + Sync>),
    /// There is no value for the key.
    Absent,
}

/// What is left of a load that has failed.
#[derive(Debug)]
pub(super) struct Rest {
    /// Nothing if the load was given up, or nobody is to remember why.
    failure: Option<Failure>,
    ended: Ended,
    /// For how long it is kept where its key has no value, in nanoseconds.
    lifetime: u64,
}

/// When it ended, in nanoseconds.
#[derive(Debug)]
struct Ended {
    /// By the process's clock.
    real: u64,
    /// By the cache's clock, if it keeps time.
    told: Option<(Clock, u64)>,
}

impl Rest {
    /// Of a load that ends now, of a cache with this clock. A failure is remembered for `lifetime`.
    pub(super) fn new(
        failure: Option<Failure>,
        clock: Option<Clock>,
        lifetime: Option<Duration>,
    ) -> Self {
        let failure = failure.filter(|_| lifetime.is_some());
        let told = clock.map(|clock| {
            let moment = clock.now().to_word();
            (clock, moment)
        });
        let lifetime = lifetime.map_or(0, nanos);
        Self { failure, ended: Ended { real: now(), told }, lifetime }
    }

    /// Whether there is a failure that somebody may remember.
    pub(super) fn is_kept(&self) -> bool {
        self.failure.is_some() && self.ended.ago() < self.lifetime
    }

    /// The failure, for somebody who remembers failures for so long.
    pub(super) fn failure(&self, remembered: Option<Duration>) -> Option<&Failure> {
        let remembered = remembered.is_some_and(|remembered| self.ended.ago() < nanos(remembered));
        self.failure.as_ref().filter(|_| remembered)
    }

    /// Whether the load ended less than so many nanoseconds ago. Of the two clocks, the one that says
    /// no is believed: a cache's clock may stand still.
    pub(super) fn is_younger(&self, pause: u64) -> bool {
        self.ended.ago() < pause && now().saturating_sub(self.ended.real) < pause
    }
}

impl Ended {
    fn ago(&self) -> u64 {
        match &self.told {
            Some((clock, moment)) => clock.now().to_word().saturating_sub(*moment),
            None => now().saturating_sub(self.real),
        }
    }
}

//! What is left of a load that has failed.
//!
//! It lies in the flight, and the flight in the table, as the token of its key's entry. So whatever
//! happens to the key (an insert, a removal, an invalidation, another load that lands) takes it along,
//! in the same step in which it takes effect; and where the token is gone when the load fails,
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
    ended: Ended,
    /// Of this load, or of one before.
    memory: Option<Arc<Memory>>,
}

/// A failure that is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    failure: Failure,
    at: Ended,
    /// In nanoseconds.
    lifetime: u64,
}

/// When a load ended, in nanoseconds.
#[derive(Debug, Clone)]
struct Ended {
    /// By the process's clock.
    real: u64,
    /// By the cache's clock, if it keeps time.
    told: Option<(Clock, u64)>,
}

impl Rest {
    /// Of a load that ends now, of a cache with this clock. A failure is remembered for so long, if it is
    /// at all. Who remembers the failure `before` for longer goes on to remember.
    pub(super) fn new(
        failure: Option<(Failure, Duration)>,
        before: Option<&Arc<Memory>>,
        clock: Option<Clock>,
    ) -> Self {
        let ended = Ended::now(clock);
        let before = before.filter(|before| before.left() > 0);
        let memory = match failure {
            Some((failure, lifetime)) => {
                let lifetime = nanos(lifetime).max(before.map_or(0, |before| before.left()));
                Some(Arc::new(Memory { failure, at: ended.clone(), lifetime }))
            }
            None => before.map(Arc::clone),
        };
        Self { ended, memory }
    }

    /// Whether there is a failure that somebody may remember.
    pub(super) fn is_kept(&self) -> bool {
        self.memory().is_some()
    }

    /// The failure that somebody may remember.
    pub(super) fn memory(&self) -> Option<&Arc<Memory>> {
        self.memory.as_ref().filter(|memory| memory.left() > 0)
    }

    /// The failure, for somebody who remembers failures for so long.
    pub(super) fn failure(&self, remembered: Option<Duration>) -> Option<&Failure> {
        let (memory, remembered) = (self.memory()?, remembered?);
        (memory.at.ago() < nanos(remembered)).then_some(&memory.failure)
    }

    /// Whether the load ended less than so many nanoseconds ago. Of the two clocks, the one that says
    /// no is believed: a cache's clock may stand still.
    pub(super) fn is_younger(&self, pause: u64) -> bool {
        self.ended.ago() < pause && now().saturating_sub(self.ended.real) < pause
    }
}

impl Memory {
    /// For how long it will still be kept, in nanoseconds.
    fn left(&self) -> u64 {
        self.lifetime.saturating_sub(self.at.ago())
    }
}

impl Ended {
    fn now(clock: Option<Clock>) -> Self {
        let told = clock.map(|clock| {
            let moment = clock.now().to_word();
            (clock, moment)
        });
        Self { real: now(), told }
    }

    fn ago(&self) -> u64 {
        match &self.told {
            Some((clock, moment)) => clock.now().to_word().saturating_sub(*moment),
            None => now().saturating_sub(self.real),
        }
    }
}

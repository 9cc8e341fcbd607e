//! The record of a load that has failed.
//!
//! It is stored in the flight, and the flight is in the table, as the token of its key's entry. So
//! whatever happens to the key (an insert, a removal, an invalidation, another load that completes)
//! removes the record as well, in the same step in which it takes effect. If the token is gone when
//! the load fails, something has overtaken the load, and no caller will find the record.

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

/// The record of a load that has failed.
#[derive(Debug)]
pub(super) struct FailedLoad {
    ended: EndTime,
    /// The failure of this load, or of an earlier one that is still remembered.
    remembered: Option<Arc<RememberedFailure>>,
}

/// A failure that is remembered.
#[derive(Debug)]
pub(super) struct RememberedFailure {
    failure: Failure,
    at: EndTime,
    /// In nanoseconds.
    lifetime: u64,
}

/// When a load ended, in nanoseconds.
#[derive(Debug, Clone)]
struct EndTime {
    /// By the process's clock.
    real: u64,
    /// By the cache's clock, if it has one.
    cache: Option<(Clock, u64)>,
}

impl FailedLoad {
    /// The record of a load that ends now, in a cache with this `clock`. A `failure` is remembered
    /// for the duration given with it. If the failure `before` is remembered for longer than that,
    /// so is this one: a handle with a longer `negative_ttl` goes on to get an error.
    pub(super) fn new(
        failure: Option<(Failure, Duration)>,
        before: Option<&Arc<RememberedFailure>>,
        clock: Option<Clock>,
    ) -> Self {
        let ended = EndTime::now(clock);
        let before = before.filter(|before| before.left() > 0);
        let remembered = match failure {
            Some((failure, lifetime)) => {
                let lifetime = nanos(lifetime).max(before.map_or(0, |before| before.left()));
                Some(Arc::new(RememberedFailure { failure, at: ended.clone(), lifetime }))
            }
            None => before.map(Arc::clone),
        };
        Self { ended, remembered }
    }

    /// Whether there is a failure that is remembered.
    pub(super) fn is_kept(&self) -> bool {
        self.remembered().is_some()
    }

    /// Returns the failure that is remembered, if there is one.
    pub(super) fn remembered(&self) -> Option<&Arc<RememberedFailure>> {
        self.remembered.as_ref().filter(|remembered| remembered.left() > 0)
    }

    /// Returns the failure, for a handle that remembers failures for `negative_ttl`.
    pub(super) fn failure(&self, negative_ttl: Option<Duration>) -> Option<&Failure> {
        let (remembered, negative_ttl) = (self.remembered()?, negative_ttl?);
        (remembered.at.ago() < nanos(negative_ttl)).then_some(&remembered.failure)
    }

    /// Whether the load ended less than `pause` nanoseconds ago, by both clocks: that of the cache
    /// may stand still.
    pub(super) fn is_younger(&self, pause: u64) -> bool {
        self.ended.ago() < pause && now().saturating_sub(self.ended.real) < pause
    }
}

impl RememberedFailure {
    /// For how long the failure will still be remembered, in nanoseconds.
    fn left(&self) -> u64 {
        self.lifetime.saturating_sub(self.at.ago())
    }
}

impl EndTime {
    fn now(clock: Option<Clock>) -> Self {
        let cache = clock.map(|clock| {
            let moment = clock.now().to_word();
            (clock, moment)
        });
        Self { real: now(), cache }
    }

    fn ago(&self) -> u64 {
        match &self.cache {
            Some((clock, moment)) => clock.now().to_word().saturating_sub(*moment),
            None => now().saturating_sub(self.real),
        }
    }
}

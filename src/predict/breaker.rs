//! Pauses the predictor while the origin fails.

use std::time::Duration;

use crate::sync::seeded;

/// Whether the origin is spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum BreakerState {
    /// Loads are started.
    #[default]
    Closed,
    /// None is started, as too many loads have failed.
    Open,
    /// One is started at a time, to see whether the origin is back.
    HalfOpen,
}

/// Failures in a row after which it opens.
const MAX_FAILURES: u32 = 5;
/// How long it is open first; doubled each time it opens again at once.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_DOUBLINGS: u32 = 6;
/// Loads of one look, of which most have failed, that open it.
const MIN_LOADS: u64 = 8;

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Until when it is open.
    until: Option<Duration>,
    /// How often it has opened since a load succeeded.
    opened: u32,
    /// Whether a load that tries the origin is under way.
    trying: bool,
    /// Loads that were seen to end and to fail, of all callers.
    seen: (u64, u64),
}

impl Breaker {
    pub(super) fn state(&self, now: Duration) -> BreakerState {
        match self.until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// How many loads may be started now.
    pub(super) fn allowance(&self, now: Duration) -> usize {
        match self.state(now) {
            BreakerState::Closed => usize::MAX,
            BreakerState::Open => 0,
            BreakerState::HalfOpen => usize::from(!self.trying),
        }
    }

    /// Loads were started.
    pub(super) fn begin(&mut self, now: Duration) {
        self.trying = self.state(now) == BreakerState::HalfOpen;
    }

    /// A load that the predictor has started has ended; `None` if it was not needed.
    pub(super) fn end(&mut self, succeeded: Option<bool>, now: Duration) {
        self.trying = false;
        match succeeded {
            None => {}
            Some(true) => (self.failures, self.until, self.opened) = (0, None, 0),
            Some(false) => match self.state(now) {
                // Begun before it opened, as the others of its job: that is the same outage.
                BreakerState::Open if !seeded("predict-job-fails-many-times") => {}
                BreakerState::Open | BreakerState::HalfOpen => self.open(now),
                BreakerState::Closed => {
                    self.failures = self.failures.saturating_add(1);
                    if self.failures >= MAX_FAILURES {
                        self.open(now);
                    }
                }
            },
        }
    }

    /// Looks at all loads that have ended so far, and those that failed.
    pub(super) fn look(&mut self, ended: u64, failed: u64, now: Duration) {
        let (more, of_them) =
            (ended.saturating_sub(self.seen.0), failed.saturating_sub(self.seen.1));
        if more < MIN_LOADS {
            return;
        }
        self.seen = (ended, failed);
        if 2 * of_them > more && self.until.is_none() {
            self.open(now);
        }
    }

    fn open(&mut self, now: Duration) {
        if seeded("predict-no-breaker") {
            return;
        }
        let pause = FIRST_PAUSE * (1 << self.opened.min(MAX_DOUBLINGS));
        self.until = Some(now.saturating_add(pause));
        (self.opened, self.failures) = (self.opened.saturating_add(1), 0);
    }
}

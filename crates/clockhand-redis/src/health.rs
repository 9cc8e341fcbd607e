//! Whether the second tier does its work.

use std::fmt;

use clockhand::health::Status;

use crate::breaker::BreakerState;
use crate::tier::{RedisTier, TierStatus};

/// Whether a tier does its work, and if not, what is wrong and what to do.
///
/// A tier is never `critical`: the cache goes on without it.
///
/// # Examples
///
/// ```
/// use clockhand::health::Status;
/// use clockhand_redis::{RedisTier, TierProblem};
///
/// let tier = RedisTier::builder("redis://127.0.0.1:1").build()?; // no server is there
/// let health = tier.health();
/// assert_eq!(health.status, Status::Degraded);
/// assert_eq!(health.reasons[0].problem, TierProblem::Disconnected);
/// # Ok::<_, clockhand_redis::TierBuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TierHealth {
    /// The worst status of all reasons.
    pub status: Status,
    /// What is wrong, the worst first; empty if nothing is.
    pub reasons: Vec<TierReason>,
}

/// Something that is wrong with a tier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierReason {
    /// How bad it is.
    pub status: Status,
    /// What it is.
    pub problem: TierProblem,
    /// What it is and what to do. It has no address and no secret.
    pub message: String,
}

/// What can be wrong with a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TierProblem {
    /// There is no connection.
    Disconnected,
    /// The breaker is open: the server fails again and again.
    BreakerOpen,
    /// The log of failed writes has overflowed, and the generation is not advanced yet.
    RepairsOverflowed,
    /// Keys of failed writes are still to be removed from the server.
    RepairsPending,
}

impl TierProblem {
    /// The problem in small letters, for reports. These names are stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::BreakerOpen => "breaker_open",
            Self::RepairsOverflowed => "repairs_overflowed",
            Self::RepairsPending => "repairs_pending",
        }
    }
}

impl RedisTier {
    /// Whether all is well at this moment, and if not, what is wrong and what to do.
    pub fn health(&self) -> TierHealth {
        TierHealth::of(&self.status())
    }
}

impl TierHealth {
    fn of(status: &TierStatus) -> Self {
        let mut reasons = Vec::new();
        let mut add =
            |status, problem, message| reasons.push(TierReason { status, problem, message });
        if !status.is_connected {
            let error = status.last_error.as_ref();
            let why = error.map_or("it is being set up".to_string(), |error| error.to_string());
            let message = format!(
                "no connection for {:.1?}: {why}; reads go to the source and nothing is kept; look at the server and the network",
                status.since
            );
            add(Status::Degraded, TierProblem::Disconnected, message);
        }
        if status.breaker != BreakerState::Closed {
            let message = "the breaker is open: the server fails or is too slow; look at its latency and memory";
            add(Status::Degraded, TierProblem::BreakerOpen, message.to_string());
        }
        match status.repairs {
            0 => {}
            usize::MAX => {
                let message = "more writes have failed than are remembered: everything on the server is given up as soon as it can be reached";
                add(Status::Degraded, TierProblem::RepairsOverflowed, message.to_string());
            }
            keys => {
                let message = format!(
                    "{keys} keys of failed writes are to be removed from the server; other instances may read older values of them"
                );
                add(Status::Warning, TierProblem::RepairsPending, message);
            }
        }
        Self { status: reasons.first().map_or(Status::Healthy, |worst| worst.status), reasons }
    }

    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.status == Status::Healthy
    }
}

impl fmt::Display for TierHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n- {reason}"))
    }
}

impl fmt::Display for TierReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

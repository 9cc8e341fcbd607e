//! The result.

use std::fmt;

use super::figure::Figure;
use super::reason::Reason;
use super::status::Status;

/// Whether something is healthy, and if not, why.
///
/// From [`Cache::health`](crate::Cache::health) and the like. `Display` prints the status, and a
/// line for each reason.
///
/// # Examples
///
/// ```
/// use clockhand::{Cache, health::{Status, Thresholds}};
///
/// let cache: Cache<u64, u64> = Cache::new(100);
/// let health = cache.health(&Thresholds::default());
/// assert_eq!(health.status, Status::Healthy);
/// assert!(health.reasons.is_empty() && health.is_healthy());
/// assert_eq!(health.to_string(), "healthy");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Health {
    /// The worst status of all reasons.
    pub status: Status,
    /// What is out of bounds, the worst first; empty if nothing is.
    pub reasons: Vec<Reason>,
}

impl Health {
    pub(super) fn of(mut reasons: Vec<Reason>) -> Self {
        reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.status), reason.figure));
        Self { status: reasons.first().map_or(Status::Healthy, |worst| worst.status), reasons }
    }

    /// Whether nothing is out of bounds.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Health`].
    pub fn is_healthy(&self) -> bool {
        self.status == Status::Healthy
    }

    /// Returns the reason for a figure, if that is out of bounds.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, Thresholds, health::Figure};
    ///
    /// let cache: Cache<u64, u64> = Cache::new(100);
    /// let health = cache.health(&Thresholds::default());
    /// assert!(health.reason(Figure::HitRate).is_none());
    /// ```
    pub fn reason(&self, figure: Figure) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.figure == figure)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n- {reason}"))
    }
}

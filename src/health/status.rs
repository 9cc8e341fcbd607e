//! The levels of health.

use std::fmt;

/// How healthy something is, from good to bad: `Healthy < Warning < Degraded < Critical`.
///
/// A hit rate below 85 %, for example, is a warning, and one below 70 % makes the cache degraded.
///
/// # Examples
///
/// ```
/// use clockhand::health::Status;
///
/// assert!(Status::Critical > Status::Degraded && Status::Degraded > Status::Warning);
/// assert_eq!(Status::Degraded.to_string(), "degraded");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Status {
    /// Nothing is out of bounds.
    #[default]
    Healthy,
    /// Something is not as it should be, without consequences so far.
    Warning,
    /// It works, but not as well as it should.
    Degraded,
    /// It does not work, or is about to fail.
    Critical,
}

impl Status {
    /// The levels at which there are reasons, the mildest one first.
    pub(super) const BAD: [Self; 3] = [Self::Warning, Self::Degraded, Self::Critical];

    /// The status in lower case, for reports. These names are stable.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(clockhand::health::Status::Degraded.name(), "degraded");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

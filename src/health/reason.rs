//! Why something is not well.

use std::fmt;

use super::figure::Figure;
use super::status::Status;

/// A figure that is out of bounds.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Reason {
    /// How bad it is.
    pub status: Status,
    /// What was looked at.
    pub figure: Figure,
    /// Its value, in the [figure's unit](Figure).
    pub value: f64,
    /// The threshold that it has passed. A reason that was given before stays until the figure is back within the
    /// threshold by a margin, so the value may lie a little on its good side.
    pub threshold: f64,
    /// The same for people: figure, value and threshold, and what to do.
    pub message: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

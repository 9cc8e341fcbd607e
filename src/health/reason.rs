//! Why something is not healthy.

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
    /// The figure.
    pub figure: Figure,
    /// Its value, in the [figure's unit](Figure).
    pub value: f64,
    /// The threshold that it is beyond. A reason that was given before stays until the figure is
    /// back within the threshold by a margin, so the value may be a little on the good side of it.
    pub threshold: f64,
    /// A message: figure, value and threshold, and what to do.
    pub message: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

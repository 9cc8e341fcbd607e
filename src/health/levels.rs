//! The thresholds of a figure.

use super::status::Status;

/// The thresholds of a figure for each status, in the [figure's unit](super::Figure). A level that
/// is not set is never reached.
///
/// # Progress
///
/// All methods are wait-free.
///
/// # Examples
///
/// ```
/// use clockhand::health::{Levels, Status};
///
/// let levels = Levels::new().warning(0.85).degraded(0.70);
/// assert_eq!(levels.get(Status::Degraded), Some(0.70));
/// assert_eq!(levels.get(Status::Critical), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Levels([Option<f64>; 3]);

impl Levels {
    /// No levels: the figure is never out of bounds.
    ///
    /// # Examples
    ///
    /// See [`Levels`].
    pub const fn new() -> Self {
        Self([None; 3])
    }

    /// The threshold of a warning.
    ///
    /// # Examples
    ///
    /// See [`Levels`].
    #[must_use]
    pub const fn warning(mut self, from: f64) -> Self {
        self.0[0] = Some(from);
        self
    }

    /// The threshold of degraded.
    ///
    /// # Examples
    ///
    /// See [`Levels`].
    #[must_use]
    pub const fn degraded(mut self, from: f64) -> Self {
        self.0[1] = Some(from);
        self
    }

    /// The threshold of critical.
    ///
    /// # Examples
    ///
    /// See [`Levels`].
    #[must_use]
    pub const fn critical(mut self, from: f64) -> Self {
        self.0[2] = Some(from);
        self
    }

    /// Returns the threshold of a status.
    ///
    /// # Examples
    ///
    /// See [`Levels`].
    pub fn get(&self, status: Status) -> Option<f64> {
        Status::BAD.iter().position(|&bad| bad == status).and_then(|nth| self.0[nth])
    }

    /// The levels that are set, the mildest one first.
    pub(super) fn given(&self) -> impl Iterator<Item = (Status, f64)> {
        Status::BAD.into_iter().zip(self.0).filter_map(|(status, from)| Some((status, from?)))
    }
}

//! Thresholds of figures.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::figure::{BadSide, Figure};
use super::levels::Levels;
use super::process::MemoryLimit;

const FIGURES: usize = Figure::ALL.len();
/// The shortest window.
const MIN_WINDOW: Duration = Duration::from_millis(1);
/// The widest margin.
const MAX_MARGIN: f64 = 0.5;

/// The thresholds by which health is judged. Each [`Figure`] documents its default.
///
/// # Progress
///
/// All methods are wait-free.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::health::{Figure, Levels, Thresholds};
///
/// let thresholds = Thresholds::default()
///     .set(Figure::HitRate, Levels::new().warning(0.95).degraded(0.90))?
///     .off(Figure::Evictions)
///     .window(Duration::from_secs(10));
/// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(1000);
/// assert!(cache.health(&thresholds).is_healthy());
/// # Ok::<_, clockhand::health::ThresholdsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "thresholds do nothing until `health` is called with them"]
pub struct Thresholds {
    levels: [Levels; FIGURES],
    pub(super) window: Duration,
    pub(super) margin: f64,
    pub(super) warm_up: Duration,
    pub(super) min_reads: u64,
    pub(super) min_events: u64,
    pub(super) memory_limit: MemoryLimit,
}

impl Default for Thresholds {
    fn default() -> Self {
        let mut levels = [Levels::new(); FIGURES];
        for &figure in Figure::ALL {
            levels[figure as usize] = figure.card().levels;
        }
        Self {
            levels,
            window: Duration::from_secs(60),
            margin: 0.05,
            warm_up: Duration::from_secs(300),
            min_reads: 1000,
            min_events: 20,
            memory_limit: MemoryLimit::Unlimited,
        }
    }
}

impl Thresholds {
    /// The thresholds of a figure.
    ///
    /// # Examples
    ///
    /// See [`Thresholds`].
    pub fn get(&self, figure: Figure) -> Levels {
        self.levels[figure as usize]
    }

    /// Sets the thresholds of a figure, in the [figure's unit](Figure). An infinite threshold is
    /// never reached.
    ///
    /// # Errors
    ///
    /// If a level is NaN, or a worse one would be reached before a milder one.
    ///
    /// # Examples
    ///
    /// See [`Thresholds`].
    pub fn set(mut self, figure: Figure, levels: Levels) -> Result<Self, ThresholdsError> {
        let given: Vec<f64> = levels.given().map(|(_, from)| from).collect();
        if given.iter().any(|from| from.is_nan()) {
            return Err(ThresholdsError::NotANumber { figure });
        }
        let rises = given.is_sorted();
        let falls = given.iter().rev().is_sorted();
        if !(if figure.card().bad == BadSide::Above { rises } else { falls }) {
            return Err(ThresholdsError::WrongOrder { figure, levels });
        }
        self.levels[figure as usize] = levels;
        Ok(self)
    }

    /// Does not judge a figure.
    ///
    /// # Examples
    ///
    /// See [`Thresholds`].
    pub fn off(mut self, figure: Figure) -> Self {
        self.levels[figure as usize] = Levels::new();
        self
    }

    /// The length of the windows over which rates and counts are taken. A minute by default; less
    /// than a millisecond counts as one.
    ///
    /// # Examples
    ///
    /// See [`Thresholds`].
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.max(MIN_WINDOW);
        self
    }

    /// How far a figure has to be back within its threshold before its reason is no longer given: a
    /// part of the threshold, but no more than half the way to the end of what a ratio can be; of
    /// [`Figure::Memory`], a part of what the threshold is of the room that a full cache leaves.
    /// 0.05 by default; values above 0.5 count as that, and values below 0 as 0.
    ///
    /// # Errors
    ///
    /// If it is NaN.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Thresholds;
    ///
    /// let thresholds = Thresholds::default().margin(0.1)?;
    /// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(100);
    /// assert!(cache.health(&thresholds).is_healthy());
    /// # Ok::<_, clockhand::health::ThresholdsError>(())
    /// ```
    pub fn margin(mut self, margin: f64) -> Result<Self, ThresholdsError> {
        if margin.is_nan() {
            return Err(ThresholdsError::MarginNotANumber);
        }
        self.margin = margin.clamp(0.0, MAX_MARGIN);
        Ok(self)
    }

    /// How long after it was built a cache that has never been full counts as warm. Five minutes by
    /// default. A cache that has been full once is warm. Hit rates are those of windows that begin
    /// after that.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Thresholds;
    ///
    /// let thresholds = Thresholds::default().warm_up(std::time::Duration::from_secs(60));
    /// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(100);
    /// assert!(cache.health(&thresholds).is_healthy());
    /// # Ok::<_, clockhand::health::ThresholdsError>(())
    /// ```
    pub fn warm_up(mut self, after: Duration) -> Self {
        self.warm_up = after;
        self
    }

    /// The smallest number of reads in a window for which the hit rate is judged. 1000 by default.
    /// Once a reason is given, half as many suffice.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Thresholds;
    ///
    /// let thresholds = Thresholds::default().min_reads(10_000);
    /// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(100);
    /// assert!(cache.health(&thresholds).is_healthy());
    /// # Ok::<_, clockhand::health::ThresholdsError>(())
    /// ```
    pub fn min_reads(mut self, reads: u64) -> Self {
        self.min_reads = reads;
        self
    }

    /// The smallest number of loads, completions or claims in a window for which ratios of them are
    /// judged, and of timed reads. 20 by default. Once a reason is given, half as many suffice.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Thresholds;
    ///
    /// let thresholds = Thresholds::default().min_events(100);
    /// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(100);
    /// assert!(cache.health(&thresholds).is_healthy());
    /// # Ok::<_, clockhand::health::ThresholdsError>(())
    /// ```
    pub fn min_events(mut self, events: u64) -> Self {
        self.min_events = events;
        self
    }

    /// The memory that the process takes, as a part of its limit.
    pub(crate) fn memory_taken(&self) -> Option<f64> {
        self.memory_limit.taken()
    }

    /// The limit with which the memory of the process is compared. None by default.
    pub fn memory_limit(mut self, limit: MemoryLimit) -> Self {
        self.memory_limit = limit;
        self
    }
}

/// Why thresholds are invalid.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ThresholdsError {
    /// A level is NaN.
    NotANumber {
        /// The figure.
        figure: Figure,
    },
    /// A worse level would be reached before a milder one.
    WrongOrder {
        /// The figure.
        figure: Figure,
        /// The levels given.
        levels: Levels,
    },
    /// The margin is NaN.
    MarginNotANumber,
}

impl fmt::Display for ThresholdsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber { figure } => {
                write!(f, "a level of {figure} is not a number; leave it out if it is not wanted")
            }
            Self::WrongOrder { figure, levels } => {
                let (first, last) = match figure.card().bad {
                    BadSide::Above => ("lowest", "highest"),
                    BadSide::Below => ("highest", "lowest"),
                };
                write!(f, "the levels of {figure} are not in order:")?;
                for (status, from) in levels.given() {
                    write!(f, " {status} {from}")?;
                }
                write!(f, "; warning must be the {first} and critical the {last}")
            }
            Self::MarginNotANumber => f.write_str("the margin is not a number; it is a part of 1"),
        }
    }
}

impl Error for ThresholdsError {}

//! The capacity that the user asks for: a number, or a share of what the trace needs.

use std::fmt;
use std::str::FromStr;

/// A capacity, in absolute terms or relative to the trace's footprint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Capacity {
    /// Units of charge: entries, or bytes when the trace has sizes.
    Units(u64),
    /// Percent of what would hold the whole trace.
    Percent(f64),
}

/// The text was not a capacity.
#[derive(Debug, thiserror::Error)]
#[error("give a whole number of 1 or more, or a percentage above 0% and up to 100%")]
pub(crate) struct BadCapacity;

impl Capacity {
    /// The capacity in units for a trace that needs `footprint` of them; never 0.
    pub(crate) fn of(self, footprint: u64) -> u64 {
        match self {
            Self::Units(units) => units,
            Self::Percent(percent) => ((footprint as f64 * percent / 100.0).round() as u64).max(1),
        }
    }
}

impl FromStr for Capacity {
    type Err = BadCapacity;

    fn from_str(text: &str) -> Result<Self, BadCapacity> {
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().map_err(|_| BadCapacity)?;
                let sound = percent > 0.0 && percent <= 100.0;
                sound.then_some(Self::Percent(percent)).ok_or(BadCapacity)
            }
            None => match text.parse() {
                Ok(units) if units > 0 => Ok(Self::Units(units)),
                _ => Err(BadCapacity),
            },
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units(units) => write!(f, "{units}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

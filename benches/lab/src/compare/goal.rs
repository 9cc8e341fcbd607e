//! What clockhand is to reach, and whether the rows of a question say that it did.

use std::fmt;

use super::answers::{Reached, Row};
use crate::peers::{ClockhandGet, Peer};

/// What clockhand is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// This many times a baseline's value or more.
    AtLeast(f64, Baseline),
    /// This many times a baseline's value or less.
    AtMost(f64, Baseline),
    /// This value or less.
    Within(f64),
}

/// What a goal is relative to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Baseline {
    /// The peer of this name.
    Named(&'static str),
    /// The best of the other caches; maps are none.
    BestCache,
}

/// A handle of clockhand by its name, and what is to be reached through it.
pub(super) type PeerGoal = (&'static str, Goal);

impl Goal {
    /// Whether this handle reached it; nothing if the baseline does not take part.
    pub(super) fn reached(self, handle: &str, rows: &[Row]) -> Option<Reached> {
        let ratio = |baseline: Baseline| baseline.ratio(handle, rows);
        let (reached, met) = match self {
            Self::AtLeast(least, baseline) => {
                ratio(baseline).map(|ratio| (ratio, ratio >= least))?
            }
            Self::AtMost(most, baseline) => ratio(baseline).map(|ratio| (ratio, ratio <= most))?,
            Self::Within(most) => {
                let value = rows.iter().find(|row| row.peer == handle)?.value.median;
                (value, value <= most)
            }
        };
        Some(Reached { goal: self.to_string(), reached, met })
    }
}

impl Baseline {
    /// The handle's value through the baseline's, median of the rounds.
    fn ratio(self, handle: &str, rows: &[Row]) -> Option<f64> {
        let caches = || rows.iter().filter(|row| row.evicts && !row.ours());
        let baseline = match self {
            Self::Named(name) => rows.iter().find(|row| row.peer == name),
            Self::BestCache => caches().min_by(|one, other| one.rank().total_cmp(&other.rank())),
        }?;
        let of_handle = if handle == ClockhandGet::NAME {
            baseline.clockhand_ratio
        } else {
            baseline.reader_ratio
        };
        of_handle.map(|ratio| ratio.median)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least, baseline) => write!(f, ">= {least} x {baseline}"),
            Self::AtMost(most, baseline) => write!(f, "<= {most} x {baseline}"),
            Self::Within(most) => write!(f, "<= {most}"),
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::BestCache => f.write_str("the best cache"),
        }
    }
}

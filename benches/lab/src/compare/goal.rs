//! What clockhand is to reach, and whether the rows of a question say that it did.

use std::fmt;

use super::answers::{Reached, Row};
use crate::peers::{ClockhandGet, Peer};

/// What clockhand is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// So many times a rival's value or more.
    AtLeast(f64, Rival),
    /// So many times a rival's value or less.
    AtMost(f64, Rival),
    /// This value or less.
    Within(f64),
}

/// Whom a goal is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rival {
    /// The peer of this name.
    Named(&'static str),
    /// The best of the other caches; maps are none.
    BestCache,
}

/// A handle of clockhand by its name, and what is to be reached through it.
pub(super) type Aim = (&'static str, Goal);

impl Goal {
    /// Whether this handle reached it; nothing if the rival does not take part.
    pub(super) fn reached(self, handle: &str, rows: &[Row]) -> Option<Reached> {
        let ratio = |rival: Rival| rival.ratio(handle, rows);
        let (reached, met) = match self {
            Self::AtLeast(least, rival) => ratio(rival).map(|ratio| (ratio, ratio >= least))?,
            Self::AtMost(most, rival) => ratio(rival).map(|ratio| (ratio, ratio <= most))?,
            Self::Within(most) => {
                let value = rows.iter().find(|row| row.peer == handle)?.value.median;
                (value, value <= most)
            }
        };
        Some(Reached { goal: self.to_string(), reached, met })
    }
}

impl Rival {
    /// The handle's value through the rival's, median of the rounds.
    fn ratio(self, handle: &str, rows: &[Row]) -> Option<f64> {
        let caches = || rows.iter().filter(|row| row.evicts && !row.ours());
        let rival = match self {
            Self::Named(name) => rows.iter().find(|row| row.peer == name),
            Self::BestCache => caches().min_by(|one, other| one.rank().total_cmp(&other.rank())),
        }?;
        let of_handle =
            if handle == ClockhandGet::NAME { rival.clockhand_ratio } else { rival.reader_ratio };
        of_handle.map(|ratio| ratio.median)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least, rival) => write!(f, ">= {least} x {rival}"),
            Self::AtMost(most, rival) => write!(f, "<= {most} x {rival}"),
            Self::Within(most) => write!(f, "<= {most}"),
        }
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::BestCache => f.write_str("the best cache"),
        }
    }
}

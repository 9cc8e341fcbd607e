//! How long something took, in a form of which many can be kept.

use crate::narrow::whole;
use std::sync::Arc;
use std::time::Duration;

/// Times, each with how often something took that long; the shortest one first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Times(Arc<[(Duration, u64)]>);

impl Times {
    pub(crate) fn new(times: impl Iterator<Item = (Duration, u64)>) -> Self {
        Self(times.collect())
    }

    /// What came on top of an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = |time| {
            let found = earlier.0.binary_search_by_key(&time, |&(time, _)| time);
            found.map_or(0, |nth| earlier.0[nth].1)
        };
        Self::new(self.0.iter().map(|&(time, count)| (time, count.saturating_sub(before(time)))))
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|&(_, count)| count).sum()
    }

    /// The average, in seconds; there must be some.
    pub(super) fn mean(&self) -> f64 {
        let sum: f64 = self.0.iter().map(|&(time, count)| time.as_secs_f64() * count as f64).sum();
        sum / self.count() as f64
    }

    /// As long as this took so large a part of them at most, in seconds.
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let wanted = whole((self.count() as f64 * part).ceil().max(1.0));
        let mut seen = 0;
        let reached = self.0.iter().find(|&&(_, count)| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(0.0, |&(time, _)| time.as_secs_f64())
    }
}

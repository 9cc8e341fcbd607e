//! Rates.

use super::Stats;

/// The counters of [`Stats`] for each second: what [`Stats::per_second`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Rates {
    /// Reads that found their key.
    pub hits: f64,
    /// Reads that did not find their key.
    pub misses: f64,
    /// Keys that were inserted.
    pub insertions: f64,
    /// Values that replaced another value.
    pub replacements: f64,
    /// Entries that were evicted to make room.
    pub evictions: f64,
    /// Entries that were removed because they had expired.
    pub expirations: f64,
    /// Entries that were removed by a call.
    pub invalidations: f64,
    /// Entries that were refused.
    pub refusals: f64,
    /// Loads that were started.
    pub loads_started: f64,
    /// Loads that returned a value, or that there is none.
    pub loads_succeeded: f64,
    /// Loads that failed.
    pub loads_failed: f64,
    /// Calls that waited for the load of another caller.
    pub loads_joined: f64,
    /// Calls whose time limit was over while they waited.
    pub loads_timed_out: f64,
    /// Loads that were taken over from their leaders.
    pub loads_relieved: f64,
    /// Seconds that loads took, for each second: how many were under way, on average.
    pub load_time: f64,
    /// Loads that were started in the background.
    pub renewals: f64,
    /// Those that failed.
    pub renewals_failed: f64,
}

impl Rates {
    pub(super) fn of(stats: &Stats) -> Self {
        if stats.at.is_zero() {
            return Self::default();
        }
        let seconds = stats.at.as_secs_f64();
        let each = |count: u64| count as f64 / seconds;
        Self {
            hits: each(stats.hits),
            misses: each(stats.misses),
            insertions: each(stats.insertions),
            replacements: each(stats.replacements),
            evictions: each(stats.evictions),
            expirations: each(stats.expirations),
            invalidations: each(stats.invalidations),
            refusals: each(stats.refusals),
            loads_started: each(stats.loads_started),
            loads_succeeded: each(stats.loads_succeeded),
            loads_failed: each(stats.loads_failed),
            loads_joined: each(stats.loads_joined),
            loads_timed_out: each(stats.loads_timed_out),
            loads_relieved: each(stats.loads_relieved),
            load_time: stats.load_time.as_secs_f64() / seconds,
            renewals: each(stats.renewals),
            renewals_failed: each(stats.renewals_failed),
        }
    }
}

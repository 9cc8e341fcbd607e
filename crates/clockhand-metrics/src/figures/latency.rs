//! How long the operations of a cache took.

use std::time::Duration;

use clockhand::{Latencies, Latency};

/// Without prefix and unit.
pub(crate) const NAME: &str = "latency";
pub(crate) const HELP: &str =
    "How long operations took; reads and inserts are timed by samples, see sample_every.";
/// The exponents of the bounds of the buckets, which are powers of two, in nanoseconds: from 16 ns to 17 s.
const BOUNDS: std::ops::RangeInclusive<u32> = 4..=34;

/// Times by buckets.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    pub(crate) latency: Latency,
}

/// The operations by name.
pub(crate) fn operations(latencies: Latencies) -> [(&'static str, Times); 4] {
    let Latencies { get, insert, load, maintain, .. } = latencies;
    [("get", get), ("insert", insert), ("load", load), ("maintain", maintain)]
        .map(|(name, latency)| (name, Times { latency }))
}

impl Times {
    /// Each bound in seconds, the last one infinite, and how many took no longer than that and longer than the bound
    /// before.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.map(|power| Duration::from_nanos(1 << power));
        let mut buckets: Vec<(Duration, u64)> = bounds.map(|bound| (bound, 0)).collect();
        let mut longer = 0;
        for (until, count) in self.latency.buckets() {
            match buckets.iter_mut().find(|(bound, _)| until <= *bound) {
                Some((_, all)) => *all += count,
                None => longer += count,
            }
        }
        let mut seconds: Vec<(f64, u64)> =
            buckets.into_iter().map(|(bound, count)| (bound.as_secs_f64(), count)).collect();
        seconds.push((f64::INFINITY, longer));
        seconds
    }
}

//! One hit ratio: of a cache or a policy, with a trace and a capacity.

use serde::Serialize;

/// The hits of one pass from an empty cache; unit weights, a get, and an insert if it missed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HitRatio {
    /// The trace's name.
    pub trace: String,
    /// The capacity.
    pub entries: u64,
    /// The cache or the policy.
    pub cache: &'static str,
    /// Whether it is a policy, simulated.
    pub simulated: bool,
    /// Threads that shared the accesses.
    pub threads: usize,
    /// Hits per access.
    pub hit_ratio: f64,
    /// The optimum's hit ratio less this one.
    pub distance: f64,
    /// With many threads: points of the hit ratio, in percent, that one thread has more.
    pub loss: Option<f64>,
    /// What the cache says that it held in the end; some keep more than their capacity.
    pub held: Option<u64>,
    /// Insertions that it refused.
    pub refusals: Option<u64>,
}

impl HitRatio {
    pub(super) fn new(trace: &str, entries: u64, cache: &'static str, hit_ratio: f64) -> Self {
        let trace = trace.into();
        let (simulated, threads, distance) = (false, 1, 0.0);
        let (loss, held, refusals) = (None, None, None);
        Self {
            trace,
            entries,
            cache,
            simulated,
            threads,
            hit_ratio,
            distance,
            loss,
            held,
            refusals,
        }
    }
}

/// Whether two rows are of the same trace and capacity.
pub(super) fn same_place(one: &HitRatio, other: &HitRatio) -> bool {
    (&one.trace, one.entries) == (&other.trace, other.entries)
}

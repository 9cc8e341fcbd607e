//! What the comparison measures, and in what.

use serde::Serialize;

/// The peer that the others are held against.
pub(super) const REFERENCE: &str = "quick_cache";

/// The quantiles that are answered for each.
pub(super) const QUANTILES: [&str; 5] = ["p50", "p99", "p99.9", "p99.99", "max"];

/// What the comparison is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Group {
    /// Operations per second
    Speed,
    /// Quantiles of the time that one operation takes
    Latency,
    /// Resident bytes of a full cache
    Memory,
    /// Hits per lookup in recorded traces
    HitRatio,
}

/// What the answers are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// Millions of operations per second, all threads together; more is better.
    #[serde(rename = "M ops/s")]
    Throughput,
    /// Nanoseconds; less is better.
    #[serde(rename = "ns")]
    Latency,
    /// Bytes per entry; less is better.
    #[serde(rename = "bytes/entry")]
    Memory,
    /// Bytes; less is better.
    #[serde(rename = "bytes")]
    Excess,
}

//! Hit ratios of weighted caches, as answers and as a table.

use std::fmt;

use serde::Serialize;

use super::tables::write_table;

/// One pass of one cache from empty over a trace with sizes, which are the weights.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WeightedRatio {
    /// The trace's name.
    pub trace: String,
    /// The capacity, in bytes.
    pub capacity: u64,
    /// Of what would hold the whole trace, in percent.
    pub percent: u64,
    /// The cache.
    pub cache: &'static str,
    /// Hits per access.
    pub hit_ratio: f64,
    /// Bytes that hit per byte accessed.
    pub byte_hit_ratio: f64,
    /// What its entries weighed in the end through the capacity, where it tells; above 1 it is
    /// flattered.
    pub held: Option<f64>,
    /// Insertions that it refused.
    pub refusals: u64,
    /// clockhand's hit ratio through this cache's.
    pub clockhand_ratio: Option<f64>,
    /// clockhand's byte hit ratio through this cache's.
    pub clockhand_byte_ratio: Option<f64>,
}

const HEADER: [&str; 9] = [
    "trace",
    "capacity",
    "cache",
    "hit ratio",
    "byte hit ratio",
    "clockhand / this",
    "by bytes",
    "held / capacity",
    "refusals",
];

pub(super) fn write(f: &mut fmt::Formatter<'_>, rows: &[WeightedRatio]) -> fmt::Result {
    let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.3}"));
    let cells = |row: &WeightedRatio| {
        vec![
            row.trace.clone(),
            format!("{} ({} %)", row.capacity, row.percent),
            row.cache.into(),
            format!("{:.4}", row.hit_ratio),
            format!("{:.4}", row.byte_hit_ratio),
            ratio(row.clockhand_ratio),
            ratio(row.clockhand_byte_ratio),
            ratio(row.held),
            row.refusals.to_string(),
        ]
    };
    let cells = rows.iter().map(cells).collect();
    write_table(f, "Hit ratio, weighted by size", &HEADER, cells, 3)
}

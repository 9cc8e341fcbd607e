//! What was measured: the JSON object, and the table.

use std::fmt;

use serde::Serialize;

use crate::measure::table;

/// All cells.
#[derive(Debug, Serialize)]
pub(crate) struct Tiers {
    /// What was measured on.
    pub machine: Vec<String>,
    /// One for each operation, way and number of instances.
    pub rows: Vec<Row>,
}

/// One way at one operation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was asked for.
    pub operation: &'static str,
    /// By which way.
    pub way: &'static str,
    /// Instances, with a connection and a thread each.
    pub instances: usize,
    /// How many were done.
    pub operations: u64,
    /// The same per second, over all instances.
    pub per_second: f64,
    /// How long one takes, in microseconds: the median.
    pub p50_us: f64,
    /// The same: one in a hundred takes longer.
    pub p99_us: f64,
    /// How often the server was asked, for each.
    pub round_trips: f64,
}

impl fmt::Display for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let header =
            ["operation", "way", "instances", "per second", "p50 µs", "p99 µs", "round trips"];
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| (row.operation, row.instances));
        let rows = rows.iter().map(|row| {
            [
                row.operation.to_string(),
                row.way.to_string(),
                row.instances.to_string(),
                format!("{:.0}", row.per_second),
                format!("{:.2}", row.p50_us),
                format!("{:.2}", row.p99_us),
                format!("{:.2}", row.round_trips),
            ]
        });
        writeln!(f, "\n{}", table(&header, 2, rows))
    }
}

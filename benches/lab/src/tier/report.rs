//! What was measured: the JSON object, and the table.

use std::fmt;

use serde::Serialize;

use crate::measure::{Column, table_of};

/// All cells; the README says what the fields are.
#[derive(Debug, Serialize)]
pub(crate) struct Tiers {
    pub machine: Vec<String>,
    pub rows: Vec<Row>,
}

/// One way at one operation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub operation: &'static str,
    pub way: &'static str,
    /// With a connection and a thread each.
    pub instances: usize,
    pub operations: u64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// How often the server was asked, for each operation.
    pub round_trips: f64,
}

impl fmt::Display for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| (row.operation, row.instances));
        let columns: [Column<'_, Row>; 7] = [
            ("operation", &|row| row.operation.into()),
            ("way", &|row| row.way.into()),
            ("instances", &|row| row.instances.to_string()),
            ("per second", &|row| format!("{:.0}", row.per_second)),
            ("p50 µs", &|row| format!("{:.2}", row.p50_us)),
            ("p99 µs", &|row| format!("{:.2}", row.p99_us)),
            ("round trips", &|row| format!("{:.2}", row.round_trips)),
        ];
        writeln!(f, "\n{}", table_of(&columns, 2, &rows))
    }
}

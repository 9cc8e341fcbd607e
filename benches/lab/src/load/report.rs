//! What was measured: the JSON object, and the tables.

use std::fmt;

use serde::Serialize;

use crate::measure::table;
use crate::report::{Spread, short};

/// Who waits: a thread, or a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Api {
    /// A thread.
    Blocking,
    /// A task.
    Async,
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocking => "blocking",
            Self::Async => "async",
        })
    }
}

/// What loading costs.
#[derive(Debug, Serialize)]
pub(crate) struct Costs {
    /// What was configured, one fact a line.
    pub setup: Vec<String>,
    /// What two readings of the clock cost.
    pub clock_ns: u64,
    /// Cores that other processes kept busy.
    pub cores_taken: Option<f64>,
    /// One answer of one cache each.
    pub rows: Vec<Row>,
}

/// One answer of one cache.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// `hit`, `miss` or `join`.
    pub question: &'static str,
    /// How many asked.
    pub asked: String,
    /// As what they wait.
    pub api: Api,
    /// Who was asked.
    pub cache: &'static str,
    /// What was called.
    pub call: &'static str,
    /// Nanoseconds per call of a thread; of a join, per caller.
    pub ns: Spread,
    /// clockhand's nanoseconds through these, in the same round.
    pub clockhand_ratio: Option<Spread>,
    /// Loads per call; of a join, per key.
    pub loads_per_operation: f64,
}

const HEADER: [&str; 9] = [
    "question",
    "asked by",
    "waits as",
    "cache",
    "call",
    "ns",
    "rounds",
    "clockhand / this",
    "loads",
];

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setup.iter().try_for_each(|line| writeln!(f, "- {line}"))?;
        writeln!(f, "\n{}\n", table(&HEADER, 5, self.rows.iter().map(cells)))?;
        writeln!(
            f,
            "Nanoseconds of a thread per call, or per caller of a join: median of the rounds,"
        )?;
        writeln!(f, "lowest and highest. A ratio below 1 means that clockhand takes less.")
    }
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.question.into(),
        row.asked.clone(),
        row.api.to_string(),
        row.cache.into(),
        row.call.into(),
        short(row.ns.median),
        format!("{} to {}", short(row.ns.min), short(row.ns.max)),
        row.clockhand_ratio.map_or(String::new(), |ratio| short(ratio.median)),
        short(row.loads_per_operation),
    ]
}

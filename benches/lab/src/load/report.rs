//! What was measured: the JSON object, and the tables.

use std::fmt;

use serde::Serialize;

use crate::measure::{Column, list, table_of};
use crate::report::{Spread, median, short};

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

/// What loading costs; the README says what the fields are.
#[derive(Debug, Serialize)]
pub(crate) struct Costs {
    pub setup: Vec<String>,
    pub clock_ns: u64,
    pub cores_taken: Option<f64>,
    pub rows: Vec<Row>,
}

/// One answer of one cache.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// `hit`, `miss` or `join`.
    pub question: &'static str,
    pub asked: String,
    pub api: Api,
    pub cache: &'static str,
    pub call: &'static str,
    /// Per call of a thread; of a join, per caller.
    pub ns: Spread,
    pub clockhand_ratio: Option<Spread>,
    /// Per call; of a join, per key.
    pub loads_per_operation: f64,
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.setup)?;
        let columns: [Column<'_, Row>; 9] = [
            ("question", &|row| row.question.into()),
            ("asked by", &|row| row.asked.clone()),
            ("waits as", &|row| row.api.to_string()),
            ("cache", &|row| row.cache.into()),
            ("call", &|row| row.call.into()),
            ("ns", &|row| short(row.ns.median)),
            ("rounds", &|row| row.ns.ends()),
            ("clockhand / this", &|row| median(row.clockhand_ratio)),
            ("loads", &|row| short(row.loads_per_operation)),
        ];
        writeln!(f, "\n{}\n", table_of(&columns, 5, &self.rows))?;
        writeln!(
            f,
            "Nanoseconds of a thread per call, or per caller of a join: median of the rounds,\n\
             lowest and highest. A ratio below 1 means that clockhand takes less."
        )
    }
}

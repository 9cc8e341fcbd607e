//! The answers, as a table for people and as JSON.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::question::{About, Goal, Unit};
use crate::report::Spread;

/// All questions, all answers.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// What was configured, one fact a line.
    pub setup: Vec<String>,
    /// Cores that other processes kept busy meanwhile, where the system tells.
    pub cores_taken: Option<f64>,
    /// One answer of one cache each.
    pub rows: Vec<Row>,
}

/// How one cache answered one question.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was asked.
    pub question: String,
    /// With so many threads.
    pub threads: usize,
    /// The cache.
    pub peer: &'static str,
    /// What `value` counts.
    pub unit: Unit,
    /// Over the rounds.
    pub value: Spread,
    /// Nanoseconds per operation and thread, for throughputs.
    pub ns_per_operation: Option<f64>,
    /// This cache's value through quick_cache's of the same round.
    pub ratio: Option<Spread>,
    /// What it is to reach.
    pub goal: Option<String>,
    /// Whether it did.
    pub met: Option<bool>,
    /// What to know besides.
    pub remark: Option<String>,
}

impl Row {
    pub(super) fn new(
        about: &About,
        peer: &'static str,
        value: Spread,
        ratio: Option<Spread>,
        remark: Option<String>,
    ) -> Self {
        let goal = about.goals.iter().find(|(name, _)| *name == peer).map(|(_, goal)| *goal);
        let throughput = about.unit == Unit::Throughput;
        Self {
            question: about.title.clone(),
            threads: about.threads,
            peer,
            unit: about.unit,
            ns_per_operation: throughput.then(|| 1e3 * about.threads as f64 / value.median),
            goal: goal.map(|goal| goal.to_string()),
            met: goal.map(|goal| goal.met(value.median, ratio.map(|ratio| ratio.median))),
            value,
            ratio,
            remark,
        }
    }

    fn cells(&self) -> [String; 8] {
        let spread = |spread: Spread| format!("{} to {}", short(spread.min), short(spread.max));
        let verdict = |met| if met { "met" } else { "not met" };
        [
            format!("{}, {} thr", self.question, self.threads),
            self.peer.into(),
            format!("{} {}", short(self.value.median), self.unit),
            spread(self.value),
            self.ns_per_operation.map_or(String::new(), short),
            self.ratio.map_or(String::new(), |ratio| short(ratio.median)),
            self.ratio.map_or(String::new(), spread),
            self.goal
                .as_ref()
                .map_or(String::new(), |goal| format!("{goal}: {}", self.met.map_or("", verdict))),
        ]
    }
}

impl Goal {
    fn met(self, value: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::RatioAtLeast(least) => ratio.is_some_and(|ratio| ratio >= least),
            Self::RatioAtMost(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(least) => write!(f, "ratio >= {least}"),
            Self::RatioAtMost(most) => write!(f, "ratio <= {most}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throughput => "M/s",
            Self::Latency => "ns",
            Self::Memory => "B/entry",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setup.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header([
            "question",
            "cache",
            "median",
            "rounds",
            "ns/op, thread",
            "ratio",
            "rounds",
            "goal",
        ]);
        table.add_rows(self.rows.iter().map(Row::cells));
        for column in table.column_iter_mut().skip(2).take(5) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "\n{table}\n")?;
        writeln!(
            f,
            "ratio: this cache's value / quick_cache's in the same round, median of the rounds."
        )?;
        for row in &self.rows {
            if let Some(remark) = &row.remark {
                writeln!(f, "{}, {} threads, {}: {remark}.", row.question, row.threads, row.peer)?;
            }
        }
        Ok(())
    }
}

/// Three digits or so, whatever the size.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

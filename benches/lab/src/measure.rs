//! What all measurements have in common: the machine and what else it did, turns, and tables.

use comfy_table::{CellAlignment, Row, Table, presets};
use indicatif::ProgressBar;

#[cfg(feature = "peers")]
use crate::failure::Failure;
use crate::latency::clock_cost;
use crate::machine::{CpuMeter, measured_on, others};

/// What was measured on.
#[derive(Debug)]
pub(crate) struct Machine {
    /// What two readings of the clock cost, in nanoseconds.
    pub(crate) clock_ns: u64,
    /// Cores that other processes kept busy meanwhile.
    pub(crate) cores_taken: Option<f64>,
}

impl Machine {
    /// Measures something, and what else the machine does meanwhile. The bar goes when that is over.
    pub(crate) fn beside<T>(bar: &ProgressBar, work: impl FnOnce() -> T) -> (T, Self) {
        let (meter, clock_ns) = (CpuMeter::begin(), clock_cost());
        let found = work();
        bar.finish_and_clear();
        (found, Self { clock_ns, cores_taken: meter.cores_taken() })
    }

    /// The same in words: what was measured on, then `facts`, then what others did.
    pub(crate) fn lines(&self, facts: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut lines = vec![measured_on(self.clock_ns)];
        lines.extend(facts);
        lines.extend(self.cores_taken.map(others));
        lines
    }
}

/// Lets all take turns, round by round, and begins each round with another one, so that nobody is always first. What
/// each found comes in the order of its rounds.
///
/// # Errors
///
/// The first error of a turn.
#[cfg(feature = "peers")]
pub(crate) fn in_turns<C, T>(
    all: &mut [C],
    rounds: usize,
    mut turn: impl FnMut(&mut C) -> Result<T, Failure>,
    mut after_round: impl FnMut(),
) -> Result<Vec<Vec<T>>, Failure> {
    let mut found: Vec<Vec<T>> = all.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for nth in 0..all.len() {
            let at = (round + nth) % all.len();
            found[at].push(turn(&mut all[at])?);
        }
        after_round();
    }
    Ok(found)
}

/// A table with figures from some column on.
pub(crate) fn table<R: Into<Row>>(
    header: &[&str],
    figures: usize,
    rows: impl IntoIterator<Item = R>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(figures) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

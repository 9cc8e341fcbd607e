//! What all measurements have in common: the machine and what else it did, turns, and tables.

use std::fmt;

use comfy_table::{CellAlignment, Row, Table, presets};
use indicatif::ProgressBar;

#[cfg(feature = "peers")]
use crate::failure::Failure;
use crate::latency::clock_cost;
use crate::machine::{CpuMeter, measured_on, others};
#[cfg(feature = "peers")]
use crate::report::Spread;

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
    pub(crate) fn during<T>(bar: &ProgressBar, work: impl FnOnce() -> T) -> (T, Self) {
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

/// Measures something once, and returns a figure for each measure of the question.
#[cfg(feature = "peers")]
pub(crate) type Turn = Box<dyn FnMut() -> Result<Vec<f64>, Failure>>;

/// One who answers a question, turn by turn.
#[cfg(feature = "peers")]
pub(crate) struct Contender<W> {
    pub(crate) who: W,
    pub(crate) turn: Turn,
}

/// Lets all take their turns in every round, and another one begin in each, so that what the machine does meanwhile meets
/// all of them. Returns the rounds of each measure, for each of them.
#[cfg(feature = "peers")]
pub(crate) fn in_turns<W>(
    all: &mut [Contender<W>],
    rounds: usize,
    mut after_round: impl FnMut(),
) -> Result<Vec<Vec<Vec<f64>>>, Failure> {
    let mut found = vec![Vec::<Vec<f64>>::new(); all.len()];
    for round in 0..rounds {
        for nth in 0..all.len() {
            let at = (round + nth) % all.len();
            let figures = (all[at].turn)()?;
            found[at].resize(figures.len(), Vec::new());
            found[at].iter_mut().zip(figures).for_each(|(rounds, figure)| rounds.push(figure));
        }
        after_round();
    }
    Ok(found)
}

/// Ratios of two values of the same round each; `None` where one would be divided by zero.
#[cfg(feature = "peers")]
pub(crate) fn ratio(above: &[f64], below: &[f64]) -> Option<Spread> {
    let ratios = above.iter().zip(below).map(|(above, below)| above / below).collect::<Vec<_>>();
    below.iter().all(|below| *below > 0.0).then(|| Spread::of(&ratios))
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

/// A column of a table: its heading, and what a row has there.
pub(crate) type Column<'a, R> = (&'a str, &'a dyn Fn(&R) -> String);

/// A table of rows, with figures from some column on.
pub(crate) fn table_of<'r, R: 'r>(
    columns: &[Column<'_, R>],
    figures: usize,
    rows: impl IntoIterator<Item = &'r R>,
) -> Table {
    let header = columns.iter().map(|(heading, _)| *heading).collect::<Vec<_>>();
    let cells = |row| columns.iter().map(|(_, cell)| cell(row)).collect::<Vec<_>>();
    table(&header, figures, rows.into_iter().map(cells))
}

/// A table under a heading; nothing when it has no rows.
#[cfg(feature = "peers")]
pub(crate) fn section(f: &mut fmt::Formatter<'_>, title: &str, table: &Table) -> fmt::Result {
    if table.row_count() == 0 { Ok(()) } else { writeln!(f, "\n## {title}\n\n{table}") }
}

/// Facts, each a line of a list.
pub(crate) fn list(f: &mut fmt::Formatter<'_>, facts: &[String]) -> fmt::Result {
    facts.iter().try_for_each(|fact| writeln!(f, "- {fact}"))
}

//! A table under a heading.

use std::fmt;

use crate::measure::table;

/// A table under a heading, with figures from some column on; nothing when there are no rows.
pub(super) fn write_table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    header: &[&str],
    rows: Vec<Vec<String>>,
    figures: usize,
) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n## {title}\n\n{}", table(header, figures, rows))
}

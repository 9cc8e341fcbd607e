//! Before and after, as a bar chart.

use std::path::Path;

use super::{Bar, Chart, OTHERS, OURS, Panel, unwritable};
use crate::before_after::{BeforeAfter, FIGURES, Figure};
use crate::failure::Failure;

/// Draws both sides into one file: a panel for each figure.
pub(crate) fn draw_before_after(sides: &BeforeAfter, path: &Path) -> Result<(), Failure> {
    let panel = |figure: &Figure| Panel {
        title: format!("{}, {}", figure.name, figure.unit),
        bars: [(&sides.before, OTHERS), (&sides.after, OURS)]
            .map(|(side, colour)| Bar { name: side.by.into(), value: (figure.of)(side), colour })
            .into(),
    };
    let chart = Chart {
        title: "Before and after: clients of a slow store".into(),
        note: "more hits are better, and less of everything else",
        logarithmic: false,
        panels: FIGURES.iter().map(panel).collect(),
    };
    chart.draw(path).map_err(|error| unwritable(path, &error))
}

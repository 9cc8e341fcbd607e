//! Bar charts, as SVG files. Bars and labels have fixed places, so that no text has to be measured.

#[cfg(feature = "peers")]
mod comparison;

use std::path::Path;

#[cfg(feature = "peers")]
pub(crate) use self::comparison::draw;
use crate::before_after::{BeforeAfter, FIGURES, Figure};
use crate::failure::Failure;
use crate::output::Output;

const WIDTH: i32 = 760;
const LINE: i32 = 20;
const BAR: i32 = 13;
const MARGIN: i32 = 14;
/// Where the bars begin; the labels are left of it.
const LEFT: i32 = 170;
/// How long the longest bar is; the values are right of it.
const LONGEST: f64 = 470.0;

const OURS: &str = "#1F77B4";
const OTHERS: &str = "#A0A0A0";
#[cfg(feature = "peers")]
const MAPS: &str = "#D6C8A0";

/// One picture: a panel of bars for each number of threads, or the like.
#[derive(Debug)]
struct Chart {
    title: String,
    note: &'static str,
    /// Whether the lengths are logarithmic; then zero has no place, and 1 is where bars begin.
    logarithmic: bool,
    panels: Vec<Panel>,
}

#[derive(Debug)]
struct Panel {
    title: String,
    bars: Vec<Bar>,
}

#[derive(Debug)]
struct Bar {
    name: String,
    value: f64,
    colour: &'static str,
}

/// Makes the folder, so that a wrong one is known before anything is measured.
#[cfg(feature = "peers")]
pub(crate) fn prepare(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        Failure::Input(format!("{folder} cannot be made: {error}; give another folder"))
    })
}

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
    chart.draw(path)
}

impl Chart {
    fn draw(&self, path: &Path) -> Result<(), Failure> {
        Output::create(path.into())?.write(&self.svg())
    }

    fn svg(&self) -> String {
        let lines = self.panels.iter().map(|panel| panel.bars.len() as i32 + 2).sum::<i32>() + 2;
        let height = lines * LINE + 2 * MARGIN;
        let size = format!("width=\"{WIDTH}\" height=\"{height}\"");
        let mut parts = vec![
            format!("<svg {size} xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\">"),
            bar((0, 0), (WIDTH, height), "#FFFFFF"),
            text(&self.title, (MARGIN, MARGIN), 16),
            text(self.note, (MARGIN, MARGIN + LINE), 12),
        ];
        let mut top = MARGIN + 2 * LINE;
        for panel in &self.panels {
            top += LINE;
            parts.push(text(&panel.title, (MARGIN, top), 14));
            let most = panel.bars.iter().map(|bar| self.length(bar.value)).fold(0.0, f64::max);
            for Bar { name, value, colour } in &panel.bars {
                top += LINE;
                let length = (LONGEST * self.length(*value) / most.max(1e-12)).max(1.0) as i32;
                parts.push(text(name, (2 * MARGIN, top), 13));
                parts.push(bar((LEFT, top), (length, BAR), colour));
                parts.push(text(&figure(*value), (LEFT + length + 6, top), 13));
            }
            top += LINE;
        }
        parts.push("</svg>\n".into());
        parts.join("\n")
    }

    fn length(&self, value: f64) -> f64 {
        if self.logarithmic { value.max(1.0).log10() } else { value.max(0.0) }
    }
}

fn bar((x, y): (i32, i32), (width, height): (i32, i32), colour: &str) -> String {
    format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>")
}

fn text(text: &str, (x, y): (i32, i32), size: u32) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<text x=\"{x}\" y=\"{y}\" dy=\"0.76em\" font-size=\"{size}\" fill=\"#1E1E1E\">{text}</text>"
    )
}

/// Three digits or so; a ratio has four.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

//! Bar charts, as SVG files.
//!
//! Bars and labels are placed by hand on plotters' surface. So no text has to be measured, and no
//! font has to be found.

mod before_after;
#[cfg(feature = "peers")]
mod comparison;

use std::path::Path;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{
    Color, DrawingArea, IntoDrawingArea, IntoFont, RGBColor, Rectangle, SVGBackend, Text, WHITE,
};

pub(crate) use self::before_after::draw_before_after;
#[cfg(feature = "peers")]
pub(crate) use self::comparison::draw;
use crate::failure::Failure;

const WIDTH: u32 = 760;
const LINE: i32 = 20;
const BAR: i32 = 13;
const MARGIN: i32 = 14;

/// Where the bars begin; the labels are left of it.
const LEFT: i32 = 170;

/// How long the longest bar is; the values are right of it.
const LONGEST: f64 = 470.0;

const OURS: RGBColor = RGBColor(31, 119, 180);
const OTHERS: RGBColor = RGBColor(160, 160, 160);
#[cfg(feature = "peers")]
const MAPS: RGBColor = RGBColor(214, 200, 160);
const INK: RGBColor = RGBColor(30, 30, 30);

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
    colour: RGBColor,
}

type Surface<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Makes the folder, so that a wrong one is known before anything is measured.
#[cfg(feature = "peers")]
pub(crate) fn prepare(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        Failure::Input(format!("{folder} cannot be made: {error}; give another folder"))
    })
}

fn unwritable(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::Input(format!("{} cannot be written: {error}; give another file", path.display()))
}

impl Chart {
    fn draw(&self, path: &Path) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let lines = self.panels.iter().map(|panel| panel.bars.len() as i32 + 2).sum::<i32>() + 2;
        let size = (WIDTH, (lines * LINE + 2 * MARGIN) as u32);
        let surface = SVGBackend::new(path, size).into_drawing_area();
        surface.fill(&WHITE)?;
        write(&surface, &self.title, (MARGIN, MARGIN), 20)?;
        write(&surface, self.note, (MARGIN, MARGIN + LINE), 15)?;
        let mut line = 2;
        for panel in &self.panels {
            line += 1;
            write(&surface, &panel.title, (MARGIN, MARGIN + line * LINE), 17)?;
            let most = panel.bars.iter().map(|bar| self.length(bar.value)).fold(0.0, f64::max);
            for bar in &panel.bars {
                line += 1;
                let length = (LONGEST * self.length(bar.value) / most.max(1e-12)) as i32;
                bar.draw(&surface, MARGIN + line * LINE, length)?;
            }
            line += 1;
        }
        surface.present()
    }

    fn length(&self, value: f64) -> f64 {
        if self.logarithmic { value.max(1.0).log10() } else { value.max(0.0) }
    }
}

impl Bar {
    fn draw(
        &self,
        surface: &Surface<'_>,
        top: i32,
        length: i32,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        write(surface, &self.name, (2 * MARGIN, top), 16)?;
        let corners = [(LEFT, top), (LEFT + length.max(1), top + BAR)];
        surface.draw(&Rectangle::new(corners, self.colour.filled()))?;
        write(surface, &figure(self.value), (LEFT + length.max(1) + 6, top), 16)
    }
}

fn write(
    surface: &Surface<'_>,
    text: &str,
    place: (i32, i32),
    size: u32,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let style = ("sans-serif", size).into_font().color(&INK);
    surface.draw(&Text::new(text.to_owned(), place, style))
}

/// Three digits or so; a ratio has four.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

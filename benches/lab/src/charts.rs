//! A comparison as bar charts: one SVG file for each question.
//!
//! Bars and labels are placed by hand on plotters' surface. So no text has to be measured, and no
//! font has to be found.

use std::fs;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{
    Color, DrawingArea, IntoDrawingArea, IntoFont, RGBColor, Rectangle, SVGBackend, Text, WHITE,
};

use crate::compare::{Comparison, Group, HitRatio, Row, Unit};
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

/// Draws every question of a comparison into files of this folder, which is made if need be.
///
/// # Errors
///
/// [`Failure::Input`] when the folder or a file cannot be written.
pub fn draw(comparison: &Comparison, folder: &Path) -> Result<(), Failure> {
    prepare(folder)?;
    for chart in charts(comparison) {
        let path = folder.join(file_name(&chart.title));
        chart.draw(&path).map_err(|error| {
            Failure::Input(format!("{} cannot be written: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// Makes the folder, so that a wrong one is known before anything is measured.
///
/// # Errors
///
/// [`Failure::Input`] when it cannot be made.
pub fn prepare(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        Failure::Input(format!("{folder} cannot be made: {error}; give another folder"))
    })
}

fn charts(comparison: &Comparison) -> Vec<Chart> {
    let mut charts = Vec::<Chart>::new();
    let same = |one: &Row, next: &Row| {
        (&one.question, one.threads, &one.measure) == (&next.question, next.threads, &next.measure)
    };
    for rows in comparison.rows.chunk_by(same) {
        let row = &rows[0];
        let title = match row.group {
            Group::Latency | Group::Memory => format!("{}: {}", row.question, row.measure),
            _ => row.question.clone(),
        };
        let panel = Panel {
            title: match row.threads {
                1 => "1 thread".into(),
                threads => format!("{threads} threads"),
            },
            bars: rows.iter().map(Bar::of_row).collect(),
        };
        let note = match row.unit {
            Unit::Throughput => "millions of operations per second, more is better",
            Unit::Latency => "nanoseconds on a logarithmic scale, less is better",
            Unit::Memory => "bytes per entry, less is better",
            Unit::Excess => "bytes, less is better",
        };
        let logarithmic = row.unit == Unit::Latency;
        match charts.iter_mut().find(|chart| chart.title == title) {
            Some(chart) => chart.panels.push(panel),
            None => charts.push(Chart { title, note, logarithmic, panels: vec![panel] }),
        }
    }
    charts.extend(hit_ratios(comparison));
    charts
}

/// One picture for each trace, with a panel for each capacity.
fn hit_ratios(comparison: &Comparison) -> Vec<Chart> {
    let rows = comparison.hit_ratios.as_ref().map_or(&[][..], |ratios| &ratios.rows);
    let traces = rows.chunk_by(|one, next| one.trace == next.trace);
    let chart = |rows: &[HitRatio]| Chart {
        title: format!("hit ratio, {}", rows[0].trace),
        note: "hits per access, more is better",
        logarithmic: false,
        panels: rows
            .chunk_by(|one, next| one.entries == next.entries)
            .map(|rows| Panel {
                title: format!("{} entries", rows[0].entries),
                bars: rows.iter().map(Bar::of_hit_ratio).collect(),
            })
            .collect(),
    };
    traces.map(chart).collect()
}

impl Bar {
    fn of_row(row: &Row) -> Self {
        let colour = match row.peer {
            peer if peer.starts_with("clockhand") => OURS,
            _ if row.evicts => OTHERS,
            _ => MAPS,
        };
        Self { name: row.peer.into(), value: row.value.median, colour }
    }

    fn of_hit_ratio(row: &HitRatio) -> Self {
        let colour = match row.cache {
            cache if cache.starts_with("clockhand") => OURS,
            _ if row.simulated => MAPS,
            _ => OTHERS,
        };
        let name = match row.threads {
            1 => row.cache.into(),
            threads => format!("{}, {threads} thr", row.cache),
        };
        Self { name, value: row.hit_ratio, colour }
    }
}

impl Chart {
    fn draw(&self, path: &PathBuf) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
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

/// Letters and digits of the title, with a dash for whatever is between them.
fn file_name(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("{}.svg", words.collect::<Vec<_>>().join("-").to_lowercase())
}

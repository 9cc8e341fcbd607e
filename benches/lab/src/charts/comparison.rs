//! A comparison as bar charts: one SVG file for each question.

use std::path::Path;

use super::{Bar, Chart, MAPS, OTHERS, OURS, Panel, prepare};
use crate::compare::{Comparison, Group, HitRatio, Row, Unit, WeightedRatio};
use crate::failure::Failure;

/// Draws every question of a comparison into files of this folder, which is made if need be.
pub(crate) fn draw(comparison: &Comparison, folder: &Path) -> Result<(), Failure> {
    prepare(folder)?;
    for chart in charts(comparison) {
        chart.draw(&folder.join(file_name(&chart.title)))?;
    }
    Ok(())
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
            bars: rows
                .iter()
                .map(|row| Bar::of(row.peer, row.peer.into(), row.value.median, !row.evicts))
                .collect(),
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
    charts.extend(weighted_ratios(comparison));
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
                bars: rows
                    .iter()
                    .map(|row| Bar::of(row.cache, row.label(), row.hit_ratio, row.simulated))
                    .collect(),
            })
            .collect(),
    };
    traces.map(chart).collect()
}

/// What a row with sizes is measured by.
type Ratio = fn(&WeightedRatio) -> f64;

/// Two pictures for each trace with sizes, of requests and of bytes, with a panel for each capacity.
fn weighted_ratios(comparison: &Comparison) -> Vec<Chart> {
    let rows = comparison.hit_ratios.as_ref().map_or(&[][..], |ratios| &ratios.weighted);
    let traces = rows.chunk_by(|one, next| one.trace == next.trace);
    let ratios: [(&str, &str, Ratio); 2] = [
        ("hit ratio by size", "hits per access, more is better", |row| row.hit_ratio),
        ("byte hit ratio", "bytes that hit per byte, more is better", |row| row.byte_hit_ratio),
    ];
    let chart = |rows: &[WeightedRatio], (title, note, ratio): (&str, &'static str, Ratio)| Chart {
        title: format!("{title}, {}", rows[0].trace),
        note,
        logarithmic: false,
        panels: rows
            .chunk_by(|one, next| one.capacity == next.capacity)
            .map(|rows| Panel {
                title: format!("{} bytes, {} %", rows[0].capacity, rows[0].percent),
                bars: rows
                    .iter()
                    .map(|row| Bar::of(row.cache, row.cache.into(), ratio(row), row.simulated))
                    .collect(),
            })
            .collect(),
    };
    traces.flat_map(|rows| ratios.map(|ratio| chart(rows, ratio))).collect()
}

impl Bar {
    /// One of a cache, or of what others are held against and does the same not at all: a map, a policy.
    fn of(cache: &str, name: String, value: f64, stands_apart: bool) -> Self {
        let colour = match cache {
            cache if cache.starts_with("clockhand") => OURS,
            _ if stands_apart => MAPS,
            _ => OTHERS,
        };
        Self { name, value, colour }
    }
}

/// Letters and digits of the title, with a dash for whatever is between them.
fn file_name(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("{}.svg", words.collect::<Vec<_>>().join("-").to_lowercase())
}

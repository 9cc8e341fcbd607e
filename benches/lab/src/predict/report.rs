//! What was counted: the JSON object, and the tables.

use std::fmt;

use serde::Serialize;

use super::drive::{Counts, Outcome};
use crate::measure::table;
use crate::report::{grouped, short};

/// What loading ahead avoids and costs.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Days of a market, if they were asked for.
    pub days: Option<Days>,
    /// One way with one trace and capacity each.
    pub traces: Vec<TraceRow>,
}

/// Generated days.
#[derive(Debug, Serialize)]
pub struct Days {
    /// Symbols of the market.
    pub symbols: u64,
    /// Days.
    pub days: u64,
    /// First days, which do not count.
    pub learned: u64,
    /// Seed.
    pub seed: u64,
    /// One way each, the first loads nothing ahead.
    pub rows: Vec<Row>,
}

/// What one way made of the days.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What is loaded ahead.
    pub way: String,
    /// Requests.
    pub requests: u64,
    /// Those that did not wait, through all.
    pub hit_ratio: f64,
    /// Those that waited for a load.
    pub waits: u64,
    /// Fewer than when nothing is loaded ahead.
    pub avoided: u64,
    /// Loads ahead of requests.
    pub ahead: u64,
    /// Loads more than when nothing is loaded ahead.
    pub extra: i64,
    /// The part of the loads ahead whose value was asked for.
    pub precision: f64,
    /// Useful loads ahead, through these and the waits.
    pub recall: f64,
    /// The most bytes that it took.
    pub memory: usize,
    /// Processor time of the whole run per request of it, the cache's included.
    pub ns_per_request: Option<f64>,
}

impl Row {
    pub(super) fn new(way: String, outcome: &Outcome, learned: u64, none: Option<&Self>) -> Self {
        let all = Counts::sum(&outcome.hours);
        let from = (learned as usize * 24).min(outcome.hours.len());
        let counted = Counts::sum(&outcome.hours[from..]);
        let avoided = none.map_or(0, |none| none.waits.saturating_sub(counted.waits));
        Self {
            way,
            requests: counted.requests,
            hit_ratio: 1.0 - ratio(counted.waits, counted.requests),
            waits: counted.waits,
            avoided,
            ahead: counted.ahead,
            extra: counted.ahead as i64 - avoided as i64,
            precision: ratio(counted.useful, counted.ahead),
            recall: ratio(counted.useful, counted.useful + counted.waits),
            memory: outcome.memory,
            ns_per_request: outcome.seconds.map(|seconds| seconds * 1e9 / all.requests as f64),
        }
    }
}

fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// What one way made of a trace.
#[derive(Debug, Clone, Serialize)]
pub struct TraceRow {
    /// The trace's name.
    pub trace: String,
    /// The capacity.
    pub entries: u64,
    /// What is loaded ahead.
    pub way: &'static str,
    /// Hits per access.
    pub hit_ratio: f64,
    /// Points of it, in percent, more than when nothing is loaded ahead.
    pub gain: f64,
    /// Loads ahead per access.
    pub ahead: f64,
    /// The part of them whose value was asked for.
    pub precision: f64,
    /// The most bytes that it took.
    pub memory: usize,
    /// Processor time per access, the cache's included.
    pub ns_per_access: Option<f64>,
}

impl TraceRow {
    pub(super) fn new(
        trace: &str,
        entries: u64,
        way: &'static str,
        outcome: &Outcome,
        none: Option<f64>,
    ) -> Self {
        let counted = Counts::sum(&outcome.hours);
        let hit_ratio = 1.0 - ratio(counted.waits, counted.requests);
        Self {
            trace: trace.into(),
            entries,
            way,
            hit_ratio,
            gain: none.map_or(0.0, |none| 100.0 * (hit_ratio - none)),
            ahead: ratio(counted.ahead, counted.requests),
            precision: ratio(counted.useful, counted.ahead),
            memory: outcome.memory,
            ns_per_access: outcome.seconds.map(|seconds| seconds * 1e9 / counted.requests as f64),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(days) = &self.days {
            days.fmt(f)?;
        }
        if self.traces.is_empty() {
            return Ok(());
        }
        let header =
            ["trace", "entries", "way", "hit ratio", "points", "ahead", "precision", "KiB", "ns"];
        let cells = |row: &TraceRow| {
            vec![
                row.trace.clone(),
                grouped(row.entries),
                row.way.into(),
                format!("{:.4}", row.hit_ratio),
                format!("{:+.2}", row.gain),
                format!("{:.4}", row.ahead),
                format!("{:.2}", row.precision),
                grouped(row.memory as u64 / 1024),
                row.ns_per_access.map_or(String::new(), short),
            ]
        };
        writeln!(f, "\n{}\n", table(&header, 3, self.traces.iter().map(cells)))?;
        writeln!(
            f,
            "Points of the hit ratio, in percent, beside nothing loaded ahead; loads ahead per access."
        )
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} symbols, {} days from a Monday on, of which the first {} do not count, seed {}\n",
            grouped(self.symbols),
            self.days,
            self.learned,
            self.seed
        )?;
        let all = self.rows.iter().find(|row| row.way.starts_with("all"));
        let share = |part: u64, of: Option<u64>| {
            of.map_or(String::new(), |of| format!("{:.1} %", 100.0 * ratio(part, of)))
        };
        let cells = |row: &Row| {
            vec![
                row.way.clone(),
                format!("{:.4}", row.hit_ratio),
                grouped(row.waits),
                share(row.avoided, all.map(|all| all.avoided)),
                grouped(row.ahead),
                share(row.ahead, all.map(|all| all.ahead)),
                share(row.extra.max(0) as u64, all.map(|all| all.extra.max(0) as u64)),
                format!("{:.2}", row.precision),
                format!("{:.2}", row.recall),
                grouped(row.memory as u64 / 1024),
                row.ns_per_request.map_or(String::new(), short),
            ]
        };
        let header = [
            "way",
            "hit ratio",
            "waits",
            "avoided",
            "ahead",
            "of all",
            "extra",
            "precision",
            "recall",
            "KiB",
            "ns",
        ];
        writeln!(f, "{}\n", table(&header, 1, self.rows.iter().map(cells)))?;
        writeln!(f, "Waits avoided, loads ahead and extra loads through those of renewing all.")
    }
}

//! What was counted: the JSON object, and the tables.

use std::fmt;

use serde::Serialize;

use super::drive::{Counts, Outcome};
use crate::measure::{Column, table_of};
use crate::report::{grouped, short};

/// What loading ahead avoids and costs; the README says what the fields are.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub days: Option<Days>,
    pub drift: Option<Drifted>,
    pub adversary: Option<Adversary>,
    pub traces: Vec<TraceRow>,
}

/// Generated days.
#[derive(Debug, Serialize)]
pub struct Days {
    pub symbols: u64,
    pub days: u64,
    /// First days, which do not count.
    pub learned: u64,
    pub seed: u64,
    /// One way each, the first loads nothing ahead.
    pub rows: Vec<Row>,
}

/// What one way made of the days.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub way: String,
    pub requests: u64,
    pub hit_ratio: f64,
    /// Requests that waited for a load, and how many fewer these are than when nothing is loaded ahead.
    pub waits: u64,
    pub avoided: u64,
    pub ahead: u64,
    /// Loads more than when nothing is loaded ahead.
    pub extra: i64,
    /// The part of the loads ahead whose value was asked for.
    pub precision: f64,
    /// Useful loads ahead, through these and the waits.
    pub recall: f64,
    /// The most bytes that it took.
    pub memory: usize,
    /// Of the whole run, the cache's processor time included.
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

/// What a change of the pattern does to both models.
#[derive(Debug, Clone, Serialize)]
pub struct Drifted {
    /// The day from which everything is an hour earlier, and a fifth of the symbols are others.
    pub from_day: u64,
    /// The part of the waits that was avoided on the last weekday before.
    pub before: f64,
    /// The same on the first day after.
    pub first_day: f64,
    /// Hours after the first request of trade until an hour, and the next one, are within a twentieth of `before`;
    /// none if there are none.
    pub hours: Option<usize>,
}

/// Fewer waits than this in an hour tell nothing of it, in parts of a busy hour.
const BUSY: u64 = 4;

/// How fast the models recover.
pub(super) fn recovery(none: &Outcome, predicted: &Outcome, from_day: u64) -> Option<Drifted> {
    let most = none.hours.iter().map(|hour| hour.waits).max()?;
    let avoided = |hours: std::ops::Range<usize>| {
        let (hours, ways) = (none.hours.get(hours.clone())?, predicted.hours.get(hours)?);
        let (none, way) = (Counts::sum(hours), Counts::sum(ways));
        Some(1.0 - ratio(way.waits, none.waits))
    };
    let hours_of = |day: u64| day as usize * 24..(day as usize * 24 + 24).min(none.hours.len());
    let before = avoided(hours_of(from_day - 1))?;
    let first_day = avoided(hours_of(from_day))?;
    let is_busy = |hour: &usize| none.hours[*hour].waits * BUSY >= most;
    let busy: Vec<usize> = (hours_of(from_day).start..none.hours.len()).filter(is_busy).collect();
    let is_back = |hour: usize| avoided(hour..hour + 1).is_some_and(|share| share >= 0.95 * before);
    let hours = busy.windows(2).position(|hours| hours.iter().all(|hour| is_back(*hour)));
    Some(Drifted { from_day, before, first_day, hours })
}

/// What keys that mislead do to both models.
#[derive(Debug, Clone, Serialize)]
pub struct Adversary {
    pub requests: u64,
    /// When nothing is loaded ahead.
    pub waits_before: u64,
    pub waits: u64,
    pub ahead: u64,
    /// Loads ahead that the budget allowed for.
    pub budget: u64,
    /// The most bytes that it took, and those that it was allowed.
    pub memory: usize,
    pub allowed: usize,
}

impl Adversary {
    pub(super) fn new(none: &Outcome, outcome: &Outcome, budget: u64, allowed: usize) -> Self {
        let (before, all) = (Counts::sum(&none.hours), Counts::sum(&outcome.hours));
        Self {
            requests: all.requests,
            waits_before: before.waits,
            waits: all.waits,
            ahead: all.ahead,
            budget,
            memory: outcome.memory,
            allowed,
        }
    }
}

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = self.hours.map_or("not within the days that were left".into(), |hours| {
            format!("within a twentieth of that again after {hours} hours of trade")
        });
        writeln!(
            f,
            "\nFrom day {} on everything is an hour earlier, and a fifth of the symbols are others: both models avoid \
             {:.1} % of the waits on the day before, {:.1} % on that day; {back}.",
            self.from_day + 1,
            100.0 * self.before,
            100.0 * self.first_day
        )
    }
}

impl fmt::Display for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nKeys that mislead: {} requests, {} waits ({} with nothing loaded ahead), {} loads ahead of {} that the \
             budget allows for, {} of {} KiB.",
            grouped(self.requests),
            grouped(self.waits),
            grouped(self.waits_before),
            grouped(self.ahead),
            grouped(self.budget),
            grouped(self.memory as u64 / 1024),
            grouped(self.allowed as u64 / 1024)
        )
    }
}

/// What one way made of a trace.
#[derive(Debug, Clone, Serialize)]
pub struct TraceRow {
    pub trace: String,
    pub entries: u64,
    pub way: &'static str,
    pub hit_ratio: f64,
    /// Points of it, in percent, more than when nothing is loaded ahead.
    pub gain: f64,
    /// Loads ahead per access, and the part of them whose value was asked for.
    pub ahead: f64,
    pub precision: f64,
    pub memory: usize,
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
        if let Some(drift) = &self.drift {
            drift.fmt(f)?;
        }
        if let Some(adversary) = &self.adversary {
            adversary.fmt(f)?;
        }
        if self.traces.is_empty() {
            return Ok(());
        }
        let columns: [Column<'_, TraceRow>; 9] = [
            ("trace", &|row| row.trace.clone()),
            ("entries", &|row| grouped(row.entries)),
            ("way", &|row| row.way.into()),
            ("hit ratio", &|row| format!("{:.4}", row.hit_ratio)),
            ("points", &|row| format!("{:+.2}", row.gain)),
            ("ahead", &|row| format!("{:.4}", row.ahead)),
            ("precision", &|row| format!("{:.2}", row.precision)),
            ("KiB", &|row| grouped(row.memory as u64 / 1024)),
            ("ns", &|row| row.ns_per_access.map_or(String::new(), short)),
        ];
        writeln!(f, "\n{}\n", table_of(&columns, 3, &self.traces))?;
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
        let columns: [Column<'_, Row>; 11] = [
            ("way", &|row| row.way.clone()),
            ("hit ratio", &|row| format!("{:.4}", row.hit_ratio)),
            ("waits", &|row| grouped(row.waits)),
            ("avoided", &|row| share(row.avoided, all.map(|all| all.avoided))),
            ("ahead", &|row| grouped(row.ahead)),
            ("of all", &|row| share(row.ahead, all.map(|all| all.ahead))),
            ("extra", &|row| {
                share(row.extra.max(0) as u64, all.map(|all| all.extra.max(0) as u64))
            }),
            ("precision", &|row| format!("{:.2}", row.precision)),
            ("recall", &|row| format!("{:.2}", row.recall)),
            ("KiB", &|row| grouped(row.memory as u64 / 1024)),
            ("ns", &|row| row.ns_per_request.map_or(String::new(), short)),
        ];
        writeln!(f, "{}\n", table_of(&columns, 1, &self.rows))?;
        writeln!(f, "Waits avoided, loads ahead and extra loads through those of renewing all.")
    }
}

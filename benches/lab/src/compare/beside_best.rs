//! clockhand's hits beside those of the best peer, for each trace and capacity.

use std::fmt;

use serde::Serialize;

use super::ratio_row::{HitRatio, same_place};
use super::tables::write_table;
use crate::peers::{ClockhandGet, Peer};

/// A peer that holds more than so many times its capacity is not asked: it is flattered.
const FLATTERED: f64 = 1.05;

/// How much of the best peer's hit ratio every row is to have.
const LEAST: f64 = 0.97;

/// clockhand beside the best peer, with one trace and one capacity, on one thread.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BesideBest {
    /// The trace's name.
    pub trace: String,
    /// The capacity.
    pub entries: u64,
    /// clockhand's hit ratio.
    pub clockhand: f64,
    /// The peer with the most hits, among those that keep to their capacity.
    pub peer: &'static str,
    /// Its hit ratio.
    pub best: f64,
    /// clockhand's through the best; 1 where neither hits.
    pub ratio: f64,
}

/// A row for each trace and capacity; rows of these are neighbours.
pub(super) fn beside_best(rows: &[HitRatio]) -> Vec<BesideBest> {
    rows.chunk_by(same_place).filter_map(of_place).collect()
}

fn of_place(rows: &[HitRatio]) -> Option<BesideBest> {
    let alone = || rows.iter().filter(|row| row.threads == 1 && !row.simulated);
    let ours = alone().find(|row| row.cache == ClockhandGet::NAME)?;
    let most = FLATTERED * ours.entries as f64;
    let fair = |row: &&HitRatio| row.held.is_none_or(|held| held as f64 <= most);
    let others = alone().filter(|row| row.cache != ClockhandGet::NAME).filter(fair);
    let best = others.max_by(|one, other| one.hit_ratio.total_cmp(&other.hit_ratio))?;
    let ratio = if best.hit_ratio > 0.0 { ours.hit_ratio / best.hit_ratio } else { 1.0 };
    let (clockhand, entries) = (ours.hit_ratio, ours.entries);
    let (trace, peer) = (ours.trace.clone(), best.cache);
    Some(BesideBest { trace, entries, clockhand, peer, best: best.hit_ratio, ratio })
}

/// The rows below the goal, or the lowest where there is none.
pub(super) fn write(f: &mut fmt::Formatter<'_>, rows: &[BesideBest]) -> fmt::Result {
    let mut lowest = rows.iter().collect::<Vec<_>>();
    lowest.sort_by(|one, other| one.ratio.total_cmp(&other.ratio));
    let below = lowest.iter().filter(|row| row.ratio < LEAST).count();
    let cells = |row: &&BesideBest| {
        vec![
            row.trace.clone(),
            row.entries.to_string(),
            format!("{:.4}", row.clockhand),
            row.peer.into(),
            format!("{:.4}", row.best),
            format!("{:.3}", row.ratio),
        ]
    };
    let header = ["trace", "entries", "clockhand", "best peer", "its hit ratio", "ratio"];
    let cells = lowest.iter().take(below.max(1)).map(cells).collect();
    write_table(f, "Hit ratio, lowest beside the best peer", &header, cells, 4)?;
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{below} of {} rows are below {LEAST} of the best peer; peers that held more than \
         {FLATTERED} times the capacity are left out.",
        rows.len()
    )
}

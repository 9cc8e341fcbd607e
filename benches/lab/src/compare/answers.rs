//! The answers; [`super::text`] has them as tables.

use serde::Serialize;

use super::hit_ratios::HitRatios;
use super::units::{Group, Unit};
use crate::report::Spread;

/// All questions, all answers; the README says what the fields are.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub setup: Vec<String>,
    pub clock_ns: u64,
    pub cores_taken: Option<f64>,
    pub rows: Vec<Row>,
    pub best: Vec<Best>,
    pub hit_ratios: Option<HitRatios>,
}

/// How one cache answered one question.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub group: Group,
    pub question: String,
    /// What `value` is: `throughput`, `get p99.9` and the like.
    pub measure: String,
    pub threads: usize,
    pub peer: &'static str,
    /// Whether it evicts; else it is a map.
    pub evicts: bool,
    pub unit: Unit,
    pub value: Spread,
    /// Of a thread, for throughputs.
    pub ns_per_operation: Option<f64>,
    /// This cache's value through `quick_cache`'s of the same round.
    pub ratio: Option<Spread>,
    /// The value of clockhand's `get`, and of its `Reader`, through this cache's of the same round.
    pub clockhand_ratio: Option<Spread>,
    pub reader_ratio: Option<Spread>,
    /// What it is to reach, and whether it did.
    pub goals: Vec<Reached>,
    pub remark: Option<String>,
}

/// Something that a cache is to reach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reached {
    pub goal: String,
    /// A ratio, or the value.
    pub reached: f64,
    pub met: bool,
}

/// The best of the other caches, or of the maps, and clockhand's median ratios to it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Best {
    pub question: String,
    pub measure: String,
    pub threads: usize,
    pub peer: &'static str,
    pub evicts: bool,
    pub value: f64,
    pub unit: Unit,
    pub clockhand_ratio: Option<f64>,
    pub reader_ratio: Option<f64>,
}

/// The best of the others for each question; the rows of one question are neighbours.
pub(super) fn best(rows: &[Row]) -> Vec<Best> {
    let questions = rows.chunk_by(|one, next| {
        (&one.question, &one.measure, one.threads) == (&next.question, &next.measure, next.threads)
    });
    let best_of = |question: &[Row], evicts| {
        let others = question.iter().filter(|row| row.evicts == evicts && !row.ours());
        let best = others.min_by(|one, other| one.rank().total_cmp(&other.rank()))?;
        Some(Best {
            question: best.question.clone(),
            measure: best.measure.clone(),
            threads: best.threads,
            peer: best.peer,
            evicts,
            value: best.value.median,
            unit: best.unit,
            clockhand_ratio: best.clockhand_ratio.map(|ratio| ratio.median),
            reader_ratio: best.reader_ratio.map(|ratio| ratio.median),
        })
    };
    questions.flat_map(|rows| [true, false].map(|evicts| best_of(rows, evicts))).flatten().collect()
}

impl Row {
    pub(super) fn ours(&self) -> bool {
        self.peer.starts_with("clockhand")
    }

    /// Less is better.
    pub(super) fn rank(&self) -> f64 {
        if self.unit == Unit::Throughput { -self.value.median } else { self.value.median }
    }
}

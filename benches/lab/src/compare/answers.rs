//! The answers; [`super::text`] has them as tables.

use serde::Serialize;

use super::hit_ratios::HitRatios;
use super::units::{Group, Unit};
use crate::report::Spread;

/// All questions, all answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    /// What was configured, one fact a line.
    pub setup: Vec<String>,
    /// What two readings of the clock cost, in nanoseconds; it is part of every latency.
    pub clock_ns: u64,
    /// Cores that other processes kept busy meanwhile, where the system tells.
    pub cores_taken: Option<f64>,
    /// One answer of one cache each.
    pub rows: Vec<Row>,
    /// For each question, clockhand beside the best of the others.
    pub best: Vec<Best>,
    /// Hits per lookup, where they were asked for.
    pub hit_ratios: Option<HitRatios>,
}

/// How one cache answered one question.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What the question is measurement.
    pub group: Group,
    /// What was asked.
    pub question: String,
    /// What `value` is: `throughput`, `get p99.9` and the like.
    pub measure: String,
    /// With so many threads.
    pub threads: usize,
    /// The cache.
    pub peer: &'static str,
    /// Whether it evicts; else it is a map.
    pub evicts: bool,
    /// What `value` counts.
    pub unit: Unit,
    /// Over the rounds.
    pub value: Spread,
    /// Nanoseconds per operation and thread, for throughputs.
    pub ns_per_operation: Option<f64>,
    /// This cache's value through `quick_cache`'s of the same round.
    pub ratio: Option<Spread>,
    /// The value of clockhand's `get` through this cache's of the same round.
    pub clockhand_ratio: Option<Spread>,
    /// The value of clockhand's `Reader` through this cache's of the same round.
    pub reader_ratio: Option<Spread>,
    /// What it is to reach, and whether it did.
    pub goals: Vec<Reached>,
    /// What to know besides.
    pub remark: Option<String>,
}

/// Something that a cache is to reach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reached {
    /// What it is.
    pub goal: String,
    /// What it came to: a ratio, or the value.
    pub reached: f64,
    /// Whether that is enough.
    pub met: bool,
}

/// clockhand beside the best of the other caches, or of the maps.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Best {
    /// What was asked.
    pub question: String,
    /// What was measured.
    pub measure: String,
    /// With so many threads.
    pub threads: usize,
    /// The best of the others.
    pub peer: &'static str,
    /// Whether it evicts; else it is the best of the maps.
    pub evicts: bool,
    /// What it reached.
    pub value: f64,
    /// What the values count.
    pub unit: Unit,
    /// The value of clockhand's `get` through the best's, median of the rounds.
    pub clockhand_ratio: Option<f64>,
    /// The value of clockhand's `Reader` through the best's, median of the rounds.
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

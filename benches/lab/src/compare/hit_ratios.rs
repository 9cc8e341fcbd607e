//! Hit ratios as answers and as tables.

use std::fmt;

use serde::Serialize;

use super::weighted_ratio::{self, WeightedRatio};
use crate::measure::{Column, section, table, table_of};
use crate::peers::{ClockhandGet, Peer};

/// The policy that knows the future.
const OPTIMUM: &str = "Belady";

/// A peer that holds more than this share of its capacity is not asked: it is flattered.
const FLATTERED: f64 = 1.05;

/// How much of the best peer's hit ratio every row is to have.
const LEAST: f64 = 0.97;

/// Hit ratios, and what follows from them; the README says what the fields are.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HitRatios {
    pub rows: Vec<HitRatio>,
    pub means: Vec<Mean>,
    pub beside_best: Vec<BesideBest>,
    pub weighted: Vec<WeightedRatio>,
}

/// One pass from an empty cache; unit weights, a get, and an insert if it missed.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct HitRatio {
    pub trace: String,
    pub entries: u64,
    /// Or the policy.
    pub cache: &'static str,
    /// Whether it is a policy, simulated.
    pub simulated: bool,
    pub threads: usize,
    pub hit_ratio: f64,
    /// The optimum's hit ratio less this one.
    pub distance: f64,
    /// With many threads: points of the hit ratio, in percent, that one thread has more.
    pub loss: Option<f64>,
    /// What the cache says that it held in the end; some keep more than their capacity.
    pub held: Option<u64>,
    pub refusals: Option<u64>,
}

/// How far a cache or a policy is from the optimum, on average.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mean {
    pub cache: &'static str,
    pub threads: usize,
    pub rows: usize,
    pub hit_ratio: f64,
    pub distance: f64,
    pub loss: Option<f64>,
    pub worst_loss: Option<f64>,
    /// Through the capacity; above 1 it is flattered.
    pub held: Option<f64>,
    /// Over all rows.
    pub refusals: u64,
}

/// clockhand beside the best peer that keeps to its capacity, with one trace and one capacity, on one thread.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BesideBest {
    pub trace: String,
    pub entries: u64,
    pub clockhand: f64,
    pub peer: &'static str,
    pub best: f64,
    /// clockhand's through the best; 1 where neither hits.
    pub ratio: f64,
}

/// Whether two rows are of the same trace and capacity.
fn same_place(one: &HitRatio, other: &HitRatio) -> bool {
    (&one.trace, one.entries) == (&other.trace, other.entries)
}

impl HitRatios {
    /// What follows from some rows.
    pub(super) fn of(mut rows: Vec<HitRatio>, weighted: Vec<WeightedRatio>) -> Self {
        rows.chunk_by_mut(same_place).for_each(hold_beside_each_other);
        Self {
            means: means(&rows),
            beside_best: rows.chunk_by(same_place).filter_map(BesideBest::of).collect(),
            rows,
            weighted,
        }
    }
}

/// Tells the rows of one trace and capacity how far they are from the optimum, and what they lose
/// with many threads.
fn hold_beside_each_other(rows: &mut [HitRatio]) {
    let of = |rows: &[HitRatio], cache, threads| {
        let same = |row: &&HitRatio| (row.cache, row.threads) == (cache, threads);
        rows.iter().find(same).map(|row| row.hit_ratio)
    };
    let optimum = of(rows, OPTIMUM, 1);
    for at in 0..rows.len() {
        let alone = of(rows, rows[at].cache, 1).filter(|_| rows[at].threads > 1);
        let row = &mut rows[at];
        row.distance = optimum.map_or(0.0, |optimum| optimum - row.hit_ratio);
        row.loss = alone.map(|alone| 100.0 * (alone - row.hit_ratio));
    }
}

fn means(rows: &[HitRatio]) -> Vec<Mean> {
    let mut groups = Vec::<Vec<&HitRatio>>::new();
    for row in rows {
        let same = |group: &&mut Vec<&HitRatio>| {
            (group[0].cache, group[0].threads) == (row.cache, row.threads)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let mut means = groups.iter().map(|group| Mean::of(group)).collect::<Vec<_>>();
    means.sort_by(|one, other| one.distance.total_cmp(&other.distance));
    means
}

impl Mean {
    /// Of rows of one cache with one number of threads.
    fn of(rows: &[&HitRatio]) -> Self {
        let mean = |value: &dyn Fn(&HitRatio) -> Option<f64>| {
            let values = rows.iter().map(|row| value(row)).collect::<Option<Vec<_>>>();
            values.map(|values| values.iter().sum::<f64>() / rows.len() as f64)
        };
        Self {
            cache: rows[0].cache,
            threads: rows[0].threads,
            rows: rows.len(),
            hit_ratio: mean(&|row| Some(row.hit_ratio)).unwrap_or_default(),
            distance: mean(&|row| Some(row.distance)).unwrap_or_default(),
            loss: mean(&|row| row.loss),
            worst_loss: rows.iter().filter_map(|row| row.loss).reduce(f64::max),
            held: mean(&|row| row.held.map(|held| held as f64 / row.entries as f64)),
            refusals: rows.iter().filter_map(|row| row.refusals).sum(),
        }
    }
}

impl BesideBest {
    /// Of rows of one place.
    fn of(rows: &[HitRatio]) -> Option<Self> {
        let alone = || rows.iter().filter(|row| row.threads == 1 && !row.simulated);
        let ours = alone().find(|row| row.cache == ClockhandGet::NAME)?;
        let most = FLATTERED * ours.entries as f64;
        let fair = |row: &&HitRatio| row.held.is_none_or(|held| held as f64 <= most);
        let others = alone().filter(|row| row.cache != ClockhandGet::NAME).filter(fair);
        let best = others.max_by(|one, other| one.hit_ratio.total_cmp(&other.hit_ratio))?;
        let ratio = if best.hit_ratio > 0.0 { ours.hit_ratio / best.hit_ratio } else { 1.0 };
        let (clockhand, entries) = (ours.hit_ratio, ours.entries);
        let (trace, peer) = (ours.trace.clone(), best.cache);
        Some(Self { trace, entries, clockhand, peer, best: best.hit_ratio, ratio })
    }
}

impl fmt::Display for HitRatios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut header = vec!["trace".to_owned(), "entries".to_owned()];
        let names = self.rows.iter().map(HitRatio::label);
        names.for_each(|name| {
            if !header.contains(&name) {
                header.push(name)
            }
        });
        let line = |rows: &[HitRatio]| {
            let mut line = vec![rows[0].trace.clone(), rows[0].entries.to_string()];
            line.extend(header[2..].iter().map(|of| {
                let row = rows.iter().find(|row| row.label() == *of);
                row.map_or(String::new(), |row| format!("{:.4}", row.hit_ratio))
            }));
            line
        };
        let heading = header.iter().map(|name| &**name).collect::<Vec<_>>();
        let lines = self.rows.chunk_by(same_place).map(line);
        section(f, "Hit ratio", &table(&heading, 1, lines))?;
        self.fmt_means(f)?;
        self.fmt_beside_best(f)?;
        weighted_ratio::write(f, &self.weighted)
    }
}

impl HitRatios {
    fn fmt_means(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        let columns: [Column<'_, Mean>; 8] = [
            ("cache", &|mean| name(mean.cache, mean.threads)),
            ("rows", &|mean| mean.rows.to_string()),
            ("mean hit ratio", &|mean| format!("{:.4}", mean.hit_ratio)),
            ("less than Belady", &|mean| format!("{:.4}", mean.distance)),
            ("mean loss, points", &|mean| figure(mean.loss, 2)),
            ("worst loss, points", &|mean| figure(mean.worst_loss, 2)),
            ("held / capacity", &|mean| figure(mean.held, 3)),
            ("refusals", &|mean| mean.refusals.to_string()),
        ];
        section(f, "Mean hit ratio", &table_of(&columns, 1, &self.means))
    }

    /// The rows below the goal, or the lowest where there is none.
    fn fmt_beside_best(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lowest = self.beside_best.clone();
        lowest.sort_by(|one, other| one.ratio.total_cmp(&other.ratio));
        let below = lowest.iter().filter(|row| row.ratio < LEAST).count();
        let columns: [Column<'_, BesideBest>; 6] = [
            ("trace", &|row| row.trace.clone()),
            ("entries", &|row| row.entries.to_string()),
            ("clockhand", &|row| format!("{:.4}", row.clockhand)),
            ("best peer", &|row| row.peer.into()),
            ("its hit ratio", &|row| format!("{:.4}", row.best)),
            ("ratio", &|row| format!("{:.3}", row.ratio)),
        ];
        let table = table_of(&columns, 4, lowest.iter().take(below.max(1)));
        section(f, "Hit ratio, lowest beside the best peer", &table)?;
        if lowest.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{below} of {} rows are below {LEAST} of the best peer; peers that held more than \
             {FLATTERED} times the capacity are left out.",
            lowest.len()
        )
    }
}

/// What tables and charts call a cache that so many threads have used.
fn name(cache: &str, threads: usize) -> String {
    if threads == 1 { cache.into() } else { format!("{cache}, {threads} thr") }
}

impl HitRatio {
    pub(crate) fn label(&self) -> String {
        name(self.cache, self.threads)
    }
}

//! Hit ratios as answers and as tables.

use std::fmt;

use serde::Serialize;

use super::beside_best::{self, BesideBest, beside_best};
use super::ratio_row::{HitRatio, same_place};
use super::tables::write_table;
use super::weighted_ratios::{self, WeightedRatio};

/// The policy that knows the future.
const OPTIMUM: &str = "Belady";

/// Hit ratios, and what follows from them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HitRatios {
    /// One cache or policy with one trace and one capacity each.
    pub rows: Vec<HitRatio>,
    /// How far each is from the optimum on average.
    pub means: Vec<Mean>,
    /// Each handle of clockhand beside the best peer of each trace and capacity, on one thread.
    pub beside_best: Vec<BesideBest>,
    /// The traces that have sizes, which are the weights.
    pub weighted: Vec<WeightedRatio>,
}

/// How far a cache or a policy is from the optimum.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mean {
    /// The cache or the policy.
    pub cache: &'static str,
    /// Threads that shared the accesses.
    pub threads: usize,
    /// Over so many rows.
    pub rows: usize,
    /// The mean of their hit ratios.
    pub hit_ratio: f64,
    /// The mean of their distances to the optimum.
    pub distance: f64,
    /// With many threads: the mean loss, in points.
    pub loss: Option<f64>,
    /// And the largest.
    pub worst_loss: Option<f64>,
    /// What it held in the end through its capacity, on average; above 1 it is flattered.
    pub held: Option<f64>,
    /// Insertions that it refused, over all rows.
    pub refusals: u64,
}

impl HitRatios {
    /// What follows from some rows.
    pub(super) fn of(mut rows: Vec<HitRatio>, weighted: Vec<WeightedRatio>) -> Self {
        rows.chunk_by_mut(same_place).for_each(hold_beside_each_other);
        Self { means: means(&rows), beside_best: beside_best(&rows), rows, weighted }
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

impl fmt::Display for HitRatios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |row: &HitRatio| name(row.cache, row.threads);
        let groups = self.rows.chunk_by(same_place);
        let mut header = vec!["trace".to_owned(), "entries".to_owned()];
        header.extend(groups.clone().next().unwrap_or_default().iter().map(names));
        let header = header.iter().map(|name| &**name).collect::<Vec<_>>();
        let line = |rows: &[HitRatio]| {
            let mut line = vec![rows[0].trace.clone(), rows[0].entries.to_string()];
            line.extend(rows.iter().map(|row| format!("{:.4}", row.hit_ratio)));
            line
        };
        write_table(f, "Hit ratio", &header, groups.map(line).collect(), 1)?;
        let means = self.means.iter().map(Mean::cells).collect();
        write_table(f, "Mean hit ratio", &MEANS, means, 1)?;
        beside_best::write(f, &self.beside_best)?;
        weighted_ratios::write(f, &self.weighted)
    }
}

const MEANS: [&str; 8] = [
    "cache",
    "rows",
    "mean hit ratio",
    "less than Belady",
    "mean loss, points",
    "worst loss, points",
    "held / capacity",
    "refusals",
];

impl Mean {
    fn cells(&self) -> Vec<String> {
        let figure = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        vec![
            name(self.cache, self.threads),
            self.rows.to_string(),
            figure(Some(self.hit_ratio), 4),
            figure(Some(self.distance), 4),
            figure(self.loss, 2),
            figure(self.worst_loss, 2),
            figure(self.held, 3),
            self.refusals.to_string(),
        ]
    }
}

fn name(cache: &str, threads: usize) -> String {
    if threads == 1 { cache.into() } else { format!("{cache}, {threads} thr") }
}

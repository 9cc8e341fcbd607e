//! Hit ratios as answers and as tables.

use std::fmt;

use serde::Serialize;

use super::text::write_table;

/// Hit ratios, and what follows from them.
#[derive(Debug, Clone, Serialize)]
pub struct HitRatios {
    /// One cache or policy with one trace and one capacity each.
    pub rows: Vec<HitRatio>,
    /// How far each is from the optimum on average.
    pub means: Vec<Mean>,
}

/// The hits of one pass from an empty cache; unit weights, a get, and an insert if it missed.
#[derive(Debug, Clone, Serialize)]
pub struct HitRatio {
    /// The trace's name.
    pub trace: String,
    /// The capacity.
    pub entries: u64,
    /// The cache or the policy.
    pub cache: &'static str,
    /// Whether it is a policy, simulated.
    pub simulated: bool,
    /// Threads that shared the accesses.
    pub threads: usize,
    /// Hits per access.
    pub hit_ratio: f64,
    /// The optimum's hit ratio less this one.
    pub distance: f64,
    /// What the cache says that it held in the end; some keep more than their capacity.
    pub held: Option<u64>,
    /// Insertions that it refused.
    pub refusals: Option<u64>,
}

/// How far a cache or a policy is from the optimum.
#[derive(Debug, Clone, Serialize)]
pub struct Mean {
    /// The cache or the policy.
    pub cache: &'static str,
    /// Threads that shared the accesses.
    pub threads: usize,
    /// Over so many rows.
    pub rows: usize,
    /// The mean of their distances.
    pub distance: f64,
    /// What it held in the end through its capacity, on average; above 1 it is flattered.
    pub held: Option<f64>,
    /// Insertions that it refused, over all rows.
    pub refusals: u64,
}

impl HitRatios {
    /// What follows from some rows.
    pub(super) fn of(rows: Vec<HitRatio>) -> Self {
        Self { means: means(&rows), rows }
    }
}

impl HitRatio {
    pub(super) fn new(trace: &str, entries: u64, cache: &'static str, hit_ratio: f64) -> Self {
        let trace = trace.into();
        let (simulated, threads, distance) = (false, 1, 0.0);
        let (held, refusals) = (None, None);
        Self { trace, entries, cache, simulated, threads, hit_ratio, distance, held, refusals }
    }
}

fn means(rows: &[HitRatio]) -> Vec<Mean> {
    let mut means = Vec::<Mean>::new();
    for row in rows {
        let HitRatio { cache, threads, distance, .. } = *row;
        let held = row.held.map(|held| held as f64 / row.entries as f64);
        let refusals = row.refusals.unwrap_or_default();
        let same = |mean: &&mut Mean| (mean.cache, mean.threads) == (cache, threads);
        match means.iter_mut().find(same) {
            Some(mean) => {
                mean.rows += 1;
                mean.distance += distance;
                mean.refusals += refusals;
                mean.held = mean.held.zip(held).map(|(sum, held)| sum + held);
            }
            None => means.push(Mean { cache, threads, rows: 1, distance, held, refusals }),
        }
    }
    for mean in &mut means {
        mean.distance /= mean.rows as f64;
        mean.held = mean.held.map(|sum| sum / mean.rows as f64);
    }
    means.sort_by(|one, other| one.distance.total_cmp(&other.distance));
    means
}

impl fmt::Display for HitRatios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |row: &HitRatio| name(row.cache, row.threads);
        let groups = self
            .rows
            .chunk_by(|one, next| (&one.trace, one.entries) == (&next.trace, next.entries));
        let mut header = vec!["trace".to_owned(), "entries".to_owned()];
        header.extend(groups.clone().next().unwrap_or_default().iter().map(names));
        let header = header.iter().map(|name| &**name).collect::<Vec<_>>();
        let line = |rows: &[HitRatio]| {
            let mut line = vec![rows[0].trace.clone(), rows[0].entries.to_string()];
            line.extend(rows.iter().map(|row| format!("{:.4}", row.hit_ratio)));
            line
        };
        write_table(f, "Hit ratio", &header, groups.map(line).collect(), 1)?;
        let header = ["cache", "rows", "mean distance to Belady", "held / capacity", "refusals"];
        let line = |mean: &Mean| {
            let distance = format!("{:.4}", mean.distance);
            let held = mean.held.map_or(String::new(), |held| format!("{held:.3}"));
            vec![
                name(mean.cache, mean.threads),
                mean.rows.to_string(),
                distance,
                held,
                mean.refusals.to_string(),
            ]
        };
        let means = self.means.iter().map(line).collect();
        write_table(f, "Hit ratio, distance to the optimum", &header, means, 1)
    }
}

fn name(cache: &str, threads: usize) -> String {
    if threads == 1 { cache.into() } else { format!("{cache}, {threads} thr") }
}

//! Replays traces that have sizes through caches that weigh: hits, and bytes that hit.

use std::fmt;

use serde::Serialize;

use super::known::Known;
use crate::measure::{Column, section, table_of};
use crate::peers::{ClockhandGet, Peer, Peers, Store, Visit, each};
use crate::simulate::{Dense, gdsf};
use crate::trace::Trace;

/// One pass of one cache from empty over a trace with sizes, which are the weights.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WeightedRatio {
    pub trace: String,
    /// In bytes, and of what would hold the whole trace, in percent.
    pub capacity: u64,
    pub percent: u64,
    /// Or the policy.
    pub cache: &'static str,
    /// Whether it is a policy, simulated or from the file.
    pub simulated: bool,
    pub hit_ratio: f64,
    pub byte_hit_ratio: f64,
    /// What its entries weighed in the end through the capacity, where it tells; above 1 it is flattered.
    pub held: Option<f64>,
    pub refusals: u64,
    /// clockhand's ratios through these.
    pub clockhand_ratio: Option<f64>,
    pub clockhand_byte_ratio: Option<f64>,
}

/// Capacities, in percent of what would hold the whole trace.
const PERCENT: [u64; 4] = [1, 5, 10, 20];

/// The trace with each capacity, through every cache that can weigh its sizes. Nothing if it has none.
pub(super) fn replay(
    name: &str,
    trace: &Trace,
    (peers, offline): (Peers, &[Known]),
) -> Vec<WeightedRatio> {
    let Some(sizes) = trace.sizes() else { return Vec::new() };
    // One at least: of some caches, an entry that weighs nothing stays forever.
    let sizes = sizes.iter().map(|size| (*size).max(1)).collect::<Vec<_>>();
    let (footprint, dense) = (trace.footprint(), Dense::of(trace.keys()));
    let mut rows = Vec::new();
    for percent in PERCENT {
        let mut course = Course {
            name,
            keys: trace.keys(),
            sizes: &sizes,
            percent,
            capacity: (footprint.weight * percent / 100).max(1),
            entries: (footprint.unique_keys * percent / 100).max(1),
            rows: Vec::new(),
        };
        each(peers, &mut course);
        course.simulate(&dense);
        course.add_known(offline);
        rows.extend(beside_clockhand(course.rows));
    }
    rows
}

/// clockhand, where a miss costs the size.
const BY_BYTES: &str = "clockhand get, cost = size";

/// Policies that know the future: their names in the file, and those in the answers.
const OFFLINE: [(&str, &str); 2] =
    [("Belady", "Belady, offline"), ("BeladySize", "Belady by size, offline")];

struct Course<'a> {
    name: &'a str,
    keys: &'a [u64],
    sizes: &'a [u32],
    percent: u64,
    capacity: u64,
    entries: u64,
    rows: Vec<WeightedRatio>,
}

impl Visit for Course<'_> {
    fn visit<P: Peer>(&mut self) {
        if self.sizes.iter().any(|size| *size > P::HEAVIEST) {
            return;
        }
        let Some(cache) = P::weighing::<u32>(self.capacity, self.entries) else { return };
        let hit = self.run(&cache);
        let held = cache.charge().map(|charge| charge as f64 / self.capacity as f64);
        self.push(P::NAME, self.ratios(hit), Some((held, cache.refusals())));
        if P::NAME == ClockhandGet::NAME {
            // Once more, where a miss costs what it moves.
            let builder = clockhand::Cache::<u64, u32>::builder().capacity(self.capacity);
            let builder =
                builder.expected_entries(self.entries as usize).cost(|_, size| (*size).into());
            let cache =
                builder.weigher(|_, size| u64::from(*size)).build().expect("it was built above");
            let hit = self.run(&cache);
            self.push(BY_BYTES, self.ratios(hit), Some((None, cache.stats().refusals)));
        }
    }
}

impl Course<'_> {
    /// Hits, and bytes that hit.
    fn run(&self, cache: &impl Store<u64, u32>) -> (u64, u64) {
        let (mut hits, mut bytes) = (0_u64, 0_u64);
        for (key, size) in self.keys.iter().zip(self.sizes) {
            if cache.get(key).is_some() {
                hits += 1;
                bytes += u64::from(*size);
            } else {
                cache.insert(*key, *size);
            }
        }
        (hits, bytes)
    }

    /// The same by the policy that is the reference where entries differ in size.
    fn simulate(&mut self, dense: &Dense) {
        for (name, by_bytes) in [("GDSF", false), ("GDSF, cost = size", true)] {
            let hit = gdsf(dense, self.sizes, self.capacity, by_bytes);
            self.push(name, self.ratios(hit), None);
        }
    }

    /// What is known of policies that know the future. A capacity of the file may be a little off: it is of the same sizes.
    fn add_known(&mut self, offline: &[Known]) {
        let (name, capacity) = (self.name, self.capacity);
        let is_of = |known: &&Known| {
            known.trace == name && known.capacity.abs_diff(capacity) <= capacity / 1_000 + 1
        };
        for known in offline.iter().filter(is_of) {
            if let Some((_, policy)) = OFFLINE.iter().find(|(own, _)| *own == known.policy) {
                self.push(policy, (known.hit_ratio, known.byte_hit_ratio), None);
            }
        }
    }

    /// Hits per access, and bytes that hit per byte.
    fn ratios(&self, (hits, bytes): (u64, u64)) -> (f64, f64) {
        let all: u64 = self.sizes.iter().map(|size| u64::from(*size)).sum();
        (hits as f64 / self.keys.len() as f64, bytes as f64 / all as f64)
    }

    /// Adds a row, with what it held and refused if it was a cache.
    fn push(
        &mut self,
        cache: &'static str,
        (hit_ratio, byte_hit_ratio): (f64, f64),
        left: Option<(Option<f64>, u64)>,
    ) {
        let (held, refusals) = left.unwrap_or_default();
        self.rows.push(WeightedRatio {
            trace: self.name.into(),
            capacity: self.capacity,
            percent: self.percent,
            cache,
            simulated: left.is_none(),
            hit_ratio,
            byte_hit_ratio,
            held,
            refusals,
            clockhand_ratio: None,
            clockhand_byte_ratio: None,
        });
    }
}

/// Tells the rows of one capacity what clockhand reaches beside them, by the default cost.
fn beside_clockhand(mut rows: Vec<WeightedRatio>) -> Vec<WeightedRatio> {
    let ours = rows.iter().find(|row| row.cache == ClockhandGet::NAME).cloned();
    let through = |ours: f64, other: f64| (other > 0.0).then(|| ours / other);
    for (row, ours) in
        rows.iter_mut().filter(|row| row.cache != ClockhandGet::NAME).zip(ours.iter().cycle())
    {
        row.clockhand_ratio = through(ours.hit_ratio, row.hit_ratio);
        row.clockhand_byte_ratio = through(ours.byte_hit_ratio, row.byte_hit_ratio);
    }
    rows
}

pub(super) fn write(f: &mut fmt::Formatter<'_>, rows: &[WeightedRatio]) -> fmt::Result {
    let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.3}"));
    let columns: [Column<'_, WeightedRatio>; 9] = [
        ("trace", &|row| row.trace.clone()),
        ("capacity", &|row| format!("{} ({} %)", row.capacity, row.percent)),
        ("cache", &|row| row.cache.into()),
        ("hit ratio", &|row| format!("{:.4}", row.hit_ratio)),
        ("byte hit ratio", &|row| format!("{:.4}", row.byte_hit_ratio)),
        ("clockhand / this", &|row| ratio(row.clockhand_ratio)),
        ("by bytes", &|row| ratio(row.clockhand_byte_ratio)),
        ("held / capacity", &|row| ratio(row.held)),
        ("refusals", &|row| row.refusals.to_string()),
    ];
    section(f, "Hit ratio, weighted by size", &table_of(&columns, 3, rows))
}

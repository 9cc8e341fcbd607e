//! Replays traces that have sizes through caches that weigh: hits, and bytes that hit.

use super::weighted_ratios::WeightedRatio;
use crate::peers::{ClockhandGet, Peer, Peers, Visit, Weigh, each};
use crate::trace::Trace;

/// Capacities, in percent of what would hold the whole trace.
const PERCENT: [u64; 4] = [1, 5, 10, 20];

/// The trace with each capacity, through every cache that can weigh its sizes. Nothing if it has none.
pub(super) fn replay(name: &str, trace: &Trace, peers: Peers) -> Vec<WeightedRatio> {
    let Some(sizes) = trace.sizes() else { return Vec::new() };
    // One at least: of some caches, an entry that weighs nothing stays for ever.
    let sizes = sizes.iter().map(|size| (*size).max(1)).collect::<Vec<_>>();
    let footprint = trace.footprint();
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
        rows.extend(beside_clockhand(course.rows));
    }
    rows
}

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
        let heaviest = <P::Weighing<u32> as Weigh<u32>>::HEAVIEST;
        if self.sizes.iter().any(|size| *size > heaviest) {
            return;
        }
        let Some(cache) = P::Weighing::<u32>::with_bound(self.capacity, self.entries) else {
            return;
        };
        let (mut hits, mut bytes, mut all) = (0_u64, 0_u64, 0_u64);
        for (key, size) in self.keys.iter().zip(self.sizes) {
            all += u64::from(*size);
            if cache.get(key).is_some() {
                hits += 1;
                bytes += u64::from(*size);
            } else {
                cache.insert(*key, *size);
            }
        }
        self.rows.push(WeightedRatio {
            trace: self.name.into(),
            capacity: self.capacity,
            percent: self.percent,
            cache: P::NAME,
            hit_ratio: hits as f64 / self.keys.len() as f64,
            byte_hit_ratio: bytes as f64 / all as f64,
            held: cache.charge().map(|charge| charge as f64 / self.capacity as f64),
            refusals: cache.refusals(),
            clockhand_ratio: None,
            clockhand_byte_ratio: None,
        });
    }
}

/// Tells the rows of one capacity what clockhand reaches beside them.
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

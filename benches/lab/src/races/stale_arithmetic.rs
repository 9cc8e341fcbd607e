//! Stale arithmetic: two writers each see that there is room, and both take it.

use std::collections::HashMap;
use std::sync::Mutex;

use clockhand::Cache;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Heat, Race, Steps, Tally, count, step};
use crate::compare::arena::Bell;
use crate::failure::Failure;

const CAPACITY: u64 = 10_000;
const KEYS: u64 = 1_000;
const LARGEST: u64 = 1_000;

pub(super) fn run(heat: Heat) -> Result<Race, Failure> {
    Ok(Race {
        name: "stale arithmetic",
        story: "after an insert, the entries weighed more than the capacity",
        naive: naive(heat)?,
        clockhand: clockhand(heat)?,
    })
}

/// Is there room? Then add. The sum is right at every step, and the answer is old.
fn naive(heat: Heat) -> Result<Tally, Failure> {
    let map: Steps<u64> = HashMap::new().into();
    let used = Mutex::new(0_u64);
    race(heat, |key, size| {
        while *step(&used) + size > CAPACITY {
            let mut map = step(&map);
            let Some(&victim) = map.keys().next() else { break };
            let freed = map.remove(&victim).unwrap_or(0);
            drop(map);
            *step(&used) -= freed;
        }
        let old = step(&map).insert(key, size).unwrap_or(0);
        let mut used = step(&used);
        *used = *used + size - old;
        *used > CAPACITY
    })
}

fn clockhand(heat: Heat) -> Result<Tally, Failure> {
    let cache = Cache::builder().capacity(CAPACITY).weigher(|_: &u64, size: &u64| *size).build();
    let cache = cache.map_err(|error| Failure::Input(error.to_string()))?;
    race(heat, |key, size| {
        cache.insert(key, size);
        let usage = cache.usage();
        usage.charged > CAPACITY
    })
}

/// `insert` says whether it found the bound exceeded.
fn race(heat: Heat, insert: impl Fn(u64, u64) -> bool + Sync) -> Result<Tally, Failure> {
    let work = |id: usize, bell: &Bell| {
        let (mut tally, mut random) = (Tally::default(), SmallRng::seed_from_u64(id as u64));
        while !bell.rang() {
            let (key, size) = (random.random_range(0..KEYS), random.random_range(1..=LARGEST));
            tally.count(insert(key, size));
        }
        tally
    };
    count(heat, work)
}

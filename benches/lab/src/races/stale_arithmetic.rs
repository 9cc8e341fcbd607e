//! Stale arithmetic: two writers each see that there is room, and both take it.

use std::collections::HashMap;
use std::sync::Mutex;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Contest, Form, Heat, Race, Steps, Tally, step, sum};
use crate::failure::Failure;
use crate::words::{unusable, words};

const CAPACITY: u64 = 10_000;
const KEYS: u64 = 1_000;
const LARGEST: u64 = 1_000;

pub(super) fn run(heat: Heat, form: Form) -> Result<Race, Failure> {
    Ok(Race {
        name: "stale arithmetic",
        form,
        story: "after an insert, the entries weighed more than the capacity",
        cost: "each is a moment at which the process had more memory than it was given, and could have \
               been killed for it",
        naive: naive(&Contest::of_locks(heat, form))?,
        clockhand: clockhand(&Contest::of_clockhand(heat, form))?,
    })
}

/// Is there room? Then add. The sum is right at every step, and the answer is old.
fn naive(contest: &Contest) -> Result<Tally, Failure> {
    let map: Steps<u64> = HashMap::new().into();
    let used = Mutex::new(0_u64);
    race(contest, async |key, size| {
        while *step(&used) + size > CAPACITY {
            let mut map = step(&map);
            let Some(&victim) = map.keys().next() else { break };
            let freed = map.remove(&victim).unwrap_or(0);
            drop(map);
            *step(&used) -= freed;
        }
        contest.elsewhere().await;
        let mut map = step(&map);
        let old = map.insert(key, size).unwrap_or(0);
        let mut used = step(&used);
        *used = *used + size - old;
        *used > CAPACITY
    })
}

fn clockhand(contest: &Contest) -> Result<Tally, Failure> {
    let cache = words(CAPACITY).weigher(|_, size| *size).build().map_err(unusable)?;
    race(contest, async |key, size| {
        contest.elsewhere().await;
        cache.insert(key, size);
        let usage = cache.usage();
        usage.charged > CAPACITY
    })
}

/// `insert` says whether it found the bound exceeded.
fn race(
    contest: &Contest,
    insert: impl AsyncFn(u64, u64) -> bool + Sync,
) -> Result<Tally, Failure> {
    let contestant = async |id: usize| {
        let (mut tally, mut random) = (Tally::default(), SmallRng::seed_from_u64(id as u64));
        while contest.goes_on() {
            let (key, size) = (random.random_range(0..KEYS), random.random_range(1..=LARGEST));
            let wrong = insert(key, size).await;
            contest.count(&mut tally, wrong);
        }
        tally
    };
    sum(contest.run(contestant))
}

//! Check, then act: an entry is found live, and is gone when it is used.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Contest, Form, Heat, Race, Steps, Tally, step, sum};
use crate::failure::Failure;
use crate::words::{unusable, words};

const KEYS: u64 = 8;

pub(super) fn run(heat: Heat, form: Form) -> Result<Race, Failure> {
    Ok(Race {
        name: "check, then act",
        form,
        story: "an entry was found live, and was gone when it was used",
        cost: "each is a request that failed right after the cache had said that it could be answered",
        naive: naive(&Contest::of_locks(heat, form))?,
        clockhand: clockhand(&Contest::of_clockhand(heat, form))?,
    })
}

/// The first contestant takes entries out and puts them back; the others look, and then use.
fn naive(contest: &Contest) -> Result<Tally, Failure> {
    let map: Steps<u64> = HashMap::from_iter((0..KEYS).map(|key| (key, key))).into();
    race(
        contest,
        |key| _ = step(&map).remove(&key),
        |key| _ = step(&map).insert(key, key),
        async |key| {
            if !step(&map).contains_key(&key) {
                return None;
            }
            contest.elsewhere().await;
            Some(step(&map).get(&key).copied() != Some(key))
        },
    )
}

fn clockhand(contest: &Contest) -> Result<Tally, Failure> {
    let cache = words(KEYS).build().map_err(unusable)?;
    (0..KEYS).for_each(|key| cache.insert(key, key));
    race(
        contest,
        |key| _ = cache.invalidate(&key),
        |key| cache.insert(key, key),
        async |key| {
            // What was found can be used for as long as the guard is held, whoever removes it.
            let pinned = cache.pin();
            let found = pinned.get(&key)?;
            contest.elsewhere().await;
            Some(*found != key)
        },
    )
}

/// `look` says whether what was found went wrong, if something was found.
fn race(
    contest: &Contest,
    remove: impl Fn(u64) + Sync,
    put: impl Fn(u64) + Sync,
    look: impl AsyncFn(u64) -> Option<bool> + Sync,
) -> Result<Tally, Failure> {
    let contestant = async |id: usize| {
        let (mut tally, mut random) = (Tally::default(), SmallRng::seed_from_u64(id as u64));
        while contest.goes_on() {
            let key = random.random_range(0..KEYS);
            if id == 0 {
                remove(key);
                contest.elsewhere().await;
                put(key);
                contest.elsewhere().await;
            } else if let Some(wrong) = look(key).await {
                contest.count(&mut tally, wrong);
            }
        }
        tally
    };
    sum(contest.run(contestant))
}

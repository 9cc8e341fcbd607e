//! Iteration over a changing map: the clean-up removes what was renewed since it looked.

use std::collections::HashMap;
use std::ops::Range;

use clockhand::Cache;

use super::{Heat, Race, Steps, Tally, count, step};
use crate::compare::arena::Bell;
use crate::failure::Failure;

/// Keys of each thread that renews entries.
const KEYS: u64 = 64;

/// What an entry is at a time: to be cleaned up, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Stale,
    Fresh,
}

pub(super) fn run(heat: Heat) -> Result<Race, Failure> {
    Ok(Race {
        name: "iteration over a changing map",
        story: "the clean-up removed an entry that had been renewed",
        naive: naive(heat)?,
        clockhand: clockhand(heat)?,
    })
}

/// The first thread cleans up: it lists what is stale, and then removes what it has listed.
fn naive(heat: Heat) -> Result<Tally, Failure> {
    let map: Steps<State> = HashMap::new().into();
    let clean = || {
        let is_stale = |(key, state): (&u64, &State)| (*state == State::Stale).then_some(*key);
        let stale: Vec<u64> = step(&map).iter().filter_map(is_stale).collect();
        for key in stale {
            step(&map).remove(&key);
        }
    };
    let put = |key, state| {
        step(&map).insert(key, state);
        true
    };
    race(heat, clean, put, |key| step(&map).get(&key).copied())
}

fn clockhand(heat: Heat) -> Result<Tally, Failure> {
    let (capacity, retired_capacity) = (2 * KEYS * heat.threads as u64, 1 << 20);
    let cache = Cache::builder().capacity(capacity).retired_capacity(retired_capacity).build();
    let cache = cache.map_err(|error| Failure::Input(error.to_string()))?;
    let clean = || cache.retain(|_, state| *state == State::Fresh);
    let put = |key, state| cache.try_insert(key, state).is_ok();
    race(heat, clean, put, |key| cache.get(&key))
}

/// What was renewed has to be there: there is room for everything, and only what is stale is cleaned
/// up. `put` says whether it was renewed: `clockhand` may refuse, and says so.
fn race<C>(
    heat: Heat,
    clean: impl Fn() -> C + Sync,
    put: impl Fn(u64, State) -> bool + Sync,
    get: impl Fn(u64) -> Option<State> + Sync,
) -> Result<Tally, Failure> {
    let work = |id: usize, bell: &Bell| {
        let mut tally = Tally::default();
        let own: Range<u64> = id as u64 * KEYS..(id as u64 + 1) * KEYS;
        while !bell.rang() {
            if id == 0 {
                clean();
                continue;
            }
            for key in own.clone() {
                put(key, State::Stale);
            }
            let renewed = own.clone().filter(|&key| put(key, State::Fresh)).collect::<Vec<_>>();
            for key in renewed {
                tally.count(get(key) != Some(State::Fresh));
            }
        }
        tally
    };
    count(heat, work)
}

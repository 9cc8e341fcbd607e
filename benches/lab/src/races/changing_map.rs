//! Iteration over a changing map: the clean-up removes what was renewed since it looked.

use std::collections::HashMap;
use std::ops::Range;

use super::{Contest, Form, Heat, Race, Steps, Tally, step, sum};
use crate::failure::Failure;
use crate::words::{unusable, words};

/// Keys of each contestant that renews entries.
const KEYS: u64 = 64;

/// What an entry is at a time: to be cleaned up, or not.
type State = u64;
const STALE: State = 0;
const FRESH: State = 1;

pub(super) fn run(heat: Heat, form: Form) -> Result<Race, Failure> {
    Ok(Race {
        name: "iteration over a changing map",
        form,
        story: "the clean-up removed an entry that had been renewed",
        cost: "each is a new value that was thrown away, and a reader that had to wait for the store \
               again",
        naive: naive(&Contest::of_locks(heat, form))?,
        clockhand: clockhand(&Contest::of_clockhand(heat, form))?,
    })
}

/// The first contestant cleans up: it lists what is stale, and then removes what it has listed.
fn naive(contest: &Contest) -> Result<Tally, Failure> {
    let map: Steps<State> = HashMap::new().into();
    let clean = async || {
        let is_stale = |(key, state): (&u64, &State)| (*state == STALE).then_some(*key);
        let stale: Vec<u64> = step(&map).iter().filter_map(is_stale).collect();
        contest.elsewhere().await;
        for key in stale {
            step(&map).remove(&key);
        }
    };
    let put = |key, state| {
        step(&map).insert(key, state);
        true
    };
    race(contest, clean, put, |key| step(&map).get(&key).copied())
}

fn clockhand(contest: &Contest) -> Result<Tally, Failure> {
    let capacity = 2 * KEYS * contest.contestants() as u64;
    let cache = words(capacity).retired_capacity(1 << 20).build().map_err(unusable)?;
    let clean = async || {
        contest.elsewhere().await;
        cache.retain(|_, state| *state == FRESH);
    };
    let put = |key, state| cache.try_insert(key, state).is_ok();
    race(contest, clean, put, |key| cache.get(&key))
}

/// What was renewed has to be there: there is room for everything, and only what is stale is cleaned
/// up. `put` says whether it was renewed: `clockhand` may refuse, and says so.
fn race(
    contest: &Contest,
    clean: impl AsyncFn() + Sync,
    put: impl Fn(u64, State) -> bool + Sync,
    get: impl Fn(u64) -> Option<State> + Sync,
) -> Result<Tally, Failure> {
    let contestant = async |id: usize| {
        let mut tally = Tally::default();
        let own: Range<u64> = id as u64 * KEYS..(id as u64 + 1) * KEYS;
        while contest.goes_on() {
            if id == 0 {
                clean().await;
                continue;
            }
            for key in own.clone() {
                put(key, STALE);
            }
            contest.elsewhere().await;
            let renewed = own.clone().filter(|&key| put(key, FRESH)).collect::<Vec<_>>();
            contest.elsewhere().await;
            for key in renewed {
                contest.count(&mut tally, get(key) != Some(FRESH));
            }
        }
        tally
    };
    sum(contest.run(contestant))
}

//! Check, then act: an entry is found live, and is gone when it is used.

use std::collections::HashMap;

use clockhand::Cache;

use super::{Heat, Race, Steps, Tally, count, step};
use crate::compare::arena::Bell;
use crate::failure::Failure;

const KEYS: u64 = 8;

pub(super) fn run(heat: Heat) -> Result<Race, Failure> {
    Ok(Race {
        name: "check, then act",
        story: "an entry was found live, and was gone when it was used",
        naive: naive(heat)?,
        clockhand: clockhand(heat)?,
    })
}

/// The first thread takes entries out and puts them back; the others look, and then use.
fn naive(heat: Heat) -> Result<Tally, Failure> {
    let map: Steps<u64> = HashMap::from_iter((0..KEYS).map(|key| (key, key))).into();
    race(
        heat,
        |key| step(&map).remove(&key),
        |key| step(&map).insert(key, key),
        |key| {
            let live = step(&map).contains_key(&key);
            live.then(|| step(&map).get(&key).copied() != Some(key))
        },
    )
}

fn clockhand(heat: Heat) -> Result<Tally, Failure> {
    let cache = Cache::new(KEYS);
    (0..KEYS).for_each(|key| cache.insert(key, key));
    race(
        heat,
        |key| cache.invalidate(&key),
        |key| cache.insert(key, key),
        |key| {
            // What was found can be used for as long as the guard is held, whoever removes it.
            let pinned = cache.pin();
            let found = pinned.get(&key)?;
            Some(*found != key)
        },
    )
}

/// `look` says whether what was found went wrong, if something was found.
fn race<R, P>(
    heat: Heat,
    remove: impl Fn(u64) -> R + Sync,
    put: impl Fn(u64) -> P + Sync,
    look: impl Fn(u64) -> Option<bool> + Sync,
) -> Result<Tally, Failure> {
    let work = |id: usize, bell: &Bell| {
        let mut tally = Tally::default();
        for key in (0..KEYS).cycle() {
            if bell.rang() {
                break;
            }
            if id == 0 {
                remove(key);
                put(key);
            } else if let Some(wrong) = look(key) {
                tally.count(wrong);
            }
        }
        tally
    };
    count(heat, work)
}

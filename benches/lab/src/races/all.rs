//! The races: each is one course, run by a cache of locks and by `clockhand`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Contest, Steps, Tally, step};
use crate::failure::Failure;
use crate::words::{unusable, words};

type Side = fn(&Contest) -> Result<Tally, Failure>;

/// What is told of a race, and its two sides.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) story: &'static str,
    pub(super) cost: &'static str,
    pub(super) naive: Side,
    pub(super) clockhand: Side,
}

/// In the order of the table.
pub(super) const ROWS: [Row; 4] = [
    Row {
        name: "check, then act",
        story: "an entry was found live, and was gone when it was used",
        cost: "each is a request that failed right after the cache had said that it could be answered",
        naive: use_after_look,
        clockhand: use_under_guard,
    },
    Row {
        name: "stale arithmetic",
        story: "after an insert, the entries weighed more than the capacity",
        cost: "each is a moment at which the process had more memory than it was given, and could have \
               been killed for it",
        naive: add_after_sum,
        clockhand: add_at_once,
    },
    Row {
        name: "iteration over a changing map",
        story: "the clean-up removed an entry that had been renewed",
        cost: "each is a new value that was thrown away, and a reader that had to wait for the store \
               again",
        naive: list_then_remove,
        clockhand: retain,
    },
    Row {
        name: "offsets",
        story: "a message was processed twice, or never",
        cost: "each is an order that was executed again, or a payment that was booked again",
        naive: look_then_remember,
        clockhand: remember_first,
    },
];

// ---------------------------------------------------------------------------------------------
// Check, then act: an entry is found live, and is gone when it is used
// ---------------------------------------------------------------------------------------------

const USED: u64 = 8;

fn use_after_look(contest: &Contest) -> Result<Tally, Failure> {
    let map: Steps<u64> = HashMap::from_iter((0..USED).map(|key| (key, key))).into();
    let look = async |key| {
        if !step(&map).contains_key(&key) {
            return None;
        }
        contest.elsewhere().await;
        Some(step(&map).get(&key).copied() != Some(key))
    };
    let (remove, put) = (|key| _ = step(&map).remove(&key), |key| _ = step(&map).insert(key, key));
    check_then_act(contest, remove, put, look)
}

fn use_under_guard(contest: &Contest) -> Result<Tally, Failure> {
    let cache = words(USED).build().map_err(unusable)?;
    (0..USED).for_each(|key| cache.insert(key, key));
    let look = async |key| {
        // What was found can be used for as long as the guard is held, also when it is removed.
        let pinned = cache.pin();
        let found = pinned.get(&key)?;
        contest.elsewhere().await;
        Some(*found != key)
    };
    check_then_act(contest, |key| _ = cache.invalidate(&key), |key| cache.insert(key, key), look)
}

/// The first contestant takes entries out and puts them back; the others look, and then use. `look` says whether what
/// was found went wrong, if something was found.
fn check_then_act(
    contest: &Contest,
    remove: impl Fn(u64) + Sync,
    put: impl Fn(u64) + Sync,
    look: impl AsyncFn(u64) -> Option<bool> + Sync,
) -> Result<Tally, Failure> {
    contest.tallies(async |id, tally| {
        let mut random = SmallRng::seed_from_u64(id as u64);
        while contest.goes_on() {
            let key = random.random_range(0..USED);
            if id == 0 {
                remove(key);
                contest.elsewhere().await;
                put(key);
                contest.elsewhere().await;
            } else if let Some(wrong) = look(key).await {
                contest.count(tally, wrong);
            }
        }
    })
}

// ---------------------------------------------------------------------------------------------
// Stale arithmetic: two writers each see that there is room, and both take it
// ---------------------------------------------------------------------------------------------

const CAPACITY: u64 = 10_000;
const WEIGHED: u64 = 1_000;
const LARGEST: u64 = 1_000;

/// Is there room? Then add. The sum is right at every step, and the answer is old.
fn add_after_sum(contest: &Contest) -> Result<Tally, Failure> {
    let map: Steps<u64> = HashMap::new().into();
    let used = Mutex::new(0_u64);
    stale_arithmetic(contest, async |key, size| {
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

fn add_at_once(contest: &Contest) -> Result<Tally, Failure> {
    let cache = words(CAPACITY).weigher(|_, size| *size).build().map_err(unusable)?;
    stale_arithmetic(contest, async |key, size| {
        contest.elsewhere().await;
        cache.insert(key, size);
        let usage = cache.usage();
        usage.charged > CAPACITY
    })
}

/// `insert` says whether it found the bound exceeded.
fn stale_arithmetic(
    contest: &Contest,
    insert: impl AsyncFn(u64, u64) -> bool + Sync,
) -> Result<Tally, Failure> {
    contest.tallies(async |id, tally| {
        let mut random = SmallRng::seed_from_u64(id as u64);
        while contest.goes_on() {
            let (key, size) = (random.random_range(0..WEIGHED), random.random_range(1..=LARGEST));
            contest.count(tally, insert(key, size).await);
        }
    })
}

// ---------------------------------------------------------------------------------------------
// Iteration over a changing map: the clean-up removes what was renewed since it looked
// ---------------------------------------------------------------------------------------------

/// Keys of each contestant that renews entries.
const RENEWED: u64 = 64;

/// What an entry is at a time: to be cleaned up, or not.
type State = u64;
const STALE: State = 0;
const FRESH: State = 1;

/// The first contestant cleans up: it lists what is stale, and then removes what it has listed.
fn list_then_remove(contest: &Contest) -> Result<Tally, Failure> {
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
    changing_map(contest, clean, put, |key| step(&map).get(&key).copied())
}

fn retain(contest: &Contest) -> Result<Tally, Failure> {
    let capacity = 2 * RENEWED * contest.contestants() as u64;
    let cache = words(capacity).retired_capacity(1 << 20).build().map_err(unusable)?;
    let clean = async || {
        contest.elsewhere().await;
        cache.retain(|_, state| *state == FRESH);
    };
    let put = |key, state| cache.try_insert(key, state).is_ok();
    changing_map(contest, clean, put, |key| cache.get(&key))
}

/// What was renewed has to be there: there is room for everything, and only what is stale is cleaned
/// up. `put` says whether it was renewed: `clockhand` may refuse, and says so.
fn changing_map(
    contest: &Contest,
    clean: impl AsyncFn() + Sync,
    put: impl Fn(u64, State) -> bool + Sync,
    get: impl Fn(u64) -> Option<State> + Sync,
) -> Result<Tally, Failure> {
    contest.tallies(async |id, tally| {
        let own: Range<u64> = id as u64 * RENEWED..(id as u64 + 1) * RENEWED;
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
                contest.count(tally, get(key) != Some(FRESH));
            }
        }
    })
}

// ---------------------------------------------------------------------------------------------
// Offsets: two consumers find one new, and both process it
// ---------------------------------------------------------------------------------------------

/// Offsets that are there before the race ends, at most.
const OFFSETS: usize = 1 << 20;

/// Is it new? Then process it, and remember it.
#[allow(clippy::map_entry, reason = "two steps instead of one are what is shown")]
fn look_then_remember(contest: &Contest) -> Result<Tally, Failure> {
    let seen: Steps<()> = HashMap::new().into();
    offsets(contest, async |offset, process: &dyn Fn()| {
        if !step(&seen).contains_key(&offset) {
            contest.elsewhere().await;
            process();
            step(&seen).insert(offset, ());
        }
    })
}

fn remember_first(contest: &Contest) -> Result<Tally, Failure> {
    let seen = words(OFFSETS as u64).build().map_err(unusable)?;
    offsets(contest, async |offset, process: &dyn Fn()| {
        if seen.insert_if_absent(offset, 1).is_ok() {
            contest.elsewhere().await;
            process();
        }
    })
}

/// Every contestant is delivered every offset, all at about the same time.
fn offsets(
    contest: &Contest,
    consume: impl AsyncFn(u64, &dyn Fn()) + Sync,
) -> Result<Tally, Failure> {
    let processed: Vec<AtomicU32> = (0..OFFSETS).map(|_| AtomicU32::new(0)).collect();
    let (contestants, deliveries) = (contest.contestants() as u64, AtomicU64::new(0));
    let contestant = async |_: usize| {
        let mut last = None;
        while contest.goes_on() {
            // As many deliveries in a row as there are contestants are of one offset.
            let offset = deliveries.fetch_add(1, Ordering::Relaxed) / contestants;
            let Some(times) = processed.get(offset as usize) else { break };
            let process = || contest.saw(times.fetch_add(1, Ordering::Relaxed) > 0);
            consume(offset, &process).await;
            last = Some(offset as usize);
        }
        last
    };
    // The last one may not have come to all contestants, but came to one at least.
    let end = contest.run(contestant)?.into_iter().flatten().max().map_or(0, |last| last + 1);
    let wrong = processed[..end].iter().filter(|times| times.load(Ordering::Relaxed) != 1);
    Ok(Tally { operations: end as u64, violations: wrong.count() as u64 })
}

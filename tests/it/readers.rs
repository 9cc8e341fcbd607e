//! P4 of threads that write beside an unparked `Reader` of their own: that holds what it has lent and no more, and a write
//! waits for others beside it.

use std::time::Duration;

use crate::support::{self, Random, in_time, size, together};
use clockhand::{Cache, Compute};

/// Longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

fn operations() -> u64 {
    size(40_000, 10_000_000) as u64
}

fn cache_of(capacity: u64, weight: u64) -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(capacity * weight).patience(FOR_EVER);
    builder.weigher(move |_, _| weight).build().expect("sound")
}

/// Threads that read through a reader and write by turns, so that each of them is in the way of all.
fn read_and_write(threads: usize, cache: &Cache<u64, u64>, write: impl Fn(u64, u64) + Sync) {
    let keys = 4 * cache.capacity().min(1 << 16);
    together(threads, |nth| {
        let (mut random, mut reader) = (Random::new(nth as u64), cache.reader());
        for round in 0..operations() / threads as u64 {
            let lent = reader.get(&random.below(keys));
            write(random.below(keys), round);
            assert!(lent.is_none_or(|&value| value < u64::MAX));
        }
    });
    assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
    support::assert_bounds(cache);
    support::validate(cache);
}

#[test]
fn inserts_beside_readers_of_the_same_threads_are_never_refused() {
    in_time(|| {
        for capacity in [1, 2, 16, 100, 1_000, 10_000] {
            let cache = cache_of(capacity, 1);
            read_and_write(2, &cache, |key, value| cache.insert(key, value));
        }
    });
}

#[test]
fn writes_of_all_kinds_beside_readers_of_the_same_threads_are_never_refused() {
    in_time(|| {
        for (threads, capacity, weight) in [(2, 64, 1), (2, 1_000, 300), (8, 64, 1), (8, 1_000, 1)]
        {
            let cache = cache_of(capacity, weight);
            read_and_write(threads, &cache, |key, value| match value % 4 {
                0 => cache.insert(key, value),
                1 => _ = cache.compute(key, |n| Compute::Put(n.map_or(0, |n| n / 2))),
                2 => _ = cache.remove(&key),
                _ => _ = cache.insert_if_absent(key, value),
            });
        }
    });
}

/// With one reader on each of two caches, and two on one of them.
#[test]
fn several_readers_of_one_thread_hold_what_they_have_lent_and_nothing_is_refused() {
    in_time(|| {
        let (first, second) = (cache_of(500, 1), cache_of(500, 1));
        together(2, |nth| {
            let mut random = Random::new(nth as u64);
            let (mut one, mut two, mut other) = (first.reader(), first.reader(), second.reader());
            for round in 0..operations() / 8 {
                let key = random.below(2_000);
                first.insert(key, round);
                let lent = (one.get(&key), two.peek(&random.below(2_000)), other.get(&key));
                second.insert(key, round);
                let all = [lent.0, lent.1, lent.2];
                assert!(all.into_iter().flatten().all(|&value| value <= operations()));
                if round % 64 == 0 {
                    two.park();
                }
            }
        });
        assert_eq!((first.stats().refusals, second.stats().refusals), (0, 0));
        support::validate(&first);
        support::validate(&second);
    });
}

/// More threads than the retired capacity has capacities, each with a reader that it has used once.
#[test]
fn readers_that_were_used_once_cost_their_threads_no_write() {
    in_time(|| {
        for capacity in [16, 64, 1_000] {
            let cache = cache_of(capacity, 1);
            together(8, |nth| {
                let (mut random, mut reader) = (Random::new(nth as u64), cache.reader());
                cache.insert(nth as u64, nth as u64);
                let lent = reader.get(&(nth as u64));
                (0..operations() / 8).for_each(|n| cache.insert(random.below(4 * capacity), n));
                assert!(lent.is_none_or(|&value| value < operations()));
            });
            assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
            support::validate(&cache);
        }
    });
}

/// The retired capacity has room for a few entries: all that a reader could have reached is more.
#[test]
fn a_reader_holds_for_its_own_thread_what_it_has_lent_and_no_more() {
    let cache = Cache::builder().capacity(1_000).retired_capacity(8).build().expect("sound");
    let value = |key: u64| format!("a value that is not small: {key}");
    let fill = |from: u64| (from..from + 1_000).for_each(|key| cache.insert(key, value(key)));
    fill(0);
    let mut reader = cache.reader();
    for round in 1..20 {
        let lent = reader.get(&(round * 1_000 - 1)).expect("the latest");
        fill(round * 1_000);
        assert_eq!(*lent, value(round * 1_000 - 1));
        assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
        // The same by the other ways to read.
        assert_eq!(reader.get(&1_000_000), None);
        assert!(reader.peek(&2_000_000).is_none() && !reader.contains_key(&3_000_000));
        let newest = round * 1_000 + 999;
        assert_eq!(reader.read(&newest, String::clone), Some(value(newest)));
    }
    cache.maintain(usize::MAX);
    assert_eq!(cache.usage().retired, 0, "it has lent nothing since");
    support::validate(&cache);
}

/// Many threads of which each looks at what its reader has lent while all of them wait for room.
#[test]
fn what_a_reader_has_lent_stays_whole_while_its_thread_waits_for_room() {
    in_time(|| {
        let builder = Cache::builder().capacity(100).retired_capacity(24).patience(FOR_EVER);
        let cache: Cache<u64, Vec<u64>> = builder.build().expect("sound");
        together(4, |nth| {
            let (mut random, mut reader) = (Random::new(nth as u64), cache.reader());
            for _ in 0..operations() / 400 {
                let key = random.below(200);
                let lent = reader.get(&key);
                for _ in 0..8 {
                    let new = random.below(200);
                    cache.insert(new, vec![new; 20]);
                    let whole =
                        |value: &Vec<u64>| value.len() == 20 && value.iter().all(|&it| it == key);
                    assert!(lent.is_none_or(whole));
                }
            }
        });
        assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
        support::validate(&cache);
    });
}

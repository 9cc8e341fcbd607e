//! P2 and P10: every loop is bounded and nobody waits for anybody. Many more threads than cores
//! finish a fixed amount of work, whatever the scheduler does to them.
//!
//! Alone in its file: its threads leave no other test much of a processor.

mod support;

use std::sync::Arc;
use std::time::Duration;

use clockhand::{Cache, Clock, Compute, Maintenance};
use support::{Constant, Random, assert_balanced, assert_unit_bounds, ignore, size, together};

const THREADS: usize = 16;

/// Every operation, at random, on few keys; some threads hold guards and readers for a while.
fn work<S: std::hash::BuildHasher + 'static>(
    cache: &Cache<u64, u64, S>,
    nth: usize,
    keys: u64,
    steps: usize,
) {
    let mut random = Random::new(nth as u64);
    let mut reader = cache.reader();
    for step in 0..steps {
        let key = random.below(keys);
        match random.below(24) {
            0 => ignore(cache.invalidate(&key)),
            1 => drop(cache.remove(&key)),
            2 => drop(cache.insert_if_absent(key, key)),
            3 => drop(cache.compute(key, |old| Compute::Put(old.copied().unwrap_or(key)))),
            4 => ignore(cache.maintain(8)),
            5 if step % 100 == 0 => cache.retain(|key, _| key % 5 != 0),
            6 if step % 100 == 0 => cache.set_capacity(keys / 2 + random.below(keys)),
            7 if step % 100 == 0 => drop(cache.snapshot()),
            8 if step % 100 == 0 => ignore(cache.remove_expired()),
            9 => {
                let pinned = cache.pin();
                std::thread::yield_now();
                assert!(pinned.get(&key).is_none_or(|value| *value == key));
            }
            10 => reader.park(),
            11..=15 => assert!(reader.get(&key).is_none_or(|value| *value == key)),
            16..=19 => assert!(cache.get(&key).is_none_or(|value| value == key)),
            _ => cache.insert(key, key),
        }
    }
}

fn assert_all_finish(maintenance: Maintenance) {
    let keys = 300;
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder()
        .capacity(keys / 2)
        .retired_capacity(1 << 20)
        .expected_entries(1)
        .time_to_live(Duration::from_millis(50))
        .clock(clock)
        .maintenance(maintenance)
        .build()
        .expect("sound");
    together(THREADS, |nth| {
        for _ in 0..10 {
            work(&cache, nth, keys, size(100, 20_000));
            manual.advance(Duration::from_millis(3));
            assert_unit_bounds_while_resized(&cache);
        }
    });
    if maintenance != Maintenance::Thread {
        assert_balanced(&cache);
        support::validate(&cache); // for which nobody else may use the cache
    }
}

/// The capacity in force is read last, so only what is never exceeded can be asserted here.
fn assert_unit_bounds_while_resized(cache: &Cache<u64, u64>) {
    let usage = cache.usage();
    assert!(usage.retired <= usage.retired_capacity, "{usage:?}");
}

#[test]
fn all_threads_finish() {
    assert_all_finish(Maintenance::Inline);
}

#[test]
fn all_threads_finish_beside_a_maintenance_thread() {
    assert_all_finish(Maintenance::Thread);
}

#[test]
fn all_threads_finish_on_one_key() {
    let cache = Cache::builder().capacity(4).retired_capacity(1 << 20).build().expect("sound");
    let steps = size(500, 100_000) as u64;
    together(THREADS, |_| {
        for _ in 0..steps {
            cache.compute(1, |count| Compute::Put(count.copied().unwrap_or(0) + 1));
        }
    });
    assert_unit_bounds(&cache);
    let counted = cache.get(&1).expect("it is there");
    assert_eq!(counted + cache.stats().refusals, THREADS as u64 * steps, "no update is lost");
    support::validate(&cache);
}

#[test]
fn all_threads_finish_in_one_bucket() {
    let cache = Cache::builder()
        .capacity(40)
        .retired_capacity(1 << 20)
        .hasher(Constant)
        .build()
        .expect("sound");
    together(THREADS, |nth| work(&cache, nth, 60, size(300, 50_000)));
    assert_balanced(&cache);
    support::validate(&cache);
}

/// Of many threads that want to be the first, one is: the two steps "look and add" are one here.
#[test]
fn exactly_one_of_many_is_the_first() {
    let messages = size(2_000, 200_000) as u64;
    // Room for a second attempt of each thread at the same message, while it is in its hand.
    let capacity = messages + THREADS as u64;
    let processed = Cache::builder().capacity(capacity).expected_entries(1).build().expect("sound");
    let firsts: u64 = together(THREADS, |_| {
        (0..messages).filter(|&id| processed.insert_if_absent(id, ()).is_ok()).count() as u64
    })
    .into_iter()
    .sum();
    assert_eq!(firsts, messages, "no message twice, and none lost");
    assert_eq!(processed.len() as u64, messages);
    support::validate(&processed);
}

#[test]
fn a_cache_is_built_and_dropped_by_many_threads_at_once() {
    together(8, |nth| {
        for round in 0..size(50, 2_000) as u64 {
            let cache = Arc::new(Cache::new(10));
            (0..20).for_each(|key| cache.insert(key, round + nth as u64));
            assert_eq!(cache.len(), 10);
        }
    });
}

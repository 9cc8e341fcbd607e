//! The table follows what the cache holds: memory that a burst took is given back, by writes in
//! passing, by maintenance and by walks; never below what was asked for, and never to and fro.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{self, Constant, Random, assert_balanced, ignore, size, together};
use clockhand::{Cache, Clock, Compute, Maintenance};

/// Entries of a burst.
fn burst() -> u64 {
    size(24_000, 500_000) as u64
}

/// A cache whose table starts small and is not bounded by the capacity.
fn cache() -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(1 << 40).retired_capacity(1 << 30).weigher(|_, _| 1);
    builder.expected_entries(64).build().expect("sound")
}

fn fill(cache: &Cache<u64, u64>) -> usize {
    (0..burst()).for_each(|key| cache.insert(key, key));
    cache.overhead()
}

/// Chains, which are a small part, come and go with their entries.
fn assert_same_table(cache: &Cache<u64, u64>, before: usize, why: &str) {
    let after = cache.overhead();
    assert!(after.abs_diff(before) < before / 4, "{why}: {after} bytes, and {before} before");
}

fn assert_given_back(cache: &Cache<u64, u64>, burst: usize, by: &str) {
    let after = cache.overhead();
    assert!(after < burst / 8, "{by}: {after} bytes of {burst} for {} entries", cache.len());
    support::validate(cache);
}

#[test]
fn a_small_cache_again_after_every_way_out() {
    type Way = fn(&Cache<u64, u64>);
    let ways: [(&str, Way); 5] = [
        ("invalidate_all", Cache::invalidate_all),
        ("retain", |cache| cache.retain(|key, _| *key < 100)),
        ("maintain", |cache| {
            (0..burst()).for_each(|key| ignore(cache.compute(key, |_| Compute::Remove)));
            (0..1_000).for_each(|_| ignore(cache.maintain(1_000)));
        }),
        ("removals", |cache| (0..burst()).for_each(|key| ignore(cache.invalidate(&key)))),
        ("a smaller capacity", |cache| cache.set_capacity(100)),
    ];
    for (by, empty) in ways {
        let cache = cache();
        let before = cache.overhead();
        let burst = fill(&cache);
        assert!(burst > 16 * before, "{before} bytes before, and {burst}");
        empty(&cache);
        // What a few writes set off, others go on with.
        (0..burst as u64 / 256).for_each(|nth| cache.insert(nth % 8, nth));
        assert_given_back(&cache, burst, by);
    }
}

#[test]
fn what_has_expired_gives_its_memory_back() {
    let (clock, time) = Clock::manual();
    let builder = Cache::builder().capacity(1 << 40).retired_capacity(1 << 30).weigher(|_, _| 1);
    let builder = builder.expected_entries(64).clock(clock).time_to_live(Duration::from_secs(1));
    let cache = builder.build().expect("sound");
    for by in ["remove_expired", "maintain"] {
        let burst = fill(&cache);
        time.advance(Duration::from_secs(2));
        if by == "maintain" {
            (0..100).for_each(|_| ignore(cache.maintain(10_000)));
        } else {
            cache.remove_expired();
        }
        assert_given_back(&cache, burst, by);
    }
}

#[test]
fn manual_maintenance_shrinks_too() {
    let builder = Cache::builder().capacity(1 << 40).retired_capacity(1 << 30).weigher(|_, _| 1);
    let cache = builder.expected_entries(64).maintenance(Maintenance::Manual).build();
    let cache = cache.expect("sound");
    let burst = fill(&cache);
    for key in 0..self::burst() {
        cache.invalidate(&key);
    }
    assert_same_table(&cache, burst, "nobody asked for it");
    let mut calls = 0;
    while cache.overhead() >= burst / 8 {
        cache.maintain(200);
        calls += 1;
        assert!(calls < 10_000, "it takes too long");
    }
    assert!(calls > 20, "a small budget is a part of the work: {calls} calls");
    assert_given_back(&cache, burst, "maintain");
}

#[test]
fn a_table_stays_as_large_as_was_asked_for() {
    let entries = 50_000;
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(1 << 20).expected_entries(entries).build().expect("sound");
    let before = cache.overhead();
    for _ in 0..3 {
        (0..entries as u64).for_each(|key| cache.insert(key, key));
        cache.invalidate_all();
        (0..1_000).for_each(|key| cache.insert(key % 10, key));
        cache.maintain(1 << 20);
        assert_same_table(&cache, before, "what was asked for");
    }
}

/// Entries come and go between a quarter of what made the table grow, and all of it: the size stays.
#[test]
fn a_table_does_not_shrink_and_grow_to_and_fro() {
    let cache = cache();
    let most = burst();
    let full = fill(&cache);
    let mut random = Random::new(1);
    for _ in 0..3 {
        for key in most / 4..most {
            cache.invalidate(&key);
        }
        cache.maintain(1 << 20);
        assert_same_table(&cache, full, "a quarter is enough");
        for key in most / 4..most {
            cache.insert(key, random.next());
        }
        assert_same_table(&cache, full, "all that it was made for");
    }
    // And what has shrunk does not grow again at once.
    (1_000..most).for_each(|key| ignore(cache.invalidate(&key)));
    cache.maintain(1 << 20);
    let small = cache.overhead();
    assert!(small < full / 8);
    (1_000..1_500).for_each(|key| cache.insert(key, key));
    (0..1_500).for_each(|key| ignore(cache.invalidate(&key)));
    (0..1_500).for_each(|key| cache.insert(key, key));
    assert_same_table(&cache, small, "half as many again");
    support::validate(&cache);
}

#[test]
fn a_long_chain_survives_a_shrink() {
    let builder = Cache::builder().capacity(1 << 40).retired_capacity(1 << 20).weigher(|_, _| 1);
    let cache = builder.expected_entries(8).hasher(Constant).build().expect("sound");
    for _ in 0..4 {
        (0..300).for_each(|key| cache.insert(key, key));
        (30..300).for_each(|key| ignore(cache.invalidate(&key)));
        cache.maintain(10_000);
        assert!((0..30).all(|key| cache.get(&key) == Some(key)));
    }
    support::validate(&cache);
}

/// A guard that is held keeps the older generations in memory, and nothing waits for it.
#[test]
fn a_shrink_does_not_wait_for_readers() {
    let cache = cache();
    cache.insert(u64::MAX, 7);
    let guard = cache.pin();
    let held = guard.get(&u64::MAX).expect("just inserted");
    let burst = fill(&cache);
    (0..self::burst()).for_each(|key| ignore(cache.invalidate(&key)));
    (0..10).for_each(|_| ignore(cache.maintain(1 << 20)));
    assert!(cache.overhead() < burst / 8);
    cache.invalidate(&u64::MAX);
    assert_eq!((*held, guard.get(&u64::MAX)), (7, None));
    drop(guard);
    support::validate(&cache);
}

/// Each thread knows what it has written, while bursts make the table grow and shrink, and scans and reads run
/// beside them.
#[test]
fn bursts_beside_reads_writes_and_scans() {
    const STABLE: u64 = 300;
    let cache = cache();
    (0..STABLE).for_each(|key| cache.insert(key, key));
    let over = AtomicBool::new(false);
    together(4, |nth| match nth {
        0 => {
            for round in 0..size(6, 60) as u64 {
                let keys = 1_000_000..1_000_000 + burst() / 4;
                keys.clone().for_each(|key| cache.insert(key, round));
                match round % 3 {
                    0 => cache.retain(|key, _| *key < 1_000_000),
                    1 => keys.for_each(|key| assert_eq!(cache.remove(&key), Some(round))),
                    _ => {
                        keys.for_each(|key| ignore(cache.invalidate(&key)));
                        cache.maintain(1 << 20);
                    }
                }
            }
            over.store(true, Ordering::SeqCst);
        }
        1 => {
            while !over.load(Ordering::SeqCst) {
                let mut met: HashMap<u64, usize> = HashMap::new();
                cache.for_each(|&key, _| *met.entry(key).or_default() += 1);
                assert!((0..STABLE).all(|key| met.get(&key) == Some(&1)), "each once");
                assert!(met.values().all(|&count| count == 1), "none twice");
            }
        }
        2 => {
            let (mut map, mut random) = (HashMap::new(), Random::new(3));
            while !over.load(Ordering::SeqCst) {
                let key = 10_000 + random.below(500);
                if random.one_in(3) {
                    assert_eq!(cache.remove(&key), map.remove(&key));
                } else {
                    let value = random.next();
                    cache.insert(key, value);
                    map.insert(key, value);
                }
                let key = 10_000 + random.below(500);
                assert_eq!(cache.get(&key), map.get(&key).copied());
            }
        }
        _ => {
            let (mut reader, mut random) = (cache.reader(), Random::new(4));
            while !over.load(Ordering::SeqCst) {
                let key = random.below(STABLE);
                assert_eq!(reader.get(&key), Some(&key), "it is there all the time");
            }
        }
    });
    assert!((0..STABLE).all(|key| cache.get(&key) == Some(key)));
    assert_balanced(&cache);
    support::validate(&cache);
}

/// A cache that evicts, with entries of different weights: the number of entries swings.
#[test]
fn entries_that_are_light_and_then_heavy() {
    let capacity = burst();
    let builder = Cache::builder().capacity(capacity).weigher(|_, weight: &u64| *weight);
    let cache = builder.expected_entries(64).build().expect("sound");
    let mut largest = 0;
    for round in 0..4 {
        (0..capacity + 1_000).for_each(|key| cache.insert(round << 32 | key, 1));
        largest = largest.max(cache.overhead());
        cache.invalidate_all();
        (0..4_000).for_each(|key| cache.insert(round << 33 | key, capacity / 100));
        support::assert_bounds(&cache);
        (0..10).for_each(|_| ignore(cache.maintain(10_000)));
        let after = cache.overhead();
        assert!(
            after < largest / 4,
            "{after} of {largest} for {:?}",
            (cache.usage(), cache.stats())
        );
        support::validate(&cache);
    }
    assert!(cache.len() >= 90, "{} heavy entries of a hundred", cache.len());
}

//! P3, for what is written over: an update is never lost, garbage evicts nobody whom a cache has room for, and a
//! replacement evicts nobody at all.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{
    self, Random, assert_balanced, assert_bounds, ignore, size, together, watched,
};
use clockhand::{Cache, Clock, Compute, Computed, InsertErrorKind, Inserted, RemovalCause};

/// More than there are cores: some of them sleep while they are pinned.
const THREADS: usize = 8;

/// Counts a key up, and tries again where that is refused.
fn count_up(cache: &Cache<u64, u64>, key: u64) {
    let add = |n: Option<&u64>| Compute::Put(n.copied().unwrap_or(0) + 1);
    while matches!(cache.compute(key, add), Computed::Refused { .. }) {
        std::thread::yield_now();
    }
}

fn assert_no_eviction(cache: &Cache<u64, u64>) {
    let stats = cache.stats();
    assert_eq!(stats.evictions, 0, "there was room for all: {stats:?}");
    assert_bounds(cache);
}

/// Eight threads count up so many keys, which are there before or not.
fn counters(cache: &Cache<u64, u64>, keys: u64, rounds: u64) {
    let count = || {
        together(THREADS, |nth| {
            let mut random = Random::new(nth as u64);
            for _ in 0..rounds {
                count_up(cache, random.below(keys));
            }
        });
    };
    watched(|| assert_no_eviction(cache), count);
    assert_no_eviction(cache);
    let sum: u64 = (0..keys).filter_map(|key| cache.get(&key)).sum();
    assert_eq!(sum, THREADS as u64 * rounds, "of {keys} keys: {:?}", cache.stats());
    assert_balanced(cache);
    support::validate(cache);
}

#[test]
fn a_counter_loses_nothing() {
    for capacity in [1, 2, 16, 1_000, 100_000] {
        counters(&Cache::new(capacity), 1, size(4_000, 400_000) as u64);
    }
}

/// What another thread does between an operation's look at a key and its search for room, it does here itself.
#[test]
fn no_operation_evicts_its_own_key() {
    for (capacity, first) in [(1, None), (4, None), (4, Some(1))] {
        let cache =
            Cache::builder().capacity(capacity).weigher(move |_, value: &u64| capacity.min(*value));
        let cache = cache.build().expect("sound");
        first.into_iter().for_each(|value| cache.insert(0, value));
        let mut alone = true;
        let computed = cache.compute(0, |old: Option<&u64>| {
            let old = old.copied();
            if std::mem::take(&mut alone) {
                cache.insert(0, if capacity == 1 { 1 } else { 3 });
            }
            // All of the capacity.
            Compute::Put(old.map_or(capacity, |old| old + capacity))
        });
        assert_eq!(computed, Computed::Replaced, "capacity {capacity}, {first:?}");
        let sum = if capacity == 1 { 2 } else { 7 };
        assert_eq!(cache.get(&0), Some(sum), "capacity {capacity}, {first:?}");
        assert_no_eviction(&cache);
        assert_balanced(&cache);
        support::validate(&cache);
    }
}

#[test]
fn counters_that_fit_lose_nothing() {
    for (capacity, keys) in [(16, 8), (16, 15), (1_000, 500), (100_000, 3)] {
        counters(&Cache::new(capacity), keys, size(4_000, 400_000) as u64);
    }
}

#[test]
fn counters_that_fill_the_cache_lose_nothing() {
    for capacity in [2, 16, 1_000] {
        let cache = Cache::new(capacity);
        (0..capacity).for_each(|key| cache.insert(key, 0));
        counters(&cache, capacity, size(4_000, 400_000) as u64);
    }
}

#[test]
fn counters_lose_nothing_whatever_the_retired_capacity() {
    for retired_capacity in [0, 1, 3, 16] {
        let builder = Cache::builder().capacity(16).retired_capacity(retired_capacity);
        counters(&builder.build().expect("sound"), 4, size(500, 100_000) as u64);
    }
}

#[test]
fn counters_lose_nothing_beside_guards_that_come_and_go() {
    let cache = Cache::builder().capacity(50).retired_capacity(50).build().expect("sound");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let pinned = cache.pin();
                let refusals = cache.stats().refusals;
                // Until that has been noticed.
                while cache.stats().refusals == refusals && !done.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                drop(pinned);
                std::thread::yield_now();
            }
        });
        together(THREADS, |nth| (0..size(300, 5_000)).for_each(|_| count_up(&cache, nth as u64)));
        done.store(true, Ordering::SeqCst);
    });
    assert_no_eviction(&cache);
    let counted = |nth| cache.get(&nth) == Some(size(300, 5_000) as u64);
    assert!((0..THREADS as u64).all(counted), "{:?}", cache.snapshot());
    support::validate(&cache);
}

#[test]
fn versions_that_fill_the_cache_only_grow() {
    let cache = Cache::new(16);
    (0..16).for_each(|key| cache.insert(key, 0_u64));
    together(THREADS, |nth| {
        for round in 0..size(3_000, 200_000) as u64 {
            let (key, version) = (round % 16, round * THREADS as u64 + nth as u64);
            while cache
                .insert_if_newer(key, version, |&version| version)
                .is_err_and(|error| error.kind != InsertErrorKind::Occupied)
            {
                std::thread::yield_now();
            }
        }
    });
    assert_no_eviction(&cache);
    let last = size(3_000, 200_000) as u64 * THREADS as u64;
    assert!((0..16).all(|key| cache.get(&key) >= Some(last - 16 * THREADS as u64)));
    support::validate(&cache);
}

// ---------------------------------------------------------------------------------------------
// While a guard is held
// ---------------------------------------------------------------------------------------------

fn small(capacity: u64, retired_capacity: u64) -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(capacity).retired_capacity(retired_capacity);
    builder.weigher(|_, &weight| weight).build().expect("sound")
}

/// All ways to write over a value of the same weight.
fn write_over(cache: &Cache<u64, u64>, key: u64, way: u64) -> bool {
    match way % 4 {
        0 => cache.try_insert(key, 1).is_ok(),
        1 => matches!(cache.compute(key, |_| Compute::Put(1)), Computed::Replaced),
        2 => cache.insert_if_newer(key, 1, |_| AtomicUsizeVersion::next()).is_ok(),
        _ => cache.loading(|_: &u64| Ok::<_, String>(1)).refresh(&key).is_ok(),
    }
}

/// Each version is newer than the one before: the new value's is asked for first.
struct AtomicUsizeVersion;
impl AtomicUsizeVersion {
    fn next() -> std::cmp::Reverse<usize> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        std::cmp::Reverse(NEXT.fetch_add(1, Ordering::SeqCst))
    }
}

#[test]
fn a_replacement_that_cannot_be_borne_is_refused_and_evicts_nobody() {
    for (live, retired_capacity) in [(10, 0), (10, 5), (7, 0), (7, 5)] {
        for way in 0..4 {
            let cache = small(10, retired_capacity);
            (0..live).for_each(|key| cache.insert(key, 1));
            let pinned = cache.pin();
            for round in 0..100 {
                write_over(&cache, round % live, way);
                assert_no_eviction(&cache);
                let stale = cache.stats().invalidations;
                assert_eq!(cache.len() as u64, live - stale, "way {way}");
                // A load that brings a newer value, which is refused, takes the older one out.
                assert!(stale == 0 || way == 3);
            }
            let usage = cache.usage();
            assert_eq!(usage.charged, cache.len() as u64, "what is live: {usage:?}");
            assert_eq!(usage.charged + usage.lingering, 10, "the rest is garbage: {usage:?}");
            assert_eq!(usage.retired, retired_capacity);
            drop(pinned);
            cache.maintain(1_000);
            assert_eq!((cache.usage().lingering, cache.usage().retired), (0, 0));
            support::validate(&cache);
        }
    }
}

#[test]
fn a_new_key_evicts_nobody_where_only_garbage_is_in_its_way() {
    for retired_capacity in [0, 3] {
        let cache = small(10, retired_capacity);
        (0..10).for_each(|key| cache.insert(key, 1));
        let pinned = cache.pin();
        (0..5).for_each(|key| assert!(cache.invalidate(&key)));
        let room = retired_capacity;
        for key in 100..200 {
            let inserted = cache.try_insert(key, 1).is_ok();
            assert_eq!(inserted, key < 100 + room, "key {key}: {:?}", cache.usage());
            assert_no_eviction(&cache);
        }
        assert_eq!(cache.usage().charged, 5 + room);
        drop(pinned);
        assert_eq!(cache.try_insert(200, 1).expect("garbage is freed"), Inserted::New);
        support::validate(&cache);
    }
}

#[test]
fn a_large_entry_that_was_removed_evicts_nobody() {
    // It can never lie in the retired capacity.
    let cache = small(100, 10);
    cache.insert(0, 50);
    (1..=50).for_each(|key| cache.insert(key, 1));
    let pinned = cache.pin();
    assert!(cache.invalidate(&0));
    for key in 100..200 {
        assert_eq!(cache.try_insert(key, 1).expect_err("held up").kind, InsertErrorKind::NoRoom);
        assert_no_eviction(&cache);
    }
    assert_eq!((cache.usage().charged, cache.usage().lingering), (50, 50));
    drop(pinned);
    (100..150).for_each(|key| cache.insert(key, 1));
    assert_no_eviction(&cache);
    assert_eq!(cache.usage().charged, 100);
    support::validate(&cache);
}

#[test]
fn what_is_charged_is_what_is_live_though_a_guard_is_held() {
    let cache = small(1_000, 100);
    (0..100).for_each(|key| cache.insert(key, 10));
    let pinned = cache.pin();
    cache.invalidate_all();
    let usage = cache.usage();
    assert_eq!((usage.charged, usage.lingering, usage.retired), (0, 900, 100));
    assert_eq!(usage.entries, 0);
    drop(pinned);
    cache.maintain(1_000);
    assert_eq!(cache.usage().lingering, 0);
    support::validate(&cache);
}

// ---------------------------------------------------------------------------------------------
// Heavier values
// ---------------------------------------------------------------------------------------------

#[test]
fn a_value_that_grows_makes_others_go_and_never_itself() {
    let cache = small(100, 100);
    (0..100).for_each(|key| cache.insert(key, 1));
    for weight in 2..=100 {
        let grown = cache.compute(7, |value| {
            assert_eq!(value, Some(&(weight - 1)), "its own entry never goes");
            Compute::Put(weight)
        });
        assert_eq!(grown, Computed::Replaced);
        assert_eq!(cache.stats().evictions, weight - 1, "just as many as have to");
    }
    assert_eq!(cache.snapshot(), [(7, 100)]);
    support::validate(&cache);
}

#[test]
fn a_value_that_grows_while_a_guard_is_held_stays_or_grows() {
    for retired_capacity in [0, 5, 20] {
        let cache = small(20, retired_capacity);
        (0..20).for_each(|key| cache.insert(key, 1));
        let pinned = cache.pin();
        let mut weight = 1;
        for _ in 0..100 {
            if cache.try_insert(7, weight + 1).is_ok() {
                weight += 1;
            }
            assert_eq!(cache.peek(&7), Some(weight));
            assert_bounds(&cache);
        }
        drop(pinned);
        support::validate(&cache);
    }
}

// ---------------------------------------------------------------------------------------------
// What weighs nothing
// ---------------------------------------------------------------------------------------------

/// Counts what is alive.
#[derive(Debug, Clone)]
struct Alive(#[allow(dead_code, reason = "counts")] Arc<()>);

#[test]
fn what_weighs_nothing_is_bounded_beside_a_guard_whatever_is_done() {
    const CAPACITY: u64 = 100;
    const RETIRED: u64 = 10;
    let most = (CAPACITY + RETIRED + 4) as usize;
    for way in 0..8 {
        let alive = Arc::new(());
        let new = || Alive(Arc::clone(&alive));
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(CAPACITY).retired_capacity(RETIRED);
        let cache: Cache<u64, Alive> = builder
            .weigher(|_, _| 0)
            .time_to_live(Duration::from_secs(1))
            .clock(clock)
            .build()
            .expect("sound");
        let loaded = Arc::downgrade(&alive);
        let load = move |_: &u64| loaded.upgrade().map(Alive).ok_or("over");
        let loading = cache.loading(load);
        cache.insert(0, new());
        let pinned = cache.pin();
        let mut highest = 0;
        for _ in 0..3_000 {
            match way {
                0 => cache.insert(0, new()),
                1 => ignore(cache.compute(0, |_| Compute::Put(new()))),
                2 => drop((cache.try_insert(0, new()), cache.remove(&0))),
                3 => {
                    ignore(cache.compute(0, |_| Compute::Put(new())));
                    ignore(cache.compute(0, |_| Compute::Remove));
                }
                4 => {
                    drop(cache.try_insert(0, new()));
                    cache.retain(|_, _| false);
                }
                5 => {
                    drop(cache.insert_if_absent(0, new()));
                    manual.advance(Duration::from_secs(2));
                    ignore(cache.remove_expired());
                }
                6 => drop(loading.refresh(&0)),
                _ => {
                    drop(loading.get(&0));
                    cache.invalidate_all();
                }
            }
            highest = highest.max(Arc::strong_count(&alive) - 1);
        }
        assert!(highest <= most, "way {way}: {highest} values alive, {:?}", cache.usage());
        assert_eq!(cache.stats().evictions, 0);
        drop(pinned);
        cache.maintain(10_000);
        assert!(cache.try_insert(0, new()).is_ok(), "way {way}");
        support::validate(&cache);
    }
}

#[test]
fn a_removal_of_what_weighs_nothing_is_possible_though_the_cache_is_full_of_garbage() {
    let cache = small(5, 0);
    (0..1_000).for_each(|key| cache.insert(key, 0));
    let pinned = cache.pin();
    cache.invalidate_all();
    assert!(cache.is_empty());
    assert_eq!(cache.try_insert(1, 0).expect_err("held up").kind, InsertErrorKind::NoRoom);
    assert_bounds(&cache);
    drop(pinned);
    assert!(cache.try_insert(1, 0).is_ok());
    support::validate(&cache);
}

// ---------------------------------------------------------------------------------------------
// Reports
// ---------------------------------------------------------------------------------------------

#[test]
fn a_listener_that_panics_hides_no_refusal() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let cache = Cache::builder().capacity(10).weigher(|_, &weight: &u64| weight).removal_listener(
        move |_: &u64, &value, cause| {
            log.lock().expect("no panic under it").push((value, cause));
            std::panic::resume_unwind(Box::new("on purpose"));
        },
    );
    let cache = cache.build().expect("sound");
    cache.insert(1, 5);
    let insert = std::panic::AssertUnwindSafe(|| cache.insert(1, 11));
    assert!(std::panic::catch_unwind(insert).is_err());
    let told = told.lock().expect("no panic under it");
    assert_eq!(*told, [(5, RemovalCause::Invalidated), (11, RemovalCause::Refused)]);
    support::validate(&cache);
}

// ---------------------------------------------------------------------------------------------
// Closures that write what they are to decide on
// ---------------------------------------------------------------------------------------------

/// With room for what a closure replaces while its own operation keeps that from being freed.
fn roomy() -> Cache<u64, u64> {
    Cache::builder().capacity(100).retired_capacity(10_000).build().expect("sound")
}

#[test]
fn a_closure_that_writes_its_own_key_ends_in_a_refusal() {
    let cache = roomy();
    let mut calls = 0;
    let mut next = || {
        calls += 1;
        assert!(calls < 1_000, "it does not end");
        calls
    };
    cache.insert(1, 0);
    let computed = cache.compute(1, |_| {
        cache.insert(1, next());
        Compute::Put(0)
    });
    assert_eq!(computed, Computed::Refused { kind: InsertErrorKind::Contended, value: 0 });
    let computed = cache.compute(1, |_| {
        cache.insert(1, next());
        Compute::Remove
    });
    assert_eq!(computed, Computed::Contended);
    assert_eq!(cache.get(&1), Some(512), "what the closure wrote last");
    support::validate(&cache);
}

#[test]
fn closures_that_write_their_own_key_end_whatever_they_are() {
    let cache = roomy();
    cache.insert(1, 0_u64);
    let write = |value| cache.insert(1, value);
    assert!(!cache.remove_if(&1, |&value| {
        write(value + 1);
        true
    }));
    assert_eq!(cache.get(&1), Some(256));
    let error = cache.insert_if_newer(1, 10_000, |&version| {
        write(version % 1_000);
        version
    });
    assert_eq!(error.expect_err("its own doing").kind, InsertErrorKind::Contended);
    // One that takes the key out and lets it be loaded, each time.
    let loading = cache.loading(|_: &u64| Err::<u64, _>("none"));
    let computed = cache.compute(2, |_| {
        assert!(loading.get(&2).is_err());
        Compute::Put(1)
    });
    assert_eq!(computed, Computed::Refused { kind: InsertErrorKind::Contended, value: 1 });
    let mut seen = HashSet::new();
    cache.retain(|_, &value| {
        assert!(seen.insert(value), "called again for what it has seen");
        cache.insert(1, value + 1);
        false
    });
    assert!(seen.len() <= 256);
    support::validate(&cache);
}

#[test]
fn a_closure_that_writes_other_keys_is_no_reason_to_refuse() {
    let cache = Cache::new(1_000);
    together(4, |_| {
        for round in 0..size(2_000, 50_000) as u64 {
            let computed = cache.compute(0, |n| {
                cache.insert(1 + round % 100, round);
                Compute::Put(n.copied().unwrap_or(0) + 1)
            });
            assert!(matches!(computed, Computed::Inserted | Computed::Replaced), "{computed:?}");
        }
    });
    assert_eq!(cache.get(&0), Some(4 * size(2_000, 50_000) as u64));
}

// ---------------------------------------------------------------------------------------------
// Entries that are larger than the retired capacity
// ---------------------------------------------------------------------------------------------

#[test]
fn a_replacement_of_a_large_entry_evicts_no_other() {
    for retired_capacity in [0, 10] {
        let cache = small(1_000, retired_capacity);
        (0..2).for_each(|key| cache.insert(key, 500));
        for round in 0..100 {
            // There is no room for two: where nobody reads, the old one goes first.
            assert!(cache.try_insert(round % 2, 500).is_ok());
            cache.insert(round % 2, 500);
            assert_eq!(cache.len(), 2, "{:?}", cache.stats());
        }
        let pinned = cache.pin();
        for round in 0..100 {
            assert!(cache.try_insert(round % 2, 500).is_err());
            let refused = cache.compute(round % 2, |_| Compute::Put(500));
            assert!(matches!(refused, Computed::Refused { .. }), "{refused:?}");
            assert_eq!(cache.len(), 2, "{:?}", cache.stats());
        }
        drop(pinned);
        support::validate(&cache);
    }
}

#[test]
fn a_large_entry_is_replaced_beside_another_that_fits() {
    // Room for three: the old one lingers until it is freed.
    let cache = small(1_500, 10);
    (0..2).for_each(|key| cache.insert(key, 500));
    for round in 0..100 {
        let computed = cache.compute(round % 2, |value| {
            assert_eq!(value, Some(&500));
            Compute::Put(500)
        });
        assert_eq!(computed, Computed::Replaced);
    }
    assert_no_eviction(&cache);
    support::validate(&cache);
}

//! P3: the bound is exact and global. At no instant do the entries' charges exceed the capacity, and
//! no entry is evicted while a new one still fits.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use crate::support::{
    self, Random, Weighty, assert_balanced, assert_bounds, assert_unit_bounds, ignore, in_time,
    size, together, watched,
};
use clockhand::{Cache, Compute, Computed, InsertErrorKind, Inserted, RemovalCause};

/// The capacities that the issue names.
const CAPACITIES: [u64; 5] = [1, 7, 100, 10_000, 1_000_000];
const WRITERS: usize = 8;

fn weighed(capacity: u64) -> Cache<u64, u64> {
    weighed_beside_retired(capacity, capacity)
}

/// A cache where a value is its own weight.
fn weighed_beside_retired(capacity: u64, retired_capacity: u64) -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(capacity).retired_capacity(retired_capacity);
    builder.weigher(|_, &weight| weight).build().expect("a sound configuration")
}

fn assert_full_without_loss(cache: &Cache<u64, u64>, capacity: u64) {
    let stats = cache.stats();
    assert_eq!((stats.evictions, stats.refusals), (0, 0), "there was room for all {capacity}");
    assert_eq!(cache.len() as u64, capacity);
    assert_eq!(cache.usage().charged, capacity);
    assert!((0..capacity).all(|key| cache.peek(&key) == Some(key)));
    support::validate(cache);
}

#[test]
fn as_many_entries_as_the_capacity_fit() {
    for capacity in CAPACITIES {
        let cache = Cache::new(capacity);
        for key in 0..capacity {
            cache.insert(key, key);
        }
        assert_full_without_loss(&cache, capacity);
    }
}

#[test]
fn as_many_entries_as_the_capacity_fit_from_several_threads() {
    for capacity in CAPACITIES {
        let cache = Cache::new(capacity);
        together(4, |nth| {
            for key in (nth as u64..capacity).step_by(4) {
                cache.insert(key, key);
            }
        });
        assert_full_without_loss(&cache, capacity);
    }
}

#[test]
fn as_many_entries_fit_in_a_table_that_starts_small() {
    let capacity = size(20_000, 1_000_000) as u64;
    let cache = Cache::builder().capacity(capacity).expected_entries(1).build().expect("sound");
    together(4, |nth| {
        for key in (nth as u64..capacity).step_by(4) {
            cache.insert(key, key);
        }
    });
    assert_full_without_loss(&cache, capacity);
}

#[test]
fn a_full_cache_evicts_one_for_one() {
    let cache = Cache::new(1000);
    (0..1000).for_each(|key| cache.insert(key, key));
    for more in 1..=500 {
        cache.insert(1000 + more, 0);
        assert_eq!(cache.stats().evictions, more);
        assert_eq!(cache.len(), 1000);
    }
    assert_eq!(cache.stats().refusals, 0);
    support::validate(&cache);
}

#[test]
fn replacing_and_removing_make_room_without_an_eviction() {
    let cache = weighed(100);
    for round in 0..1000 {
        cache.insert(round % 10, 10 - round % 2);
        if round % 3 == 0 {
            cache.invalidate(&(round % 10));
        }
    }
    assert_eq!((cache.stats().evictions, cache.stats().refusals), (0, 0));
    support::validate(&cache);
}

#[test]
fn weights_that_fit_stay() {
    let mut random = Random::new(1);
    for _ in 0..50 {
        let capacity = 1 + random.below(5000);
        let cache = weighed(capacity);
        let (mut charged, mut key) = (0, 0);
        while charged < capacity {
            let weight = random.below(capacity - charged + 1).min(100);
            cache.insert(key, weight);
            charged += weight;
            key += 1;
            assert_eq!(cache.usage().charged, charged);
        }
        assert_eq!((cache.stats().evictions, cache.stats().refusals), (0, 0));
        assert_eq!(cache.len() as u64, key);
        support::validate(&cache);
    }
}

/// One writer's share of random writes: inserts of all kinds, removals, computations.
fn churn(cache: &Cache<u64, Weighty>, alive: &Arc<AtomicI64>, heaviest: u64, seed: u64, n: usize) {
    let mut random = Random::new(seed);
    for _ in 0..n {
        let (key, weight) = (random.below(2000), 1 + random.below(heaviest));
        match random.below(8) {
            0 => ignore(cache.invalidate(&key)),
            1 => drop(cache.try_insert(key, Weighty::new(weight, alive))),
            2 => drop(cache.insert_if_absent(key, Weighty::new(weight, alive))),
            3 => drop(cache.compute(key, |_| Compute::Put(Weighty::new(weight, alive)))),
            _ => cache.insert(key, Weighty::new(weight, alive)),
        }
    }
}

#[test]
fn probations_share_is_known_however_entries_are_replaced_by_heavier_ones() {
    // So small that half of the writes meet an entry that another thread promotes or evicts.
    for seed in 0..size(20, 500) as u64 {
        let cache = weighed(200);
        together(4, |nth| {
            let mut random = Random::new(seed << 8 | nth as u64);
            for _ in 0..5_000 {
                let (key, weight) = (random.below(24), random.below(40));
                match random.below(8) {
                    0 => ignore(cache.get(&key)),
                    1 => ignore(cache.invalidate(&key)),
                    2 => ignore(cache.get_or_load(key, |_| weight)),
                    3 => ignore(cache.compute(key, |_| Compute::Put(weight))),
                    _ => cache.insert(key, weight),
                }
            }
        });
        support::validate(&cache);
    }
}

#[test]
fn the_bounds_hold_at_every_instant_beside_eight_writers() {
    const HEAVIEST: u64 = 100;
    let (capacity, retired_capacity) = (20_000, 4_000);
    let alive = Arc::new(AtomicI64::new(0));
    let cache = Cache::builder()
        .capacity(capacity)
        .retired_capacity(retired_capacity)
        .weigher(|_, value: &Weighty| value.weight)
        .build()
        .expect("sound");
    // Beside entries and garbage there is what each writer has in its hands: a new value.
    let most = capacity + retired_capacity + WRITERS as u64 * HEAVIEST;
    let check = || {
        assert_bounds(&cache);
        let alive = alive.load(Ordering::SeqCst);
        assert!(alive <= most.cast_signed(), "{alive} alive, {most} allowed: {:?}", cache.usage());
    };
    watched(check, || {
        together(WRITERS, |nth| {
            churn(&cache, &alive, HEAVIEST, nth as u64, size(8_000, 2_000_000));
        });
    });
    // Removals and refusals left room. An entry has to go only when what is left is too little.
    let evictions = cache.stats().evictions;
    for key in 10_000.. {
        cache.insert(key, Weighty::new(HEAVIEST, &alive));
        if cache.stats().evictions > evictions {
            break;
        }
        assert!(key < 20_000, "more fits than there is: {:?}", cache.usage());
    }
    assert!(cache.usage().charged >= capacity * 99 / 100, "it is used: {:?}", cache.usage());
    assert_balanced(&cache);
    support::validate(&cache);
    assert_eq!(alive.load(Ordering::SeqCst), cache.usage().charged.cast_signed());
}

#[test]
fn no_more_entries_than_capacity_beside_eight_writers() {
    // With next to no capacity, what there is is in somebody's hand, and the others search in vain.
    for (capacity, steps) in [(1, 40), (3, 80), (100, 4_000), (5_000, 4_000)] {
        let cache = Cache::new(capacity);
        watched(
            || assert_unit_bounds(&cache),
            || {
                together(WRITERS, |nth| {
                    let mut random = Random::new(nth as u64);
                    for _ in 0..size(steps, 200 * steps) {
                        let key = random.below(capacity * 3);
                        match random.below(10) {
                            0 => ignore(cache.invalidate(&key)),
                            _ => cache.insert(key, key),
                        }
                    }
                });
            },
        );
        assert_balanced(&cache);
        support::validate(&cache);
    }
}

#[test]
fn nothing_is_lost_of_the_capacity_after_a_storm() {
    let capacity = 1000;
    let cache = Cache::new(capacity);
    together(WRITERS, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..size(5_000, 1_000_000) {
            let key = random.below(5000);
            cache.insert(key, key);
            cache.invalidate(&random.below(5000));
        }
    });
    cache.invalidate_all();
    let before = cache.stats();
    (0..capacity).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.stats().evictions, before.evictions);
    assert_eq!(cache.stats().refusals, before.refusals);
    assert_eq!(cache.len() as u64, capacity);
    support::validate(&cache);
}

#[test]
fn what_is_heavier_than_the_capacity_is_told_so() {
    let cache = weighed(10);
    cache.insert(1, 4);
    let error = cache.try_insert(2, 11).expect_err("too large");
    assert_eq!(error.kind, InsertErrorKind::TooLarge { charge: 11, capacity: 10 });
    assert_eq!((error.key, error.value), (2, 11));
    let error = cache.insert_if_absent(2, 12).expect_err("too large");
    assert_eq!(error.kind, InsertErrorKind::TooLarge { charge: 12, capacity: 10 });
    let kind = InsertErrorKind::TooLarge { charge: 13, capacity: 10 };
    assert_eq!(cache.compute(1, |_| Compute::Put(13)), Computed::Refused { kind, value: 13 });
    assert_eq!(cache.get(&1), Some(4), "what was there stays");
    assert_eq!((cache.stats().refusals, cache.stats().evictions), (3, 0));
    assert_eq!(cache.try_insert(2, 10).expect("it fits when the other one goes"), Inserted::New);
    assert_eq!(cache.snapshot(), [(2, 10)]);
}

#[test]
fn an_insert_that_is_refused_removes_the_older_value() {
    let cache = weighed(10);
    cache.insert(1, 4);
    cache.insert(1, 11);
    assert_eq!(cache.get(&1), None);
    let stats = cache.stats();
    assert_eq!((stats.refusals, stats.invalidations, stats.evictions), (1, 1, 0));
    assert_eq!(cache.usage().charged, 0);
    support::validate(&cache);
}

#[test]
fn a_capacity_of_zero_refuses_everything() {
    let refused = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&refused);
    let cache = Cache::builder()
        .capacity(0)
        .removal_listener(move |_: &u64, _: &u64, cause| {
            assert_eq!(cause, RemovalCause::Refused);
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .expect("sound");
    cache.insert(1, 1);
    let kind = InsertErrorKind::TooLarge { charge: 1, capacity: 0 };
    assert_eq!(cache.try_insert(1, 1).expect_err("refused").kind, kind);
    assert_eq!(cache.insert_if_absent(1, 1).expect_err("refused").kind, kind);
    assert!(matches!(cache.compute(1, |_| Compute::Put(1)), Computed::Refused { value: 1, .. }));
    assert_eq!(cache.compute(1, |_| Compute::Keep), Computed::Absent);
    assert_eq!(cache.get(&1), None);
    assert_eq!(refused.load(Ordering::SeqCst), 1, "only insert tells the listener");
    assert_eq!(cache.stats().refusals, 4);
    assert!(cache.is_empty());
    support::validate(&cache);
}

#[test]
fn a_capacity_of_zero_refuses_even_what_weighs_nothing() {
    let cache = weighed(0);
    cache.insert(1, 0);
    assert!(cache.is_empty());
}

#[test]
fn a_capacity_of_one_keeps_the_newest() {
    let cache = Cache::new(1);
    for key in 0..1000 {
        cache.insert(key, key);
        assert_eq!(cache.get(&key), Some(key));
        assert_eq!(cache.len(), 1);
    }
    assert_eq!(cache.stats().refusals, 0);
    support::validate(&cache);
}

#[test]
fn the_largest_capacity_does_not_overflow() {
    let half = u64::MAX / 2;
    let cache = weighed_beside_retired(u64::MAX, u64::MAX);
    cache.insert(1, half);
    cache.insert(2, half);
    cache.insert(3, 1);
    assert_eq!((cache.len(), cache.stats().evictions), (3, 0));
    assert_eq!(cache.usage().charged, u64::MAX);
    cache.insert(4, half);
    assert_eq!(cache.peek(&4), Some(half));
    let refused = cache.try_insert(5, half + 1).expect_err("no entry may weigh so much");
    assert_eq!(refused.kind, InsertErrorKind::TooLarge { charge: half + 1, capacity: half });
    cache.invalidate_all();
    support::validate(&cache);
    cache.insert(4, 1);
    assert_eq!(cache.usage().charged, 1);
    cache.set_capacity(1);
    cache.set_capacity(u64::MAX);
    assert_eq!((cache.usage().charged, cache.capacity()), (1, u64::MAX));
    support::validate(&cache);
}

#[test]
fn an_unbounded_cache_of_units_works() {
    let cache = Cache::new(u64::MAX);
    (0..10_000).for_each(|key| cache.insert(key, key));
    assert_eq!((cache.len(), cache.stats().evictions), (10_000, 0));
    support::validate(&cache);
}

#[test]
fn a_smaller_capacity_is_in_force_on_return() {
    let cache = Cache::new(10_000);
    (0..10_000).for_each(|key| cache.insert(key, key));
    for capacity in [9_999, 5_000, 100, 7, 1, 0] {
        cache.set_capacity(capacity);
        assert_eq!((cache.capacity(), cache.usage().capacity), (capacity, capacity));
        assert_eq!(cache.len() as u64, capacity, "and not one entry more was evicted");
        support::validate(&cache);
    }
    cache.insert(1, 1);
    assert!(cache.is_empty());
}

#[test]
fn a_larger_capacity_is_there_at_once() {
    let cache = Cache::new(10);
    for capacity in [11, 100, 5_000] {
        cache.set_capacity(capacity);
        (0..capacity).for_each(|key| cache.insert(key, key));
        assert_full_without_loss(&cache, capacity);
    }
}

#[test]
fn the_retired_capacity_follows_the_capacity_unless_it_was_set() {
    let follows = Cache::<u64, u64>::new(10);
    let own = Cache::<u64, u64>::builder().capacity(10).retired_capacity(7).build().expect("sound");
    for capacity in [10, 100_000, 3, 0, 5, u64::MAX, 64] {
        let built = Cache::<u64, u64>::builder().capacity(capacity).expected_entries(1);
        let built = if capacity == 0 { None } else { Some(built.build().expect("sound")) };
        follows.set_capacity(capacity);
        own.set_capacity(capacity);
        let retired = built.map_or(0, |built| built.usage().retired_capacity);
        // What waits to be freed keeps the limit up.
        follows.maintain(usize::MAX);
        let usage = follows.usage();
        assert_eq!(usage.retired_capacity, retired, "as one that is built with {capacity}");
        assert_eq!(own.usage().retired_capacity, 7);
        (0..200).for_each(|key| follows.insert(key, key));
        support::validate(&follows);
        support::validate(&own);
    }
}

/// The capacity changes within closures, listeners' or not, of writes that have credit of their own.
#[test]
fn a_closure_that_changes_the_capacity_leaves_no_debt() {
    for (before, after) in [(10_000, 10), (10_000, 0), (10, 10_000), (500, 499)] {
        let cache: Cache<u64, u64> = Cache::new(before);
        (0..20_000).for_each(|key| cache.insert(key, key));
        cache.compute(7, |_| {
            cache.set_capacity(after);
            (0..100).for_each(|key| cache.insert(key, key));
            Compute::Put(1)
        });
        support::validate(&cache);
        assert_eq!(cache.usage().capacity, after);
        let built = Cache::<u64, u64>::builder().capacity(after.max(1)).build().expect("sound");
        let retired = if after == 0 { 0 } else { built.usage().retired_capacity };
        assert_eq!(cache.usage().retired_capacity, retired);
    }
}

#[test]
fn a_cache_that_has_grown_or_shrunk_refuses_nothing_beside_one_who_sleeps() {
    for (built, capacity) in [(10, 10_000), (10_000, 100), (100_000, 1)] {
        let cache = Cache::new(built);
        (0..2 * built).for_each(|key| cache.insert(key, key));
        cache.set_capacity(capacity);
        (0..2 * capacity).for_each(|key| cache.insert(key, key));
        let (asleep, over) = (&Barrier::new(2), &Barrier::new(2));
        std::thread::scope(|scope| {
            let cache: &Cache<u64, u64> = &cache;
            scope.spawn(move || {
                let guard = cache.pin();
                asleep.wait();
                over.wait();
                drop(guard);
            });
            asleep.wait();
            // All that it may have seen leaves, and more comes and goes; by several threads, as none has a processor of its own.
            together(4, |nth| {
                (0..20_000).for_each(|key| cache.insert(10 + nth as u64 * 20_000 + key, key));
            });
            assert_bounds(cache);
            over.wait();
        });
        assert_eq!(cache.stats().refusals, 0, "{built} to {capacity}: {:?}", cache.usage());
        support::validate(&cache);
    }
}

#[test]
fn the_capacity_changes_both_ways_beside_writers() {
    let cache = Cache::new(10_000);
    let churn = |nth: usize| {
        let mut random = Random::new(nth as u64);
        for _ in 0..size(15_000, 2_000_000) {
            cache.insert(random.below(30_000), 0);
        }
    };
    watched(
        || assert_unit_bounds(&cache),
        || {
            together(5, |nth| {
                if nth > 0 {
                    return churn(nth);
                }
                for round in 0..size(60, 4_000) as u64 {
                    cache.set_capacity([100, 10_000, 0, 3, 20_000][round as usize % 5]);
                }
            });
        },
    );
    cache.set_capacity(50);
    assert_eq!(cache.usage().capacity, 50);
    assert!(cache.len() <= 50);
    support::validate(&cache);
    cache.set_capacity(5_000);
    cache.invalidate_all();
    (0..5_000).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.len(), 5_000);
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_heavy_entry_takes_the_place_of_many_light_ones() {
    for retired_capacity in [0, 10, 1000, 100_000] {
        let cache = weighed_beside_retired(10_000, retired_capacity);
        (0..10_000).for_each(|key| cache.insert(key, 1));
        let evicted = cache.stats().evictions;
        let inserted = cache.try_insert(1_000_000, 5_000);
        assert!(
            inserted.is_ok(),
            "nobody reads, so there is room, with a retired capacity of {retired_capacity}"
        );
        assert_eq!(cache.stats().evictions - evicted, 5_000);
        support::validate(&cache);
    }
}

#[test]
fn a_heavier_value_makes_the_room_it_needs() {
    let cache = weighed(100);
    (0..100).for_each(|key| cache.insert(key, 1));
    // The light one may be among those that make room for the heavy one.
    assert!(cache.try_insert(7, 51).is_ok(), "nobody reads, so there is room");
    assert_eq!(cache.get(&7), Some(51));
    assert_eq!(cache.usage().charged, 100);
    support::validate(&cache);
}

#[test]
fn a_lower_capacity_beside_weightless_entries_and_a_guard_comes_to_an_end() {
    in_time(|| {
        let cache = weighed_beside_retired(100, 0);
        cache.insert(1, 0);
        cache.insert(2, 100);
        let pinned = cache.pin();
        cache.set_capacity(10);
        drop(pinned);
        cache.maintain(1000);
        assert_eq!(cache.usage().capacity, 10);
        assert_eq!(cache.snapshot(), [(1, 0)]);
    });
}

/// A cache of 1,000 entries whose shrink to 100 was stopped by a reader.
fn stopped_shrink() -> Cache<u64, u64> {
    let cache = Cache::builder().capacity(1_000).retired_capacity(50).build().expect("it fits");
    (0..1_000).for_each(|key| cache.insert(key, key));
    let pinned = cache.pin();
    cache.set_capacity(100);
    let usage = cache.usage();
    assert!((900..1_000).contains(&usage.capacity), "the retired capacity stops it: {usage:?}");
    drop(pinned);
    cache
}

#[test]
fn inserts_go_on_with_a_shrink_that_a_reader_stopped() {
    let cache = stopped_shrink();
    let mut before = cache.usage().capacity;
    for key in 1_000..1_500 {
        let evicted = cache.stats().evictions;
        cache.insert(key, key);
        // One for itself, and two for the shrink; twice that where it waits for garbage and begins anew.
        let evicted = cache.stats().evictions - evicted;
        assert!(evicted <= 6, "{evicted} entries went for one");
        let usage = cache.usage();
        assert!(usage.charged <= usage.capacity && usage.capacity <= before, "{usage:?}");
        before = usage.capacity;
    }
    assert_eq!(before, 100, "two for each insert, and some");
    assert_eq!(cache.len(), 100);
}

#[test]
fn maintenance_goes_on_with_a_shrink_that_a_reader_stopped() {
    let cache = stopped_shrink();
    let before = cache.usage().capacity;
    cache.maintain(10);
    let after = cache.usage().capacity;
    assert!((before - 20..before).contains(&after), "{before} to {after}: by its budget");
    cache.maintain(10_000);
    assert_eq!(cache.usage().capacity, 100);
    assert_eq!(cache.len(), 100);
}

#[test]
fn a_shrink_finds_the_few_entries_of_a_large_table() {
    let few = Cache::builder().capacity(1 << 21).expected_entries(1 << 21).build();
    let few: Cache<u64, u64> = few.expect("it fits");
    (0..20).for_each(|key| few.insert(key, key));
    few.set_capacity(1);
    assert_eq!(few.usage().capacity, 1);
    assert_eq!(few.len(), 1);
}

#[test]
fn a_replacement_does_not_keep_the_retired_capacity_from_its_own_victims() {
    for seed in 0..2_000 {
        let builder = Cache::builder().capacity(3).retired_capacity(1).weigher(|_, &weight| weight);
        let hasher = ahash::RandomState::with_seeds(seed, 2, 3, 4);
        let cache: Cache<u64, u64, _> = builder.hasher(hasher).build().unwrap();
        let mut random = Random::new(seed);
        for _ in 0..20 {
            let (key, weight) = (random.below(3), 1 + random.below(2));
            cache.try_insert(key, weight).expect("nobody reads");
        }
    }
}

#[test]
fn a_shrink_evicts_no_more_than_will_pay_for_it() {
    let mut spared = 0;
    for seed in 0..20 {
        let builder =
            Cache::builder().capacity(40).retired_capacity(8).weigher(|_, &weight| weight);
        let hasher = ahash::RandomState::with_seeds(seed, 2, 3, 4);
        let cache: Cache<u64, u64, _> = builder.hasher(hasher).build().unwrap();
        cache.insert(1, 13);
        cache.insert(2, 3);
        let guard = cache.pin();
        // If the heavier one goes first, which is heavier than the retired capacity, the other one may stay.
        cache.set_capacity(8);
        assert!(!cache.contains_key(&1));
        spared += usize::from(cache.contains_key(&2));
        drop(guard);
        cache.maintain(usize::MAX);
        assert_eq!(cache.usage().capacity, 8);
    }
    assert!(spared > 0);
}

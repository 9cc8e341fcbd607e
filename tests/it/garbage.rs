//! P4: garbage is bounded. While a reader sleeps inside a guard, memory stays within its bounds,
//! what does not fit is refused, nothing stale is seen; and all is well again once it is released.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::support::{
    self, Weighty, assert_balanced, assert_bounds, ignore, in_time, is_full, size, together,
    watched,
};
use clockhand::{Cache, Compute, Computed, InsertErrorKind, Maintenance};

const CAPACITY: u64 = 2_000;
const RETIRED: u64 = 500;

fn cache_with(retired_capacity: u64, maintenance: Maintenance) -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(CAPACITY).retired_capacity(retired_capacity);
    builder.maintenance(maintenance).build().expect("sound")
}

/// The value of a key that tells the key.
fn value_of(key: u64) -> u64 {
    key * 10 + 7
}

/// Four threads insert ten times the capacity, again and again until `enough`.
fn flood(cache: &Cache<u64, u64>, enough: impl Fn() -> bool + Sync) {
    together(4, |nth| {
        let mut key = nth as u64;
        while key < 10 * CAPACITY || !enough() {
            cache.insert(key, value_of(key));
            let old = key / 2;
            assert!(cache.get(&old).is_none_or(|value| value == value_of(old)));
            key += 4;
        }
    });
}

/// After the release: nothing is refused, and nothing waits to be freed.
fn assert_recovers(cache: &Cache<u64, u64>) {
    drain(cache);
    let refusals = cache.stats().refusals;
    (0..CAPACITY).for_each(|key| cache.insert(key, value_of(key)));
    assert_eq!(cache.stats().refusals, refusals);
    assert_eq!(cache.len() as u64, CAPACITY, "the whole capacity is there");
    drain(cache);
    assert_balanced(cache);
    support::validate(cache);
}

/// Frees all garbage. The maintenance thread, where there is one, may have a part of it in its hands.
fn drain(cache: &Cache<u64, u64>) {
    for _ in 0..10_000 {
        cache.maintain(1 << 20);
        if cache.usage().retired == 0 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("garbage stays: {:?}", cache.usage());
}

/// How long the guard is held at least.
fn patience() -> Duration {
    if is_full() { Duration::from_secs(10) } else { Duration::ZERO }
}

fn a_guard_is_held(retired_capacity: u64, maintenance: Maintenance) {
    let cache = cache_with(retired_capacity, maintenance);
    (0..CAPACITY).for_each(|key| cache.insert(key, value_of(key)));
    let pinned = cache.pin();
    let lent: Vec<_> = (0..CAPACITY).map(|key| (key, pinned.get(&key))).collect();
    let begin = Instant::now();
    watched(|| assert_bounds(&cache), || flood(&cache, || begin.elapsed() >= patience()));
    assert!(cache.stats().refusals > 0, "a cache may refuse, and must here");
    assert!(lent.iter().all(|&(key, value)| value == Some(&value_of(key))), "still intact");
    drop(pinned);
    assert_recovers(&cache);
}

#[test]
fn a_held_guard_costs_refusals_and_never_memory() {
    a_guard_is_held(RETIRED, Maintenance::Inline);
}

#[test]
fn a_held_guard_costs_refusals_with_a_maintenance_thread() {
    a_guard_is_held(RETIRED, Maintenance::Thread);
}

#[test]
fn a_held_guard_costs_refusals_without_maintenance() {
    a_guard_is_held(RETIRED, Maintenance::Manual);
}

#[test]
fn a_held_guard_costs_refusals_without_retired_capacity() {
    a_guard_is_held(0, Maintenance::Inline);
}

#[test]
fn a_reader_that_is_not_parked_costs_refusals_and_never_memory() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    (0..CAPACITY).for_each(|key| cache.insert(key, value_of(key)));
    let mut reader = cache.reader();
    let lent = reader.get(&1).expect("it is there");
    watched(|| assert_bounds(&cache), || flood(&cache, || true));
    assert!(cache.stats().refusals > 0);
    assert_eq!(*lent, value_of(1));
    reader.park();
    assert_recovers(&cache);
}

#[test]
fn a_parked_reader_and_a_renewed_one_cost_nothing() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    let mut parked = cache.reader();
    let mut renewed = cache.reader();
    parked.get(&1);
    parked.park();
    for key in 0..10 * CAPACITY {
        renewed.get(&key);
        cache.insert(key, value_of(key));
    }
    assert_eq!(cache.stats().refusals, 0);
}

#[test]
fn what_lives_stays_within_both_capacities_while_a_guard_is_held() {
    const HEAVIEST: u64 = 50;
    let rounds = size(5, 20) as u64;
    let alive = Arc::new(AtomicI64::new(0));
    let cache = Cache::builder()
        .capacity(CAPACITY)
        .retired_capacity(RETIRED)
        .weigher(|_, value: &Weighty| value.weight)
        .build()
        .expect("sound");
    let most = (CAPACITY + RETIRED + 4 * HEAVIEST).cast_signed();
    let pinned = cache.pin();
    let check = || {
        assert_bounds(&cache);
        assert!(alive.load(Ordering::SeqCst) <= most, "{:?}", cache.usage());
    };
    watched(check, || {
        together(4, |nth| {
            for key in 0..rounds * CAPACITY {
                let weight = 1 + (key * 7 + nth as u64) % HEAVIEST;
                cache.insert(key % 300, Weighty::new(weight, &alive));
                if key % 5 == 0 {
                    cache.invalidate(&(key % 299));
                }
            }
        });
    });
    drop(pinned);
    cache.maintain(1 << 20);
    assert_eq!(alive.load(Ordering::SeqCst), cache.usage().charged.cast_signed());
    support::validate(&cache);
}

/// Fills the retired capacity: until an insert is refused.
fn fill_retired(cache: &Cache<u64, u64>) {
    let refused = (1_000_000..).take(100_000).any(|key| cache.try_insert(key, 0).is_err());
    assert!(refused, "the retired capacity fills up while a guard is held");
}

#[test]
fn a_key_whose_new_value_is_refused_is_not_left_stale() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    (0..CAPACITY).for_each(|key| cache.insert(key, 1));
    let pinned = cache.pin();
    fill_retired(&cache);
    for key in 0..CAPACITY {
        cache.insert(key, 2);
        assert_ne!(cache.get(&key), Some(1), "key {key} is stale");
    }
    drop(pinned);
}

#[test]
fn try_insert_and_compute_leave_what_they_could_not_replace() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    (0..CAPACITY).for_each(|key| cache.insert(key, 1));
    let pinned = cache.pin();
    fill_retired(&cache);
    let key = (0..CAPACITY).find(|key| cache.contains_key(key)).expect("most are there");
    let error = cache.try_insert(key, 2).expect_err("there is no room");
    assert_eq!((error.kind, error.key, error.value), (InsertErrorKind::NoRoom, key, 2));
    let refused = Computed::Refused { kind: InsertErrorKind::NoRoom, value: 3 };
    assert_eq!(cache.compute(key, |_| Compute::Put(3)), refused);
    assert_eq!(cache.get(&key), Some(1));
    assert_eq!(
        cache.insert_if_absent(key, 4).expect_err("it is there").kind,
        InsertErrorKind::Occupied
    );
    assert_eq!(cache.compute(key, |_| Compute::Keep), Computed::Kept);
    assert_eq!(cache.compute(key, |_| Compute::Remove), Computed::Removed, "removing always works");
    assert_eq!(cache.get(&key), None);
    drop(pinned);
}

/// A victim that is larger than the retired capacity has to wait until nothing else lingers. That it does so changes
/// nothing of what is told to linger, and of what is waited for.
#[test]
fn a_victim_that_has_to_wait_lingers_not_yet() {
    let builder = Cache::builder().capacity(40).retired_capacity(1).weigher(|_, &weight| weight);
    let cache: Cache<u64, u64> = builder.maintenance(Maintenance::Manual).build().expect("sound");
    cache.insert(1, 2);
    let guard = cache.pin();
    cache.insert(1, 21);
    for capacity in [8, 4] {
        cache.set_capacity(capacity);
        let usage = cache.usage();
        assert_eq!((usage.charged, usage.lingering, usage.capacity), (21, 2, 23), "{usage:?}");
    }
    drop(guard);
    cache.set_capacity(30);
    drain(&cache);
    (2..10).for_each(|key| cache.insert(key, 9));
    drain(&cache);
    let usage = cache.usage();
    // The one that weighs 21 stays with one of the others, or three of those.
    assert!([27, 30].contains(&usage.charged) && usage.lingering == 0, "{usage:?}");
    assert_eq!(usage.charged, cache.values().sum::<u64>(), "{usage:?}");
    assert_eq!(cache.stats().refusals, 0);
}

#[test]
fn removing_works_while_the_retired_capacity_is_full() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    (0..CAPACITY).for_each(|key| cache.insert(key, 1));
    let pinned = cache.pin();
    fill_retired(&cache);
    cache.retain(|key, _| key % 2 == 0);
    assert!((0..CAPACITY).all(|key| key % 2 == 0 || !cache.contains_key(&key)));
    cache.invalidate_all();
    assert!(cache.is_empty());
    assert_bounds(&cache);
    drop(pinned);
    assert_recovers(&cache);
}

#[test]
fn without_retired_capacity_a_cache_works_as_long_as_nobody_stays() {
    let cache = cache_with(0, Maintenance::Inline);
    for key in 0..3 * CAPACITY {
        cache.insert(key, value_of(key));
        assert_eq!(cache.get(&key), Some(value_of(key)));
    }
    assert_eq!(cache.usage().retired_capacity, 0);
    assert_recovers(&cache);
}

#[test]
fn an_entry_that_is_larger_than_the_retired_capacity_makes_room_when_nobody_reads() {
    let cache = Cache::builder().capacity(1000).retired_capacity(10).weigher(|_, &w: &u64| w);
    let cache = cache.build().expect("sound");
    cache.insert(1, 1000);
    cache.insert(2, 1000);
    assert_eq!(cache.snapshot(), [(2, 1000)]);
    let pinned = cache.pin();
    let lent = pinned.get(&2).expect("it is there");
    for key in 3..10 {
        assert!(cache.try_insert(key, 1000).is_err(), "the capacity bears what is lent");
        assert_bounds(&cache);
    }
    assert_eq!(*lent, 1000);
    drop(pinned);
    assert!(cache.try_insert(11, 1000).is_ok());
    assert_eq!(cache.snapshot(), [(11, 1000)]);
    support::validate(&cache);
}

#[test]
fn an_entry_that_is_larger_than_the_retired_capacity_makes_room_beside_one_who_sleeps_since_before_it_came()
 {
    let cache = Cache::builder().capacity(1000).retired_capacity(10).weigher(|_, &w: &u64| w);
    let cache = cache.build().expect("sound");
    (0..5).for_each(|key| cache.insert(key, 1));
    let sleeper = cache.pin();
    let lent: Vec<_> = (0..5).map(|key| sleeper.get(&key)).collect();
    std::thread::scope(|scope| {
        let write = || {
            // Until the garbage has the sleeper neutralized.
            (0..1_000).for_each(|key| cache.insert(5, 1 + key % 2));
            cache.insert(6, 900);
            for _ in 0..10 {
                assert!(
                    cache.try_insert(6, 900).is_ok(),
                    "the sleeper never saw it: {:?}",
                    cache.usage()
                );
            }
        };
        scope.spawn(write).join().expect("no panic");
    });
    assert!(lent.iter().all(|value| *value == Some(&1)));
    drop(sleeper);
    assert_eq!(cache.stats().refusals, 0);
    support::validate(&cache);
}

#[test]
fn a_sleeping_reader_does_not_empty_a_cache_of_large_entries() {
    let cache = Cache::builder().capacity(100).retired_capacity(1).weigher(|_, _: &u64| 10);
    let cache = cache.build().expect("sound");
    (0..10).for_each(|key| cache.insert(key, key));
    let pinned = cache.pin();
    (10..1000).for_each(|key| drop(cache.try_insert(key, key)));
    assert!(cache.len() >= 9, "at most one has left: {:?}", cache.usage());
    drop(pinned);
}

#[test]
fn a_forgotten_guard_costs_refusals_and_never_memory() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    (0..CAPACITY).for_each(|key| cache.insert(key, value_of(key)));
    let forget = || std::mem::forget(cache.pin());
    // It outlives its thread: it cannot be told from one that is still used.
    std::thread::scope(|scope| scope.spawn(forget).join().expect("no panic"));
    (0..10 * CAPACITY).for_each(|key| cache.insert(key % CAPACITY, value_of(key)));
    assert!(cache.stats().refusals > 0);
    assert_bounds(&cache);
    cache.maintain(1 << 20);
    assert!(cache.usage().retired > 0, "what the guard may lend is not freed");
    assert!(cache.reclamation_lag() > 0, "the report names it");
}

#[test]
fn a_guard_on_the_writing_thread_itself_ends_in_refusals_too() {
    in_time(|| {
        let cache = cache_with(RETIRED, Maintenance::Inline);
        let pinned = cache.pin();
        (0..10 * CAPACITY).for_each(|key| cache.insert(key, value_of(key)));
        assert!(cache.stats().refusals > 0);
        assert_bounds(&cache);
        drop(pinned);
        assert_recovers(&cache);
    });
}

#[test]
fn the_lag_shows_a_guard_that_holds_things_up() {
    let cache = cache_with(RETIRED, Maintenance::Inline);
    assert_eq!(cache.reclamation_lag(), 0);
    let pinned = cache.pin();
    (0..10 * CAPACITY).for_each(|key| cache.insert(key, 0));
    assert!(cache.reclamation_lag() > 0);
    drop(pinned);
    assert_eq!(cache.reclamation_lag(), 0);
}

#[test]
fn ripe_garbage_is_found_though_a_collection_ran_inside_another() {
    struct Nested(Arc<OnceLock<Cache<u64, Nested>>>);
    impl Drop for Nested {
        fn drop(&mut self) {
            if let Some(cache) = self.0.get() {
                cache.maintain(1_000);
            }
        }
    }
    let cell = Arc::new(OnceLock::new());
    let cache = Cache::builder().capacity(1_000).maintenance(Maintenance::Manual).build();
    let cache: Cache<u64, Nested> = cache.expect("sound");
    (0..100).for_each(|key| cache.insert(key, Nested(Arc::clone(&cell))));
    (0..64).for_each(|key| assert!(cache.invalidate(&key)));
    // It ripens, and hardly any of it is freed.
    (0..4).for_each(|_| ignore(cache.maintain(1)));
    let mut reader = cache.reader();
    reader.get(&99);
    assert!(cell.set(cache.clone()).is_ok());
    cache.maintain(1);
    assert_eq!(cache.maintain(1_000).backlog, 0, "the reader came later than all of it");
    reader.park();
    // A cache whose entries hold it is never dropped: they go now.
    cache.invalidate_all();
    (0..10).for_each(|_| ignore(cache.maintain(1_000)));
    assert_eq!(Arc::strong_count(&cell), 1);
}

//! P4, from the other side: while nobody holds a guard, nobody is refused. A thread that loses its processor inside the
//! cache is waited for, as long as patience lasts, and who stays in the cache is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{self, Random, eventually, in_time, size, together};
use clockhand::{Builder, Cache, Compute, InsertErrorKind, Maintenance};

/// More than there are cores: some of them lose their processor while they are in the cache.
const THREADS: usize = 8;

/// Longer than any test takes: whoever waits for somebody who never leaves shows that it does.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

fn operations() -> u64 {
    size(8_000, 10_000_000) as u64
}

fn unit(capacity: u64) -> Builder<u64, u64> {
    Cache::builder().capacity(capacity).patience(FOR_EVER)
}

/// Where every entry has the same weight.
fn weighed(capacity: u64, weight: u64) -> Cache<u64, u64> {
    unit(capacity).weigher(move |_, _| weight).build().expect("sound")
}

/// Eight threads get and insert what is not there, of so many keys.
fn get_or_insert(cache: &Cache<u64, u64>, keys: u64) {
    together(THREADS, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..operations() / THREADS as u64 {
            let key = random.below(keys);
            if cache.get(&key).is_none() {
                assert!(cache.try_insert(key, key).is_ok(), "{:?}", cache.usage());
            }
        }
    });
    assert_eq!(cache.stats().refusals, 0);
    support::assert_bounds(cache);
    support::validate(cache);
}

#[test]
fn small_values_are_inserted() {
    get_or_insert(&weighed(1 << 20, 300), 20_000);
}

#[test]
fn large_values_are_inserted() {
    get_or_insert(&weighed(64 << 20, 100 << 10), 4_000);
}

#[test]
fn values_that_fit_twice_are_inserted() {
    get_or_insert(&weighed(600 << 10, 256 << 10), 10);
}

#[test]
fn values_that_fit_once_are_inserted() {
    get_or_insert(&weighed(300 << 10, 256 << 10), 10);
}

#[test]
fn caches_of_any_size_take_everything() {
    for capacity in [1, 2, 3, 16, 1_000, 100_000] {
        get_or_insert(&unit(capacity).build().expect("sound"), 4 * capacity);
    }
}

#[test]
fn a_thread_that_cleans_up_everything_is_not_refused() {
    for maintenance in [Maintenance::Thread, Maintenance::Manual] {
        get_or_insert(&unit(64).maintenance(maintenance).build().expect("sound"), 256);
    }
}

#[test]
fn updates_of_one_key_are_never_refused_and_evict_nobody() {
    for capacity in [1, 16, 1_000, 100_000] {
        let cache = unit(capacity).build().expect("sound");
        let each = operations() / THREADS as u64;
        together(THREADS, |_| {
            for _ in 0..each {
                cache.compute(0, |n| Compute::Put(n.copied().unwrap_or(0) + 1));
            }
        });
        assert_eq!(cache.get(&0), Some(each * THREADS as u64), "{:?}", cache.stats());
        let stats = cache.stats();
        assert_eq!((stats.refusals, stats.evictions), (0, 0), "capacity {capacity}");
        support::validate(&cache);
    }
}

#[test]
fn the_retired_capacity_is_the_capacity_and_headroom() {
    for (capacity, headroom) in
        [(1, 128), (1_000, 250), (4_096, 1_024), (6_000, 1_024), (1 << 30, 1 << 27)]
    {
        let plain = Cache::<u64, u64>::builder().capacity(capacity).expected_entries(1);
        let plain = plain.build().expect("sound");
        let expected = capacity + headroom;
        assert_eq!(plain.usage().retired_capacity, expected);
        assert_eq!(weighed(capacity, 300).usage().retired_capacity, expected);
    }
}

// ---------------------------------------------------------------------------------------------
// Who is waited for
// ---------------------------------------------------------------------------------------------

/// A cache of ten whose retired capacity is full, while `body` runs beside a thread that holds a guard
/// until it is told to let go.
fn beside_a_guard(patience: Duration, body: impl FnOnce(&Cache<u64, u64>, &AtomicBool)) {
    let cache = unit(10).retired_capacity(10).patience(patience).build().expect("sound");
    (0..10).for_each(|key| cache.insert(key, key));
    let (pinned, let_go) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = cache.pin();
            pinned.store(true, Ordering::SeqCst);
            assert!(eventually(|| let_go.load(Ordering::SeqCst)));
            drop(guard);
        });
        assert!(eventually(|| pinned.load(Ordering::SeqCst)));
        // All that the guard may have seen leaves.
        (0..10).for_each(|key| cache.insert(key, 10 + key));
        assert_eq!((cache.usage().retired, cache.stats().refusals), (10, 0));
        body(&cache, &let_go);
        let_go.store(true, Ordering::SeqCst);
    });
    cache.insert(100, 100);
    assert!(cache.contains_key(&100));
    support::validate(&cache);
}

#[test]
fn a_write_waits_until_a_guard_is_let_go() {
    beside_a_guard(FOR_EVER, |cache, let_go| {
        std::thread::scope(|scope| {
            let writers = [
                scope.spawn(|| cache.try_insert(20, 20).is_ok()),
                scope.spawn(|| cache.insert_if_absent(21, 21).is_ok()),
            ];
            // They are known to be in the way of nobody, and not to have come in.
            assert!(eventually(|| cache.reclamation_lag() > 0));
            assert!(writers.iter().all(|writer| !writer.is_finished()));
            let_go.store(true, Ordering::SeqCst);
            assert!(writers.into_iter().all(|writer| writer.join().expect("no panic")));
        });
        assert_eq!(cache.stats().refusals, 0);
    });
}

#[test]
fn a_guard_that_stays_is_waited_for_once() {
    in_time(|| {
        beside_a_guard(Duration::from_millis(200), |cache, _| {
            // At once for most of them, or this would take half an hour.
            for key in 20..10_020 {
                let error = cache.try_insert(key, key).expect_err("the guard stays");
                assert_eq!(error.kind, InsertErrorKind::NoRoom);
            }
        });
    });
}

#[test]
fn without_patience_no_thread_is_waited_for() {
    in_time(|| {
        beside_a_guard(Duration::ZERO, |cache, _| assert!(cache.try_insert(20, 20).is_err()));
    });
}

#[test]
fn a_thread_does_not_wait_for_itself() {
    in_time(|| {
        let cache = unit(10).retired_capacity(10).build().expect("sound");
        (0..10).for_each(|key| cache.insert(key, key));
        let guard = cache.pin();
        (0..1_000).for_each(|key| cache.insert(key % 10, key));
        assert!(cache.stats().refusals > 0, "by a guard");
        drop(guard);
        (0..100).for_each(|key| cache.insert(key % 10, key));
        let (mut reader, refusals) = (cache.reader(), cache.stats().refusals);
        let lent = reader.get(&1);
        (0..1_000).for_each(|key| cache.insert(key % 20, key));
        assert!(
            lent.is_some() && cache.stats().refusals == refusals,
            "a reader holds what it has lent"
        );
        let view = reader.view();
        let lent: Vec<_> = (0..20).filter_map(|key| view.get(&key)).collect();
        (0..1_000).for_each(|key| cache.insert(key % 20, key));
        assert!(!lent.is_empty() && cache.stats().refusals > refusals, "by a view");
        reader.park();
        support::validate(&cache);
    });
}

#[test]
fn a_destructor_that_writes_does_not_wait() {
    struct Echo(Arc<Cache<u64, u64>>);
    impl Drop for Echo {
        fn drop(&mut self) {
            (0..20).for_each(|key| self.0.insert(key, key));
        }
    }
    in_time(|| {
        let written = Arc::new(unit(10).build().expect("sound"));
        let cache = Cache::new(10);
        (0..100).for_each(|key| cache.insert(key, Echo(Arc::clone(&written))));
        assert!(written.stats().refusals > 0, "it frees nothing there");
        drop(cache);
        support::validate(&written);
    });
}

#[test]
fn what_stays_is_not_waited_for() {
    in_time(|| {
        let cache = unit(10).build().expect("sound");
        let reserved = cache.reserve(10).expect("all of it");
        for key in 0..1_000 {
            let error = cache.try_insert(key, key).expect_err("all is reserved");
            assert_eq!(error.kind, InsertErrorKind::NoRoom);
        }
        drop(reserved);
        assert!(cache.try_insert(1, 1).is_ok());
    });
}

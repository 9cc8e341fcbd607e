//! P4 beside threads that sleep while they read: they hold what was in the cache when they were neutralized, and no write
//! is refused for them.

use std::hash::{Hash, Hasher};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{
    self, assert_balanced, assert_bounds, eventually, in_time, together, watched,
};
use clockhand::{Cache, Compute, Maintenance};

const CAPACITY: u64 = 2_000;

/// Frees all garbage. The maintenance thread, where there is one, may have a part of it in its hands.
fn drain(cache: &Cache<u64, u64>) {
    assert!(eventually(|| {
        cache.maintain(1 << 20);
        cache.usage().retired == 0
    }));
}

/// After the release: nothing is refused, and nothing waits to be freed.
fn assert_recovers(cache: &Cache<u64, u64>) {
    drain(cache);
    let refusals = cache.stats().refusals;
    (0..cache.capacity()).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.stats().refusals, refusals);
    assert_eq!(cache.len() as u64, cache.capacity(), "the whole capacity is there");
    drain(cache);
    assert_balanced(cache);
    support::validate(cache);
}

/// Replaces every value over and over: more than a round for each that the retired capacity could hold.
fn renew_all(cache: &Cache<u64, u64>, rounds: u64) {
    let capacity = cache.capacity();
    for round in 0..rounds {
        (0..capacity).for_each(|key| cache.insert(key, key + round * capacity));
    }
}

/// What so many sleepers may hold, and what is retired before that is found.
fn most_for(cache: &Cache<u64, u64>, sleepers: u64) -> u64 {
    let usage = cache.usage();
    let batches = 2 * 32;
    sleepers * usage.capacity + (sleepers + 1) * (usage.capacity / 24 + batches)
}

fn a_sleeper_holds_what_was_there(pin: impl FnOnce(&Cache<u64, u64>, &dyn Fn())) {
    let cache: Cache<u64, u64> = Cache::new(CAPACITY);
    renew_all(&cache, 1);
    pin(&cache, &|| {
        std::thread::scope(|scope| scope.spawn(|| renew_all(&cache, 30)).join().unwrap());
        let usage = cache.usage();
        assert_eq!(cache.stats().refusals, 0, "{usage:?}");
        assert!(usage.retired >= CAPACITY, "all that was lent is kept: {usage:?}");
        assert!(usage.retired <= most_for(&cache, 1), "{usage:?}");
        assert!(cache.stats().holders.iter().any(|holder| holder.epochs_behind > 0), "it is named");
    });
    assert_recovers(&cache);
    assert_eq!(cache.stats().refusals, 0);
}

#[test]
fn a_guard_that_sleeps_holds_what_was_there_and_refuses_nothing() {
    a_sleeper_holds_what_was_there(|cache, churn| {
        let guard = cache.pin();
        let lent: Vec<_> = (0..CAPACITY).map(|key| guard.get(&key)).collect();
        churn();
        assert!(lent.iter().enumerate().all(|(key, value)| *value == Some(&(key as u64))));
        // It may be used further, and sees what is there now.
        assert!(guard.get(&1).is_some_and(|&value| value > CAPACITY));
    });
}

#[test]
fn a_reader_that_is_not_parked_holds_what_was_there_and_refuses_nothing() {
    a_sleeper_holds_what_was_there(|cache, churn| {
        let mut reader = cache.reader();
        let lent = reader.get(&7);
        churn();
        assert_eq!(lent, Some(&7));
        assert!(reader.get(&7).is_some_and(|&value| value > CAPACITY));
    });
}

#[test]
fn sleepers_of_different_moments_hold_what_was_there_at_each() {
    for sleepers in [2, 4, 8] {
        let retired_capacity = sleepers * (CAPACITY + CAPACITY / 4);
        let cache = Cache::builder()
            .capacity(CAPACITY)
            .retired_capacity(retired_capacity)
            .build()
            .expect("sound");
        renew_all(&cache, 1);
        let (pinned, done) = (&Barrier::new(2), &Barrier::new(sleepers as usize + 1));
        std::thread::scope(|scope| {
            for nth in 1..=sleepers {
                let cache = &cache;
                scope.spawn(move || {
                    let guard = cache.pin();
                    let lent = (guard.get(&3), guard.get(&3).copied());
                    pinned.wait();
                    done.wait();
                    assert_eq!(lent.0.copied(), lent.1);
                });
                pinned.wait();
                renew_all(cache, 5);
                let usage = cache.usage();
                assert!(usage.retired <= most_for(cache, nth), "{nth} of {sleepers}: {usage:?}");
            }
            assert_eq!(cache.stats().refusals, 0, "{sleepers}");
            done.wait();
        });
        assert_recovers(&cache);
    }
}

#[test]
fn a_sleeper_beside_weighed_entries_holds_what_they_weighed() {
    const BYTES: u64 = 200_000;
    let cache: Cache<u64, Vec<u8>> = Cache::builder()
        .capacity(BYTES)
        .weigher(|_, value: &Vec<u8>| value.len() as u64)
        .build()
        .unwrap();
    let fill = |rounds: u64| {
        for key in 0..rounds * 1_000 {
            cache.insert(key % 3_000, vec![key as u8; 100 + (key % 7) as usize * 50]);
        }
    };
    fill(3);
    let guard = cache.pin();
    let lent: Vec<_> = (0..3_000).filter_map(|key| guard.get(&key)).collect();
    let before: Vec<_> = lent.iter().map(|value| (value.len(), value[0])).collect();
    std::thread::scope(|scope| scope.spawn(|| fill(60)).join().unwrap());
    let usage = cache.usage();
    assert_eq!(cache.stats().refusals, 0, "{usage:?}");
    assert!(usage.retired + usage.charged <= 2 * BYTES + BYTES / 8, "{usage:?}");
    assert!(lent.iter().zip(&before).all(|(value, &(len, byte))| {
        value.len() == len && value.iter().all(|&each| each == byte)
    }));
    drop(guard);
    cache.maintain(1 << 20);
    assert_eq!(cache.usage().retired, 0);
}

/// Four threads insert keys that are new, fifty capacities of them, while somebody sleeps who was lent everything.
fn beside_churn<'c>(cache: &'c Cache<u64, u64>, lend: impl FnOnce(&'c Cache<u64, u64>, &dyn Fn())) {
    const THREADS: u64 = 4;
    let capacity = cache.capacity();
    (0..capacity).for_each(|key| cache.insert(key, key));
    lend(cache, &|| {
        let inserts = 50 * capacity.max(20) / THREADS;
        let insert = |nth: usize| {
            let first = (nth as u64 + 1) << 40;
            (first..first + inserts).for_each(|key| cache.insert(key, key));
        };
        watched(|| assert_bounds(cache), || together(THREADS as usize, insert));
        assert_eq!(cache.stats().refusals, 0, "{capacity}: {:?}", cache.usage());
        assert!(cache.reclamation_lag() > 0 && !cache.stats().holders.is_empty());
    });
    drain(cache);
    assert_eq!((cache.usage().retired, cache.stats().refusals), (0, 0), "{capacity}");
}

#[test]
fn a_guard_beside_churn_costs_no_refusal_in_caches_of_any_size() {
    in_time(|| {
        for capacity in [1, 2, 10, 100, CAPACITY] {
            beside_churn(&Cache::new(capacity), |cache, churn| {
                let guard = cache.pin();
                let lent: Vec<_> = (0..capacity).map(|key| (key, guard.get(&key))).collect();
                churn();
                assert!(lent.iter().all(|(key, value)| value.is_none_or(|value| value == key)));
            });
        }
    });
}

#[test]
fn a_reader_that_is_never_parked_costs_no_refusal_in_caches_of_any_size() {
    in_time(|| {
        for capacity in [1, 2, 10, 100, CAPACITY] {
            beside_churn(&Cache::new(capacity), |cache, churn| {
                let mut reader = cache.reader();
                let lent = reader.get(&0);
                churn();
                assert!(lent.is_none_or(|&value| value == 0));
            });
        }
    });
}

/// Eight threads that insert all the time, from before the sleeper comes until after it: on two cores, some of them lose their processor in
/// the middle of a write, and garbage gathers meanwhile, before the sleeper pins and after it.
fn taken_beside_churn(cache: &Cache<u64, u64>, sleep: impl Fn(&Cache<u64, u64>, &dyn Fn(u64))) {
    const WRITERS: usize = 8;
    let (over, inserted) = (AtomicBool::new(false), AtomicU64::new(0));
    let insert = |nth: usize| {
        let mut key = (nth as u64 + 1) << 40;
        while !over.load(Ordering::Relaxed) {
            for _ in 0..64 {
                cache.insert(key, key);
                key += 1;
            }
            inserted.fetch_add(64, Ordering::Relaxed);
        }
    };
    let wait = |more: u64| {
        let until = inserted.load(Ordering::Relaxed) + more;
        assert!(eventually(|| inserted.load(Ordering::Relaxed) >= until), "they are stuck");
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|nth| scope.spawn(move || insert(nth))).collect();
        let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..4 {
                wait(2 * cache.capacity());
                sleep(cache, &wait);
                assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
            }
        }));
        over.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        rounds.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    drain(cache);
    support::validate(cache);
}

#[test]
fn a_guard_that_is_taken_beside_churn_costs_no_refusal() {
    in_time(|| {
        for capacity in [1, 10, 100, 1_000, 5_000] {
            taken_beside_churn(&Cache::new(capacity), |cache, wait| {
                let guard = cache.pin();
                let lent: Vec<_> = cache.keys().take(50).collect();
                let lent: Vec<_> = lent.iter().map(|key| (key, guard.get(key))).collect();
                wait(3 * capacity.max(1_000));
                assert!(lent.iter().all(|(key, value)| value.is_none_or(|value| value == *key)));
            });
        }
    });
}

#[test]
fn a_reader_that_falls_asleep_beside_churn_costs_no_refusal() {
    in_time(|| {
        for capacity in [10, 1_000] {
            taken_beside_churn(&Cache::new(capacity), |cache, wait| {
                let mut reader = cache.reader();
                reader.get(&(1 << 40));
                wait(3 * capacity.max(1_000));
            });
        }
    });
}

#[test]
fn a_guard_costs_no_refusal_whoever_cleans_up() {
    for maintenance in [Maintenance::Thread, Maintenance::Manual] {
        let cache: Cache<u64, u64> =
            Cache::builder().capacity(10_000).maintenance(maintenance).build().expect("sound");
        renew_all(&cache, 3);
        let guard = cache.pin();
        guard.get(&1);
        std::thread::scope(|scope| {
            scope.spawn(|| renew_all(&cache, 5)).join().expect("no panic");
        });
        assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
        drop(guard);
        drain(&cache);
    }
}

/// Keys that sleep when they are compared, if they are told to.
#[derive(Clone)]
struct Slow(u64, bool);

static COMPARES: AtomicBool = AtomicBool::new(false);

impl Hash for Slow {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl PartialEq for Slow {
    fn eq(&self, other: &Self) -> bool {
        if self.1 || other.1 {
            COMPARES.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
            COMPARES.store(false, Ordering::SeqCst);
        }
        self.0 == other.0
    }
}

impl Eq for Slow {}

/// What was retired before a guard was taken is not held by it, also where a write has kept it from being freed until then.
#[test]
fn a_guard_that_is_taken_beside_a_write_that_sleeps_does_not_hold_its_garbage() {
    let (capacity, cache) = (10_000, Cache::<Slow, u64>::new(10_000));
    (0..capacity).for_each(|key| cache.insert(Slow(key, false), key));
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| cache.insert(Slow(5, true), 1));
        assert!(eventually(|| COMPARES.load(Ordering::SeqCst)));
        let fill = || {
            (0..capacity / 2).for_each(|key| cache.insert(Slow(100_000 + key, false), key));
        };
        scope.spawn(fill).join().expect("no panic");
        let guard = cache.pin();
        guard.get(&Slow(100_001, false));
        sleeper.join().expect("no panic");
        let renew = || {
            (0..5 * capacity).for_each(|key| cache.insert(Slow(key % capacity, false), key));
        };
        scope.spawn(renew).join().expect("no panic");
        assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
        drop(guard);
    });
}

/// Each time that a closure sleeps, its thread may come to hold what is in the cache then; but not one time beside the other.
#[test]
fn closures_that_sleep_over_and_over_hold_one_capacity() {
    let cache: Cache<u64, u64> = Cache::new(CAPACITY);
    renew_all(&cache, 1);
    let (over, beside) = (AtomicBool::new(false), AtomicU64::new(0));
    let renewed = || {
        let until = beside.load(Ordering::SeqCst) + 3;
        while beside.load(Ordering::SeqCst) < until {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                renew_all(&cache, 1);
                beside.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut times = 0;
        cache.compute(7, |_| {
            times += 1;
            if times < 4 {
                renewed();
            }
            Compute::Put(0)
        });
        assert!(times >= 4, "the value has changed each time: {times}");
        let (mut asked, mut removed) = (0, 0);
        while removed < 1 {
            removed += u64::from(cache.remove_if(&7, |_| {
                asked += 1;
                if asked < 4 {
                    renewed();
                }
                true
            }));
        }
        let mut kept = 0;
        cache.retain(|_, _| {
            kept += 1;
            if kept < 20 {
                renewed();
            }
            true
        });
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
    assert_recovers(&cache);
}

/// What failed loads leave is garbage, too: beside a guard it is freed, and loads find one another afterwards.
#[test]
fn loads_are_shared_beside_a_guard_and_after_many_that_failed() {
    let cache: Cache<u64, u64> = Cache::new(1_000);
    (0..1_000).for_each(|key| cache.insert(key, key));
    let guard = cache.pin();
    guard.get(&1);
    let fail = || {
        for key in 0..20_000 {
            let failed = cache.try_get_or_load(1_000_000 + key, |_| Err::<u64, _>("no"));
            assert!(failed.is_err());
        }
    };
    std::thread::scope(|scope| scope.spawn(fail).join().expect("no panic"));
    let (runs, all) = (AtomicU64::new(0), Barrier::new(8));
    together(8, |_| {
        all.wait();
        cache.get_or_load(77_000_000, |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            5
        })
    });
    assert_eq!(runs.into_inner(), 1);
    drop(guard);
}

/// A table that is emptied and filled over and over leaves no generation each time to one who sleeps.
#[test]
fn a_table_does_not_shrink_while_garbage_is_held() {
    let cache: Cache<u64, u64> = Cache::new(50_000);
    let fill = || (0..50_000).for_each(|key| cache.insert(key, key));
    fill();
    let guard = cache.pin();
    guard.get(&1);
    let rounds = || {
        for _ in 0..5 {
            cache.invalidate_all();
            cache.maintain(1 << 20);
            fill();
        }
    };
    std::thread::scope(|scope| scope.spawn(rounds).join().expect("no panic"));
    let held = cache.stats().backlog;
    assert!(held <= 50_000 + 50_000 / 24 + 1_000, "{held} are held");
    assert_eq!(cache.stats().refusals, 0);
    drop(guard);
    drain(&cache);
}

/// Holds a guard on a thread of its own while `body` runs.
fn beside_a_guard<R>(cache: &Cache<u64, u64>, body: impl FnOnce() -> R) -> R {
    let (pinned, over) = (&Barrier::new(2), &Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let guard = cache.pin();
            guard.get(&0);
            pinned.wait();
            over.wait();
            drop(guard);
        });
        pinned.wait();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        over.wait();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// An old value for which the retired capacity had no room, and that a guard holds: once there is room, it is no longer charged
/// to the capacity, and neither refuses nor evicts anything.
#[test]
fn what_a_guard_holds_is_moved_to_the_retired_capacity_when_that_has_room() {
    let cache = Cache::builder().capacity(12).retired_capacity(10).patience(Duration::ZERO);
    let cache: Cache<u64, u64> = cache.build().expect("sound");
    (0..10).for_each(|key| cache.insert(key, key));
    let (replaced, first_over) = (&Barrier::new(2), &Barrier::new(2));
    std::thread::scope(|scope| {
        let cache = &cache;
        scope.spawn(move || {
            beside_a_guard(cache, || {
                (0..10).for_each(|key| cache.insert(key, 10 + key));
                // So that a guard that is taken now holds nothing of that.
                cache.maintain(100);
                replaced.wait();
                first_over.wait();
            });
        });
        replaced.wait();
        assert_eq!(cache.usage().retired, 10);
        beside_a_guard(cache, || {
            cache.insert(0, 20);
            assert_eq!((cache.usage().lingering, cache.usage().retired), (1, 10));
            first_over.wait();
            assert!(eventually(|| {
                cache.maintain(100);
                cache.usage().retired == 0
            }));
            (10..12).for_each(|key| cache.insert(key, key));
            let usage = cache.usage();
            assert_eq!((usage.lingering, usage.retired, usage.entries), (0, 1, 12), "{usage:?}");
            assert_eq!((cache.stats().refusals, cache.stats().evictions), (0, 0));
        });
    });
    drain(&cache);
    support::validate(&cache);
}

/// Heavy entries, of which a few fit: what is retired before a thread is neutralized is as much as a 24th of what is there, and
/// not of what was expected.
#[test]
fn a_sleeper_beside_a_few_heavy_entries_refuses_nothing() {
    const THREADS: u64 = 4;
    for fit in [1_000, 200, 100] {
        let (weight, capacity) = (6_000 / fit, 6_000 / fit * fit);
        let builder = Cache::builder().capacity(capacity);
        let cache: Cache<u64, u64> = builder.weigher(move |_, _| weight).build().expect("sound");
        let insert = |rounds: u64| {
            together(THREADS as usize, |nth| {
                (0..rounds * fit.max(50))
                    .for_each(|n| cache.insert((n + 7 * nth as u64) % (3 * fit), n));
            });
        };
        insert(5);
        let guard = cache.pin();
        let lent: Vec<_> =
            (0..3 * fit).map(|key| (guard.get(&key), guard.get(&key).copied())).collect();
        insert(20);
        assert_eq!(cache.stats().refusals, 0, "{fit} fit: {:?}", cache.usage());
        assert_bounds(&cache);
        assert!(lent.iter().all(|(lent, before)| lent.copied() == *before));
        drop(lent);
        drop(guard);
        assert_recovers_weighed(&cache);
    }
}

/// After the release: what waits to be freed is freed, and nothing is refused.
fn assert_recovers_weighed(cache: &Cache<u64, u64>) {
    drain(cache);
    (0..100).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.stats().refusals, 0);
    support::validate(cache);
}

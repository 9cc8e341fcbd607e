//! One load per key, and never a stale one: what threads see.

use std::cell::Cell;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use crate::support;
use clockhand::{Cache, Clock, Compute, LoadError, LoadSource, memoize};

const LONG: Duration = Duration::from_secs(60);

/// Starts a load of `key` on another thread that goes on when it is told; returns when it runs.
fn held_load(
    cache: &Cache<u64, u64>,
    key: u64,
    value: u64,
) -> (mpsc::Sender<()>, thread::JoinHandle<u64>) {
    let ((go, gone), (started, starts)) = (mpsc::channel(), mpsc::channel());
    let cache = cache.clone();
    let leader = thread::spawn(move || {
        cache.get_or_load(key, |_| {
            started.send(()).unwrap();
            gone.recv_timeout(LONG).unwrap();
            value
        })
    });
    starts.recv_timeout(LONG).unwrap();
    (go, leader)
}

#[test]
fn a_thousand_callers_cause_one_load() {
    let cache = Cache::<u64, u64>::new(100);
    let (loads, callers) = (AtomicU64::new(0), support::size(64, 1_000));
    let begin = Barrier::new(callers);
    for round in 0..20 {
        thread::scope(|scope| {
            for _ in 0..callers {
                scope.spawn(|| {
                    begin.wait();
                    let value = cache.get_or_load(round, |key| {
                        loads.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(1));
                        key * 10
                    });
                    assert_eq!(value, round * 10);
                });
            }
        });
        assert_eq!(loads.load(Ordering::Relaxed), round + 1);
    }
    assert_eq!(cache.len(), 20);
    support::validate(&cache);
}

#[test]
fn a_value_says_where_it_came_from() {
    let cache = Cache::new(10);
    let load = |_: &u64| Ok::<_, String>(7);
    let source = |cache: &Cache<u64, u64>| cache.get_or_load_with_source(1, load).unwrap().source;
    assert_eq!(source(&cache), LoadSource::Loaded);
    assert_eq!(source(&cache), LoadSource::Hit);
    cache.invalidate(&1);
    let (go, leader) = held_load(&cache, 1, 5);
    let own = cache.clone();
    let joined = thread::spawn(move || own.get_or_load_with_source(1, load).unwrap());
    // It cannot be seen from outside that a thread waits.
    thread::sleep(Duration::from_millis(20));
    go.send(()).unwrap();
    let joined = joined.join().unwrap();
    assert_eq!((joined.value, joined.source), (5, LoadSource::Joined));
    assert_eq!(leader.join().unwrap(), 5);
}

#[test]
fn what_happens_to_a_key_detaches_its_load() {
    type Operation = fn(&Cache<u64, u64>);
    let operations: [(&str, Operation, Option<u64>); 8] = [
        ("insert", |cache| cache.insert(1, 50), Some(50)),
        ("insert_if_absent", |cache| cache.insert_if_absent(1, 50).unwrap(), Some(50)),
        ("insert_if_newer", |cache| drop(cache.insert_if_newer(1, 50, |v| *v)), Some(50)),
        ("remove", |cache| assert_eq!(cache.remove(&1), None), None),
        ("invalidate", |cache| assert!(!cache.invalidate(&1)), None),
        ("remove_if", |cache| assert!(!cache.remove_if(&1, |_| true)), None),
        ("invalidate_all", |cache| cache.invalidate_all(), None),
        ("compute", |cache| support::ignore(cache.compute(1, |_| Compute::Put(50))), Some(50)),
    ];
    for (name, operation, left) in operations {
        let cache = Cache::new(10);
        let (go, leader) = held_load(&cache, 1, 7);
        operation(&cache);
        // Whoever comes now does not join the old load.
        let later = cache.get_or_load(1, |_| 8);
        assert_eq!(later, left.unwrap_or(8), "{name}: a later caller");
        go.send(()).unwrap();
        assert_eq!(leader.join().unwrap(), 7, "{name}: the leader has its own");
        assert_eq!(cache.get(&1), Some(left.unwrap_or(8)), "{name}: a stale value was installed");
        support::validate(&cache);
    }
}

#[test]
fn what_changes_nothing_detaches_nothing() {
    let cache = Cache::new(10);
    let (go, leader) = held_load(&cache, 1, 7);
    cache.compute(1, |value| {
        assert_eq!(value, None, "a value that is awaited is not there");
        Compute::Keep
    });
    assert_eq!((cache.get(&1), cache.contains_key(&1), cache.len()), (None, false, 0));
    assert_eq!((cache.iter().count(), cache.usage().charged), (0, 0));
    cache.insert(2, 2);
    cache.invalidate(&2);
    go.send(()).unwrap();
    leader.join().unwrap();
    assert_eq!(cache.get(&1), Some(7));
    support::validate(&cache);
}

#[test]
fn an_error_is_shared_and_not_kept() {
    #[derive(Debug)]
    struct Down(AtomicU64);
    impl std::fmt::Display for Down {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the store is down")
        }
    }
    impl Error for Down {}
    let cache = Cache::<u64, u64>::new(10);
    let begin = Barrier::new(8);
    let loads = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                begin.wait();
                let error = cache
                    .try_get_or_load(1, |_| {
                        thread::sleep(Duration::from_millis(100));
                        Err(Down(AtomicU64::new(loads.fetch_add(1, Ordering::Relaxed))))
                    })
                    .unwrap_err();
                assert!(
                    matches!(&error, LoadError::Failed(down) if down.0.load(Ordering::Relaxed) < 8)
                );
                let boxed: Box<dyn Error> = error.into();
                assert!(boxed.to_string().contains("the store is down"));
                assert!(boxed.source().is_some());
            });
        }
    });
    assert_eq!(loads.load(Ordering::Relaxed), 1, "all that were there have joined");
    assert_eq!(cache.try_get_or_load(1, |_| Ok::<_, Down>(5)).unwrap(), 5);
}

#[test]
fn callers_with_other_errors_load_for_themselves() {
    let cache = Cache::<u64, u64>::new(10);
    let ((go, gone), (started, starts)) = (mpsc::channel::<()>(), mpsc::channel());
    let own = cache.clone();
    let leader = thread::spawn(move || {
        own.try_get_or_load(1, |_| {
            started.send(()).unwrap();
            gone.recv_timeout(LONG).unwrap();
            Err("no".to_string())
        })
    });
    starts.recv_timeout(LONG).unwrap();
    let own = cache.clone();
    let other = thread::spawn(move || own.try_get_or_load(1, |_| Err::<u64, u8>(9)));
    let own = cache.clone();
    let sure = thread::spawn(move || own.get_or_load(1, |_| 6));
    thread::sleep(Duration::from_millis(20));
    go.send(()).unwrap();
    assert_eq!(leader.join().unwrap().unwrap_err().error(), Some(&"no".to_string()));
    let other = other.join().unwrap();
    assert!(other == Ok(6) || other.is_err_and(|error| error.error() == Some(&9)));
    assert_eq!(sure.join().unwrap(), 6);
}

#[test]
fn a_panic_is_its_callers_alone() {
    let cache = Cache::<u64, u64>::new(10);
    let (runs, begin) = (AtomicU64::new(0), Barrier::new(16));
    let panics: usize = thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    catch_unwind(AssertUnwindSafe(|| {
                        cache.get_or_load(1, |_| {
                            thread::sleep(Duration::from_millis(5));
                            // The first five die, one after the other; no limit stops the sixth.
                            assert!(runs.fetch_add(1, Ordering::Relaxed) >= 5, "as wanted");
                            7
                        })
                    }))
                })
            })
            .collect();
        callers.into_iter().map(|caller| usize::from(caller.join().unwrap().is_err())).sum()
    });
    assert_eq!((panics, runs.load(Ordering::Relaxed)), (5, 6));
    assert_eq!(cache.get(&1), Some(7));
    support::validate(&cache);
}

#[test]
fn a_panic_that_nobody_waits_for_leaves_nothing_behind() {
    let cache = Cache::<u64, String>::new(10);
    for key in 0..1_000 {
        let load = || cache.get_or_load(key, |_| panic!("as wanted"));
        assert!(catch_unwind(AssertUnwindSafe(load)).is_err());
    }
    support::validate(&cache);
    assert_eq!((cache.len(), cache.get_or_load(1, |_| "one".to_string())), (0, "one".to_string()));
}

#[test]
fn a_caller_that_gives_up_takes_nobody_with_it() {
    let cache = Cache::<u64, u64>::new(10);
    let (go, leader) = held_load(&cache, 1, 7);
    let load = |_: &u64| -> Result<u64, String> { unreachable!("it has joined") };
    let gave_up = cache.get_or_load_timeout(1, Duration::from_millis(10), load);
    assert_eq!(gave_up, Err(LoadError::TimedOut));
    let own = cache.clone();
    let patient = thread::spawn(move || own.get_or_load(1, |_| 8));
    thread::sleep(Duration::from_millis(20));
    assert_eq!(cache.get_or_load_timeout(1, Duration::ZERO, load), Err(LoadError::TimedOut));
    go.send(()).unwrap();
    assert_eq!((leader.join().unwrap(), patient.join().unwrap()), (7, 7));
    let in_time = cache.get_or_load_timeout(1, Duration::MAX, load);
    assert_eq!(in_time, Ok(7));
}

#[test]
fn a_load_of_its_own_key_is_an_error() {
    // Or it waits for itself for ever.
    support::in_time(load_own_key);
}

fn load_own_key() {
    let cache = Cache::<u64, u64>::new(10);
    let load = cache.try_get_or_load(1, |_| {
        let again = cache.try_get_or_load(1, |_| Ok::<u64, String>(5));
        assert_eq!(again, Err(LoadError::Cycle));
        Ok::<u64, String>(6)
    });
    assert_eq!(load, Ok(6));
    let caught =
        catch_unwind(AssertUnwindSafe(|| cache.get_or_load(2, |_| cache.get_or_load(2, |_| 5))));
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("its own key"), "{message}");
    assert_eq!(cache.get_or_load(2, |_| 9), 9, "nothing is stuck");
}

#[test]
fn a_load_may_load_other_keys() {
    fn factorial(cache: &Cache<u64, u64>, n: u64) -> u64 {
        cache.get_or_load(n, |&n| if n == 0 { 1 } else { n * factorial(cache, n - 1) })
    }
    let cache = Cache::new(100);
    assert_eq!(factorial(&cache, 20), 2_432_902_008_176_640_000);
    assert_eq!(cache.len(), 21);
}

#[test]
fn a_circle_of_threads_is_an_error() {
    // Or they wait for each other for ever.
    support::in_time(load_in_circles);
}

fn load_in_circles() {
    // Each thread loads its own key and, in its loader, asks for the next one's.
    for threads in [2, 3, 5] {
        let (a, b) = (Cache::<u64, u64>::new(100), Cache::<u64, u64>::new(100));
        let begin = Barrier::new(threads as usize);
        let errors: usize = thread::scope(|scope| {
            let (begin, caches) = (&begin, [&a, &b]);
            let loads: Vec<_> = (0..threads)
                .map(|n| {
                    scope.spawn(move || {
                        let (own, next) = (n, (n + 1) % threads);
                        // The circle goes over two caches.
                        let cache = |key: u64| caches[key as usize % 2];
                        cache(own)
                            .try_get_or_load(own, |_| {
                                begin.wait();
                                let asked =
                                    cache(next).try_get_or_load(next, |_| Ok::<_, String>(0));
                                asked.map_err(|error| match error {
                                    LoadError::Cycle => "a circle".to_string(),
                                    // Of a thread further on, which has seen it.
                                    LoadError::Failed(error) => error.to_string(),
                                    error => panic!("{error}"),
                                })
                            })
                            .is_err_and(|error| error.error().is_some_and(|e| e == "a circle"))
                    })
                })
                .collect();
            loads.into_iter().map(|load| usize::from(load.join().unwrap())).sum()
        });
        assert!(errors >= 1, "nobody has seen the circle");
        support::validate(&a);
        support::validate(&b);
    }
}

#[test]
fn a_value_that_the_bound_refuses_is_returned() {
    let refused = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&refused);
    let cache = Cache::builder()
        .capacity(10)
        .weigher(|_, value: &u64| *value)
        .removal_listener(move |_: &u64, value: &u64, cause| {
            assert_eq!((*value, cause), (100, clockhand::RemovalCause::Refused));
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    assert_eq!(cache.get_or_load(1, |_| 100), 100);
    assert_eq!((cache.get(&1), cache.stats().refusals, cache.len()), (None, 1, 0));
    assert_eq!(refused.load(Ordering::Relaxed), 1);
    assert_eq!(cache.get_or_load(1, |_| 5), 5);
    assert_eq!(cache.get(&1), Some(5));
    let nothing = Cache::<u64, u64>::new(0);
    assert_eq!(nothing.get_or_load(1, |_| 3), 3);
    support::validate(&nothing);
    support::validate(&cache);
}

#[test]
fn loads_that_run_count_against_the_capacity() {
    let cache: Cache<u64, Vec<u8>> =
        Cache::builder().capacity(1_000).weigher(|_, v: &Vec<u8>| v.len() as u64).build().unwrap();
    (0..10).for_each(|key| cache.insert(key, vec![0; 100]));
    let value = cache.get_or_load(77, |_| {
        let reserved = cache.reserve(600).expect("it is to be had");
        assert_eq!((reserved.charge(), cache.len()), (600, 4));
        assert!(cache.reserve(1_001).is_err());
        let rest = cache.reserve(400).expect("everything else");
        assert_eq!((cache.len(), cache.usage().charged), (0, 1_000));
        drop(rest);
        vec![1; 300]
    });
    assert_eq!((value.len(), cache.usage().charged), (300, 300));
    support::validate(&cache);
}

#[test]
fn more_loads_than_the_cache_has_room_for() {
    // Awaited entries weigh nothing, and nothing is evicted for them; what comes in is bounded.
    let cache = Cache::<u64, u64>::new(4);
    let (begin, end) = (Barrier::new(32), Barrier::new(32));
    thread::scope(|scope| {
        for key in 0..32 {
            let (cache, begin, end) = (&cache, &begin, &end);
            scope.spawn(move || {
                let value = cache.get_or_load(key, |key| {
                    begin.wait();
                    key + 1
                });
                assert_eq!(value, key + 1);
                support::assert_unit_bounds(cache);
                end.wait();
            });
        }
    });
    support::validate(&cache);
    support::assert_balanced(&cache);
}

#[test]
fn loads_and_writers_never_bring_the_past_back() {
    // A store with generations, a writer that moves it on and invalidates, and loaders that are slow
    // between reading the store and landing. What a reader sees is never older than what had been
    // invalidated when it began.
    let cache = Cache::<u64, u64>::new(64);
    let store: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let safe: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let rounds = support::size(20_000, 1_000_000) as u64;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..3_u64 {
            let (cache, store, safe, done) = (&cache, &store, &safe, &done);
            scope.spawn(move || {
                let mut random = support::Random::new(seed);
                while !done.load(Ordering::Relaxed) {
                    let key = random.below(8);
                    let at_least = safe[key as usize].load(Ordering::SeqCst);
                    let value = cache.get_or_load(key, |&key| {
                        let read = store[key as usize].load(Ordering::SeqCst);
                        if random.below(4) == 0 {
                            thread::yield_now();
                        }
                        read
                    });
                    assert!(value >= at_least, "{value} was read, {at_least} was invalidated");
                }
            });
        }
        let mut random = support::Random::new(99);
        for round in 1..=rounds {
            let key = random.below(8);
            store[key as usize].store(round, Ordering::SeqCst);
            match random.below(4) {
                0 => cache.invalidate_all(),
                1 => drop(cache.remove(&key)),
                2 => cache.insert(key, round),
                _ => drop(cache.invalidate(&key)),
            }
            safe[key as usize].store(round, Ordering::SeqCst);
        }
        done.store(true, Ordering::Relaxed);
    });
    support::validate(&cache);
}

#[test]
fn a_completion_concurrent_with_a_walk_that_invalidates_is_gone() {
    let cache = Cache::<u64, u64>::new(8);
    let (store, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                cache.get_or_load(1, |_| store.load(Ordering::SeqCst));
            }
        });
        for round in 1..=support::size(20_000, 2_000_000) as u64 {
            store.store(round, Ordering::SeqCst);
            cache.invalidate_all();
            let found = cache.get(&1);
            if found.is_some_and(|found| found < round) {
                done.store(true, Ordering::Relaxed);
                panic!("{found:?} is there, and {round} was invalidated");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_load_beside_a_table_that_doubles() {
    let cache = Cache::builder().capacity(100_000).expected_entries(16).build().unwrap();
    let (go, leader) = held_load(&cache, u64::MAX, 7);
    let (stop, stopped) = held_load(&cache, u64::MAX - 1, 7);
    (0..20_000).for_each(|key| cache.insert(key, key));
    cache.invalidate(&(u64::MAX - 1));
    go.send(()).unwrap();
    stop.send(()).unwrap();
    assert_eq!((leader.join().unwrap(), stopped.join().unwrap()), (7, 7));
    assert_eq!((cache.get(&u64::MAX), cache.get(&(u64::MAX - 1))), (Some(7), None));
    assert_eq!(cache.len(), 20_001);
    support::validate(&cache);
}

#[test]
fn keys_that_collide_load_apart() {
    let cache: Cache<u64, u64, support::Constant> =
        Cache::builder().capacity(100).hasher(support::Constant).build().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for key in 0..100 {
                    assert_eq!(cache.get_or_load(key, |key| key * 2), key * 2);
                }
            });
        }
    });
    assert_eq!(cache.len(), 100);
    support::validate(&cache);
}

#[test]
fn a_cache_that_is_dropped_while_it_loads() {
    let cache = Cache::new(10);
    let (go, leader) = held_load(&cache, 1, 7);
    drop(cache);
    go.send(()).unwrap();
    assert_eq!(leader.join().unwrap(), 7);
}

#[test]
fn user_code_that_panics_on_the_way_leaves_no_load_behind() {
    #[derive(Debug)]
    struct Fragile(u64, Arc<AtomicBool>);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(!self.1.load(Ordering::Relaxed), "clones panic, as wanted");
            Self(self.0, Arc::clone(&self.1))
        }
    }
    let breaks = Arc::new(AtomicBool::new(true));
    let cache = Cache::<u64, Fragile>::new(10);
    let load = || cache.get_or_load(1, |&key| Fragile(key, Arc::clone(&breaks)));
    assert!(catch_unwind(AssertUnwindSafe(load)).is_err());
    breaks.store(false, Ordering::Relaxed);
    assert_eq!(load().0, 1, "nobody waits for a dead load");
    support::validate(&cache);
}

#[test]
fn a_function_is_called_once_for_equal_arguments() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(100).clock(clock).build().unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let square = memoize(&cache, "square", Duration::from_secs(10), move |n: &u64| {
        counted.fetch_add(1, Ordering::Relaxed);
        n * n
    });
    let double = memoize(&cache, "double", Duration::from_secs(20), |n: &u64| n * 2);
    assert_eq!((square(5), square(5), double(5)), (25, 25, 10));
    assert_eq!((calls.load(Ordering::Relaxed), cache.len()), (1, 2));
    manual.advance(Duration::from_secs(10));
    assert_eq!((square(5), calls.load(Ordering::Relaxed)), (25, 2));
    assert!(cache.contains_key(&("double", 5)));
    manual.advance(Duration::from_secs(10));
    assert!(!cache.contains_key(&("double", 5)));
    let timeless = Cache::<(&'static str, u64), u64>::new(1);
    let wrap = || drop(memoize(&timeless, "f", LONG, |n: &u64| *n));
    assert!(catch_unwind(AssertUnwindSafe(wrap)).is_err());
}

#[test]
fn a_later_message_is_not_undone() {
    let cache = Cache::<u64, (u64, u64)>::new(10);
    let rounds = support::size(2_000, 100_000) as u64;
    thread::scope(|scope| {
        for thread in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                let seen = Cell::new(0);
                for version in (thread..rounds).step_by(3) {
                    let _ = cache.insert_if_newer(1, (version, thread), |value| value.0);
                    let now = cache.get(&1).unwrap().0;
                    assert!(now >= version.max(seen.get()), "it went back");
                    seen.set(now);
                }
            });
        }
    });
    assert_eq!(cache.get(&1).unwrap().0, rounds - 1);
}

#[test]
fn a_key_that_cannot_be_cloned_any_more_leaves_nobody_waiting() {
    struct Frail(u64, Arc<AtomicBool>);
    impl Clone for Frail {
        fn clone(&self) -> Self {
            assert!(!self.1.load(Ordering::SeqCst), "clones panic, as wanted");
            Self(self.0, Arc::clone(&self.1))
        }
    }
    impl PartialEq for Frail {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Frail {}
    impl std::hash::Hash for Frail {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    let (cache, sound) = (Cache::<Frail, u64>::new(10), Arc::new(AtomicBool::new(false)));
    let breaks = Arc::new(AtomicBool::new(false));
    let (go, gone) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let cache = &cache;
        let leader = scope.spawn({
            let key = Frail(1, Arc::clone(&sound));
            move || {
                let load = || {
                    cache.get_or_load(key, |_| -> u64 {
                        gone.recv_timeout(LONG).unwrap();
                        panic!("as wanted")
                    })
                };
                catch_unwind(AssertUnwindSafe(load)).is_err()
            }
        });
        thread::sleep(Duration::from_millis(20));
        let key = Frail(1, Arc::clone(&breaks));
        let waiter = scope.spawn(move || {
            catch_unwind(AssertUnwindSafe(|| cache.get_or_load(key, |_| 5))).is_ok()
        });
        thread::sleep(Duration::from_millis(20));
        breaks.store(true, Ordering::SeqCst);
        go.send(()).unwrap();
        assert!(leader.join().unwrap());
        drop(waiter.join());
        let key = Frail(1, Arc::clone(&sound));
        assert!(cache.get_or_load(key, |_| 6) >= 5, "nobody is stuck");
    });
}

#[test]
fn garbage_of_loads_that_fail_is_bounded() {
    let cache = Cache::<u64, u64>::builder().capacity(100).retired_capacity(10).build().unwrap();
    let held = cache.pin();
    // More than there are berths.
    for key in 0..support::size(5_000, 100_000).max(2_000) as u64 {
        assert!(cache.try_get_or_load(key, |_| Err::<u64, _>("no".to_string())).is_err());
        let backlog = cache.maintain(0).backlog;
        assert!(backlog <= 1_100, "{backlog} items wait for the guard");
    }
    assert_eq!(cache.get_or_load(1, |_| 5), 5, "a load that others cannot join");
    drop(held);
    support::validate(&cache);
    assert_eq!(cache.get_or_load(1, |_| 6), 6);
    assert_eq!(cache.get(&1), Some(6));
}

#[test]
fn a_key_is_cloned_for_the_table_only_where_a_placeholder_is_permitted() {
    /// Counts its clones down, and panics instead of the last one.
    struct Numbered(u64, Arc<AtomicU64>);
    impl Clone for Numbered {
        fn clone(&self) -> Self {
            assert!(self.1.fetch_sub(1, Ordering::SeqCst) > 1, "clones panic, as wanted");
            Self(self.0, Arc::clone(&self.1))
        }
    }
    impl PartialEq for Numbered {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Numbered {}
    impl std::hash::Hash for Numbered {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let key = |key| Numbered(key, Arc::clone(&left));
    let cache =
        Cache::<Numbered, u64>::builder().capacity(100).retired_capacity(10).build().unwrap();
    let held = cache.pin();
    for nth in 0..1_100 {
        let failed = cache.try_get_or_load(key(nth), |_| Err::<u64, _>("no".to_string()));
        assert!(failed.is_err());
    }
    left.store(1_000, Ordering::SeqCst);
    assert_eq!(cache.get_or_load(key(1), |_| 5), 5);
    assert_eq!(
        left.load(Ordering::SeqCst),
        998,
        "the leader's, the lone load's, and none for the table"
    );
    drop(held);
    support::validate(&cache);
    // The leader has its clone, and the one for the table fails: the berth is not lost.
    left.store(2, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get_or_load(key(1), |_| 6))).is_err());
    assert_eq!(left.load(Ordering::SeqCst), 0);
    left.store(1_000, Ordering::SeqCst);
    support::validate(&cache);
    assert_eq!(cache.get_or_load(key(1), |_| 7), 7);
    support::validate(&cache);
}

//! Calls that load: with borrowed keys, with terms, with values that need not exist or do not please.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use clockhand::load::Placeholder;
use clockhand::{Cache, Clock, Fresh, LoadError, LoadSource, Loader, ManualClock, memoize};

const MINUTE: Duration = Duration::from_secs(60);

/// A cache that keeps time, and its clock.
fn timed<V: Send + Sync + 'static>() -> (Cache<String, V>, ManualClock) {
    let (clock, hand) = Clock::manual();
    let builder = Cache::builder().capacity(100).per_entry_ttl().clock(clock);
    (builder.build().expect("sound"), hand)
}

fn is_panic<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[test]
fn a_loader_says_how_long_its_value_lives() {
    let (cache, hand) = timed::<u64>();
    let hour = || Fresh::new(1).ttl(60 * MINUTE);
    assert_eq!(cache.get_or_load("a".into(), |_| hour()), 1);
    assert_eq!(cache.get_or_load_by_ref("b", |_| Fresh::new(2).ttl(MINUTE)), 2);
    assert_eq!(cache.load("c").run(|_| Ok::<_, String>(hour())), Ok(1));
    assert_eq!(cache.load("d").ttl(MINUTE).run(|_| 4), Ok(4));
    assert_eq!(cache.load("e").ttl(MINUTE).run(|_| hour()), Ok(1), "the loader knows better");
    assert_eq!(cache.get_or_load("f".into(), |_| Fresh::new(6)), 6);
    hand.advance(2 * MINUTE);
    let left = ["a", "b", "c", "d", "e", "f"].map(|key| cache.get(key));
    assert_eq!(left, [Some(1), None, Some(1), None, Some(1), Some(6)]);
    hand.advance(60 * MINUTE);
    assert_eq!((cache.get("a"), cache.get("f")), (None, Some(6)));
}

#[test]
fn a_value_of_no_time_is_returned_to_all_and_not_kept() {
    let untimed: Cache<String, u64> = Cache::new(100);
    for cache in [timed().0, untimed] {
        for round in 0..2 {
            let (begun, beginning) = channel();
            let loader = cache.clone();
            let leader = thread::spawn(move || {
                loader.get_or_load_by_ref("a", |_| {
                    begun.send(()).expect("awaited");
                    while loader.stats().loads_joined == round {
                        thread::yield_now();
                    }
                    Fresh::new(7).ttl(Duration::ZERO)
                })
            });
            beginning.recv().expect("it begins");
            assert_eq!(cache.get_or_load_by_ref("a", |_| 8), 7, "it was joined");
            assert_eq!((leader.join().expect("it loads"), cache.get("a")), (7, None));
            assert!(cache.is_empty());
        }
        // Also where nobody joins, one inside of another, and where it is to take another's place.
        let zero = |value| Fresh::new(value).ttl(Duration::ZERO);
        let outer =
            cache.get_or_load_by_ref("a", |_| zero(cache.get_or_load_by_ref("b", |_| zero(3)) + 1));
        assert_eq!((outer, cache.len()), (4, 0));
        cache.insert("c".into(), 1);
        assert_eq!(cache.get_or_load_if("c".into(), |_| false, |_| zero(2)), 2);
        assert_eq!(cache.get("c"), None, "what is older than that was kept");
        assert_eq!(cache.get_or_load_by_ref("c", |_| Fresh::new(9).ttl(Duration::MAX)), 9);
        assert_eq!(cache.get("c"), Some(9));
        let stats = cache.stats();
        assert_eq!(stats.loads_started, stats.loads_succeeded);
    }
}

#[test]
fn a_time_that_cannot_be_kept_is_a_mistake() {
    let cache: Cache<String, u64> = Cache::new(100);
    for _ in 0..2 {
        assert!(is_panic(|| cache.get_or_load_by_ref("a", |_| Fresh::new(1).ttl(MINUTE))));
        assert!(is_panic(|| cache.load("a").ttl(MINUTE).run(|_| 1)));
        assert!(is_panic(|| cache.get_or_load_if(
            "a".into(),
            |_| false,
            |_| Fresh::new(1).ttl(MINUTE)
        )));
    }
    assert_eq!(cache.get_or_load_by_ref("a", |_| 2), 2, "the next caller loads");
    let stats = cache.stats();
    assert_eq!((stats.loads_started, stats.loads_failed, stats.loads_succeeded), (7, 6, 1));
}

#[test]
fn closures_need_no_types() {
    let numbers: Cache<u64, u64> = Cache::new(10);
    assert_eq!(numbers.get_or_load(1, |key| key + 1), 2);
    assert_eq!(numbers.get_or_load(2, |_| 7), 7);
    assert!(is_panic(|| numbers.get_or_load(3, |_| panic!("as wanted"))));
    assert_eq!(numbers.get_or_load(2, |_| unreachable!("it is there")), 7);
    let lists: Cache<u64, Vec<u64>> = Cache::new(10);
    assert!(lists.get_or_load(1, |_| Vec::new()).is_empty());
    let options: Cache<u64, Option<u64>> = Cache::new(10);
    assert_eq!(options.get_or_load(1, |_| None), None);
    let results: Cache<u64, Result<u64, String>> = Cache::new(10);
    assert_eq!(results.load(&1).run(|_| Ok(5)), Ok(Ok(5)));
    let unknown = Cache::new(10);
    assert_eq!(unknown.get_or_load("word", |word| word.len()), 4);
    assert_eq!(unknown.load(&"other").run(|word| word.len()), Ok(5));
    assert!(numbers.load(&9).run(|_| "x".parse::<u64>()).is_err());
}

#[test]
fn keys_may_be_borrowed() {
    let cache: Cache<String, usize> = Cache::new(100);
    for source in [LoadSource::Loaded, LoadSource::Hit] {
        assert_eq!(cache.get_or_load_by_ref("four", |word| word.len()), 4);
        assert_eq!(cache.try_get_or_load_by_ref("5", |text| text.parse::<usize>()), Ok(5));
        let failed = cache.try_get_or_load_by_ref("five", |text| text.parse::<usize>());
        assert!(matches!(failed, Err(LoadError::Failed(_))));
        let loaded = cache.load("six").with_source().run(|_| 6).expect("it loads");
        assert_eq!((loaded.value, loaded.source), (6, source));
    }
    assert_eq!((cache.len(), cache.stats().loads_started), (3, 5));
    let loading = cache.loading(|word: &String| Ok::<_, String>(word.len()));
    assert_eq!((loading.get("seven"), loading.get(&"seven".to_string())), (Ok(5), Ok(5)));
    let slices: Cache<Vec<u8>, u64> = Cache::new(10);
    assert_eq!(slices.get_or_load_by_ref(&[1, 2, 3][..], |bytes| bytes.len() as u64), 3);
    assert_eq!(slices.get(&[1, 2, 3][..]), Some(3));
}

#[test]
fn a_call_waits_no_longer_than_it_says() {
    let cache: Cache<String, u64> = Cache::new(10);
    let (begun, beginning) = channel();
    let (end, ending) = channel::<()>();
    let loader = cache.clone();
    let leader = thread::spawn(move || {
        loader.get_or_load_by_ref("a", |_| {
            begun.send(()).expect("awaited");
            ending.recv().expect("told");
            1
        })
    });
    beginning.recv().expect("it begins");
    for _ in 0..2 {
        let late = cache.load("a").timeout(Duration::from_millis(5)).run(|_| 2);
        assert_eq!(late, Err(LoadError::TimedOut));
    }
    end.send(()).expect("it waits");
    assert_eq!(leader.join().expect("it loads"), 1);
    assert_eq!(cache.load("a").timeout(Duration::ZERO).run(|_| 2), Ok(1), "a hit waits for nobody");
    assert_eq!(cache.load("b").timeout(Duration::ZERO).run(|_| 2), Ok(2), "nor does one who loads");
}

#[test]
fn a_value_need_not_exist() {
    let cache: Cache<String, u64> = Cache::new(10);
    let calls = AtomicU64::new(0);
    let ask = |found: Option<u64>| {
        cache.optionally_get_or_load("a".into(), |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            found
        })
    };
    assert_eq!((ask(None), ask(None), ask(Some(3)), ask(None)), (None, None, Some(3), Some(3)));
    assert_eq!((calls.load(Ordering::Relaxed), cache.len()), (3, 1));
    for _ in 0..2 {
        assert!(is_panic(|| cache.optionally_get_or_load("b".into(), |_| panic!("as wanted"))));
        let failed = cache.load("b").run_optional(|_| Err("down"));
        assert_eq!(failed.unwrap_err().error(), Some(&"down"));
    }
    assert_eq!(cache.load("b").run_optional(|_| Ok::<_, String>(None)), Ok(None));
    assert_eq!(cache.get_or_load_by_ref("b", |_| 4), 4);
}

#[test]
fn that_there_is_none_may_be_remembered() {
    let (cache, hand) = timed::<u64>();
    let ask = |found: Option<u64>| {
        cache.load("a").negative_ttl(MINUTE).run_optional(move |_| Ok::<_, String>(found))
    };
    assert_eq!((ask(None), ask(Some(1))), (Ok(None), Ok(None)));
    hand.advance(2 * MINUTE);
    assert_eq!((ask(None), ask(Some(2))), (Ok(None), Ok(None)));
    cache.invalidate("a");
    assert_eq!((ask(Some(3)), ask(None)), (Ok(Some(3)), Ok(Some(3))));
}

#[test]
fn who_wants_a_value_is_not_told_that_there_is_none() {
    let cache: Cache<String, u64> = Cache::new(10);
    let (begun, beginning) = channel();
    let loader = cache.clone();
    let leader = thread::spawn(move || {
        loader.optionally_get_or_load("a".into(), |_| {
            begun.send(()).expect("awaited");
            while loader.stats().loads_joined < 2 {
                thread::yield_now();
            }
            None
        })
    });
    beginning.recv().expect("it begins");
    let (one, other) = (cache.clone(), cache.clone());
    let optional = thread::spawn(move || one.optionally_get_or_load("a".into(), |_| Some(9)));
    let wanting = thread::spawn(move || other.get_or_load_by_ref("a", |_| 5));
    assert_eq!(leader.join().expect("it ends"), None);
    assert_eq!(wanting.join().expect("it loads for itself"), 5);
    assert!(matches!(optional.join().expect("it is told"), None | Some(5)));
    assert_eq!(cache.get("a"), Some(5));
}

#[test]
fn a_value_that_does_not_please_is_loaded_anew() {
    let cache: Cache<String, u64> = Cache::new(10);
    let at_least = |least| cache.get_or_load_if("a".into(), |value| *value >= least, |_| least);
    assert_eq!((at_least(3), at_least(2), at_least(5), cache.get("a")), (3, 3, 5, Some(5)));
    for _ in 0..2 {
        let never = |_: &u64| false;
        assert!(is_panic(|| cache.get_or_load_if("a".into(), never, |_| panic!("as wanted"))));
        assert_eq!(cache.get("a"), Some(5), "the old value stays");
        assert!(is_panic(|| cache.get_or_load_if("a".into(), |_| panic!("as wanted"), |_| 1)));
    }
    assert_eq!(
        cache.get_or_load_if("a".into(), |_| false, |_| 1),
        1,
        "its own, if it pleases or not"
    );
    let own = cache.get_or_load_if(
        "a".into(),
        |_| false,
        |key| {
            let inner = cache.load(key.as_str()).run(|_| 7);
            assert_eq!(inner, Ok(1), "others read the old value meanwhile");
            2
        },
    );
    assert_eq!((own, cache.get("a")), (2, Some(2)));
}

#[test]
fn a_place_is_kept_until_it_is_filled_from_elsewhere() {
    fn sent<T: Send>(_: &T) {}
    let cache: Cache<String, u64> = Cache::new(10);
    for round in 0..2_u64 {
        let Placeholder::Mine(fill) = cache.placeholder("a".into()) else {
            panic!("nothing is there")
        };
        sent(&fill);
        assert_eq!(fill.key(), "a");
        assert_eq!(cache.get("a"), None);
        let waits: Vec<_> = (0..3)
            .map(|_| {
                let cache = cache.clone();
                thread::spawn(move || match cache.placeholder("a".into()) {
                    Placeholder::Hit(value) => value,
                    other => panic!("{other:?}"),
                })
            })
            .collect();
        while cache.stats().loads_joined < 3 * (round + 1) {
            thread::yield_now();
        }
        thread::spawn(move || fill.insert(round)).join().expect("it is filled");
        assert!(waits.into_iter().all(|waits| waits.join().expect("it is told") == round));
        assert_eq!(cache.remove("a"), Some(round));
    }
    // What happens to the key meanwhile is newer.
    let Placeholder::Mine(fill) = cache.placeholder("b".into()) else { panic!("nothing is there") };
    cache.insert("b".into(), 7);
    fill.insert(8);
    assert_eq!(cache.get("b"), Some(7));
    let stats = cache.stats();
    assert_eq!((stats.loads_started, stats.loads_succeeded), (3, 3));
}

#[test]
fn a_place_that_is_given_up_passes_to_the_next() {
    let cache: Cache<String, u64> = Cache::new(10);
    let Placeholder::Mine(first) = cache.placeholder("a".into()) else {
        panic!("nothing is there")
    };
    let (took, taking) = channel();
    let waits: Vec<_> = (0..3)
        .map(|_| {
            let (cache, took) = (cache.clone(), took.clone());
            thread::spawn(move || match cache.placeholder("a".into()) {
                Placeholder::Mine(fill) => took.send(fill).map_err(drop).expect("awaited"),
                Placeholder::Hit(value) => assert_eq!(value, 5),
                other => panic!("{other:?}"),
            })
        })
        .collect();
    while cache.stats().loads_joined < 3 {
        thread::yield_now();
    }
    drop(first);
    // Twice in a row, and the second time by a panic.
    let second = taking.recv().expect("one of them leads");
    assert!(is_panic(|| second.insert_with_ttl(1, MINUTE)), "it keeps no time");
    taking.recv().expect("the next one leads").insert(5);
    waits.into_iter().for_each(|waits| waits.join().expect("it ends"));
    assert_eq!(cache.get("a"), Some(5));
    let Placeholder::Mine(last) = cache.placeholder("b".into()) else { panic!("nothing is there") };
    drop(last);
    assert_eq!(cache.get_or_load_by_ref("b", |_| 6), 6, "nobody waited");
}

#[test]
fn loads_in_a_circle_are_told_whatever_began_thin() {
    let cache: Cache<u64, u64> = Cache::new(10);
    let both = std::sync::Barrier::new(2);
    let cycles = AtomicU64::new(0);
    thread::scope(|scope| {
        for key in 0..2 {
            let (cache, both, cycles) = (&cache, &both, &cycles);
            scope.spawn(move || {
                cache.get_or_load(key, |_| {
                    // One more that began thin in between, which is inflated as well.
                    cache.get_or_load(10 + key, |_| {
                        both.wait();
                        match cache.try_get_or_load(1 - key, |_| Ok::<_, String>(7)) {
                            Err(LoadError::Cycle) => cycles.fetch_add(1, Ordering::Relaxed),
                            other => other.expect("it loads"),
                        }
                    })
                })
            });
        }
    });
    assert_eq!(cycles.load(Ordering::Relaxed), 1, "one of them is told");
    assert_eq!(cache.len(), 4);
}

#[test]
fn loaders_and_functions_say_how_long_values_live() {
    struct Minutes;
    impl Loader<String, u64> for Minutes {
        type Error = String;
        fn load(&self, _: &String) -> Result<u64, String> {
            unreachable!("the cache asks for the terms as well")
        }
        fn load_fresh(&self, key: &String) -> Result<Fresh<u64>, String> {
            Ok(Fresh::new(0).ttl(MINUTE * key.len() as u32))
        }
        fn reload_fresh(&self, _: &String, old: &u64) -> Result<Fresh<u64>, String> {
            Ok(Fresh::new(old + 1).ttl(MINUTE))
        }
    }
    let (cache, hand) = timed();
    let loading = cache.loading(Minutes);
    assert_eq!((loading.get("a"), loading.get("four")), (Ok(0), Ok(0)));
    hand.advance(2 * MINUTE);
    assert_eq!((cache.get("a"), cache.get("four")), (None, Some(0)));
    assert_eq!(loading.refresh(&"four".to_string()), Ok(1));
    hand.advance(MINUTE);
    assert_eq!(cache.get("four"), None, "renewed for a shorter time");

    let (clock, hand) = Clock::manual();
    let cache = Cache::builder().capacity(10).per_entry_ttl().clock(clock).build().expect("sound");
    let double = memoize(&cache, "double", 60 * MINUTE, |n: &u64| Fresh::new(2 * n).ttl(MINUTE));
    assert_eq!((double(2), cache.len()), (4, 1));
    hand.advance(2 * MINUTE);
    assert_eq!(cache.get(&("double", 2)), None);
}

#[cfg(feature = "async")]
mod tasks {
    use super::*;

    use futures_executor::block_on;

    #[test]
    fn a_closure_is_called_on_a_miss_only() {
        let (cache, hand) = timed::<u64>();
        let load = |key: &String| {
            let length = key.len() as u64;
            async move { Fresh::new(length).ttl(MINUTE) }
        };
        assert_eq!(block_on(cache.get_or_load_async("four".into(), load)), 4);
        let unwanted = |_: &String| -> std::future::Ready<u64> { unreachable!("it is there") };
        assert_eq!(block_on(cache.get_or_load_async("four".into(), unwanted)), 4);
        let unwanted = |_: &str| -> std::future::Ready<u64> { unreachable!("it is there") };
        assert_eq!(block_on(cache.get_or_load_by_ref_async("four", unwanted)), 4);
        hand.advance(2 * MINUTE);
        assert_eq!(cache.get("four"), None);
        for _ in 0..2 {
            let failed = block_on(cache.load("x").run_async(|key| {
                let parsed = key.parse::<u64>();
                async move { parsed }
            }));
            assert!(matches!(failed, Err(LoadError::Failed(_))));
        }
        let loaded = block_on(cache.load("x").with_source().run_async(|_| async { 5 }));
        assert_eq!(loaded.map(|loaded| (loaded.value, loaded.source)), Ok((5, LoadSource::Loaded)));
        let none = cache.load("y").run_optional_async(|_| async { Ok::<_, String>(None) });
        assert_eq!(block_on(none), Ok(None));
        let some = cache.load("y").run_optional_async(|_| async { Ok::<_, String>(Some(3)) });
        assert_eq!(block_on(some), Ok(Some(3)));
    }

    #[test]
    fn async_closures_are_loaders() {
        let cache: Cache<u64, u64> = Cache::new(10);
        let loading = cache.loading(|key: &u64| {
            let key = *key;
            async move { if key < 10 { Ok(key + 1) } else { Err("too much".to_string()) } }
        });
        assert_eq!(block_on(loading.get_async(&1)), Ok(2));
        assert!(block_on(loading.get_async(&10)).is_err());
        assert_eq!(block_on(loading.get_many_async(&[1, 2])), Ok(vec![Some(2), Some(3)]));
        assert_eq!(block_on(loading.refresh_async(&1)), Ok(2));
    }
}

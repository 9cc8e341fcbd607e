//! Many keys at a time on a plain cache: one load for those that are missing, and each load joined by whoever asks.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clockhand::{Cache, Clock, Fresh, LoadError, Loader, LoadingCache};

const MINUTE: Duration = Duration::from_secs(60);

fn cache() -> Cache<String, u64> {
    Cache::new(1_000)
}

fn lengths(missing: &[String]) -> Vec<Option<u64>> {
    missing.iter().map(|key| Some(key.len() as u64)).collect()
}

fn panics<T>(call: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

/// Waits until `joined` callers have joined a load.
fn until_joined<K, V>(cache: &Cache<K, V>, joined: u64)
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    while cache.stats().loads_joined < joined {
        thread::yield_now();
    }
}

#[test]
fn missing_keys_are_loaded_once_and_together() {
    let (cache, mut calls) = (cache(), Vec::new());
    cache.insert("there".into(), 100);
    let keys = ["a", "there", "bb", "a", "ccc", "bb"];
    let found = cache.get_all(keys, |missing| {
        calls.push(missing.to_vec());
        lengths(missing)
    });
    assert_eq!(found, [1, 100, 2, 1, 3, 2].map(Some));
    assert_eq!(calls, [["a", "bb", "ccc"].map(String::from)]);
    assert_eq!(cache.get_all(keys, |_| -> Vec<Option<u64>> { unreachable!() }), found);
    let stats = cache.stats();
    assert_eq!((stats.loads_started, stats.loads_succeeded), (3, 3));
}

#[test]
fn no_keys_are_no_load() {
    let none: [&str; 0] = [];
    assert!(cache().get_all(none, |_| -> Vec<Option<u64>> { unreachable!() }).is_empty());
}

#[test]
fn a_key_without_a_value_is_not_remembered() {
    let cache = cache();
    for calls in 1..3 {
        let mut called = 0;
        let found = cache.get_all(["a", "b", "c"], |missing| {
            called += 1;
            // Too few, and one that is none.
            missing.iter().take(2).map(|key| (key == "b").then_some(calls)).collect()
        });
        assert_eq!((found, called), (vec![None, Some(1), None], 1));
    }
    assert_eq!(cache.len(), 1);
    let more = cache.get_all(["d"], |_| vec![Some(1), Some(2), Some(3)]);
    assert_eq!((more, cache.len()), (vec![Some(1)], 2), "what nobody asked for is dropped");
}

#[test]
fn values_have_terms_of_their_own() {
    let (clock, hand) = Clock::manual();
    let builder = Cache::builder().capacity(100).per_entry_ttl().clock(clock);
    let cache: Cache<String, u64> = builder.build().expect("sound");
    let times = [MINUTE, Duration::MAX, Duration::ZERO];
    let found = cache.get_all(["a", "b", "c"], |missing| {
        missing.iter().zip(times).map(|(_, ttl)| Some(Fresh::new(7).ttl(ttl))).collect()
    });
    assert_eq!(found, [Some(7); 3]);
    let there = || ["a", "b", "c"].map(|key| cache.contains_key(key));
    assert_eq!(there(), [true, true, false]);
    hand.advance(MINUTE);
    assert_eq!(there(), [false, true, false]);
    let untimed = super::load_get_all::cache();
    for _ in 0..2 {
        let timed = || untimed.get_all(["a", "b"], |_| vec![Some(Fresh::new(1).ttl(MINUTE)); 2]);
        assert!(panics(timed), "there is no clock");
        assert_eq!(untimed.get_all(["c"], lengths), [Some(1)], "and nothing is stuck");
    }
    assert_eq!(untimed.get_all(["a", "b"], lengths), [Some(1); 2]);
}

type Loaded = Result<Vec<Option<u64>>, LoadError<String>>;

/// A thread that loads `keys` in one call, and goes on when it is told.
fn loads_slowly(
    cache: &Cache<String, u64>,
    keys: &'static [&'static str],
    end: impl FnOnce(&[String]) -> Result<Vec<Option<u64>>, String> + Send + 'static,
) -> (Sender<()>, JoinHandle<Loaded>) {
    let ((begun, beginning), (go, going)) = (channel(), channel());
    let (cache, mut end) = (cache.clone(), Some(end));
    let thread = thread::spawn(move || {
        cache.try_get_all(keys.iter().copied(), |missing| {
            begun.send(()).expect("awaited");
            going.recv().expect("it is told");
            end.take().expect("it is called once")(missing)
        })
    });
    beginning.recv().expect("it begins");
    (go, thread)
}

#[test]
fn who_asks_for_one_of_the_keys_joins() {
    let cache = cache();
    let (go, all) = loads_slowly(&cache, &["a", "bb"], |missing| Ok(lengths(missing)));
    let other = cache.clone();
    let one = thread::spawn(move || other.get_or_load_by_ref("bb", |_| unreachable!()));
    let other = cache.clone();
    let many = thread::spawn(move || {
        let mut calls = Vec::new();
        let found = other.get_all(["bb", "ccc"], |missing| {
            calls.push(missing.to_vec());
            lengths(missing)
        });
        (found, calls)
    });
    until_joined(&cache, 2);
    go.send(()).expect("it waits");
    assert_eq!(one.join().expect("it is told"), 2);
    assert_eq!(
        many.join().expect("it is told"),
        (vec![Some(2), Some(3)], vec![vec!["ccc".into()]])
    );
    assert_eq!(all.join().expect("it loads"), Ok(vec![Some(1), Some(2)]));
}

#[test]
fn it_joins_those_that_load_one_of_the_keys() {
    let cache = cache();
    let ((begun, beginning), (go, going)) = (channel(), channel::<()>());
    let other = cache.clone();
    let one = thread::spawn(move || {
        other.get_or_load_by_ref("bb", |_| {
            begun.send(()).expect("awaited");
            going.recv().expect("it is told");
            200
        })
    });
    beginning.recv().expect("it begins");
    let loaded = Cell::new(0);
    let found = cache.get_all(["a", "bb"], |missing| {
        assert_eq!(missing, ["a"]);
        loaded.set(loaded.get() + 1);
        // The other one is waited for after that.
        go.send(()).expect("it waits");
        lengths(missing)
    });
    assert_eq!((found, loaded.get()), (vec![Some(1), Some(200)], 1));
    assert_eq!(one.join().expect("it loads"), 200);
}

#[test]
fn a_load_that_was_joined_and_comes_to_nothing_is_done_again() {
    let cache = cache();
    for _ in 0..2 {
        // The second key may be given up before it is joined.
        let joined = cache.stats().loads_joined;
        let (go, all) = loads_slowly(&cache, &["a", "bb"], |_| panic!("as wanted"));
        let other = cache.clone();
        let many = thread::spawn(move || {
            let mut calls = Vec::new();
            let found = other.get_all(["a", "bb", "ccc"], |missing| {
                calls.push(missing.len());
                lengths(missing)
            });
            (found, calls)
        });
        until_joined(&cache, joined + 1);
        go.send(()).expect("it waits");
        let (found, calls) = many.join().expect("its own loader does not panic");
        assert_eq!((found, calls[0]), ([1, 2, 3].map(Some).to_vec(), 1));
        assert!(calls[1..].iter().all(|keys| *keys == 1), "{calls:?}");
        assert!(all.join().is_err());
        cache.clear();
    }
}

#[test]
fn an_error_is_that_of_all_keys_of_the_call_and_of_those_who_joined() {
    let cache = cache();
    cache.insert("there".into(), 7);
    let (go, all) = loads_slowly(&cache, &["there", "a", "bb"], |_| Err("down".to_string()));
    let other = cache.clone();
    let one = thread::spawn(move || other.try_get_or_load_by_ref("a", |_| Ok::<_, String>(5)));
    let other = cache.clone();
    // One with another type of error loads for itself.
    let own = thread::spawn(move || other.get_or_load_by_ref("bb", |_| 6));
    until_joined(&cache, 2);
    go.send(()).expect("it waits");
    let error = all.join().expect("no panic").expect_err("it fails");
    assert_eq!(error.error(), Some(&"down".to_string()));
    let joined = one.join().expect("no panic");
    assert_eq!(joined, Err(error), "the same one");
    assert_eq!(own.join().expect("no panic"), 6);
    assert_eq!((cache.get("there"), cache.get("a"), cache.get("bb")), (Some(7), None, Some(6)));
    assert_eq!(cache.get_all(["a", "bb"], lengths), [1, 6].map(Some), "it is not remembered");
}

#[test]
fn a_loader_that_panics_leaves_the_keys_to_others() {
    let cache = cache();
    for _ in 0..2 {
        assert!(
            panics(|| cache.get_all(["a", "bb"], |_| -> Vec<Option<u64>> { panic!("wanted") }))
        );
        assert!(cache.is_empty());
    }
    assert_eq!(cache.get_all(["a", "bb"], lengths), [1, 2].map(Some));
    let stats = cache.stats();
    assert_eq!((stats.loads_started, stats.loads_failed), (6, 4));
}

#[test]
fn a_loader_that_asks_for_its_own_keys_is_told() {
    let cache = cache();
    for _ in 0..2 {
        let found = cache.try_get_all(["a", "bb"], |_| {
            let again = cache.try_get_all(["bb"], |_| Ok::<_, u8>(vec![Some(1)]));
            assert!(matches!(again, Err(LoadError::Cycle)));
            let one = cache.try_get_or_load_by_ref("a", |_| Ok::<_, u8>(1));
            assert!(matches!(one, Err(LoadError::Cycle)));
            Err::<Vec<Option<u64>>, _>(8_u8)
        });
        assert_eq!(found.expect_err("it fails").error(), Some(&8));
        assert!(panics(|| cache.get_all(["a"], |_| cache.get_all(["a"], lengths))));
    }
    assert_eq!(cache.get_all(["a", "bb"], lengths), [1, 2].map(Some));
}

#[test]
fn what_happens_to_a_key_meanwhile_stands() {
    let cache = cache();
    let found = cache.get_all(["a", "bb", "ccc"], |missing| {
        cache.insert("a".into(), 50);
        cache.invalidate("bb");
        lengths(missing)
    });
    assert_eq!(found, [1, 2, 3].map(Some));
    assert_eq!(["a", "bb", "ccc"].map(|key| cache.get(key)), [Some(50), None, Some(3)]);
}

/// More keys than there is room for: all are returned.
#[test]
fn what_does_not_fit_is_returned() {
    for capacity in [0, 1, 3] {
        let cache: Cache<u64, u64> = Cache::new(capacity);
        let keys: Vec<u64> = (0..100).collect();
        let found = cache.get_all(&keys, |missing| missing.iter().map(|n| Some(n * 2)).collect());
        assert!(found.iter().zip(&keys).all(|(value, key)| *value == Some(key * 2)));
        assert!(cache.len() as u64 <= capacity);
    }
}

/// Two callers want the same keys in opposite orders, again and again: neither waits for ever.
#[test]
fn two_calls_do_not_wait_for_each_other() {
    let cache: Cache<u64, u64> = Cache::new(100);
    let work = |reverse: bool| {
        let cache = cache.clone();
        thread::spawn(move || {
            for _ in 0..300 {
                let mut keys: Vec<u64> = (0..8).collect();
                if reverse {
                    keys.reverse();
                }
                let load = |missing: &[u64]| missing.iter().map(|key| Some(*key)).collect();
                let found = cache.get_all(&keys, load);
                assert!(found.iter().zip(&keys).all(|(value, key)| *value == Some(*key)));
                cache.clear();
            }
        })
    };
    let threads = [work(false), work(true), work(false)];
    threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
}

/// Loads of many keys by a loader say how long each value lives, too.
#[test]
fn loaders_of_many_keys_have_terms() {
    struct Table(AtomicBool);
    impl Loader<String, u64> for Table {
        type Error = String;
        fn load(&self, key: &String) -> Result<u64, String> {
            Ok(key.len() as u64)
        }
        fn load_many_fresh(&self, keys: &[String]) -> Result<Vec<Option<Fresh<u64>>>, String> {
            self.0.store(true, Ordering::SeqCst);
            Ok(keys.iter().map(|key| Some(Fresh::new(key.len() as u64).ttl(MINUTE))).collect())
        }
    }
    let (clock, hand) = Clock::manual();
    let cache = Cache::builder().capacity(100).clock(clock).build().expect("sound");
    let table: LoadingCache<String, u64, Table> = cache.loading(Table(AtomicBool::new(false)));
    assert_eq!(table.get_many(["a", "bb", "a"]), Ok(vec![Some(1), Some(2), Some(1)]));
    assert!(table.cache().contains_key("a"));
    hand.advance(MINUTE);
    assert!(!table.cache().contains_key("a"));
    assert_eq!(table.refresh("a"), Ok(1), "by a key that is borrowed");
}

#[cfg(feature = "async")]
mod tasks {
    use super::*;

    use futures_executor::block_on;

    async fn query(missing: Vec<String>) -> Vec<Option<u64>> {
        lengths(&missing)
    }

    #[test]
    fn tasks_load_together() {
        let cache = cache();
        let found = block_on(cache.get_all_async(["a", "bb", "a"], query));
        assert_eq!(found, [1, 2, 1].map(Some));
        for _ in 0..2 {
            let panics = panics(|| {
                let load = async |_| -> Vec<Option<u64>> { panic!("as wanted") };
                block_on(cache.get_all_async(["ccc", "dddd"], load))
            });
            assert!(panics);
            let failed =
                cache.try_get_all_async(["ccc"], async |_| Err::<Vec<Option<u64>>, _>("down"));
            assert_eq!(block_on(failed).expect_err("it fails").error(), Some(&"down"));
        }
        assert_eq!(block_on(cache.get_all_async(["ccc"], query)), [Some(3)]);
    }

    /// A call that is dropped while it loads leaves its keys to those who wait.
    #[test]
    fn a_call_that_is_dropped_keeps_nobody_out() {
        let cache = cache();
        for round in 1..3 {
            let mut call = Box::pin(
                cache.get_all_async(["a", "bb"], |_| std::future::pending::<Vec<Option<u64>>>()),
            );
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
            let other = cache.clone();
            let waiter = thread::spawn(move || other.get_or_load_by_ref("bb", |_| 7));
            until_joined(&cache, round);
            drop(call);
            assert_eq!(waiter.join().expect("it loads"), 7);
            assert_eq!(cache.get_all(["a", "bb"], lengths), [1, 7].map(Some));
            cache.clear();
        }
    }
}

//! Loads that find no room for one that others could join: each caller loads for itself, and one that comes to its own
//! load again is told so, as anywhere else.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::support;
use clockhand::load::{LoadError, Loader, LoadingCache};
use clockhand::{Cache, Guard};

/// A recursion without an end is cut off here, before the stack is full.
const DEEP: u64 = 50;

fn small() -> Cache<u64, u64> {
    Cache::builder().capacity(100).retired_capacity(10).build().expect("sound")
}

/// As long as the guard lives, no load finds room.
fn crowd(cache: &Cache<u64, u64>) -> Guard<'_, u64, u64> {
    let guard = cache.pin();
    for key in 1_000_000..1_002_000 {
        assert!(cache.try_get_or_load(key, |_| Err("no")).is_err());
    }
    // Of many keys each has room on top of all others: that is taken, too.
    let many = cache.loading(|_: &u64| Err::<u64, _>("no"));
    assert!(many.get_many(&Vec::from_iter(1_000_000..1_000_200)).is_err());
    guard
}

#[test]
fn a_lone_load_that_comes_to_itself_is_told() {
    fn ask(cache: &Cache<u64, u64>, key: u64, depth: u64) -> Result<u64, LoadError<String>> {
        cache.try_get_or_load(key, |&key| {
            assert!(depth < DEEP, "a recursion without an end");
            // Over another key, and back.
            ask(cache, 1 - key, depth + 1).map_err(|error| format!("{error:?}"))
        })
    }
    let (cache, other) = (small(), small());
    let guards = (crowd(&cache), crowd(&other));
    let error = ask(&cache, 0, 0).expect_err("a circle");
    assert!(!matches!(error, LoadError::Cycle), "the outermost call does not wait for itself");
    assert!(format!("{error:?}").contains("Cycle"), "{error:?}");
    // That is over, and other keys, and the same one in another cache, are no circle.
    let nested =
        cache.get_or_load(0, |&key| cache.get_or_load(1, |_| other.get_or_load(key, |_| 7)));
    assert_eq!(nested, 7);
    drop(guards);
    support::validate(&cache);
    support::validate(&other);
}

type Answer = Result<u64, String>;
type Ask = fn(&Loading, u64) -> Answer;
type Loading = LoadingCache<u64, u64, Asks>;

/// Asks for the key that it loads, in the way that a test says.
#[derive(Clone)]
struct Asks {
    cache: Cache<u64, u64>,
    calls: Arc<AtomicU64>,
    ask: Ask,
    /// Whether it loads many keys by one query.
    many: bool,
}

impl Asks {
    fn again(&self, key: u64) -> Answer {
        assert!(self.calls.fetch_add(1, SeqCst) < DEEP, "a recursion without an end");
        (self.ask)(&self.cache.loading(self.clone()), key)
    }
}

impl Loader<u64, u64> for Asks {
    type Error = String;
    fn load(&self, key: &u64) -> Answer {
        self.again(*key)
    }
    fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
        if self.many {
            keys.iter().map(|&key| self.again(key).map(Some)).collect()
        } else {
            One(self).load_many(keys)
        }
    }
}

/// Loads one key after the other.
struct One<'a>(&'a Asks);

impl Loader<u64, u64> for One<'_> {
    type Error = String;
    fn load(&self, key: &u64) -> Answer {
        self.0.load(key)
    }
}

fn in_words<T>(asked: Result<T, LoadError<String>>) -> Result<T, String> {
    asked.map_err(|error| format!("{error:?}"))
}

const WAYS: [(&str, Ask); 3] = [
    ("get", |loading, key| in_words(loading.get(&key))),
    ("refresh", |loading, key| in_words(loading.refresh(&key))),
    ("get_many", |loading, key| {
        in_words(loading.get_many(&[key, key ^ 1])).map(|values| values.into_iter().flatten().sum())
    }),
];

#[test]
fn a_cache_that_fills_itself_is_told() {
    for (name, ask) in WAYS {
        for many in [false, true] {
            let cache = small();
            let guard = crowd(&cache);
            let loading =
                cache.loading(Asks { cache: cache.clone(), calls: Arc::default(), ask, many });
            let error = ask(&loading, 1).expect_err("a circle");
            assert!(error.contains("Cycle"), "{name}, many {many}: {error}");
            drop(guard);
            support::validate(&cache);
        }
    }
}

#[cfg(feature = "async")]
#[test]
fn a_lone_load_of_a_task_that_comes_to_itself_is_told() {
    use std::pin::Pin;
    type Asked<'a> = Pin<Box<dyn Future<Output = Result<u64, LoadError<String>>> + 'a>>;
    fn ask(cache: &Cache<u64, u64>, key: u64, depth: u64) -> Asked<'_> {
        Box::pin(cache.try_get_or_load_async(key, move |_| async move {
            assert!(depth < DEEP, "a recursion without an end");
            in_words(ask(cache, 1 - key, depth + 1).await)
        }))
    }
    let cache = small();
    let guard = crowd(&cache);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(told) = ask(&cache, 0, 0).as_mut().poll(&mut context) else {
        panic!("it waits for itself");
    };
    assert!(format!("{told:?}").contains("Cycle"), "{told:?}");
    drop(guard);
    support::validate(&cache);
}

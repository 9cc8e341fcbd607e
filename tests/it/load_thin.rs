//! User code that panics, or asks for the key, at each step of a load that no other caller has joined yet.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::{self, assert_balanced, eventually, in_time};
use clockhand::{Cache, LoadError};

const LONG: Duration = Duration::from_secs(60);

/// The user code of keys and values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Code {
    CloneKey,
    Eq,
    Hash,
    CloneValue,
}

type Act = Box<dyn FnOnce()>;

thread_local! {
    /// What this thread does the next time it comes to such code.
    static NEXT: RefCell<Option<(Code, Act)>> = const { RefCell::new(None) };
}

fn arm(code: Code, act: impl FnOnce() + 'static) {
    NEXT.set(Some((code, Box::new(act))));
}

fn pass(code: Code) {
    let armed = NEXT.with_borrow_mut(|next| next.take_if(|(armed, _)| *armed == code));
    if let Some((_, act)) = armed {
        act();
    }
}

#[derive(Debug)]
struct Key(u64);

impl Clone for Key {
    fn clone(&self) -> Self {
        pass(Code::CloneKey);
        Self(self.0)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        pass(Code::Eq);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    /// All keys of one test share a bucket.
    fn hash<H: Hasher>(&self, state: &mut H) {
        pass(Code::Hash);
        0.hash(state);
    }
}

#[derive(Debug, PartialEq)]
struct Value(u64);

impl Clone for Value {
    fn clone(&self) -> Self {
        pass(Code::CloneValue);
        Self(self.0)
    }
}

type Tested = Cache<Key, Value>;

fn panics() {
    resume_unwind(Box::new("as wanted"));
}

/// Started, succeeded, failed.
fn loads<K, V>(cache: &Cache<K, V>) -> [u64; 3] {
    let stats = cache.stats();
    [stats.loads_started, stats.loads_succeeded, stats.loads_failed]
}

/// How a loader ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Value,
    Error,
    Panic,
}

/// Loads the key 1 by a loader that arms `code` and ends in this way; `None` if that panics.
fn load(
    cache: &Tested,
    code: Code,
    act: Act,
    end: End,
) -> Option<Result<Value, LoadError<String>>> {
    let load = |_: &Key| {
        arm(code, act);
        match end {
            End::Value => Ok(Value(1)),
            End::Error => Err("down".to_string()),
            End::Panic => {
                panics();
                Ok(Value(1))
            }
        }
    };
    let loaded = catch_unwind(AssertUnwindSafe(|| cache.try_get_or_load(Key(1), load))).ok();
    NEXT.set(None);
    loaded
}

const CODES: [Code; 4] = [Code::CloneKey, Code::Eq, Code::Hash, Code::CloneValue];
const ENDS: [End; 3] = [End::Value, End::Error, End::Panic];

#[test]
fn who_asks_for_the_key_while_its_load_ends_does_not_wait_for_itself() {
    let mut asked = 0;
    for (code, end) in CODES.into_iter().flat_map(|code| ENDS.map(|end| (code, end))) {
        asked += in_time(move || {
            let (cache, answers) = (Tested::new(10), mpsc::channel());
            let (own, answer) = (cache.clone(), answers.0);
            let ask = move || {
                let asked = own.try_get_or_load(Key(1), |_| Ok::<_, String>(Value(2)));
                answer.send(asked).expect("the test goes on");
            };
            load(&cache, code, Box::new(ask), end);
            let told: Vec<_> = answers.1.into_iter().collect();
            assert!(
                told.iter().all(|told| matches!(told, Ok(_) | Err(LoadError::Cycle))),
                "{code:?} {end:?}: {told:?}"
            );
            let [started, succeeded, failed] = loads(&cache);
            assert_eq!(started, succeeded + failed, "{code:?} {end:?}");
            assert_balanced(&cache);
            told.len()
        });
    }
    // No key is compared where a value comes in: its placeholder is found by its number.
    assert_eq!(asked, 4, "the test shows something");
}

#[test]
fn user_code_that_panics_as_a_load_ends_leaves_no_load_under_way() {
    for (code, end) in CODES.into_iter().flat_map(|code| ENDS.map(|end| (code, end))) {
        let cache = Tested::new(10);
        let loaded = load(&cache, code, Box::new(panics), end);
        let counts = loads(&cache);
        let expected = if matches!(end, End::Value) { [1, 1, 0] } else { [1, 0, 1] };
        assert_eq!(counts, expected, "{code:?} {end:?}: {loaded:?}");
        assert!(!matches!(end, End::Panic) || loaded.is_none());
        // A token that was left behind, as the key could not be looked for, is known to be over.
        let again = cache.try_get_or_load(Key(1), |_| Ok::<_, String>(Value(3)));
        assert!(again.is_ok(), "{code:?} {end:?}: {again:?}");
        assert_eq!(cache.stats().awaited, 0, "{code:?} {end:?}");
        support::validate(&cache);
    }
}

#[test]
fn a_weigher_that_panics_leaves_no_load_under_way() {
    let weigh = |_: &u64, _: &u64| resume_unwind(Box::new("as wanted"));
    let cache = Cache::<u64, u64>::builder().capacity(100).weigher(weigh).build().unwrap();
    for nth in 1..5 {
        assert!(catch_unwind(AssertUnwindSafe(|| cache.get_or_load(1, |key| *key))).is_err());
        assert_eq!(loads(&cache), [nth, nth, 0], "the loaders have returned values");
    }
    support::validate(&cache);
}

#[test]
fn an_error_reaches_its_caller_whatever_a_key_does_when_it_is_cloned() {
    let cache = Tested::new(10);
    let loaded = load(&cache, Code::CloneKey, Box::new(panics), End::Error);
    let error = loaded.expect("no panic").expect_err("the loader has failed");
    assert_eq!(error.into_error().as_deref(), Some(&"down".to_string()));
}

#[test]
fn a_load_that_loses_its_place_goes_on_with_what_it_has() {
    thread_local!(static CLONES: Cell<u64> = const { Cell::new(0) });
    fn count() {
        CLONES.set(CLONES.get() + 1);
        arm(Code::CloneKey, count);
    }
    let cache = Tested::new(100);
    cache.insert(Key(1), Value(1));
    let load = || cache.get_or_load(Key(2), |_| Value(2));
    arm(Code::CloneKey, count);
    assert_eq!(load(), Value(2));
    let undisturbed = CLONES.take();
    cache.invalidate(&Key(2));
    // The clone of the key 2 that is to go into the table changes the bucket in which it was to lie.
    let own = cache.clone();
    arm(Code::CloneKey, move || {
        own.insert(Key(3), Value(3));
        count();
    });
    assert_eq!(load(), Value(2));
    assert_eq!(CLONES.take(), undisturbed);
    NEXT.set(None);
    assert_eq!((cache.len(), loads(&cache)), (3, [2, 2, 0]));
    support::validate(&cache);
}

/// Loads the key 1 by a loader that panics when a handle has joined that remembers failures, and then fails; returns
/// how often the handle's loader was called in the end, when it was asked for the key six times.
fn calls_of_promoted(cache: &Tested, on_first_failure: fn()) -> u64 {
    let calls = Arc::new(AtomicU64::new(0));
    let own = Arc::clone(&calls);
    let loading = cache.loading(move |_: &Key| {
        if own.fetch_add(1, Ordering::SeqCst) == 0 {
            on_first_failure();
        }
        Err::<Value, String>("down".into())
    });
    let loading = loading.negative_ttl(10 * LONG);
    let ((go, gone), (started, starts)) = (mpsc::channel(), mpsc::channel());
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            let load = move |_: &Key| {
                started.send(()).expect("the test goes on");
                gone.recv_timeout(LONG).expect("the test goes on");
                resume_unwind(Box::new("as wanted"))
            };
            catch_unwind(AssertUnwindSafe(|| cache.get_or_load(Key(1), load))).is_err()
        });
        starts.recv_timeout(LONG).expect("it starts");
        let waiter = scope.spawn(|| loading.get(&Key(1)));
        assert!(eventually(|| cache.stats().loads_joined == 1));
        go.send(()).expect("it waits");
        assert!(leader.join().expect("it is caught"));
        let failed = waiter.join().expect("no panic").expect_err("its loader fails");
        assert_eq!(failed.into_error().as_deref(), Some(&"down".to_string()));
    });
    assert!((0..5).all(|_| loading.get(&Key(1)).is_err()));
    calls.load(Ordering::SeqCst)
}

#[test]
fn a_failure_is_remembered_of_a_load_that_another_caller_has_begun() {
    let cache = Tested::new(10);
    assert_eq!(calls_of_promoted(&cache, || ()), 1);
    let stats = cache.stats();
    assert_eq!((stats.awaited, stats.loads_relieved), (1, 1), "the placeholder stays");
    cache.insert(Key(1), Value(2));
    assert_eq!((cache.get(&Key(1)), cache.stats().awaited), (Some(Value(2)), 0));
    support::validate(&cache);
}

#[test]
fn a_failure_that_cannot_be_remembered_is_told_all_the_same() {
    let cache = Tested::new(10);
    let clone_panics = || arm(Code::CloneKey, panics);
    assert_eq!(calls_of_promoted(&cache, clone_panics), 2, "the second one is remembered");
    support::validate(&cache);
}

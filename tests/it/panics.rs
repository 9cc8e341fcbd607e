//! P9: user code never runs inside an exclusive state. A panic in any user code, in any operation
//! that calls it, leaves the cache consistent: the capacity is whole, nothing is stuck, each value
//! is dropped once.
//!
//! The matrix: for every kind of user code and every operation, the operation is run against a
//! cache in a known state with that user code armed to panic at its nth call, for n = 1, 2, ...
//! until the operation goes through without a panic.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{self, assert_balanced};
use clockhand::{Cache, Clock, Compute, Expiry, Maintenance, ManualClock};

/// The user code that may panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Hash,
    Eq,
    Clone,
    DropKey,
    DropValue,
    Weigher,
    Cost,
    Listener,
    Closure,
    Expiry,
}

pub(crate) const CODES: [Code; 10] = [
    Code::Hash,
    Code::Eq,
    Code::Clone,
    Code::DropKey,
    Code::DropValue,
    Code::Weigher,
    Code::Cost,
    Code::Listener,
    Code::Closure,
    Code::Expiry,
];

thread_local! {
    /// What panics on this thread, and at which call from now on.
    static ARMED: Cell<Option<(Code, u32)>> = const { Cell::new(None) };
    /// What it does at that call; it panics if there is nothing.
    static DEED: RefCell<Option<Deed>> = const { RefCell::new(None) };
}

/// What user code does at its nth call; whether it panics after that.
pub(crate) type Deed = Box<dyn FnOnce() -> bool>;

/// Called by all user code.
fn pass(code: Code) {
    let Some((armed, calls)) = ARMED.get().filter(|(armed, _)| *armed == code) else { return };
    if calls > 1 {
        ARMED.set(Some((armed, calls - 1)));
        return;
    }
    ARMED.set(None);
    if DEED.take().is_none_or(|deed| deed()) {
        // Without the hook's message: there are thousands.
        panic::resume_unwind(Box::new(code));
    }
}

/// Runs `body`, in which `code` does something at its nth call; whether it panicked.
pub(crate) fn armed_with(code: Code, nth: u32, deed: Deed, body: impl FnOnce()) -> bool {
    DEED.set(Some(deed));
    let panicked = armed(code, nth, body);
    DEED.set(None);
    panicked
}

/// Runs `body` with `code` armed for its nth call; whether it panicked.
fn armed(code: Code, nth: u32, body: impl FnOnce()) -> bool {
    ARMED.set(Some((code, nth)));
    let panicked = panic::catch_unwind(AssertUnwindSafe(body));
    ARMED.set(None);
    match panicked {
        Ok(()) => false,
        Err(what) if what.downcast_ref() == Some(&code) => true,
        Err(other) => panic::resume_unwind(other),
    }
}

thread_local! {
    /// How many keys and values this thread has made and not dropped: other tests run at the same time.
    static KEYS: Cell<i64> = const { Cell::new(0) };
    static VALUES: Cell<i64> = const { Cell::new(0) };
}

#[derive(Debug)]
pub(crate) struct Key(u64);

#[derive(Debug)]
pub(crate) struct Value(u64);

/// How many keys and values this thread has.
pub(crate) fn alive() -> (i64, i64) {
    (KEYS.get(), VALUES.get())
}

impl Key {
    fn new(number: u64) -> Self {
        KEYS.set(KEYS.get() + 1);
        Self(number)
    }
}

impl Value {
    fn new(number: u64) -> Self {
        VALUES.set(VALUES.get() + 1);
        Self(number)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        pass(Code::Hash);
        // Few hashes, so that keys are compared and buckets overflow.
        (self.0 % 5).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        pass(Code::Eq);
        self.0 == other.0
    }
}
impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        pass(Code::Clone);
        Self::new(self.0)
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        pass(Code::Clone);
        Self::new(self.0)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        KEYS.set(KEYS.get() - 1);
        pass(Code::DropKey);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        VALUES.set(VALUES.get() - 1);
        pass(Code::DropValue);
    }
}

struct Rule;

impl Expiry<Key, Value> for Rule {
    fn expire_after_create(&self, _: &Key, value: &Value, _: Instant) -> Option<Duration> {
        pass(Code::Expiry);
        (value.0 == EXPIRING).then_some(Duration::from_secs(1))
    }
    fn expire_after_read(
        &self,
        _: &Key,
        _: &Value,
        _: Instant,
        left: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        pass(Code::Expiry);
        left
    }
    fn expire_after_update(
        &self,
        _: &Key,
        _: &Value,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        pass(Code::Expiry);
        left
    }
}

/// The value of entries that expire.
const EXPIRING: u64 = 999;
/// The weight of an entry is the number of its value modulo this, plus one.
const HEAVY: u64 = 10;
const CAPACITY: u64 = 60;

pub(crate) type Tested = Cache<Key, Value>;

/// A full cache with live and expired entries, and garbage that is ready to be freed.
pub(crate) fn prepared(maintenance: Maintenance, retired: u64) -> (Tested, ManualClock) {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder()
        .capacity(CAPACITY)
        .retired_capacity(retired)
        .expected_entries(1)
        .weigher(|_: &Key, value: &Value| {
            pass(Code::Weigher);
            1 + value.0 % HEAVY
        })
        .cost(|key: &Key, _| {
            pass(Code::Cost);
            1 + key.0 % 3
        })
        .removal_listener(|_, _, _| pass(Code::Listener))
        .expiry(Rule)
        .clock(clock)
        .maintenance(maintenance)
        .build()
        .expect("sound");
    for number in 0..100 {
        let value = if number % 7 == 0 { EXPIRING } else { number % 3 };
        cache.insert(Key::new(number), Value::new(value));
    }
    for number in 0..100 {
        cache.insert(Key::new(200 + number % 3), Value::new(0));
    }
    manual.advance(Duration::from_secs(1));
    (cache, manual)
}

/// An operation of the matrix.
pub(crate) type Operation = (&'static str, fn(&Tested));

fn some_key() -> Key {
    Key::new(201)
}

/// A key that is not there.
fn no_key() -> Key {
    Key::new(5001)
}

/// Looks for the key of an expired entry: one of them is there, most likely.
fn old_key() -> Key {
    Key::new(98)
}

pub(crate) const OPERATIONS: [Operation; 34] = [
    ("get", |c| drop(c.get(&some_key()))),
    ("get, a miss", |c| drop(c.get(&no_key()))),
    ("peek", |c| drop(c.peek(&some_key()))),
    ("contains_key", |c| support::ignore(c.contains_key(&some_key()))),
    ("read", |c| support::ignore(c.read(&some_key(), |_| pass(Code::Closure)))),
    ("Guard::get", |c| support::ignore(c.pin().get(&some_key()))),
    ("Reader::get", |c| support::ignore(c.reader().get(&some_key()))),
    ("insert, new", |c| c.insert(no_key(), Value::new(1))),
    ("insert, heavy", |c| c.insert(no_key(), Value::new(9))),
    ("insert, over another", |c| c.insert(some_key(), Value::new(1))),
    ("insert, heavy over another", |c| c.insert(some_key(), Value::new(9))),
    ("insert, over an expired one", |c| c.insert(old_key(), Value::new(1))),
    ("insert, expired at once", |c| c.insert(no_key(), Value::new(EXPIRING))),
    ("insert, refused", |c| {
        c.set_capacity(5);
        c.insert(some_key(), Value::new(9));
    }),
    ("try_insert", |c| drop(c.try_insert(some_key(), Value::new(1)))),
    ("try_insert, new", |c| drop(c.try_insert(no_key(), Value::new(1)))),
    ("insert_if_absent, absent", |c| drop(c.insert_if_absent(no_key(), Value::new(1)))),
    ("insert_if_absent, present", |c| drop(c.insert_if_absent(some_key(), Value::new(1)))),
    ("compute, put", |c| {
        drop(c.compute(some_key(), |_| {
            pass(Code::Closure);
            Compute::Put(Value::new(2))
        }));
    }),
    ("compute, put new", |c| {
        drop(c.compute(no_key(), |_| {
            pass(Code::Closure);
            Compute::Put(Value::new(9))
        }));
    }),
    ("compute, remove", |c| {
        drop(c.compute(some_key(), |_| {
            pass(Code::Closure);
            Compute::Remove
        }));
    }),
    ("compute, keep", |c| {
        drop(c.compute(some_key(), |_| {
            pass(Code::Closure);
            Compute::Keep
        }));
    }),
    ("remove", |c| drop(c.remove(&some_key()))),
    ("remove, expired", |c| drop(c.remove(&old_key()))),
    ("invalidate", |c| support::ignore(c.invalidate(&some_key()))),
    ("remove_if", |c| {
        c.remove_if(&some_key(), |_| {
            pass(Code::Closure);
            true
        });
    }),
    ("retain", |c| {
        c.retain(|key, _| {
            pass(Code::Closure);
            key.0 % 2 == 0
        });
    }),
    ("invalidate_all", |c| c.invalidate_all()),
    ("for_each", |c| c.for_each(|_, _| pass(Code::Closure))),
    ("snapshot", |c| drop(c.snapshot())),
    ("set_capacity", |c| c.set_capacity(7)),
    ("maintain", |c| support::ignore(c.maintain(500))),
    ("remove_expired", |c| support::ignore(c.remove_expired())),
    ("many inserts", |c| {
        for number in 0..200 {
            c.insert(Key::new(10_000 + number), Value::new(number % 4));
        }
    }),
];

/// The cache works, and all of its capacity is there.
pub(crate) fn assert_sound(cache: &Tested, what: &str) {
    cache.set_capacity(CAPACITY);
    support::validate(cache);
    assert_balanced(cache);
    cache.retain(|_, _| false);
    cache.maintain(10_000);
    let usage = cache.usage();
    assert_eq!((usage.charged, usage.retired, usage.entries), (0, 0, 0), "{what}");
    let stats = cache.stats();
    (0..CAPACITY).for_each(|number| cache.insert(Key::new(number), Value::new(0)));
    assert_eq!(cache.len() as u64, CAPACITY, "{what}");
    assert_eq!(cache.stats().evictions, stats.evictions, "{what}");
    assert_eq!(cache.stats().refusals, stats.refusals, "{what}");
    assert!(cache.pin().get(&Key::new(3)).is_some(), "{what}");
    support::validate(cache);
}

/// One cell of the matrix; at how many calls the user code panicked.
fn cell(code: Code, (name, operation): Operation, maintenance: Maintenance) -> u32 {
    // Most calls are alike after the first few; of long runs some are taken.
    let mut panics = 0;
    for nth in (1..8).chain([13, 30, 64, 65, 66, 100, 150]) {
        let before = alive();
        let (cache, manual) = prepared(maintenance, 1 << 20);
        let what = format!("{code:?} panics at call {nth} of {name}, {maintenance:?}");
        let panicked = armed(code, nth, || operation(&cache));
        panics += u32::from(panicked);
        assert_sound(&cache, &what);
        drop((cache, manual));
        assert_eq!(before, alive(), "keys and values before and after: {what}");
        if !panicked {
            break;
        }
    }
    panics
}

#[test]
fn a_panic_in_user_code_leaves_the_cache_sound() {
    for code in CODES {
        let mut panics = 0;
        for operation in OPERATIONS {
            for maintenance in [Maintenance::Inline, Maintenance::Manual] {
                panics += cell(code, operation, maintenance);
            }
        }
        assert!(panics > 0, "{code:?} is never called");
    }
}

/// In its own words, for the operations whose outcome after a panic is promised.
mod outcomes {
    use super::*;

    #[test]
    fn a_panic_in_compute_changes_nothing() {
        let cache = Cache::new(10);
        cache.insert(1, 1);
        let panicked = support::oblivious(|| {
            cache.compute(1, |_| -> Compute<i32> { panic!("in compute") });
        });
        assert!(panicked);
        assert_eq!(cache.get(&1), Some(1));
        assert_eq!(
            cache.compute(1, |old| Compute::Put(old.map_or(0, |n| n + 1))),
            clockhand::Computed::Replaced
        );
        assert_eq!(cache.get(&1), Some(2));
        support::validate(&cache);
    }

    #[test]
    fn a_panic_in_the_weigher_leaves_the_older_value() {
        let builder = Cache::builder().capacity(10).weigher(|_: &i32, value: &i32| {
            assert!(*value < 5, "too much");
            1
        });
        let cache = builder.build().expect("sound");
        cache.insert(1, 1);
        assert!(support::oblivious(|| cache.insert(1, 7)));
        assert_eq!(cache.get(&1), Some(1));
        support::validate(&cache);
    }

    #[test]
    fn a_reader_whose_key_panics_goes_on() {
        let cache: Tested = Cache::new(10);
        cache.insert(Key::new(1), Value::new(1));
        let mut reader = cache.reader();
        assert!(armed(Code::Eq, 1, || support::ignore(reader.get(&Key::new(1)))));
        assert_eq!(reader.get(&Key::new(1)).map(|value| value.0), Some(1));
        drop(reader);
        support::validate(&cache);
    }

    #[test]
    fn a_panic_on_the_maintenance_thread_does_not_end_it() {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder()
            .capacity(100)
            .time_to_live(Duration::from_secs(1))
            .clock(clock)
            .maintenance(Maintenance::Thread)
            .removal_listener(|key: &u64, _: &u64, _| {
                if key.is_multiple_of(10) {
                    // Without the hook's message.
                    panic::resume_unwind(Box::new("a listener panics"));
                }
            });
        let cache = builder.build().expect("sound");
        (0..100).for_each(|key| cache.insert(key, key));
        manual.advance(Duration::from_secs(1));
        assert!(support::eventually(|| cache.is_empty()));
        assert_eq!(cache.stats().expirations, 100);
    }

    #[test]
    fn a_thread_that_panics_inside_a_guard_lets_go_of_it() {
        let cache = Arc::new(Cache::new(100));
        let inner = Arc::clone(&cache);
        let thread = std::thread::spawn(move || {
            let _pinned = inner.pin();
            panic::resume_unwind(Box::new("a thread dies"));
        });
        assert!(thread.join().is_err());
        (0..10_000).for_each(|key| cache.insert(key, key));
        assert_eq!(cache.stats().refusals, 0);
        support::validate(&cache);
    }
}

/// Several pieces of user code panic in one operation: one panic arrives, and the process goes on.
mod several {
    use std::any::Any;
    use std::cell::RefCell;
    use std::sync::Mutex;

    use clockhand::load::Loader;
    use clockhand::{InsertErrorKind, RemovalCause};

    use super::*;

    thread_local!(static ON: Cell<bool> = const { Cell::new(false) });
    thread_local!(static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) });

    /// Keeps what an operation returned until bombs are off.
    fn keep(returned: impl Any) {
        KEPT.with_borrow_mut(|kept| kept.push(Box::new(returned)));
    }

    /// A value whose destructor always panics, while that is on.
    #[derive(Debug)]
    struct Bomb(u64);

    impl Clone for Bomb {
        fn clone(&self) -> Self {
            Self(self.0)
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            explode();
        }
    }

    fn explode() {
        if ON.get() {
            panic::resume_unwind(Box::new("on purpose"));
        }
    }

    /// Whether an operation panicked, during which all bombs do.
    fn panicked(body: impl FnOnce()) -> bool {
        ON.set(true);
        let panicked = panic::catch_unwind(AssertUnwindSafe(body)).is_err();
        ON.set(false);
        KEPT.take();
        panicked
    }

    type Laid = Cache<u64, Bomb>;

    /// A full cache whose weigher panics at a value of 77, and whose listener always does.
    fn laid() -> Laid {
        let builder = Cache::builder().capacity(100).expected_entries(1);
        let builder = builder.weigher(|_: &u64, bomb: &Bomb| {
            if bomb.0 == 77 {
                explode();
            }
            bomb.0
        });
        let cache = builder.removal_listener(|_, _, _| explode()).build().expect("sound");
        (0..100).for_each(|key| cache.insert(key, Bomb(1)));
        cache
    }

    type Step = (&'static str, fn(&Laid, u64));

    #[test]
    fn one_panic_arrives_of_many() {
        let operations: [Step; 12] = [
            ("insert, refused", |cache, key| cache.insert(key, Bomb(200))),
            ("insert, a weigher", |cache, key| cache.insert(key, Bomb(77))),
            ("insert, new", |cache, key| cache.insert(1_000 + key, Bomb(1))),
            ("try_insert", |cache, key| keep(cache.try_insert(key, Bomb(2)))),
            ("compute, refused", |cache, key| {
                keep(cache.compute(key, |_| Compute::Put(Bomb(200))));
            }),
            ("compute, a weigher", |cache, key| {
                keep(cache.compute(key, |_| Compute::Put(Bomb(77))));
            }),
            ("remove", |cache, key| keep(cache.remove(&key))),
            ("get_or_load of a value that is refused", |cache, key| {
                keep(cache.get_or_load(1_000 + key, |_| Bomb(200)));
            }),
            ("get_or_load of a value that goes in", |cache, key| {
                keep(cache.get_or_load(1_000 + key, |_| Bomb(1)));
            }),
            ("try_get_or_load, an error", |cache, key| {
                keep(cache.try_get_or_load(1_000 + key, |_| Err(Bomb(1))));
            }),
            ("get_many that loads", |cache, key| {
                let keys = [key, 1_000 + key, 1_001 + key, 1_002 + key];
                keep(cache.clone().loading(Store).get_many(&keys));
            }),
            ("refresh", |cache, key| {
                keep(cache.clone().loading(Store).refresh(&key));
            }),
        ];
        operations.into_iter().for_each(|(name, operation)| attempt_all(name, operation));
    }

    /// The same for tasks.
    #[cfg(feature = "async")]
    #[test]
    fn one_panic_arrives_of_many_in_a_task() {
        fn run<T: Any>(future: impl Future<Output = T>) {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let polled = std::pin::pin!(future).poll(&mut context);
            assert!(polled.is_ready());
            keep(polled);
        }
        let operations: [Step; 4] = [
            ("get_or_load_async of a value that is refused", |cache, key| {
                run(cache.get_or_load_async(1_000 + key, |_| async { Bomb(200) }));
            }),
            ("try_get_or_load_async, an error", |cache, key| {
                run(cache.try_get_or_load_async(1_000 + key, |_| async { Err(Bomb(1)) }));
            }),
            ("get_many_async that loads", |cache, key| {
                let keys = [key, 1_000 + key, 1_001 + key, 1_002 + key];
                run(cache.clone().loading(Store).get_many_async(&keys));
            }),
            ("refresh_async", |cache, key| run(cache.clone().loading(Store).refresh_async(&key))),
        ];
        operations.into_iter().for_each(|(name, operation)| attempt_all(name, operation));
    }

    #[cfg(feature = "async")]
    impl clockhand::load::AsyncLoader<u64, Bomb> for Store {
        type Error = Bomb;
        async fn load(&self, key: &u64) -> Result<Bomb, Bomb> {
            Loader::load(self, key)
        }
        async fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<Bomb>>, Bomb> {
            Loader::load_many(self, keys)
        }
    }

    /// What loads a value that is refused for every other key, and one value more than it was asked for.
    struct Store;

    impl Loader<u64, Bomb> for Store {
        type Error = Bomb;
        fn load(&self, key: &u64) -> Result<Bomb, Bomb> {
            Ok(Bomb(if key.is_multiple_of(2) { 1 } else { 200 }))
        }
        fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<Bomb>>, Bomb> {
            keys.iter().chain([&0]).map(|key| self.load(key).map(Some)).collect()
        }
    }

    /// Runs an operation on many keys of caches full of bombs.
    fn attempt_all(name: &str, operation: fn(&Laid, u64)) {
        let cache = laid();
        let garbage = || {
            // Enough of it that the operation frees some, and a guard, that nothing is freed before.
            let _guard = cache.pin();
            (0..8).for_each(|_| cache.insert(99, Bomb(1)));
        };
        let attempt = |key| (garbage(), panicked(|| operation(&cache, key))).1;
        let times = (0..99).filter(|&key| attempt(key)).count();
        assert!(times > 0, "{name}: nothing panics");
        cache.invalidate_all();
        while cache.maintain(1_000).backlog > 0 {}
        support::validate(&cache);
    }

    /// A key whose destructor always panics, while that is on.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    struct Fuse(u64);

    impl Drop for Fuse {
        fn drop(&mut self) {
            explode();
        }
    }

    /// Neither a key nor a value that a load has in its hands ends the process.
    #[test]
    fn a_loader_that_panics_passes_one_panic_on() {
        let cache: Cache<Fuse, Bomb> = Cache::new(100);
        let load = |_: &Fuse| -> Bomb {
            explode();
            Bomb(1)
        };
        assert!(panicked(|| keep(cache.get_or_load(Fuse(1), load))));
        let many = cache.clone().loading(move |key: &Fuse| {
            if key.0 > 3 {
                explode();
            }
            Ok::<_, String>(Bomb(1))
        });
        let keys = std::mem::ManuallyDrop::new([2, 3, 4, 5].map(Fuse));
        assert!(panicked(|| keep(many.get_many(&*keys))));
        assert!(panicked(|| keep(many.refresh(&keys[3]))));
        support::validate(&cache);
        assert_eq!(cache.get_or_load(Fuse(1), |_| Bomb(5)).0, 5, "nobody is stuck");
    }

    /// Among what a cache drops at its end are the keys of the failures that it remembers.
    #[test]
    fn the_end_of_a_cache_passes_one_panic_on() {
        let builder = Cache::builder().capacity(100).clock(Clock::manual().0);
        let cache: Cache<Fuse, Bomb> = builder.build().expect("sound");
        let failing = cache.loading(|_: &Fuse| Err::<Bomb, _>("it is not to be had"));
        let failing = failing.negative_ttl(Duration::from_secs(60));
        for key in 0..10 {
            assert!(failing.get(&Fuse(key)).is_err());
            cache.insert(Fuse(100 + key), Bomb(1));
        }
        drop(failing);
        assert!(panicked(|| drop(cache)));
    }

    /// What an insert could not take in is told and not left stale, though the sweep of that same call meets a listener
    /// or a destructor that panics.
    #[test]
    fn a_refusal_is_told_whatever_else_panics() {
        type Told = Vec<(u64, RemovalCause)>;
        for listener in [false, true] {
            let (clock, manual) = Clock::manual();
            let told: Arc<Mutex<Told>> = Arc::default();
            let log = Arc::clone(&told);
            let builder = Cache::builder().capacity(100).retired_capacity(10).expected_entries(1);
            let builder = builder.clock(clock).expiry(Lives).removal_listener(
                move |&key: &u64, _: &Bomb, cause| {
                    log.lock().expect("no panic under it").push((key, cause));
                    if listener && cause == RemovalCause::Expired {
                        explode();
                    }
                },
            );
            let cache = builder.build().expect("sound");
            (0..90).for_each(|key| cache.insert(key, Bomb(1)));
            (100..110).for_each(|key| cache.insert(key, Bomb(1_000)));
            let guard = cache.pin();
            // The retired capacity is full, and so is the cache.
            (0..10).for_each(|_| cache.insert(100, Bomb(1_000)));
            manual.advance(Duration::from_secs(1));
            for key in 101..110 {
                told.lock().expect("no panic under it").clear();
                let panicked = panicked(|| cache.insert(key, Bomb(1_000)));
                let told = told.lock().expect("no panic under it");
                let refused = told.contains(&(key, RemovalCause::Refused));
                assert!(refused, "{key} panicked: {panicked}, {told:?}");
                assert!(guard.get(&key).is_none(), "the older value is still there");
            }
            drop(guard);
            assert_eq!(
                cache.try_insert(1, Bomb(2_000)).map_err(|refused| refused.kind),
                Ok::<_, InsertErrorKind>(clockhand::Inserted::New)
            );
        }
    }

    /// As long as the value says, in seconds.
    struct Lives;

    impl Expiry<u64, Bomb> for Lives {
        fn expire_after_create(&self, _: &u64, value: &Bomb, _: Instant) -> Option<Duration> {
            Some(Duration::from_secs(value.0))
        }
    }
}

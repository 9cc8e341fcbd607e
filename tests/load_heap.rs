//! What loads allocate: nothing of their own. What they leave to be freed is collected in batches, which are
//! allocated, as those of inserts are: one for many loads.

mod support;

use std::cell::RefCell;
use std::thread;

use clockhand::{Cache, LoadError};
use support::heap;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Loads of each measured stretch.
const LOADS: u64 = 9_000;

/// Whether a thread that runs `LOADS` loads in `body` allocates no more than the batches of its garbage.
fn allocates_batches_only(body: impl FnOnce()) -> bool {
    let before = heap::calls().allocated;
    body();
    heap::calls().allocated - before < LOADS / 4
}

/// Loads keys that follow one another, each evicting another one.
fn load(cache: &Cache<u64, u64>, keys: std::ops::Range<u64>) {
    keys.for_each(|key| assert_eq!(cache.get_or_load(key, |key| key + 1), key + 1));
}

#[test]
fn a_load_that_nobody_joins_allocates_nothing() {
    let cache = Cache::new(100);
    load(&cache, 0..10_000);
    assert!(allocates_batches_only(|| load(&cache, 10_000..10_000 + LOADS)));
}

#[test]
fn loads_inside_of_loads_allocate_nothing() {
    let cache = Cache::new(100);
    let nested = |keys: std::ops::Range<u64>| {
        for key in keys {
            let sum = cache.get_or_load(3 * key, |_| {
                let inner = cache.get_or_load(3 * key + 1, |_| key);
                inner + cache.get_or_load(3 * key + 2, |_| key)
            });
            assert_eq!(sum, 2 * key);
        }
    };
    nested(0..5_000);
    assert!(allocates_batches_only(|| nested(5_000..5_000 + LOADS / 3)));
}

#[test]
fn a_load_that_asks_for_its_own_key_is_told_and_the_next_one_allocates_nothing() {
    let cache = Cache::new(100);
    load(&cache, 0..10_000);
    for _ in 0..2 {
        let asked = cache.try_get_or_load(1 << 40, |key| {
            let inner = cache.try_get_or_load(*key, |_| Ok::<u64, String>(1));
            assert_eq!(inner, Err(LoadError::Cycle));
            Ok::<u64, String>(2)
        });
        assert_eq!(asked, Ok(2));
        cache.invalidate(&(1 << 40));
    }
    load(&cache, 20_000..30_000);
    assert!(allocates_batches_only(|| load(&cache, 30_000..30_000 + LOADS)));
}

/// Runs `body` when the thread's own variables are gone that are used for the first time after this call.
fn at_thread_end(body: impl FnOnce() + 'static) {
    struct AtEnd(RefCell<Option<Box<dyn FnOnce()>>>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(|body| body());
        }
    }
    thread_local!(static AT_END: AtEnd = const { AtEnd(RefCell::new(None)) });
    AT_END.with(|at_end| at_end.0.replace(Some(Box::new(body))));
}

#[test]
fn loads_in_destructors_at_the_end_of_a_thread_leave_nothing_behind() {
    let cache = Cache::<u64, u64>::new(10);
    let round = || {
        let own = cache.clone();
        let loads = thread::spawn(move || {
            let late = own.clone();
            at_thread_end(move || {
                for key in 0..1_000 {
                    late.get_or_load(key, |_| late.get_or_load(key + 1_000_000, |key| *key));
                }
            });
            load(&own, 2_000_000..2_000_010);
        });
        loads.join().expect("no panic");
        cache.invalidate_all();
        cache.maintain(100_000);
    };
    (0..5).for_each(|_| round());
    let before = heap::live();
    (0..20).for_each(|_| round());
    let grown = heap::live() - before;
    assert!(grown < 40_000, "{grown} bytes more after 40,000 loads");
}

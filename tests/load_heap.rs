//! What loads allocate: nothing of their own. What they leave to be freed is collected in batches, which are
//! allocated, as those of inserts are: one for many loads.

mod support;

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

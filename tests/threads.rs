//! Short-lived threads leave nothing behind, and what they counted stays.
//!
//! Alone in its file, as it counts what the whole process allocates.

mod support;

use std::cell::RefCell;
use std::sync::OnceLock;
use std::thread;

use clockhand::{Cache, Guard};
use support::{assert_balanced, heap, size};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const AT_ONCE: usize = 8;
const CAPACITY: u64 = 1000;

/// A short life: one insert, one hit, one miss, one read through a reader.
fn live(cache: &Cache<u64, u64>, nth: u64) {
    cache.insert(nth % CAPACITY, nth);
    assert!(cache.get(&(nth % CAPACITY)).is_some());
    assert_eq!(cache.get(&u64::MAX), None);
    assert_eq!(cache.reader().get(&(u64::MAX - 1)), None);
}

fn generation(cache: &Cache<u64, u64>, threads: usize) {
    for first in (0..threads as u64).step_by(AT_ONCE) {
        thread::scope(|scope| {
            for nth in first..first + AT_ONCE as u64 {
                scope.spawn(move || live(cache, nth));
            }
        });
    }
}

#[test]
fn short_lived_threads_leave_nothing_behind() {
    let threads = size(10_000, 100_000);
    let cache = Cache::new(CAPACITY);
    generation(&cache, 2 * CAPACITY as usize);
    cache.maintain(1 << 20);
    let before = heap::live();

    generation(&cache, threads);

    cache.maintain(1 << 20);
    let grown = heap::live() - before;
    assert!(grown < 64 << 10, "{grown} bytes more after {threads} threads");
    let (stats, lives) = (cache.stats(), (2 * CAPACITY as usize + threads) as u64);
    assert_eq!((stats.hits, stats.misses), (lives, 2 * lives), "what they counted is not lost");
    assert_eq!((stats.insertions, stats.replacements), (CAPACITY, lives - CAPACITY));
    assert_eq!((cache.usage().charged, cache.usage().retired), (CAPACITY, 0));
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_cache_that_is_gone_leaves_nothing_on_the_threads_that_used_it() {
    let work = || {
        let cache = Cache::new(100);
        (0..200).for_each(|key| cache.insert(key, key));
    };
    (0..20).for_each(|_| work());
    let before = heap::live();
    (0..1000).for_each(|_| work());
    let grown = heap::live() - before;
    assert!(grown < 512 << 10, "{grown} bytes for 1000 caches that are gone");
}

static SHARED: OnceLock<Cache<u64, u64>> = OnceLock::new();

fn shared() -> &'static Cache<u64, u64> {
    SHARED.get_or_init(|| Cache::new(100))
}

/// Uses the cache when its thread ends: before or after the cache has forgotten the thread.
struct AtTheEnd;

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let cache = shared();
        cache.insert(1, 1);
        assert_eq!(cache.get(&1), Some(1));
        let pinned = cache.pin();
        cache.insert(2, 2);
        assert_eq!(pinned.get(&2), Some(&2));
        assert_eq!(cache.reader().get(&1), Some(&1));
    }
}

thread_local! {
    static FIRST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

#[test]
fn destructors_at_the_end_of_a_thread_may_use_the_cache() {
    for _ in 0..100 {
        let end = || {
            FIRST.with(|slot| *slot.borrow_mut() = Some(AtTheEnd));
            shared().get(&1);
            LAST.with(|slot| *slot.borrow_mut() = Some(AtTheEnd));
        };
        thread::spawn(end).join().expect("the destructors work");
    }
    support::validate(shared());
}

/// Holds a guard until its thread ends, and reads once more then.
struct Holder(Guard<'static, u64, u64>);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.get(&1);
    }
}

thread_local! {
    static HELD: RefCell<Option<Holder>> = const { RefCell::new(None) };
}

/// The guard's thread-local is made before the cache's own, so it is dropped after it.
#[test]
fn a_guard_may_outlive_what_the_cache_keeps_for_its_thread() {
    for _ in 0..10 {
        let hold = || {
            HELD.with(|slot| {
                *slot.borrow_mut() = Some(Holder(shared().pin()));
            });
        };
        thread::spawn(hold).join().expect("the guard is dropped well");
        let work = || (0..1000).for_each(|key| shared().insert(key, key));
        thread::spawn(work).join().expect("the seat is sound");
    }
    shared().maintain(1 << 20);
    assert_eq!(shared().usage().retired, 0, "no guard is left");
}

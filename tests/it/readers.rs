//! P4 of threads that write beside an unparked `Reader` of their own: it is neutralized like any other, and a write waits for
//! others beside it.

use std::time::Duration;

use crate::support::{self, Random, in_time, size, together};
use clockhand::{Cache, Compute};

/// Longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

fn operations() -> u64 {
    size(40_000, 10_000_000) as u64
}

fn cache_of(capacity: u64, weight: u64) -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(capacity * weight).patience(FOR_EVER);
    builder.weigher(move |_, _| weight).build().expect("sound")
}

/// Two threads that read through a reader and write by turns, so that each of them is in the way of both.
fn read_and_write(cache: &Cache<u64, u64>, write: impl Fn(u64, u64) + Sync) {
    const THREADS: usize = 2;
    let keys = 4 * cache.capacity().min(1 << 16);
    together(THREADS, |nth| {
        let (mut random, mut reader) = (Random::new(nth as u64), cache.reader());
        for round in 0..operations() / THREADS as u64 {
            let lent = reader.get(&random.below(keys));
            write(random.below(keys), round);
            assert!(lent.is_none_or(|&value| value < u64::MAX));
        }
    });
    assert_eq!(cache.stats().refusals, 0, "{:?}", cache.usage());
    support::assert_bounds(cache);
    support::validate(cache);
}

#[test]
fn inserts_beside_readers_of_the_same_threads_are_never_refused() {
    in_time(|| {
        for capacity in [1, 2, 16, 100, 1_000, 10_000] {
            let cache = cache_of(capacity, 1);
            read_and_write(&cache, |key, value| cache.insert(key, value));
        }
    });
}

#[test]
fn writes_of_all_kinds_beside_readers_of_the_same_threads_are_never_refused() {
    in_time(|| {
        for (capacity, weight) in [(64, 1), (1_000, 300)] {
            let cache = cache_of(capacity, weight);
            read_and_write(&cache, |key, value| match value % 4 {
                0 => cache.insert(key, value),
                1 => _ = cache.compute(key, |n| Compute::Put(n.map_or(0, |n| n / 2))),
                2 => _ = cache.remove(&key),
                _ => _ = cache.insert_if_absent(key, value),
            });
        }
    });
}

/// With one reader on each of two caches, and two on one of them.
#[test]
fn several_readers_of_one_thread_hold_what_they_have_lent_and_nothing_is_refused() {
    in_time(|| {
        let (first, second) = (cache_of(500, 1), cache_of(500, 1));
        together(2, |nth| {
            let mut random = Random::new(nth as u64);
            let (mut one, mut two, mut other) = (first.reader(), first.reader(), second.reader());
            for round in 0..operations() / 8 {
                let key = random.below(2_000);
                first.insert(key, round);
                let lent = (one.get(&key), two.peek(&random.below(2_000)), other.get(&key));
                second.insert(key, round);
                let all = [lent.0, lent.1, lent.2];
                assert!(all.into_iter().flatten().all(|&value| value <= operations()));
                if round % 64 == 0 {
                    two.park();
                }
            }
        });
        assert_eq!((first.stats().refusals, second.stats().refusals), (0, 0));
        support::validate(&first);
        support::validate(&second);
    });
}

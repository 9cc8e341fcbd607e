//! What the thread sanitizer watches: threads that do everything to few keys, while the table grows.
//!
//! A program of its own, as the sanitizer would have to be compiled into all that the tests need.

use std::thread;

use clockhand::{Cache, Compute, Reader};

const THREADS: u64 = 4;
const STEPS: u64 = 20_000;

/// Not an `Arc`: the standard library's is not instrumented, and its reports are suppressed.
type Value = Vec<u64>;

fn value(key: u64, step: u64) -> Value {
    vec![key, step]
}

fn step(cache: &Cache<u64, Value>, reader: &mut Reader<u64, Value>, nth: u64, dice: u64) {
    // A few keys that all threads fight for, and many that make the table grow.
    let key = if dice.is_multiple_of(4) { dice >> 8 & 0x3fff } else { dice >> 8 & 0x3f };
    let is_of_key = |found: Option<&Value>| assert!(found.is_none_or(|found| found[0] == key));
    match dice >> 32 & 15 {
        0..=3 => cache.insert(key, value(key, nth)),
        4 => drop(cache.insert_if_absent(key, value(key, nth))),
        5 => drop(cache.compute(key, |_| Compute::Put(value(key, nth)))),
        6 => drop(cache.remove(&key)),
        7 => drop(cache.remove_if(&key, |found| found[1] < nth)),
        8 | 9 => is_of_key(cache.get(&key).as_ref()),
        10 | 11 => is_of_key(cache.pin().get(&key)),
        12 if nth.is_multiple_of(64) => cache.retain(|key, found| key + found[1] & 7 != 0),
        12 if nth.is_multiple_of(32) => cache.for_each(|key, found| assert_eq!(*key, found[0])),
        13 => reader.park(),
        _ => is_of_key(reader.get(&key)),
    }
}

fn main() {
    let builder = Cache::builder().capacity(6_000).retired_capacity(500).expected_entries(16);
    let cache: Cache<u64, Value> = builder.build().expect("the settings agree");
    thread::scope(|scope| {
        for nth in 1..=THREADS {
            let cache = &cache;
            scope.spawn(move || {
                let mut reader = cache.reader();
                let mut dice = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for nth in 0..STEPS {
                    dice ^= dice << 13;
                    dice ^= dice >> 7;
                    dice ^= dice << 17;
                    step(cache, &mut reader, nth, dice);
                }
            });
        }
    });
    assert!(cache.len() > 1_000, "the table has grown: {} entries", cache.len());
}

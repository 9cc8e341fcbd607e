//! Put something in, get it back, and let the cache make room.

use clockhand::{Cache, Compute, Computed, InsertErrorKind, Inserted};

pub(crate) fn main() {
    insert_and_get();
    refuse_to_overwrite();
    decide_from_what_is_there();
    stay_within_the_capacity();
}

fn insert_and_get() {
    // A `Cache` is a handle: clones share the entries, and all methods take `&self`.
    let cache = Cache::new(1_000);
    cache.insert("EURUSD".to_string(), 1.0842);

    // A `String` key is looked up by `&str`.
    assert_eq!(cache.get("EURUSD"), Some(1.0842));
    assert_eq!(cache.get("EURGBP"), None);

    // `read` looks at the value where it lies: no clone.
    assert_eq!(cache.read("EURUSD", |rate| *rate > 1.0), Some(true));

    // `peek` and `contains_key` are not counted, and keep nothing from being evicted.
    assert_eq!(cache.peek("EURUSD"), Some(1.0842));
    assert!(cache.contains_key("EURUSD"));

    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (2, 1));

    assert_eq!(cache.remove("EURUSD"), Some(1.0842));
    assert!(!cache.invalidate("EURUSD"), "it is gone already");
}

fn refuse_to_overwrite() {
    let cache = Cache::new(1_000);
    assert_eq!(cache.try_insert("offset", 7), Ok(Inserted::New));
    assert_eq!(cache.try_insert("offset", 8), Ok(Inserted::Replaced));

    // Check and insert are one step. Of several threads that try, one succeeds.
    let error = cache.insert_if_absent("offset", 9).expect_err("the key is there");
    assert_eq!(error.kind, InsertErrorKind::Occupied);
    assert_eq!(error.value, 9, "what was not taken comes back");
    assert_eq!(cache.get("offset"), Some(8));
}

fn decide_from_what_is_there() {
    let counts = Cache::new(1_000);
    let count = |seen: Option<&u64>| Compute::Put(seen.map_or(1, |n| n + 1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..100).for_each(|_| {
                    counts.compute("ticks", count);
                })
            });
        }
    });
    // `compute` is atomic for each key: nothing was lost.
    assert_eq!(counts.get("ticks"), Some(400));

    let below_500 = |seen: Option<&u64>| match seen {
        Some(n) if *n < 500 => Compute::Remove,
        _ => Compute::Keep,
    };
    assert_eq!(counts.compute("ticks", below_500), Computed::Removed);
    assert_eq!(counts.compute("ticks", below_500), Computed::Absent);
}

fn stay_within_the_capacity() {
    let cache = Cache::new(100);
    for key in 0..100 {
        cache.insert(key, key * key);
    }
    // Exactly as many as were asked for, and none was evicted.
    assert_eq!((cache.len(), cache.stats().evictions), (100, 0));

    for key in 100..250 {
        cache.insert(key, key * key);
    }
    assert_eq!((cache.len(), cache.stats().evictions), (100, 150));

    // The capacity can be changed at any time.
    cache.set_capacity(10);
    assert_eq!(cache.len(), 10);
}

//! The ways to read, from the most convenient to the fastest.

use clockhand::{BuildError, Cache, InsertErrorKind};

pub(crate) fn main() {
    borrow_several_values();
    read_all_the_time();
    a_held_guard_costs_refusals().expect("the settings agree");
}

fn borrow_several_values() {
    let cache = Cache::new(100);
    cache.insert("bid", "99.5".to_string());
    cache.insert("ask", "100.5".to_string());

    // While the guard lives, what was read stays as it was: no clone is needed.
    let pinned = cache.pin();
    let bid = pinned.get("bid").expect("it was inserted");
    cache.insert("bid", "99.6".to_string());
    assert_eq!(bid, "99.5", "the old value is still ours to look at");
    assert_eq!(pinned.get("bid").expect("it was replaced"), "99.6", "a new read is a new read");
    assert_eq!(pinned.get("ask").expect("it was inserted"), "100.5");
}

fn read_all_the_time() {
    let cache = Cache::new(100);
    cache.insert(1, "one".to_string());

    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each latency-critical thread has a reader of its own. Its reads need no fence.
            let mut reader = cache.reader();
            for _ in 0..1_000 {
                assert_eq!(reader.get(&1).map(String::as_str), Some("one"));
            }
            // Before it waits for work the thread parks, so that the cache can free its garbage.
            reader.park();
            // The next read wakes the reader up.
            assert!(reader.get(&2).is_none());
        });
    });
}

fn a_held_guard_costs_refusals() -> Result<(), BuildError> {
    let cache = Cache::builder().capacity(10).retired_capacity(5).build()?;
    (0..10).for_each(|key| cache.insert(key, key));

    let pinned = cache.pin();
    let first = pinned.get(&0);
    // Each insert evicts, and nothing that was evicted can be freed. After five the retired capacity is full.
    let refused = (10..30).filter_map(|key| cache.try_insert(key, key).err()).collect::<Vec<_>>();
    assert_eq!(refused.len(), 15);
    assert!(refused.iter().all(|error| error.kind == InsertErrorKind::NoRoom));
    assert_eq!(first, Some(&0), "what was read is still there, evicted or not");
    assert_eq!((cache.usage().retired, cache.len()), (5, 10));

    drop(pinned);
    assert!(cache.try_insert(99, 99).is_ok(), "and all is well again");
    Ok(())
}

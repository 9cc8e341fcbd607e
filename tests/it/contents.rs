//! Many entries at once: taken out, put in, listed; and the handles that stand for a cache.

use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clockhand::{
    Builder, Cache, Clock, Compute, InsertErrorKind, LoadPolicy, Maintenance, RemovalCause,
};

fn filled(entries: u32) -> Cache<u32, u32> {
    (0..entries).map(|key| (key, key * 2)).collect()
}

#[test]
fn a_drained_entry_is_out_and_returned_once() {
    for entries in [0, 1, 7, 1000] {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let cache = Cache::builder()
            .capacity(1000)
            .removal_listener(move |_: &u32, _: &u32, cause| {
                assert_eq!(cause, RemovalCause::Invalidated);
                count.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .expect("a capacity is enough");
        (0..entries).for_each(|key| cache.insert(key, key * 2));
        let mut drained: Vec<_> = cache.drain().collect();
        drained.sort_unstable();
        assert!(drained.into_iter().eq((0..entries).map(|key| (key, key * 2))));
        assert_eq!((cache.len(), cache.usage().charged), (0, 0));
        assert_eq!(told.load(Ordering::Relaxed), entries as usize);
    }
}

#[test]
fn a_drain_that_is_dropped_removes_the_rest() {
    for taken in [0, 1, 500] {
        let cache = filled(1000);
        assert_eq!(cache.drain().take(taken).count(), taken);
        assert!(cache.is_empty(), "{taken}");
    }
}

/// A value whose clone panics while it is armed.
#[derive(Debug)]
struct Bomb(u32, Arc<AtomicBool>);

impl Clone for Bomb {
    fn clone(&self) -> Self {
        assert!(!self.1.load(Ordering::Relaxed), "the clone panics");
        Self(self.0, Arc::clone(&self.1))
    }
}

#[test]
fn a_drain_goes_on_after_clones_that_panic() {
    let armed = Arc::new(AtomicBool::new(false));
    let cache = Cache::new(100);
    (0..100).for_each(|key| cache.insert(key, Bomb(key, Arc::clone(&armed))));
    let mut drain = cache.drain();
    let mut keys: Vec<u32> = drain.by_ref().take(10).map(|(key, _)| key).collect();
    armed.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        // What is out already comes without a clone.
        let panicked =
            catch_unwind(AssertUnwindSafe(|| drain.by_ref().for_each(|(key, _)| keys.push(key))));
        assert!(panicked.is_err());
    }
    armed.store(false, Ordering::Relaxed);
    keys.extend(drain.map(|(key, _)| key));
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..100));
    assert!(cache.is_empty());
}

#[test]
fn no_entry_is_drained_twice_beside_writers_and_other_drains() {
    const KEYS: u32 = 20_000;
    let cache = Cache::new(u64::from(KEYS));
    let drained = Mutex::new(vec![0_u8; KEYS as usize]);
    std::thread::scope(|scope| {
        let (cache, drained) = (&cache, &drained);
        scope.spawn(move || (0..KEYS).for_each(|key| cache.insert(key, key)));
        for _ in 0..2 {
            scope.spawn(move || {
                for _ in 0..20 {
                    for (key, value) in cache.drain() {
                        assert_eq!(key, value);
                        drained.lock().unwrap()[key as usize] += 1;
                    }
                }
            });
        }
    });
    for (key, _) in cache.drain() {
        drained.lock().unwrap()[key as usize] += 1;
    }
    assert!(drained.into_inner().unwrap().into_iter().all(|times| times == 1));
}

#[test]
fn keys_values_and_entries_are_the_same_ones() {
    let cache = filled(500);
    let sorted = |mut numbers: Vec<u32>| {
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(sorted(cache.keys().collect()), (0..500).collect::<Vec<_>>());
    assert_eq!(sorted(cache.values().collect()), (0..500).map(|key| key * 2).collect::<Vec<_>>());
    let mut entries = 0;
    for (key, value) in &cache {
        assert_eq!(value, key * 2);
        entries += 1;
    }
    assert_eq!(entries, 500);
    assert_eq!(cache.stats().hits, 0, "none of them is a read");
}

#[test]
fn collections_become_caches() {
    assert_eq!(filled(0).capacity(), 0);
    let cache = filled(3);
    assert_eq!((cache.capacity(), cache.len()), (3, 3));
    let twice: Cache<u32, u32> = [(1, 1), (1, 2)].into_iter().collect();
    assert_eq!((twice.len(), twice.get(&1)), (1, Some(2)), "the last one of a key stays");
    let mut cache = Cache::new(10);
    cache.extend([(1, "one"), (2, "two")]);
    (&cache).extend([(2, "zwei")]);
    assert_eq!((cache.get(&1), cache.get(&2)), (Some("one"), Some("zwei")));
}

#[test]
fn many_keys_may_be_borrowed_forms() {
    let cache = Cache::<String, u32>::new(100);
    for key in ["a", "b", "c"] {
        cache.insert(key.into(), 1);
    }
    assert_eq!(cache.get_many(["a", "x", "c"]), [Some(1), None, Some(1)]);
    assert_eq!(cache.get_many(&["a".to_string()]), [Some(1)]);
    assert_eq!(cache.get_many::<str>([]), []);
    let many: Vec<String> = (0..100).map(|key| key.to_string()).collect();
    assert_eq!(cache.get_many(&many).len(), 100);
    assert_eq!(cache.remove_many(["a", "a", "x", "b"]), 2);
    assert_eq!(cache.keys().collect::<Vec<_>>(), ["c"]);
    cache.clear();
    assert!(cache.is_empty());
}

#[test]
fn a_replaced_value_comes_back() {
    let cache = Cache::builder().capacity(10).weigher(|_, weight: &u64| *weight).build().unwrap();
    assert_eq!(cache.replace(1, 2), None);
    assert_eq!(cache.replace(1, 3), Some(2));
    assert_eq!(cache.replace(1, 11), Some(3), "refused, and the older value is gone");
    assert_eq!((cache.get(&1), cache.stats().refusals), (None, 1));
    assert_eq!(cache.replace(1, 12), None);
}

#[test]
fn each_replaced_value_comes_back_to_one_thread() {
    const WRITES: u64 = 20_000;
    // What is refused, where the machine is busy, never came in.
    let refused = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&refused);
    let cache = Cache::builder()
        .capacity(16)
        .removal_listener(move |_: &u32, value: &u64, cause| {
            if cause == RemovalCause::Refused {
                sum.fetch_add(*value, Ordering::Relaxed);
            }
        })
        .build()
        .unwrap();
    let sums: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|thread| {
                let cache = &cache;
                scope.spawn(move || {
                    let written = (0..WRITES).map(|nth| nth * 4 + thread);
                    written.filter_map(|value| cache.replace(0_u32, value)).sum()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let all: u64 = (0..4 * WRITES).sum();
    let seen = sums.into_iter().sum::<u64>() + cache.get(&0).unwrap_or(0);
    assert_eq!(seen + refused.load(Ordering::Relaxed), all);
}

/// A value whose clone writes its own key each time.
struct Selfish(Cache<u32, Selfish>, u32);

impl Clone for Selfish {
    fn clone(&self) -> Self {
        self.0.insert(1, Self(self.0.clone(), self.1 + 1));
        Self(self.0.clone(), self.1)
    }
}

#[test]
fn a_clone_that_writes_its_own_key_ends() {
    let cache = Cache::new(100_000);
    cache.insert(1, Selfish(cache.clone(), 0));
    for _ in 0..2 {
        cache.replace(1, Selfish(cache.clone(), 0));
    }
    let error = cache.stats().refusals_by;
    assert_eq!(error.contended, 2, "{error:?}: {}", InsertErrorKind::Contended);
    cache.clear();
}

#[test]
fn a_computed_value_comes_back() {
    let cache = Cache::builder().capacity(10).weigher(|_, weight: &u64| *weight).build().unwrap();
    let put = |value| move |_: Option<&u64>| Compute::Put(value);
    assert_eq!(cache.compute_and_get(1, |_| Compute::Keep), None);
    assert_eq!(cache.compute_and_get(1, put(2)), Some(2));
    assert_eq!(cache.compute_and_get(1, |_| Compute::Keep), Some(2));
    assert_eq!(cache.compute_and_get(1, put(11)), Some(2), "refused: the older value stays");
    assert_eq!(cache.compute_and_get(2, put(11)), None);
    assert_eq!(cache.compute_and_get(1, |_| Compute::Remove), None);
    assert_eq!(cache.get(&1), None);
}

#[test]
fn the_coldest_are_at_the_other_end() {
    // So large that all of them are on probation.
    let cache = Cache::new(100_000);
    (0..100).for_each(|key| cache.insert(key, key));
    for key in (0..100).filter(|key| key % 10 != 0) {
        (0..3).for_each(|_| _ = cache.get(&key));
    }
    let mut coldest = cache.coldest(10);
    coldest.sort_unstable();
    assert!(coldest.into_iter().eq((0..10).map(|tenth| tenth * 10)));
    assert!(cache.coldest(0).is_empty());
    assert_eq!(cache.coldest(1000).len(), 100);
    assert!(cache.oldest(10).is_empty(), "it keeps no time");
}

#[test]
fn a_weak_handle_keeps_nothing_alive() {
    for maintenance in [Maintenance::Inline, Maintenance::Thread] {
        let alive = Arc::new(());
        let cache = Cache::builder().capacity(10).maintenance(maintenance).build().unwrap();
        cache.insert(1, Arc::clone(&alive));
        let weak = cache.downgrade();
        let other = weak.clone().upgrade().expect("a handle is there");
        assert!(other.ptr_eq(&cache));
        drop(cache);
        assert!(weak.upgrade().is_some_and(|cache| cache.contains_key(&1)));
        drop(other);
        assert!(weak.upgrade().is_none());
        assert_eq!(Arc::strong_count(&alive), 1, "the values are freed");
    }
}

#[test]
fn what_was_configured_can_be_read_back() {
    let plain = Cache::<u32, u32>::new(100).policy();
    assert_eq!((plain.name.as_str(), plain.capacity, plain.retired_capacity), ("cache", 100, 228));
    assert_eq!((plain.expected_entries, plain.patience), (100, Duration::from_millis(250)));
    assert!(!plain.weighed && !plain.has_expiry && !plain.keeps_time && !plain.has_listener);
    let all = Builder::<u32, u32>::default()
        .name("prices")
        .capacity(100)
        .retired_capacity(7)
        .patience(Duration::ZERO)
        .expected_entries(10)
        .maintenance(Maintenance::Manual)
        .weigher(|_, _| 2)
        .time_to_live(Duration::from_secs(60))
        .time_to_idle(Duration::from_secs(30))
        .clock(Clock::coarse(Duration::from_secs(1)))
        .removal_listener(|_, _, _| ())
        .load_policy(LoadPolicy::new().woken_limit(Duration::MAX))
        .build()
        .unwrap();
    all.set_capacity(5);
    let settings = all.policy();
    assert_eq!(
        (settings.capacity, settings.retired_capacity, settings.expected_entries),
        (100, 7, 10)
    );
    assert_eq!((settings.name.as_str(), settings.patience), ("prices", Duration::ZERO));
    assert_eq!(settings.maintenance, Maintenance::Manual);
    assert_eq!(settings.time_to_live, Some(Duration::from_secs(60)));
    assert_eq!(settings.time_to_idle, Some(Duration::from_secs(30)));
    assert_eq!(settings.clock_resolution, Some(Duration::from_secs(1)));
    assert!(
        settings.weighed && settings.keeps_time && settings.has_listener && !settings.has_expiry
    );
    assert_eq!(settings.load_policy, LoadPolicy::new().woken_limit(Duration::MAX));
    let hashed = Cache::<u32, u32, _>::with_hasher(10, std::hash::RandomState::new());
    assert_eq!(hashed.policy().capacity, 10);
}

#[test]
fn a_cache_may_be_used_on_after_a_panic() {
    fn is_safe<T: UnwindSafe + RefUnwindSafe>(_: &T) {}
    let cache = filled(10);
    is_safe(&cache);
    let panicked = catch_unwind(|| cache.compute(1, |_| panic!("the closure panics")));
    assert!(panicked.is_err());
    assert_eq!(cache.get(&1), Some(2));
}

#[test]
fn a_reader_lends_several_values_and_parks_where_it_waits() {
    let cache = filled(100);
    let mut reader = cache.reader();
    let view = reader.view();
    let borrowed: Vec<&u32> = (0..100).filter_map(|key| view.get(&key)).collect();
    (0..100).for_each(|key| cache.insert(key, 0));
    assert!(borrowed.into_iter().copied().eq((0..100).map(|key| key * 2)));
    assert_eq!(view.peek(&1), Some(&0), "what is read later is the latest");
    assert!(view.contains_key(&1) && !view.contains_key(&100));
    assert_eq!(reader.read(&1, |value| *value), Some(0));
    assert_eq!(reader.get_or_load(1, |_| unreachable!("it is there")), 0);
    cache.invalidate(&1);
    assert_eq!(reader.get_or_load(1, |_| 7), 7);
    assert!(reader.contains_key(&1));
    let lag = reader.parked(|| {
        (0..1000).for_each(|key| cache.insert(key, 1));
        cache.maintain(10_000).backlog
    });
    assert_eq!(lag, 0, "nothing is held while it is parked");
}

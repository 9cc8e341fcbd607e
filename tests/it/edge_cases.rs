//! Degenerate input works. Bad hashers, types of no size and of much, odd keys,
//! contradictory builders; and user code that uses the cache it is called by.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::support::{self, Constant, Identity, Random, assert_balanced, ignore, size, together};
use clockhand::{
    BuildError, Builder, Cache, Clock, Compute, Equivalent, Expiry, Maintenance, RemovalCause,
};

/// A retired capacity that does not fill up while a thread is kept from running inside of an operation.
const AMPLE: u64 = 1 << 20;

/// A full life: fill, overfill, replace, find, remove, scan, clear.
fn exercise<S: BuildHasher + Send + Sync + 'static>(cache: &Cache<u64, u64, S>, capacity: u64) {
    (0..capacity).for_each(|key| cache.insert(key << 32, key));
    assert_eq!((cache.len() as u64, cache.stats().evictions), (capacity, 0));
    assert!((0..capacity).all(|key| cache.get(&(key << 32)) == Some(key)));
    assert_eq!(cache.get(&1), None);
    (0..capacity).for_each(|key| cache.insert(key << 32, key + 1));
    assert_eq!(cache.snapshot().len() as u64, capacity);
    support::validate(cache);
    (0..capacity / 2).for_each(|key| assert!(cache.invalidate(&(key << 32))));
    support::validate(cache);
    (0..2 * capacity).for_each(|key| cache.insert(key << 16, key));
    assert_eq!(cache.len() as u64, capacity);
    support::validate(cache);
    cache.invalidate_all();
    cache.maintain(1 << 20);
    assert_eq!((cache.usage().charged, cache.usage().retired), (0, 0));
    assert_eq!(cache.stats().refusals, 0);
    assert_balanced(cache);
    support::validate(cache);
}

fn beside_each_other<S: BuildHasher + Send + Sync + 'static>(
    cache: &Cache<u64, u64, S>,
    keys: u64,
) {
    together(4, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..size(1_500, 200_000) {
            let key = random.below(keys);
            match random.below(4) {
                0 => ignore(cache.invalidate(&key)),
                1 => assert!(cache.get(&key).is_none_or(|value| value == key)),
                _ => cache.insert(key, key),
            }
        }
    });
    assert_balanced(cache);
    support::validate(cache);
}

#[test]
fn a_constant_hasher_is_slow_and_not_wrong() {
    for expected in [1, 400] {
        let builder = Cache::builder().capacity(400).expected_entries(expected).hasher(Constant);
        exercise(&builder.build().expect("sound"), 400);
    }
    let cache = Cache::builder()
        .capacity(60)
        .retired_capacity(AMPLE)
        .hasher(Constant)
        .build()
        .expect("sound");
    beside_each_other(&cache, 100);
}

#[test]
fn an_identity_hasher_works() {
    for expected in [1, 5_000] {
        let builder = Cache::builder().capacity(5_000).expected_entries(expected);
        exercise(&builder.hasher(Identity::default()).build().expect("sound"), 5_000);
    }
    let builder = Cache::builder().capacity(500).retired_capacity(AMPLE).expected_entries(1);
    let builder = builder.hasher(Identity::default());
    beside_each_other(&builder.build().expect("sound"), 1_000);
}

#[test]
fn types_of_no_size_work() {
    let unit = Cache::new(10);
    unit.insert((), ());
    unit.insert((), ());
    assert_eq!((unit.len(), unit.get(&()), unit.stats().replacements), (1, Some(()), 1));
    support::validate(&unit);
    assert_eq!(unit.remove(&()), Some(()));
    support::validate(&unit);

    let set = Cache::builder().capacity(100).expected_entries(1).build().expect("sound");
    (0..200_u64).for_each(|key| set.insert(key, ()));
    assert_eq!(set.len(), 100);
    set.retain(|key, ()| key % 2 == 0);
    support::validate(&set);

    let cell = Cache::new(1);
    cell.insert((), "a".to_string());
    cell.insert((), "b".to_string());
    assert_eq!(cell.snapshot(), [((), "b".to_string())]);
    cell.retain(|(), _| false);
    assert!(cell.is_empty());
    support::validate(&cell);
}

#[test]
fn values_of_one_byte_and_of_a_mebibyte_work() {
    let bytes = Cache::new(1000);
    (0..2000_u16).for_each(|key| bytes.insert(key, key as u8));
    bytes.for_each(|&key, &value| assert_eq!(key as u8, value));
    support::validate(&bytes);

    let large = Cache::builder()
        .capacity(16 << 20)
        .retired_capacity(4 << 20)
        .weigher(|_: &u8, value: &Vec<u8>| value.len() as u64)
        .build()
        .expect("sound");
    (0..64).for_each(|key| large.insert(key, vec![key; 1 << 20]));
    assert_eq!((large.len(), large.stats().refusals), (16, 0));
    large.for_each(|&key, value| assert!(value.iter().all(|&byte| byte == key)));
    support::validate(&large);
}

#[test]
fn a_large_value_may_lie_in_the_entry_itself() {
    let cache = Cache::new(4);
    (0..8_u64).for_each(|key| cache.insert(key, [key; 4096]));
    assert_eq!(cache.len(), 4);
    cache.for_each(|&key, value| assert!(value.iter().all(|&part| part == key)));
    support::validate(&cache);
}

#[test]
fn over_aligned_values_are_aligned() {
    #[derive(Clone)]
    #[repr(align(128))]
    struct Aligned(u64);
    let timed: fn(Builder<u64, Aligned>) -> Builder<u64, Aligned> =
        |b| b.weigher(|_, _| 1).time_to_idle(Duration::from_secs(1)).clock(Clock::manual().0);
    for settings in [|b| b, timed] {
        let cache = settings(Cache::builder().capacity(10)).build().expect("sound");
        (0..20).for_each(|key| cache.insert(key, Aligned(key)));
        cache.for_each(|&key, value| {
            assert_eq!(value.0, key);
            assert!(std::ptr::from_ref(value).addr().is_multiple_of(128));
        });
        support::validate(&cache);
    }
}

#[test]
fn strings_are_looked_up_by_str() {
    let cache: Cache<String, u64> = Cache::new(100);
    for key in ["", "a", "b", "a longer key than fits in a register"] {
        cache.insert(key.to_string(), key.len() as u64);
    }
    assert_eq!(cache.get(""), Some(0));
    assert_eq!(cache.read("b", |value| *value), Some(1));
    assert_eq!(cache.pin().get("a"), Some(&1));
    assert_eq!(cache.reader().get("a longer key than fits in a register"), Some(&36));
    assert!(cache.remove_if("a", |value| *value == 1));
    assert_eq!(cache.remove("b"), Some(1));
    assert!(cache.invalidate(""));
    assert!(!cache.contains_key("c"));
    assert_eq!(cache.len(), 1);
}

#[test]
fn an_equivalent_of_ones_own_finds_the_key() {
    #[derive(Hash)]
    struct Parts<'a>(&'a str, &'a str);
    impl Equivalent<(String, String)> for Parts<'_> {
        fn equivalent(&self, key: &(String, String)) -> bool {
            self.0 == key.0 && self.1 == key.1
        }
    }
    let cache = Cache::new(100);
    cache.insert(("EUR".to_string(), "USD".to_string()), 1.08);
    assert_eq!(cache.get(&Parts("EUR", "USD")), Some(1.08));
    assert_eq!(cache.get(&Parts("EUR", "GBP")), None);
    assert_eq!(cache.remove(&Parts("EUR", "USD")), Some(1.08));
}

#[test]
fn a_key_that_is_equal_but_not_the_same_replaces_the_value() {
    #[derive(Clone, Debug)]
    struct Named(u64, #[allow(dead_code)] &'static str);
    impl PartialEq for Named {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Named {}
    impl Hash for Named {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    let cache = Cache::new(10);
    cache.insert(Named(1, "first"), 1);
    cache.insert(Named(1, "second"), 2);
    assert_eq!((cache.len(), cache.get(&Named(1, "any"))), (1, Some(2)));
}

#[test]
fn what_weighs_nothing_is_never_evicted() {
    let cache = Cache::builder().capacity(10).weigher(|_, &weight: &u64| weight);
    let cache = cache.build().expect("sound");
    (0..100).for_each(|key| cache.insert(key, 0));
    (100..200).for_each(|key| cache.insert(key, 5));
    assert!((0..100).all(|key| cache.contains_key(&key)));
    assert_eq!(cache.len(), 102);
    support::validate(&cache);
}

fn refused(builder: Builder<u64, u64>) -> (BuildError, String) {
    let error = builder.build().expect_err("a contradiction");
    let message = error.to_string();
    (error, message)
}

#[test]
fn a_cache_without_a_capacity_is_not_built() {
    let (error, message) = refused(Cache::builder());
    assert!(matches!(error, BuildError::CapacityMissing));
    assert!(message.contains("capacity("), "{message}");
}

#[test]
fn more_expected_entries_than_capacity_are_a_contradiction() {
    let (error, message) = refused(Cache::builder().capacity(10).expected_entries(11));
    let found =
        matches!(error, BuildError::ExpectedEntriesOverCapacity { expected: 11, capacity: 10 });
    assert!(found, "{error:?}");
    assert!(
        message.contains("11") && message.contains("10") && message.contains("weigher"),
        "{message}"
    );
    let weighed = Cache::builder().capacity(10).expected_entries(11).weigher(|_: &u64, _: &u64| 0);
    assert!(weighed.build().is_ok());
}

#[test]
fn more_entries_than_any_table_holds_are_refused() {
    let (error, message) =
        refused(Cache::builder().capacity(u64::MAX).expected_entries(usize::MAX));
    assert!(matches!(error, BuildError::TooManyEntries { expected: usize::MAX, .. }), "{error:?}");
    assert!(message.contains("at most"), "{message}");
}

#[test]
fn a_clock_that_does_not_fit_the_durations_is_refused() {
    let second = Duration::from_secs(1);
    let live = || Cache::builder().capacity(10).time_to_live(second);
    let (error, message) = refused(live().clock(Clock::coarse(Duration::ZERO)));
    assert!(matches!(error, BuildError::ClockResolutionZero));
    assert!(message.contains("precise"), "{message}");
    let (error, message) = refused(live().clock(Clock::coarse(2 * second)));
    assert!(matches!(error, BuildError::ClockTooCoarse { .. }));
    assert!(
        message.contains("2s") && message.contains("1s") && message.contains("precise"),
        "{message}"
    );
    assert!(live().clock(Clock::coarse(second)).build().is_ok());
    assert!(live().clock(Clock::precise()).build().is_ok());
    let (error, _) = refused(Cache::builder().capacity(1).clock(Clock::coarse(Duration::ZERO)));
    assert!(matches!(error, BuildError::ClockResolutionZero), "a clock alone keeps time, too");
}

#[test]
fn durations_shorter_than_the_default_tick_get_a_finer_clock() {
    let cache = Cache::builder().capacity(10).time_to_live(Duration::from_nanos(1));
    let cache = cache.build().expect("sound");
    cache.insert(1, 1);
    assert!(support::eventually(|| cache.get(&1).is_none()));
}

/// The cache that user code reaches while it is called by it.
type Shared = Arc<OnceLock<Cache<u64, u64>>>;

fn shared(build: impl FnOnce(Shared) -> Builder<u64, u64>) -> Cache<u64, u64> {
    let cell: Shared = Arc::default();
    let cache = build(Arc::clone(&cell)).build().expect("sound");
    // The cache is kept alive by its own closures from now on; a test does not mind.
    cell.set(cache.clone()).expect("set once");
    cache
}

/// Uses a bit of everything.
fn use_all(cache: &Cache<u64, u64>, key: u64) {
    cache.get(&key);
    cache.insert(key, key);
    cache.compute(key + 1, |old| Compute::Put(old.copied().unwrap_or(0) + 1));
    cache.invalidate(&(key + 2));
    cache.pin().get(&key);
    cache.reader().get(&key);
    cache.maintain(4);
    cache.usage();
}

#[test]
fn a_listener_may_use_the_cache() {
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let cache = shared(|cell| {
        Cache::builder().capacity(50).retired_capacity(AMPLE).removal_listener(move |&key, _, _| {
            // What a listener sets off must come to an end: it reacts to its own keys no more.
            if key < 10_000 {
                counter.fetch_add(1, Ordering::Relaxed);
                use_all(cell.get().expect("set"), 10_000 + key);
            }
        })
    });
    together(2, |nth| {
        for key in 0..500 {
            cache.insert(1000 * nth as u64 + key, key);
            cache.invalidate(&(key / 2));
        }
    });
    cache.retain(|_, _| false);
    assert!(calls.load(Ordering::Relaxed) >= 800);
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_weigher_may_use_the_cache() {
    let cache = shared(|cell| {
        Cache::builder().capacity(100).weigher(move |&key, _| {
            if key < 10_000
                && let Some(cache) = cell.get()
            {
                use_all(cache, 10_000 + key);
            }
            1 + key % 3
        })
    });
    (0..500).for_each(|key| cache.insert(key, key));
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn closures_may_use_the_cache() {
    let cache = Cache::new(100);
    (0..100).for_each(|key| cache.insert(key, key));
    for key in 0..100 {
        cache.read(&key, |_| use_all(&cache, 10_000 + key));
        cache.compute(key, |_| {
            use_all(&cache, 20_000 + key);
            Compute::Put(1)
        });
        cache.remove_if(&key, |_| {
            use_all(&cache, 30_000 + key);
            true
        });
    }
    cache.retain(|&key, _| {
        use_all(&cache, 40_000 + key % 100);
        key % 2 == 0
    });
    cache.for_each(|&key, _| use_all(&cache, 50_000 + key % 100));
    cache.iter().take(1000).for_each(|(key, _)| use_all(&cache, 60_000 + key % 100));
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_closure_that_changes_its_own_key_is_asked_again() {
    let cache = Cache::new(100);
    cache.insert(1, 1);
    let mut calls = 0;
    cache.compute(1, |value| {
        calls += 1;
        if calls == 1 {
            cache.insert(1, 10);
        }
        Compute::Put(value.copied().unwrap_or(0) + 1)
    });
    assert_eq!((cache.get(&1), calls), (Some(11), 2));
    let removed = cache.remove_if(&1, |&value| {
        if value == 11 {
            cache.insert(1, 12);
        }
        true
    });
    assert!(removed);
    assert_eq!(cache.get(&1), None);
    support::validate(&cache);
}

#[test]
fn an_expiry_may_use_the_cache() {
    struct Curious(Shared);
    impl Expiry<u64, u64> for Curious {
        fn expire_after_create(
            &self,
            &key: &u64,
            _: &u64,
            _: std::time::Instant,
        ) -> Option<Duration> {
            if key < 10_000
                && let Some(cache) = self.0.get()
            {
                use_all(cache, 10_000 + key);
            }
            None
        }
    }
    let cache = shared(|cell| Cache::builder().capacity(100).expiry(Curious(cell)));
    (0..500).for_each(|key| cache.insert(key, key));
    assert_balanced(&cache);
    support::validate(&cache);
}

/// A value whose destructor uses the cache it comes from.
struct Restless(Option<Arc<OnceLock<Cache<u64, Restless>>>>);

impl Drop for Restless {
    fn drop(&mut self) {
        if let Some(cache) = self.0.take().as_ref().and_then(|cell| cell.get()) {
            cache.insert(1_000_000, Restless(None));
            cache.read(&1_000_000, |_| ());
            cache.invalidate(&1_000_001);
            cache.maintain(2);
        }
    }
}

#[test]
fn a_destructor_may_use_the_cache() {
    for maintenance in [Maintenance::Inline, Maintenance::Thread, Maintenance::Manual] {
        let cell = Arc::new(OnceLock::new());
        let builder =
            Cache::builder().capacity(20).retired_capacity(AMPLE).maintenance(maintenance);
        let cache: Cache<u64, Restless> = builder.build().expect("sound");
        assert!(cell.set(cache.clone()).is_ok(), "set once");
        for key in 0..500 {
            cache.insert(key, Restless(Some(Arc::clone(&cell))));
        }
        cache.invalidate_all();
        (0..20).for_each(|_| ignore(cache.maintain(100)));
        assert!(cache.len() <= 1);
        assert_balanced(&cache);
    }
}

#[test]
fn a_cache_may_be_dropped_by_its_own_destructors() {
    struct Chained(#[allow(dead_code)] Option<Cache<u64, Chained>>);
    let mut inner: Option<Cache<u64, Chained>> = None;
    for maintenance in [Maintenance::Inline, Maintenance::Thread, Maintenance::Inline] {
        let cache = Cache::builder().capacity(10).maintenance(maintenance).build().expect("sound");
        cache.insert(1, Chained(inner.take()));
        cache.insert(2, Chained(None));
        inner = Some(cache);
    }
    drop(inner);
}

#[test]
fn the_causes_know_who_decided() {
    let evicted = [RemovalCause::Evicted, RemovalCause::Expired, RemovalCause::Refused];
    assert!(evicted.into_iter().all(RemovalCause::was_evicted));
    let explicit = [RemovalCause::Replaced, RemovalCause::Invalidated];
    assert!(!explicit.into_iter().any(RemovalCause::was_evicted));
}

//! P1: a read is wait-free. It allocates nothing and frees nothing, runs no destructor and no
//! listener, whatever the writers beside it do.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clockhand::{Cache, Clock, Compute, Expiry, Maintenance, Reader};
use support::{Census, Person, Random, heap, ignore, on_reading_thread, read_only, size, watched};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const KEYS: u64 = 400;
const MAINTENANCE: [Maintenance; 3] =
    [Maintenance::Inline, Maintenance::Thread, Maintenance::Manual];

/// Extends the life of what is read, so that reads have something to do.
struct Sliding;

impl<V> Expiry<u64, V> for Sliding {
    fn expire_after_create(&self, _: &u64, _: &V, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }
    fn expire_after_read(
        &self,
        _: &u64,
        _: &V,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Some(Duration::from_secs(20))
    }
}

/// A crowded cache: half of the keys fit, the table starts small, entries expire.
fn crowded<V: Send + Sync + 'static>(
    maintenance: Maintenance,
    reported: &Arc<AtomicBool>,
) -> Cache<u64, V> {
    let reported = Arc::clone(reported);
    Cache::builder()
        .capacity(KEYS / 2)
        .retired_capacity(KEYS / 4)
        .expected_entries(1)
        .time_to_idle(Duration::from_secs(5))
        .expiry(Sliding)
        .clock(Clock::manual().0)
        .maintenance(maintenance)
        .removal_listener(move |_, _, _| {
            if on_reading_thread() {
                reported.store(true, Ordering::SeqCst);
            }
        })
        .build()
        .expect("sound")
}

/// Writes until told to stop: replaces, removes, evicts, computes, scans.
fn churn<V: Send + Sync + 'static>(
    cache: &Cache<u64, V>,
    stop: &AtomicBool,
    seed: u64,
    value: impl Fn(u64) -> V,
) {
    let mut random = Random::new(seed);
    while !stop.load(Ordering::Relaxed) {
        let key = random.below(KEYS);
        match random.below(40) {
            0..=3 => ignore(cache.invalidate(&key)),
            4..=7 => drop(cache.compute(key, |_| Compute::Put(value(key)))),
            8 => cache.retain(|key, _| key % 7 != 0),
            9 => ignore(cache.maintain(10)),
            _ => cache.insert(key, value(key)),
        }
    }
}

/// Runs `read` on this thread while two others write.
fn beside_writers<V: Send + Sync + 'static>(
    cache: &Cache<u64, V>,
    value: impl Fn(u64) -> V + Sync,
    read: impl FnOnce(),
) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (over, value) = (&AtomicBool::new(false), &value);
    std::thread::scope(|scope| {
        let _stop = Stop(over);
        for seed in 0..2 {
            scope.spawn(move || churn(cache, over, seed, value));
        }
        read();
    });
}

/// Every way to read, once.
fn read_all_ways(cache: &Cache<u64, u64>, reader: &mut Reader<u64, u64>, key: u64) {
    for found in [cache.get(&key), cache.peek(&key), cache.read(&key, |value| *value)] {
        assert!(found.is_none_or(|value| value == key));
    }
    cache.contains_key(&key);
    let keys: [u64; 40] = std::array::from_fn(|nth| (key + nth as u64 * 7) % KEYS);
    assert!(reader.get_many(&keys).zip(&keys).all(|(found, key)| found.is_none_or(|v| v == key)));
    let pinned = cache.pin();
    assert!(pinned.get_many(&keys).zip(&keys).all(|(found, key)| found.is_none_or(|v| v == key)));
    let (one, other) = (pinned.get(&key), pinned.get(&(KEYS - 1 - key)));
    assert!(one.is_none_or(|value| *value == key));
    assert!(other.is_none_or(|value| *value == KEYS - 1 - key));
    pinned.peek(&key);
    pinned.contains_key(&key);
    assert!(reader.get(&key).is_none_or(|value| *value == key));
    reader.peek(&key);
    if key.is_multiple_of(16) {
        reader.park();
    }
}

#[test]
fn a_read_neither_allocates_nor_frees() {
    for maintenance in MAINTENANCE {
        let cache = crowded(maintenance, &Arc::default());
        beside_writers(
            &cache,
            |key| key,
            || {
                let mut reader = cache.reader();
                let mut random = Random::new(7);
                // A thread's first call takes a seat, which may allocate.
                read_all_ways(&cache, &mut reader, 0);
                let rounds = size(10_000, 2_000_000);
                let before = heap::calls();
                for _ in 0..rounds {
                    read_all_ways(&cache, &mut reader, random.below(KEYS));
                }
                assert_eq!(heap::calls(), before, "with {maintenance:?}");
            },
        );
    }
}

#[test]
fn a_hit_with_a_borrowed_key_allocates_nothing_though_it_might_load() {
    let cache: Cache<String, u64> = Cache::new(100);
    cache.insert("a key that lies on the heap".to_string(), 7);
    let loading = cache.loading(|_: &String| Ok::<u64, String>(8));
    let before = heap::calls();
    for _ in 0..100 {
        let key = "a key that lies on the heap";
        assert_eq!(cache.get_or_load_by_ref(key, |_| 8), 7);
        assert_eq!(cache.try_get_or_load_by_ref(key, |_| Ok::<u64, String>(8)), Ok(7));
        let load = cache.load(key).timeout(Duration::from_secs(1)).ttl(Duration::from_secs(1));
        assert_eq!(load.run(|_| 8), Ok(7));
        assert_eq!(cache.load(key).run_optional(|_| Ok::<_, String>(None)), Ok(Some(7)));
        assert_eq!(loading.get(key), Ok(7));
    }
    assert_eq!(heap::calls(), before);
    assert_eq!(loading.get("another"), Ok(8));
    assert_ne!(heap::calls(), before, "the test can fail");
}

#[test]
fn a_read_of_two_caches_in_turn_neither_allocates_nor_frees() {
    let caches = [Cache::new(100), Cache::new(100)];
    caches.iter().for_each(|cache| cache.insert(1, 1));
    let read = || caches.iter().all(|cache| cache.get(&1) == Some(1));
    assert!(read());
    let before = heap::calls();
    assert!((0..1000).all(|_| read()));
    assert_eq!(heap::calls(), before);
}

#[test]
fn no_value_is_dropped_and_no_listener_called_on_a_reading_thread() {
    for maintenance in MAINTENANCE {
        let (census, reported) = (Census::new(1 << 24), Arc::default());
        let cache: Cache<u64, Person> = crowded(maintenance, &reported);
        beside_writers(
            &cache,
            |key| census.person(key),
            || {
                read_only(|| {
                    let mut reader = cache.reader();
                    let mut random = Random::new(7);
                    for _ in 0..size(10_000, 1_000_000) {
                        let key = random.below(KEYS);
                        assert!(cache.read(&key, |person| person.key == key) != Some(false));
                        assert!(cache.pin().get(&key).is_none_or(|person| person.key == key));
                        assert!(reader.get(&key).is_none_or(|person| person.key == key));
                        cache.contains_key(&key);
                        if key == 0 {
                            reader.park();
                        }
                    }
                });
            },
        );
        assert!(!census.was_dropped_by_a_reader(), "with {maintenance:?}");
        assert!(!reported.load(Ordering::SeqCst), "with {maintenance:?}");
        drop(cache);
        census.assert_all_dropped_once();
    }
}

#[test]
fn a_reading_thread_that_ends_drops_nothing() {
    let census = Census::new(1 << 16);
    let cache = Cache::new(10);
    for key in 0..1000 {
        cache.insert(key, census.person(key));
    }
    let read = || {
        read_only(|| (0..1000).filter(|key| cache.read(key, |_| ()).is_some()).count());
        cache.reader().get(&0);
    };
    std::thread::scope(|scope| scope.spawn(read).join().expect("no panic"));
    assert!(!census.was_dropped_by_a_reader());
}

/// One writer for each key counts up and tells what it has finished; no read may be behind that.
#[test]
fn no_read_is_older_than_the_last_finished_write() {
    let keys = 16;
    let cache = Cache::builder().capacity(1 << 30).expected_entries(1).build().expect("sound");
    let finished: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
    (0..keys as u64).for_each(|key| cache.insert(key, 0));
    let look = || {
        let mut reader = cache.reader();
        let mut last = vec![0; keys];
        for turn in 0..16 * keys {
            let key = turn % keys;
            let least = finished[key].load(Ordering::SeqCst).max(last[key]);
            let key64 = key as u64;
            let seen = match turn / keys % 4 {
                0 => cache.get(&key64),
                1 => cache.read(&key64, |value| *value),
                2 => cache.pin().get(&key64).copied(),
                _ => reader.get(&key64).copied(),
            };
            let seen = seen.expect("nothing is evicted here");
            assert!(seen >= least, "key {key}: saw {seen} after {least}");
            last[key] = seen;
        }
    };
    watched(look, || {
        for value in 1..=size(3_000, 500_000) as u64 {
            for key in 0..keys as u64 {
                match value % 3 {
                    0 => drop(cache.compute(key, |old| Compute::Put(old.map_or(0, |v| v + 1)))),
                    _ => cache.insert(key, value),
                }
                finished[key as usize].store(value, Ordering::SeqCst);
                cache.insert((value << 8) | key, 0); // so that the table grows
            }
        }
    });
    support::validate(&cache);
}

#[test]
fn what_a_guard_lends_stays_as_it_was() {
    let census = Census::new(1 << 16);
    let cache = Cache::builder().capacity(8).retired_capacity(1000).build().expect("sound");
    (0..8).for_each(|key| cache.insert(key, census.person(key)));
    let pinned = cache.pin();
    let lent: Vec<&Person> = (0..8).filter_map(|key| pinned.get(&key)).collect();
    assert_eq!(lent.len(), 8);
    cache.insert(0, census.person(0));
    cache.invalidate_all();
    (8..100).for_each(|key| cache.insert(key, census.person(key)));
    cache.maintain(1000);
    assert_eq!(census.dead(), 0, "the guard holds all that was retired since");
    assert!(
        lent.iter().zip(0..).all(|(person, key)| person.key == key && person.id == key as usize)
    );
    drop(pinned);
    cache.maintain(1000);
    assert_eq!(census.born() - census.dead(), cache.len());
}

#[test]
fn reads_count_and_peeks_do_not() {
    let cache = Cache::new(10);
    cache.insert(1, 1);
    cache.get(&1);
    cache.read(&2, |_| ());
    cache.pin().get(&1);
    cache.reader().get(&2);
    cache.peek(&1);
    cache.contains_key(&1);
    cache.pin().peek(&1);
    cache.reader().peek(&1);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (2, 2));
    assert!((stats.hit_ratio() - 0.5).abs() < f64::EPSILON);
}

#[test]
fn many_keys_are_read_as_if_one_by_one() {
    // Some homes overflow, and the table has doubled.
    let cache = Cache::builder().capacity(3_000).expected_entries(1).build().expect("sound");
    (0..3_000_u64).step_by(2).for_each(|key| cache.insert(key, key * 10));
    let mut reader = cache.reader();
    for len in [0, 1, 15, 16, 17, 32, 100, 3_000] {
        let keys: Vec<u64> = (0..len).map(|nth| nth * 7 % 3_000).collect();
        let one_by_one: Vec<Option<u64>> = keys.iter().map(|key| cache.get(key)).collect();
        assert_eq!(cache.get_many(&keys), one_by_one);
        let many = reader.get_many(&keys);
        assert_eq!(many.len(), keys.len());
        assert_eq!(many.map(Option::<&u64>::copied).collect::<Vec<_>>(), one_by_one);
    }
    let (before, same) = (cache.stats(), [4_u64; 20]);
    assert!(cache.pin().get_many(&same).all(|value| value == Some(&40)));
    assert_eq!(cache.pin().get_many(&[1_u64, 3]).flatten().count(), 0);
    let after = cache.stats();
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (20, 2));
}

#[test]
fn a_batch_sees_what_changed_while_it_is_read() {
    let cache = Cache::new(100);
    (0..20_u64).for_each(|key| cache.insert(key, 0));
    let keys: Vec<u64> = (0..20).collect();
    let pinned = cache.pin();
    let mut found = pinned.get_many(&keys);
    assert_eq!(found.next(), Some(Some(&0)));
    cache.invalidate(&1);
    cache.insert(2, 7);
    assert_eq!(found.next(), Some(None));
    assert_eq!(found.next(), Some(Some(&7)));
    assert_eq!(found.len(), 17);
}

//! P8: scans are safe under change. They run beside writers and while the table grows, visit every
//! entry that is there throughout exactly once, and remove an entry only if it is still the same.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "rayon")]
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::support::{self, Constant, Random, assert_balanced, ignore, size, together};
use clockhand::{Cache, Compute, Maintenance};

/// Keys below are there throughout; those above come and go.
const STABLE: u64 = 500;

/// A cache that evicts nothing and whose table starts as small as can be.
fn small_at_first() -> Cache<u64, u64> {
    let builder = Cache::builder().capacity(1 << 40).expected_entries(1).weigher(|_, _| 1);
    let cache = builder.build().expect("sound");
    (0..STABLE).for_each(|key| cache.insert(key, key));
    cache
}

/// Runs `scan` some times on this thread while two others insert, replace and remove; the table
/// doubles again and again.
fn beside_writers(cache: &Cache<u64, u64>, mut scan: impl FnMut()) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(over);
        for seed in 0..2 {
            scope.spawn(move || {
                let mut random = Random::new(seed);
                let mut reach = 100;
                while !over.load(Ordering::Relaxed) {
                    let key = STABLE + random.below(reach);
                    match random.below(5) {
                        0 => ignore(cache.invalidate(&key)),
                        1 => drop(cache.compute(random.below(STABLE), |_| Compute::Keep)),
                        _ => cache.insert(key, key),
                    }
                    reach = (reach + 1).min(size(4_000, 200_000) as u64);
                }
            });
        }
        (0..size(40, 2_000)).for_each(|_| scan());
    });
    support::validate(cache);
}

/// How often each key was visited.
#[derive(Default)]
struct Visits(HashMap<u64, usize>);

impl Visits {
    fn note(&mut self, key: u64, value: u64) {
        assert_eq!(key, value);
        *self.0.entry(key).or_default() += 1;
    }

    fn assert_stable_keys_once_and_others_at_most(&self) {
        assert!((0..STABLE).all(|key| self.0.get(&key) == Some(&1)), "each stable key once");
        assert!(self.0.values().all(|&count| count == 1), "no key twice");
    }
}

#[test]
fn for_each_visits_what_is_there_throughout_exactly_once() {
    let cache = small_at_first();
    beside_writers(&cache, || {
        let mut visits = Visits::default();
        cache.for_each(|&key, &value| visits.note(key, value));
        visits.assert_stable_keys_once_and_others_at_most();
    });
}

#[test]
fn iter_visits_what_is_there_throughout_exactly_once() {
    let cache = small_at_first();
    beside_writers(&cache, || {
        let mut visits = Visits::default();
        cache.iter().for_each(|(key, value)| visits.note(key, value));
        visits.assert_stable_keys_once_and_others_at_most();
    });
}

#[test]
fn a_snapshot_has_what_is_there_throughout_exactly_once() {
    let cache = small_at_first();
    beside_writers(&cache, || {
        let mut visits = Visits::default();
        cache.snapshot().into_iter().for_each(|(key, value)| visits.note(key, value));
        visits.assert_stable_keys_once_and_others_at_most();
    });
}

#[test]
fn retain_asks_about_what_is_there_throughout_exactly_once() {
    let cache = small_at_first();
    beside_writers(&cache, || {
        let mut visits = Visits::default();
        cache.retain(|&key, &value| {
            visits.note(key, value);
            key < STABLE || key % 2 == 0
        });
        visits.assert_stable_keys_once_and_others_at_most();
    });
    assert!((0..STABLE).all(|key| cache.contains_key(&key)));
}

#[test]
fn a_scan_of_one_long_chain_visits_each_entry_once() {
    let builder = Cache::builder().capacity(1 << 40).weigher(|_, _| 1).hasher(Constant);
    let cache = builder.build().expect("sound");
    let stable = 40;
    (0..stable).for_each(|key| cache.insert(key, key));
    together(3, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..size(60, 3_000) {
            for _ in 0..20 {
                let key = stable + random.below(40);
                if random.one_in(2) {
                    cache.insert(key, key)
                } else {
                    ignore(cache.invalidate(&key))
                }
            }
            let mut visits = Visits::default();
            cache.for_each(|&key, &value| visits.note(key, value));
            assert!((0..stable).all(|key| visits.0.get(&key) == Some(&1)), "{:?}", visits.0);
            assert!(visits.0.values().all(|&count| count == 1), "{:?}", visits.0);
        }
    });
    support::validate(&cache);
}

/// Odd values are unwanted. A writer makes every value even again at once: `retain` may remove an
/// odd one that it has seen, and never the even one that has taken its place.
#[test]
fn retain_removes_only_what_it_has_seen() {
    let keys = 50;
    let cache = Cache::builder().capacity(1 << 40).expected_entries(1).weigher(|_, _| 1);
    let cache = cache.build().expect("sound");
    let (over, lost) = (AtomicBool::new(false), AtomicU64::new(0));
    together(2, |nth| {
        if nth == 0 {
            while !over.load(Ordering::Relaxed) {
                cache.retain(|_, value| value % 2 == 0);
            }
            return;
        }
        for value in 0..size(1_000, 100_000) as u64 {
            for key in 0..keys {
                cache.insert(key, 2 * value + 1);
                cache.insert(key, 2 * value + 2);
                lost.fetch_add(u64::from(!cache.contains_key(&key)), Ordering::Relaxed);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(lost.load(Ordering::Relaxed), 0, "values that retain has never seen");
    support::validate(&cache);
}

#[test]
fn invalidate_all_leaves_nothing_that_was_there_before() {
    let cache = small_at_first();
    // How many writes of each thread have returned. A value tells its thread and its number.
    let done: [AtomicU64; 3] = std::array::from_fn(|_| AtomicU64::new(0));
    together(3, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..size(2_000, 100_000) {
            if nth == 0 && random.one_in(20) {
                let before: Vec<u64> = done.iter().map(|n| n.load(Ordering::SeqCst)).collect();
                cache.invalidate_all();
                // What was written before the call is gone; what came in meanwhile may stay.
                cache.for_each(|_, &value| assert!(value >> 2 > before[(value & 3) as usize]));
            } else {
                let number = done[nth].load(Ordering::SeqCst) + 1;
                let value = (number << 2) | nth as u64;
                cache.compute(random.below(300), |_| Compute::Put(value));
                done[nth].store(number, Ordering::SeqCst);
            }
        }
    });
    cache.invalidate_all();
    assert!(cache.is_empty());
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_long_scan_holds_nothing_up() {
    let cache = Cache::builder().capacity(2000).retired_capacity(200).build().expect("sound");
    (0..2000).for_each(|key| cache.insert(key, key));
    // Another thread inserts once for each entry that the scan visits.
    let (ask, asked) = mpsc::channel::<u64>();
    let (tell, told) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let cache = &cache;
        scope.spawn(move || {
            for nth in asked {
                cache.insert(10_000 + nth, nth);
                tell.send(()).expect("the scan waits");
            }
        });
        let mut nth = 0;
        cache.for_each(|_, _| {
            ask.send(nth).expect("the writer listens");
            told.recv().expect("the writer answers");
            nth += 1;
        });
        assert!(nth > 1000);
        drop(ask);
    });
    assert_eq!(cache.stats().refusals, 0, "the pin is renewed from bucket to bucket");
    let mut iter = cache.iter();
    iter.next();
    (20_000..30_000).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.stats().refusals, 0, "between two items an iterator holds nothing");
    iter.for_each(drop);
}

#[test]
fn scans_neither_count_nor_touch() {
    let cache = Cache::new(100);
    (0..100).for_each(|key| cache.insert(key, key));
    let before = cache.stats();
    cache.for_each(|_, _| ());
    cache.iter().for_each(drop);
    cache.snapshot();
    cache.retain(|_, _| true);
    let mut after = cache.stats();
    after.at = before.at;
    assert_eq!(after, before);
}

#[test]
fn scans_of_an_empty_cache_end() {
    let cache: Cache<u64, u64> = Cache::new(100);
    cache.for_each(|_, _| panic!("nothing is there"));
    cache.retain(|_, _| panic!("nothing is there"));
    assert_eq!(cache.snapshot(), []);
    let mut iter = cache.iter();
    assert_eq!((iter.next(), iter.next()), (None, None));
    cache.invalidate_all();
}

#[test]
fn an_iterator_may_be_kept_and_sent() {
    let cache = Cache::new(100);
    (0..50).for_each(|key| cache.insert(key, key));
    let mut iter = cache.iter();
    let first = iter.next().expect("something is there");
    let rest = std::thread::spawn(move || iter.collect::<Vec<_>>()).join().expect("no panic");
    let mut all: Vec<_> = rest.into_iter().chain([first]).map(|(key, _)| key).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..50));
}

#[test]
fn maintenance_beside_a_scan_takes_nothing_away_from_it() {
    let builder = Cache::builder().capacity(1000).maintenance(Maintenance::Thread);
    let cache = builder.build().expect("sound");
    let census = support::Census::new(1 << 20);
    together(2, |nth| {
        for key in 0..size(5_000, 200_000) as u64 {
            if nth == 0 {
                cache.insert(key % 1500, census.person(key % 1500));
            } else if key % 100 == 0 {
                cache.for_each(|&key, person| assert_eq!(person.key, key));
            }
        }
    });
}

#[cfg(feature = "rayon")]
mod parallel {
    use super::*;

    #[test]
    fn par_for_each_visits_what_is_there_throughout_exactly_once() {
        let cache = small_at_first();
        beside_writers(&cache, || {
            let visits = Mutex::new(Visits::default());
            cache.par_for_each(|&key, &value| {
                visits.lock().expect("not poisoned").note(key, value);
            });
            visits.into_inner().expect("not poisoned").assert_stable_keys_once_and_others_at_most();
        });
    }

    #[test]
    fn par_retain_asks_about_what_is_there_throughout_exactly_once() {
        let cache = small_at_first();
        beside_writers(&cache, || {
            let visits = Mutex::new(Visits::default());
            cache.par_retain(|&key, &value| {
                visits.lock().expect("not poisoned").note(key, value);
                key < STABLE || key % 2 == 0
            });
            visits.into_inner().expect("not poisoned").assert_stable_keys_once_and_others_at_most();
        });
    }

    #[test]
    fn par_extend_inserts_everything() {
        use rayon::iter::{IntoParallelIterator, ParallelIterator};
        for expected in [1, 10_000] {
            let builder = Cache::builder().capacity(10_000).expected_entries(expected);
            let cache = builder.build().expect("sound");
            cache.par_extend((0..10_000_u64).into_par_iter().map(|key| (key, key)));
            assert_eq!((cache.len(), cache.stats().evictions), (10_000, 0));
            let mut visits = Visits::default();
            cache.for_each(|&key, &value| visits.note(key, value));
            assert_eq!(visits.0.len(), 10_000);
            cache.par_retain(|key, _| key % 2 == 0);
            assert_eq!(cache.len(), 5_000);
            support::validate(&cache);
        }
    }

    #[test]
    fn a_parallel_scan_of_a_tiny_table_visits_everything_once() {
        for entries in 0..30 {
            let cache = Cache::builder().capacity(1000).expected_entries(1).build().expect("sound");
            (0..entries).for_each(|key| cache.insert(key, key));
            let count = AtomicU64::new(0);
            cache.par_for_each(|_, _| ignore(count.fetch_add(1, Ordering::Relaxed)));
            assert_eq!(count.into_inner(), entries);
        }
    }
}

#[test]
fn an_iterator_goes_on_after_a_clone_that_panicked() {
    static CLONES: AtomicUsize = AtomicUsize::new(0);
    struct Fourth;
    impl Clone for Fourth {
        fn clone(&self) -> Self {
            assert_ne!(CLONES.fetch_add(1, Ordering::Relaxed), 3, "the fourth clone");
            Self
        }
    }
    let cache = Cache::new(8);
    (0..8_u64).for_each(|key| cache.insert(key, Fourth));
    let (mut entries, mut seen, mut panics) = (cache.iter(), Vec::new(), 0);
    loop {
        match catch_unwind(AssertUnwindSafe(|| entries.next())) {
            Ok(Some((key, _))) => seen.push(key),
            Ok(None) => break,
            Err(_) => panics += 1,
        }
    }
    seen.sort_unstable();
    assert_eq!((seen, panics), ((0..8).collect(), 1));
}

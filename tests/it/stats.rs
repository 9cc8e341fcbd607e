//! Every figure of `Cache::stats` against a known sequence of operations, and the sums that hold between
//! them whatever runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::{self, Random, ignore, size, together};
use clockhand::{Cache, Clock, Compute, InsertErrorKind, ManualClock, MissCauses, Stats};

const SECOND: Duration = Duration::from_secs(1);

/// A cache of one-unit entries that live for ten seconds.
fn timed(capacity: u64) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(capacity).clock(clock).time_to_live(10 * SECOND);
    (builder.build().unwrap(), manual)
}

/// A cache whose values are their own weights.
fn weighed(capacity: u64) -> Cache<u64, u64> {
    Cache::builder().capacity(capacity).weigher(|_, &weight| weight).build().unwrap()
}

/// The misses of each cause: never seen, evicted, expired, invalidated, refused, absent.
fn causes(stats: &Stats) -> [u64; 6] {
    let MissCauses { never_seen, evicted, expired, invalidated, refused, absent, .. } =
        stats.misses_by;
    assert_eq!(stats.misses_by.sum(), stats.misses);
    [never_seen, evicted, expired, invalidated, refused, absent]
}

/// A key below `end` that is not there.
fn missing(cache: &Cache<u64, u64>, end: u64) -> u64 {
    (0..end).find(|key| !cache.contains_key(key)).expect("one had to go")
}

#[test]
fn a_cache_has_a_name() {
    assert_eq!(&*Cache::<u64, u64>::new(1).stats().name, "cache");
    let named: Cache<u64, u64> = Cache::builder().capacity(1).name("quotes").build().unwrap();
    assert_eq!((named.name(), &*named.stats().name), ("quotes", "quotes"));
}

#[test]
fn every_miss_has_the_last_cause() {
    let (cache, manual) = timed(100);
    assert_eq!(cache.get(&7), None);
    assert_eq!(causes(&cache.stats()), [1, 0, 0, 0, 0, 0], "nobody has heard of it");

    cache.insert(7, 7);
    cache.invalidate(&7);
    assert_eq!(cache.get(&7), None);
    assert_eq!(causes(&cache.stats()), [1, 0, 0, 1, 0, 0]);

    cache.insert(7, 7);
    manual.advance(10 * SECOND);
    assert_eq!(cache.get(&7), None);
    assert_eq!(causes(&cache.stats()), [1, 0, 1, 1, 0, 0], "it is there and has expired");
    assert_eq!(cache.remove_expired(), 1);
    assert_eq!(cache.get(&7), None);
    assert_eq!(causes(&cache.stats()), [1, 0, 2, 1, 0, 0], "it has expired and is gone");

    (0..101).for_each(|key| cache.insert(key, key));
    let victim = missing(&cache, 101);
    assert_eq!(cache.get(&victim), None);
    assert_eq!(causes(&cache.stats()), [1, 1, 2, 1, 0, 0]);

    // Each way to read, and each counts every miss once.
    assert_eq!(cache.get_many(&[victim, 1_000]), [None, None]);
    assert_eq!(cache.pin().get(&victim), None);
    assert_eq!(cache.reader().get(&victim), None);
    assert_eq!(cache.read(&1_001, |_| ()), None);
    assert_eq!(causes(&cache.stats()), [3, 4, 2, 1, 0, 0]);
    // These are no reads.
    ignore_all(&cache, victim);
    assert_eq!(causes(&cache.stats()), [3, 4, 2, 1, 0, 0]);
}

fn ignore_all(cache: &Cache<u64, u64>, key: u64) {
    assert_eq!((cache.peek(&key), cache.contains_key(&key)), (None, false));
    assert!(!cache.explain(&key).is_resident());
}

#[test]
fn what_happened_to_a_key_last_is_what_counts() {
    let cache: Cache<u64, u64> = Cache::new(100);
    let evict = || {
        cache.set_capacity(0);
        cache.set_capacity(100);
    };
    cache.insert(7, 7);
    evict();
    assert_eq!((cache.get(&7), causes(&cache.stats())), (None, [0, 1, 0, 0, 0, 0]));
    for round in 1..5 {
        cache.insert(7, 7);
        cache.invalidate(&7);
        assert_eq!(cache.get(&7), None);
        assert_eq!(causes(&cache.stats()), [0, round, 0, round, 0, 0]);
        cache.insert(7, 7);
        evict();
        assert_eq!(cache.get(&7), None);
        assert_eq!(causes(&cache.stats()), [0, round + 1, 0, round, 0, 0]);
    }
}

#[test]
fn whatever_removes_a_key_is_known_afterwards() {
    let (cache, _hand) = timed(1_000);
    type Way = fn(&Cache<u64, u64>, u64);
    let ways: [Way; 7] = [
        |cache, key| ignore(cache.remove(&key)),
        |cache, key| ignore(cache.invalidate(&key)),
        |cache, key| ignore(cache.remove_if(&key, |_| true)),
        |cache, key| ignore(cache.compute(key, |_| Compute::Remove)),
        |cache, key| cache.retain(|&other, _| other != key),
        |cache, _| cache.invalidate_all(),
        |cache, key| assert!(cache.try_insert(key, 0).is_ok() && cache.invalidate(&key)),
    ];
    for (nth, way) in ways.iter().enumerate() {
        cache.insert(nth as u64, 0);
        way(&cache, nth as u64);
        assert_eq!(cache.get(&(nth as u64)), None);
        assert_eq!(causes(&cache.stats()), [0, 0, 0, nth as u64 + 1, 0, 0], "way {nth}");
    }
}

#[test]
fn entries_that_expire_before_they_are_inserted_have_expired() {
    let (clock, _hand) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).time_to_live(Duration::ZERO);
    let cache: Cache<u64, u64> = builder.build().unwrap();
    cache.insert(1, 1);
    assert_eq!(cache.get(&1), None);
    let stats = cache.stats();
    assert_eq!((causes(&stats), stats.expirations), ([0, 0, 1, 0, 0, 0], 1));
    assert_eq!(stats.removed_charge.expired, 1);
}

#[test]
fn loads_that_found_nothing_are_known_to_be_absent() {
    let (clock, manual) = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder().capacity(10).clock(clock).build().unwrap();
    let loading = cache
        .loading(|_: &u64| Err::<u64, _>("there is none".to_string()))
        .negative_ttl(5 * SECOND)
        .build()
        .unwrap();
    loading.get(&1).unwrap_err();
    assert_eq!(causes(&cache.stats()), [1, 0, 0, 0, 0, 0]);
    loading.get(&1).unwrap_err();
    assert_eq!(cache.get(&1), None);
    let stats = cache.stats();
    assert_eq!(causes(&stats), [1, 0, 0, 0, 0, 2]);
    assert_eq!((stats.awaited, stats.entries, stats.loads_failed), (1, 0, 1));
    manual.advance(5 * SECOND);
    assert_eq!(cache.get(&1), None);
    assert_eq!(causes(&cache.stats()), [2, 0, 0, 0, 0, 2], "that is over");
}

#[test]
fn refusals_are_counted_by_reason_and_are_the_cause_of_misses() {
    let builder = Cache::builder().capacity(10).retired_capacity(1);
    let cache = builder.weigher(|_, &weight: &u64| weight).build().unwrap();
    let kind = cache.try_insert(1, 11).unwrap_err().kind;
    assert_eq!(kind, InsertErrorKind::TooLarge { charge: 11, capacity: 10 });
    assert_eq!(cache.get(&1), None);
    assert_eq!(causes(&cache.stats()), [0, 0, 0, 0, 1, 0]);

    // The older value goes first, and the refusal is the last that happened.
    cache.insert(2, 1);
    cache.insert(2, 11);
    assert_eq!(cache.get(&2), None);
    assert_eq!(causes(&cache.stats()), [0, 0, 0, 0, 2, 0]);
    let refusals = cache.stats().refusals_by;
    assert_eq!((refusals.too_large, refusals.no_room, refusals.contended), (2, 0, 0));

    while cache.maintain(100).backlog > 0 {}
    (10..20).for_each(|key| cache.insert(key, 1));
    let guard = cache.pin();
    cache.insert(20, 1);
    assert_eq!(cache.try_insert(21, 1).unwrap_err().kind, InsertErrorKind::NoRoom);
    assert_eq!(guard.get(&21), None);
    drop(guard);
    let stats = cache.stats();
    assert_eq!((causes(&stats)[4], stats.refusals, stats.refusals_by.no_room), (3, 3, 1));

    // Room for what the closure replaces while its own operation keeps that from being freed.
    let builder = Cache::builder().capacity(10).retired_capacity(1_000);
    let cache: Cache<u64, u64> = builder.build().unwrap();
    cache.insert(11, 1);
    let contended = cache.compute(11, |_| {
        cache.insert(11, 1);
        Compute::Put(1)
    });
    let clockhand::Computed::Refused { kind: InsertErrorKind::Contended, .. } = contended else {
        panic!("{contended:?}");
    };
    let stats = cache.stats();
    assert_eq!((stats.refusals, stats.refusals_by.contended), (1, 1));
}

#[test]
fn what_left_is_weighed_by_cause() {
    let (clock, manual) = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder()
        .capacity(100)
        .weigher(|_, &weight| weight)
        .clock(clock)
        .time_to_live(10 * SECOND)
        .build()
        .unwrap();
    cache.insert(1, 30);
    cache.insert(1, 20);
    cache.insert(2, 7);
    cache.invalidate(&2);
    manual.advance(10 * SECOND);
    cache.remove_expired();
    cache.insert(3, 60);
    cache.insert(4, 50);
    let stats = cache.stats();
    let removed = stats.removed_charge;
    let gone = if cache.contains_key(&3) { 50 } else { 60 };
    let expected = (30, gone, 20, 7);
    let found = (removed.replaced, removed.evicted, removed.expired, removed.invalidated);
    assert_eq!(found, expected);
    assert_eq!(stats.charged, 30 + 20 + 7 + 60 + 50 - 30 - 20 - 7 - gone);
}

#[test]
fn spans_and_rates_are_those_of_two_looks() {
    let (cache, manual) = timed(10);
    cache.insert(1, 1);
    cache.get(&1);
    let first = cache.stats();
    assert_eq!((first.at, first.per_second().hits), (Duration::ZERO, 0.0));
    manual.advance(4 * SECOND);
    (0..8).for_each(|_| ignore(cache.get(&1)));
    cache.get(&2);
    cache.get(&3);
    let second = cache.stats();
    assert_eq!(second.at, 4 * SECOND);
    let span = second.since(&first);
    assert_eq!((span.at, span.hits, span.misses, span.insertions), (4 * SECOND, 8, 2, 0));
    assert_eq!((causes(&span), span.entries), ([2, 0, 0, 0, 0, 0], 1));
    assert_eq!(span.hit_ratio(), 0.8);
    let rates = span.per_second();
    assert_eq!((rates.hits, rates.misses, rates.insertions), (2.0, 0.5, 0.0));
    let nothing = first.since(&second);
    assert_eq!((nothing.at, nothing.hits, nothing.misses), (Duration::ZERO, 0, 0));
}

#[test]
fn peaks_are_what_was_there_at_most() {
    let cache = weighed(1_000);
    let peak = || cache.stats().peak_charged;
    assert_eq!(peak(), 0);
    cache.insert(1, 300);
    assert_eq!(peak(), 300);
    cache.insert(2, 400);
    cache.invalidate(&2);
    assert_eq!((peak(), cache.stats().charged), (700, 300), "that was the most");
    cache.insert(3, 100);
    cache.invalidate(&3);
    assert_eq!(peak(), 700);
    // Room that is made or taken away is not in use.
    cache.set_capacity(5_000);
    assert_eq!(peak(), 700);
    cache.set_capacity(500);
    assert_eq!(peak(), 700);
    cache.set_capacity(2_000);
    cache.insert(4, 1_200);
    assert_eq!((peak(), cache.stats().charged), (1_500, 1_500));
    (10..100).for_each(|key| cache.insert(key, 100));
    assert_eq!(peak(), 2_000, "it was full, and never more");
}

#[test]
fn garbage_has_a_peak_of_its_own() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(100).retired_capacity(50).build().unwrap();
    (0..100).for_each(|key| cache.insert(key, key));
    let guard = cache.pin();
    (0..20).for_each(|key| ignore(cache.invalidate(&key)));
    let stats = cache.stats();
    assert_eq!((stats.retired, stats.peak_retired, stats.backlog), (20, 20, 20));
    assert_eq!(stats.retired_capacity, 50);
    drop(guard);
    while cache.maintain(100).backlog > 0 {}
    let stats = cache.stats();
    assert_eq!((stats.retired, stats.peak_retired, stats.backlog), (0, 20, 0));
}

#[test]
fn those_who_hold_up_the_freeing_of_garbage_are_named() {
    let (cache, manual) = timed(100);
    (0..100).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.stats().holders, []);
    let (held, is_held) = mpsc::channel();
    let (release, is_over) = mpsc::channel::<()>();
    let reader = cache.clone();
    let named = thread::Builder::new().name("quotes-reader".into());
    let holder = named.spawn(move || {
        let guard = reader.pin();
        held.send(()).unwrap();
        let _ = is_over.recv();
        drop(guard);
    });
    is_held.recv().unwrap();
    // In nobody's way yet: the epoch may be moved once.
    while cache.stats().holders.is_empty() {
        cache.invalidate(&1);
        cache.insert(1, 1);
        cache.maintain(10);
    }
    manual.advance(3 * SECOND);
    let stats = cache.stats();
    let [holder_seen] = &stats.holders[..] else { panic!("{:?}", stats.holders) };
    assert_eq!((&*holder_seen.thread, holder_seen.epochs_behind), ("quotes-reader", 1));
    assert_eq!(stats.reclamation_lag, 1);
    cache.maintain(10);
    manual.advance(2 * SECOND);
    assert_eq!(cache.stats().holders[0].since, 5 * SECOND, "since it was first in the way");
    drop(release);
    holder.unwrap().join().unwrap();
    assert_eq!((cache.stats().holders, cache.stats().reclamation_lag), (vec![], 0));
}

#[test]
fn threads_without_a_name_are_told_by_number_and_long_names_are_cut() {
    let cache: Cache<u64, u64> = Cache::new(10);
    let holder = |builder: thread::Builder| {
        let cache = cache.clone();
        let held = builder.spawn(move || {
            let guard = cache.pin();
            // This thread's own work moves the epoch once, under its own guard.
            while cache.stats().holders.is_empty() {
                cache.insert(1, 1);
                cache.maintain(10);
            }
            drop(guard);
            cache.stats().holders
        });
        let after = held.unwrap().join().unwrap();
        assert_eq!(after, []);
    };
    holder(thread::Builder::new());
    holder(thread::Builder::new().name("x".repeat(100)));

    // A reader that is not parked holds up as well; its name is that of its thread.
    let long = "\u{e9}".repeat(20);
    let reading = cache.clone();
    let named = thread::Builder::new().name(long.clone()).spawn(move || {
        let mut reader = reading.reader();
        reader.get(&1);
        let writer = reading.clone();
        let seen = thread::spawn(move || {
            while writer.stats().holders.is_empty() {
                writer.insert(1, 1);
                writer.maintain(10);
            }
            writer.stats().holders
        });
        let seen = seen.join().unwrap();
        reader.park();
        (seen, reading.stats().holders)
    });
    let (seen, parked) = named.unwrap().join().unwrap();
    assert_eq!(seen[0].thread, "\u{e9}".repeat(16), "32 bytes, whole letters");
    assert_eq!(parked, []);
    let reading = cache.clone();
    let unnamed = thread::spawn(move || {
        let id = format!("{:?}", thread::current().id());
        let _guard = reading.pin();
        let writer = reading.clone();
        let seen = thread::spawn(move || {
            while writer.stats().holders.is_empty() {
                writer.insert(1, 1);
                writer.maintain(10);
            }
            writer.stats().holders
        });
        (id, seen.join().unwrap())
    });
    let (id, seen) = unnamed.join().unwrap();
    assert_eq!(seen[0].thread, id);
}

#[test]
fn the_regions_are_the_whole_cache() {
    for cache in [Cache::new(1_000), weighed(1_000)] {
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let key = random.below(3_000);
            if cache.get(&key).is_none() {
                cache.insert(key, 1 + key % 3);
            }
            if random.below(20) == 0 {
                cache.invalidate(&random.below(3_000));
            }
        }
        let stats = cache.stats();
        let (probation, protected) = (stats.probation, stats.protected);
        assert_eq!(probation.entries + protected.entries, stats.entries);
        assert_eq!(probation.charge + protected.charge, stats.charged);
        assert!(probation.entries > 0 && protected.entries > 0, "{stats:?}");
        assert_eq!(stats.probation_share, probation.charge as f64 / 1_000.0);
        assert!((0.01..=0.8).contains(&stats.probation_target), "{stats:?}");
        support::validate(&cache);
        cache.invalidate_all();
        let stats = cache.stats();
        assert_eq!((stats.probation, stats.protected), Default::default());
    }
}

#[test]
fn the_time_of_loads_is_measured() {
    let (cache, manual) = timed(10);
    let took = |seconds: u32| manual.advance(seconds * SECOND);
    cache
        .try_get_or_load(1, |_| {
            took(3);
            Ok::<_, String>(1)
        })
        .unwrap();
    assert_eq!(cache.stats().load_time, 3 * SECOND);
    cache
        .try_get_or_load(1, |_| {
            took(3);
            Ok::<_, String>(1)
        })
        .unwrap();
    assert_eq!(cache.stats().load_time, 3 * SECOND, "a hit");
    cache
        .try_get_or_load(2, |_| {
            took(4);
            Err::<u64, _>("no")
        })
        .unwrap_err();
    let stats = cache.stats();
    assert_eq!(stats.load_time, 7 * SECOND, "one that failed");
    assert_eq!((stats.loads_started, stats.loads_succeeded, stats.loads_failed), (2, 1, 1));
    assert_eq!(stats.per_second().load_time, 1.0, "one was under way all the time");
}

/// Eight threads do everything at once; the sums hold.
#[test]
fn the_sums_hold_whatever_ran() {
    let (clock, manual) = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder()
        .capacity(2_000)
        .weigher(|_, &weight| weight)
        .clock(clock)
        .time_to_live(10 * SECOND)
        .build()
        .unwrap();
    let (came_in, reads) = (AtomicU64::new(0), AtomicU64::new(0));
    let rounds = size(4_000, 40_000);
    together(8, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..rounds {
            let (key, weight) = (random.below(3_000), 1 + random.below(5));
            match random.below(10) {
                0 => ignore(cache.invalidate(&key)),
                1 => manual.advance(Duration::from_millis(3)),
                2 => ignore(cache.maintain(20)),
                3..6 => {
                    if cache.try_insert(key, weight).is_ok() {
                        came_in.fetch_add(weight, Ordering::Relaxed);
                    }
                }
                _ => {
                    cache.get(&key);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    support::assert_balanced(&cache);
    let stats = cache.stats();
    causes(&stats);
    assert_eq!(stats.hits + stats.misses, reads.into_inner());
    let removed = stats.removed_charge;
    let gone = removed.replaced + removed.evicted + removed.expired + removed.invalidated;
    assert_eq!(stats.charged + gone, came_in.into_inner());
    assert_eq!(stats.probation.entries + stats.protected.entries, stats.entries);
    assert_eq!(stats.probation.charge + stats.protected.charge, stats.charged);
    assert!(stats.charged <= stats.peak_charged && stats.peak_charged <= stats.capacity);
    assert!(stats.retired <= stats.peak_retired && stats.peak_retired <= stats.retired_capacity);
    support::validate(&cache);
}

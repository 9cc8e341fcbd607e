//! Health of caches, deduplicators and trackers, step by step: each figure is brought out of bounds and back again.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::together;
use clockhand::dedup::{Claim, Deduplicator, OffsetTracker};
use clockhand::health::{Figure, Health, Levels, Status, Thresholds};
use clockhand::{Cache, Clock, Maintenance, ManualClock};

const SECOND: Duration = Duration::from_secs(1);
/// As long as the default window.
const MINUTE: Duration = Duration::from_secs(60);

fn cache(capacity: u64, retired_capacity: u64) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(capacity).retired_capacity(retired_capacity);
    (builder.clock(clock).build().expect("sound"), manual)
}

fn status(health: &Health, figure: Figure) -> Status {
    health.reason(figure).map_or(Status::Healthy, |reason| reason.status)
}

/// The only reason that there is.
#[track_caller]
fn only(health: &Health) -> (Status, Figure, f64) {
    let [reason] = &health.reasons[..] else { panic!("{health}") };
    assert_eq!(reason.status, health.status);
    (reason.status, reason.figure, reason.value)
}

/// So many reads that hit, and so many that miss.
fn read(cache: &Cache<u64, u64>, hits: u64, misses: u64) {
    (0..hits).for_each(|_| assert!(cache.get(&0).is_some()));
    (0..misses).for_each(|_| assert!(cache.get(&u64::MAX).is_none()));
}

#[test]
fn a_hit_rate_that_falls_and_rises() {
    let (cache, manual) = cache(10, 100);
    let thresholds = Thresholds::default();
    (0..10).for_each(|key| cache.insert(key, key));
    assert!(cache.health(&thresholds).is_healthy(), "it is full: the warm-up is over");
    let mut told = Vec::new();
    for hits in [900, 849, 851, 892, 893, 699, 734, 736, 1000] {
        manual.advance(MINUTE);
        read(&cache, hits, 1000 - hits);
        told.push(status(&cache.health(&thresholds), Figure::HitRate));
    }
    use Status::{Degraded, Healthy, Warning};
    let expected =
        [Healthy, Warning, Warning, Warning, Healthy, Degraded, Degraded, Warning, Healthy];
    assert_eq!(told, expected);
}

#[test]
fn a_cold_cache_is_not_judged_by_its_misses() {
    let (cache, manual) = cache(10, 100);
    let thresholds = Thresholds::default();
    cache.insert(0, 0);
    for _ in 0..5 {
        assert!(cache.health(&thresholds).is_healthy());
        read(&cache, 0, 1000);
        manual.advance(MINUTE);
    }
    // It was never full, and is five minutes old: from now on it counts.
    assert!(cache.health(&thresholds).is_healthy());
    read(&cache, 0, 999);
    manual.advance(MINUTE);
    assert!(cache.health(&thresholds).is_healthy(), "too few reads");
    manual.advance(SECOND);
    read(&cache, 0, 1);
    assert_eq!(only(&cache.health(&thresholds)), (Status::Degraded, Figure::HitRate, 0.0));
}

/// Frequent and rare callers see the same.
#[test]
fn whoever_asks_is_told_the_same() {
    let (cache, manual) = cache(10, 100);
    (0..10).for_each(|key| cache.insert(key, key));
    let often = Thresholds::default();
    // Another set of thresholds that says the same.
    let rarely = Thresholds::default().off(Figure::Lag);
    let step = Duration::from_millis(10);
    let mut told = Vec::new();
    for (minute, hits) in [9, 8, 9, 6, 9].into_iter().enumerate() {
        for _ in 0..6000 {
            read(&cache, hits, 10 - hits);
            manual.advance(step);
            cache.health(&often);
        }
        let [one, other] = [&often, &rarely].map(|thresholds| cache.health(thresholds));
        assert!(minute == 0 || one.status == other.status, "{one}\n{other}");
        told.push(one.status);
    }
    use Status::{Degraded, Healthy, Warning};
    assert_eq!(told, [Healthy, Warning, Healthy, Degraded, Healthy]);
}

#[test]
fn a_figure_that_wavers_round_its_threshold_does_not_flap() {
    let (cache, manual) = cache(10, 100);
    (0..10).for_each(|key| cache.insert(key, key));
    let thresholds = Thresholds::default();
    cache.health(&thresholds);
    let mut changes = 0;
    let mut last = Status::Healthy;
    for minute in 0..50 {
        manual.advance(MINUTE);
        let hits = if minute % 2 == 0 { 840 } else { 860 };
        read(&cache, hits, 1000 - hits);
        let status = cache.health(&thresholds).status;
        changes += u32::from(status != last);
        last = status;
    }
    assert_eq!((changes, last), (1, Status::Warning));
    let without = Thresholds::default().margin(0.0).expect("a number");
    let mut told = Vec::new();
    cache.health(&without);
    for hits in [840, 860, 840] {
        manual.advance(MINUTE);
        read(&cache, hits, 1000 - hits);
        told.push(cache.health(&without).is_healthy());
    }
    assert_eq!(told, [false, true, false], "it would flap without a margin");
}

#[test]
fn callers_with_other_thresholds_do_not_disturb_each_other() {
    let (cache, manual) = cache(10, 100);
    (0..10).for_each(|key| cache.insert(key, key));
    let strict = Levels::new().critical(0.95);
    let strict = Thresholds::default().set(Figure::HitRate, strict).expect("in order");
    let usual = Thresholds::default();
    let mut told = Vec::new();
    for hits in [1000, 940, 960, 840, 860] {
        manual.advance(MINUTE);
        read(&cache, hits, 1000 - hits);
        told.push([&usual, &strict].map(|thresholds| cache.health(thresholds).status));
    }
    use Status::{Critical, Healthy, Warning};
    let expected = [
        [Healthy, Healthy],
        [Healthy, Critical],
        [Healthy, Critical],
        [Warning, Critical],
        [Warning, Critical],
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_full_cache_is_well_whatever_its_retired_capacity() {
    for retired_capacity in [0, 10, 125, 1000, 64_000] {
        let (cache, manual) = cache(1000, retired_capacity);
        let thresholds = Thresholds::default().off(Figure::Evictions);
        for key in 0..5000 {
            cache.insert(key, key);
            if key % 100 == 0 {
                manual.advance(SECOND);
                let health = cache.health(&thresholds);
                assert!(health.is_healthy(), "{retired_capacity}, {key}: {health}");
            }
        }
        assert_eq!(cache.len(), 1000);
    }
}

/// However little of all room the retired capacity is, its verdict passes when it is empty.
#[test]
fn memory_that_garbage_took_is_well_again_once_it_is_freed() {
    for retired_capacity in [1, 10, 50, 125, 1000] {
        let (cache, _hand) = cache(1000, retired_capacity);
        let thresholds = Thresholds::default().off(Figure::Evictions).off(Figure::Garbage);
        (0..1000).for_each(|key| cache.insert(key, key));
        while cache.usage().retired > 0 {
            cache.maintain(1000);
        }
        assert!(cache.health(&thresholds).is_healthy());
        let guard = cache.pin();
        (0..retired_capacity).for_each(|key| cache.insert(10_000 + key, key));
        assert_eq!(cache.usage().retired, retired_capacity);
        assert_eq!(only(&cache.health(&thresholds)).0, Status::Critical);
        drop(guard);
        while cache.usage().retired > 0 {
            cache.maintain(1000);
        }
        assert_eq!(cache.usage().charged, 1000);
        let health = cache.health(&thresholds);
        assert!(health.is_healthy(), "{retired_capacity}: {health}");
    }
}

/// What can never be reached never is, on either side.
#[test]
fn infinite_thresholds_are_never_reached() {
    let (cache, manual) = cache(10, 100);
    (0..10).for_each(|key| cache.insert(key, key));
    for end in [f64::INFINITY, f64::NEG_INFINITY] {
        let set = |thresholds: Thresholds, &figure: &Figure| {
            let levels = Levels::new().warning(end).degraded(end).critical(end);
            thresholds.set(figure, levels).expect("in order")
        };
        let thresholds = Figure::ALL.iter().fold(Thresholds::default(), set);
        let mut next = 10;
        for _ in 0..4 {
            let health = cache.health(&thresholds);
            assert!(health.is_healthy(), "{end}: {health}");
            manual.advance(MINUTE);
            (next..next + 200).for_each(|key| cache.insert(key, key));
            next += 200;
            read(&cache, 0, 2000);
        }
    }
}

#[test]
fn garbage_that_a_guard_holds_up_shows_and_goes() {
    let (cache, manual) = cache(100, 100);
    (0..100).for_each(|key| cache.insert(key, key));
    let thresholds = Thresholds::default().off(Figure::Evictions);
    assert!(cache.health(&thresholds).is_healthy());
    let (stop, stopped) = mpsc::channel::<()>();
    let (held, holds) = mpsc::channel();
    let other = cache.clone();
    let holder = std::thread::spawn(move || {
        let _guard = other.pin();
        held.send(()).expect("it is awaited");
        let _ = stopped.recv();
    });
    holds.recv().expect("it is held");
    let mut told = Vec::new();
    for wanted in [50, 51, 90, 100] {
        let garbage = cache.usage().retired;
        (garbage..wanted).for_each(|key| cache.insert(key, 1_000 + key));
        assert_eq!(cache.usage().retired, wanted);
        let health = cache.health(&thresholds);
        told.push((status(&health, Figure::Garbage), status(&health, Figure::Memory)));
    }
    use Status::{Critical, Healthy, Warning};
    // A full cache takes half of both: the warning comes at 0.9, and critical is from 0.95 on.
    let expected =
        [(Healthy, Healthy), (Warning, Healthy), (Warning, Warning), (Warning, Critical)];
    assert_eq!(told, expected);
    cache.insert(1000, 1000);
    assert_eq!(cache.health(&thresholds).reason(Figure::Refusals).map(|r| r.value), Some(1.0));
    drop(stop);
    holder.join().expect("it holds no longer");
    while cache.usage().retired > 0 {
        cache.maintain(1000);
    }
    assert_eq!(only(&cache.health(&thresholds)), (Status::Warning, Figure::Refusals, 1.0));
    manual.advance(2 * MINUTE);
    cache.health(&thresholds);
    manual.advance(MINUTE);
    assert!(cache.health(&thresholds).is_healthy(), "the refusal is long ago");
}

#[test]
fn a_thread_that_is_in_the_way_is_named() {
    let (cache, manual) = cache(100, 100);
    let thresholds = Thresholds::default();
    (0..10).for_each(|key| cache.insert(key, key));
    let (stop, stopped) = mpsc::channel::<()>();
    let (held, holds) = mpsc::channel();
    let other = cache.clone();
    let holder = std::thread::Builder::new().name("sleeper".to_string()).spawn(move || {
        let _guard = other.pin();
        held.send(()).expect("it is awaited");
        let _ = stopped.recv();
    });
    holds.recv().expect("it is held");
    manual.advance(SECOND);
    assert!(cache.health(&thresholds).is_healthy(), "there is no garbage");
    assert!(cache.invalidate(&1));
    // Maintenance moves the epoch, and then finds who is in the way.
    for _ in 0..4 {
        cache.maintain(10);
    }
    manual.advance(SECOND);
    assert!(cache.health(&thresholds).is_healthy(), "for a second");
    manual.advance(SECOND);
    let health = cache.health(&thresholds);
    let reason = health.reason(Figure::HoldUp).expect("two seconds");
    assert!(reason.value >= 2.0 && reason.message.contains("(by thread sleeper)"), "{health}");
    drop(stop);
    holder.expect("a thread").join().expect("it holds no longer");
    for _ in 0..4 {
        cache.maintain(10);
    }
    assert!(cache.health(&thresholds).is_healthy());
}

#[test]
fn a_load_that_hangs() {
    let (cache, manual) = cache(10, 100);
    let thresholds = Thresholds::default();
    let loaded = cache.get_or_load(1, |_| {
        manual.advance(10 * SECOND);
        // One that comes later, and ends.
        assert_eq!(cache.get_or_load(2, |_| 2), 2);
        manual.advance(20 * SECOND);
        assert!(cache.health(&thresholds).is_healthy());
        manual.advance(SECOND);
        assert_eq!(only(&cache.health(&thresholds)), (Status::Warning, Figure::LoadAge, 31.0));
        1
    });
    assert_eq!(loaded, 1);
    assert!(cache.health(&thresholds).is_healthy());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.get_or_load(3, |_| panic!("seen by the test"))
    }));
    manual.advance(MINUTE);
    let health = cache.health(&thresholds);
    assert!(panicked.is_err() && health.reason(Figure::LoadAge).is_none(), "{health}");
}

#[test]
fn evictions_are_counted_by_the_minute() {
    let (cache, manual) = cache(10, 1000);
    let thresholds = Thresholds::default();
    (0..10).for_each(|key| cache.insert(key, key));
    cache.health(&thresholds);
    let mut next = 10;
    let mut told = Vec::new();
    for evictions in [100, 101, 96, 95, 0] {
        manual.advance(MINUTE);
        (next..next + evictions).for_each(|key| cache.insert(key, key));
        next += evictions;
        told.push(cache.health(&thresholds).status);
    }
    use Status::{Healthy, Warning};
    assert_eq!(told, [Healthy, Warning, Warning, Healthy, Healthy]);
}

#[test]
fn loads_that_fail() {
    let (cache, manual) = cache(1000, 1000);
    let thresholds = Thresholds::default();
    let load = |key: u64, fails: bool| {
        let loaded = cache.try_get_or_load(key, |_| if fails { Err("away") } else { Ok(1) });
        assert_eq!(loaded.is_err(), fails);
    };
    let mut key = 0;
    let mut told = Vec::new();
    for failures in [0, 1, 2, 15, 0] {
        manual.advance(MINUTE);
        (0..100).for_each(|nth| load(key + nth, nth < failures));
        key += 100;
        told.push(status(&cache.health(&thresholds), Figure::LoadErrors));
    }
    use Status::{Degraded, Healthy, Warning};
    assert_eq!(told, [Healthy, Healthy, Warning, Degraded, Healthy]);
}

#[test]
fn renewals_that_fail() {
    let (clock, manual) = Clock::manual();
    let source = |key: &u64| if *key == 0 { Err("away") } else { Ok(*key) };
    let cache: Cache<u64, u64> = Cache::builder().capacity(10).clock(clock).build().expect("sound");
    cache.insert(0, 7);
    let run = |job: clockhand::load::Job| job();
    let loading =
        cache.loading(source).refresh_after(10 * SECOND).executor(run).build().expect("sound");
    let thresholds = Thresholds::default();
    assert!(cache.health(&thresholds).is_healthy());
    manual.advance(11 * SECOND);
    assert_eq!(loading.get(&0), Ok(7), "the old value stays");
    assert_eq!(only(&cache.health(&thresholds)), (Status::Warning, Figure::RenewalFailures, 1.0));
    manual.advance(2 * MINUTE);
    cache.health(&thresholds);
    manual.advance(MINUTE);
    assert!(cache.health(&thresholds).is_healthy());
}

/// Whichever handle is asked, it is one cache, and one caller if the thresholds are the same.
#[test]
fn a_cache_that_fills_itself_is_judged_as_the_cache() {
    let (cache, manual) = cache(10, 100);
    let loading = cache.loading(|key: &u64| if *key == 0 { Err("away") } else { Ok(*key) });
    let thresholds = Thresholds::default().min_events(2);
    assert!(loading.health(&thresholds).is_healthy());
    manual.advance(MINUTE);
    assert_eq!((loading.get(&1), loading.get(&0).is_err()), (Ok(1), true));
    let expected = (Status::Degraded, Figure::LoadErrors, 0.5);
    assert_eq!(only(&loading.health(&thresholds)), expected);
    assert_eq!(only(&cache.health(&thresholds)), expected);
    assert_eq!(loading.stats().since(&cache.stats()).misses, 0);
    manual.advance(MINUTE);
    assert!(cache.health(&thresholds).is_healthy(), "that window is over");
    assert!(loading.health(&thresholds).is_healthy());
}

/// One miss for each call that finds no live value, whatever that call is given in the end.
#[test]
fn a_value_that_has_expired_and_is_given_all_the_same_is_a_miss() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).time_to_live(10 * SECOND);
    let cache: Cache<u64, u64> = builder.build().expect("sound");
    let loading = cache
        .loading(|key: &u64| Ok::<_, String>(*key))
        .stale_while_revalidate(MINUTE)
        .executor(|job: clockhand::load::Job| drop(job))
        .build()
        .expect("sound");
    let counted = || (loading.stats().hits, loading.stats().misses);
    assert_eq!((loading.get(&1), counted()), (Ok(1), (0, 1)));
    assert_eq!((loading.get(&1), counted()), (Ok(1), (1, 1)));
    manual.advance(11 * SECOND);
    assert_eq!((loading.get(&1), counted()), (Ok(1), (1, 2)));
    assert_eq!(loading.stats().misses_by.expired, 1);
}

#[test]
fn many_callers_at_once() {
    let cache = Arc::new(cache(100, 100).0);
    let thresholds = Thresholds::default().off(Figure::Evictions).off(Figure::Refusals);
    together(4, |thread| {
        for nth in 0..500 {
            cache.insert(1000 * thread as u64 + nth, nth);
            let mine = thresholds.clone().min_reads(nth % 10);
            let health = cache.health(if nth % 2 == 0 { &thresholds } else { &mine });
            assert!(health.status <= Status::Critical);
        }
    });
    assert!(cache.health(&Thresholds::default()).status <= Status::Critical);
}

fn ids() -> (Deduplicator<u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().capacity(1000).clock(clock).lease(10 * SECOND);
    let builder = builder.ttl(10 * MINUTE).maintenance(Maintenance::Manual);
    (builder.build().expect("the settings agree"), manual)
}

#[test]
fn ids_that_are_forgotten_early_are_critical_and_that_passes() {
    let (seen, manual) = ids();
    let thresholds = Thresholds::default();
    (0..1000).for_each(|id| assert!(seen.mark_processed(id)));
    assert!(seen.health(&thresholds).is_healthy());
    assert!(seen.mark_processed(1000));
    assert_eq!(only(&seen.health(&thresholds)), (Status::Critical, Figure::ForgottenEarly, 1.0));
    manual.advance(2 * MINUTE);
    seen.health(&thresholds);
    manual.advance(MINUTE);
    assert!(seen.health(&thresholds).is_healthy());
}

#[test]
fn work_that_is_done_twice_is_critical() {
    let (seen, manual) = ids();
    let thresholds = Thresholds::default().off(Figure::LeasesExpired).off(Figure::Abandoned);
    (0..900).for_each(|id| assert!(seen.mark_processed(id)));
    let slow = seen.claim(5000).ticket().expect("it is new");
    let dropped = seen.claim(5001).ticket().expect("it is new");
    manual.advance(11 * SECOND);
    assert!(seen.mark_processed(5000) && seen.mark_processed(5001));
    drop(dropped);
    assert!(seen.health(&thresholds).is_healthy(), "that work was done once");
    assert!(!slow.complete());
    let (status, figure, value) = only(&seen.health(&thresholds));
    assert_eq!((status, figure), (Status::Critical, Figure::DuplicatesProcessed));
    assert!((value - 1.0 / 903.0).abs() < 1e-9, "{value}");
    assert_eq!((seen.metrics().late, seen.metrics().overtaken), (2, 1));
    manual.advance(2 * MINUTE);
    seen.health(&thresholds);
    manual.advance(MINUTE);
    assert!(seen.health(&thresholds).is_healthy());
}

#[test]
fn leases_that_run_out_claims_that_leak_and_work_that_fails() {
    let (seen, manual) = ids();
    let thresholds = Thresholds::default();
    let leaked = seen.claim(1).ticket().expect("it is new");
    manual.advance(11 * SECOND);
    let taken_over = seen.claim(1).ticket().expect("the lease ran out");
    assert_eq!(only(&seen.health(&thresholds)), (Status::Warning, Figure::LeasesExpired, 1.0));
    manual.advance(11 * SECOND);
    assert_eq!(seen.cleanup(), 1);
    let health = seen.health(&thresholds);
    assert_eq!(status(&health, Figure::Leaked), Status::Warning);
    drop((leaked, taken_over));
    manual.advance(MINUTE);
    assert!(seen.health(&thresholds).is_healthy());
    (100..199).for_each(|id| assert!(seen.mark_processed(id)));
    assert!(seen.process(200, || Err::<(), _>("away")).processed().is_none());
    assert!(seen.health(&thresholds).is_healthy(), "one of a hundred");
    drop(seen.claim(200));
    let (status, figure, _) = only(&seen.health(&thresholds));
    assert_eq!((status, figure), (Status::Warning, Figure::Abandoned));
}

#[test]
fn a_partition_that_is_behind_is_named() {
    let (clock, manual) = Clock::manual();
    let tracker = OffsetTracker::builder().clock(clock).build().expect("the settings agree");
    let thresholds = Thresholds::default();
    for (number, end) in [(0, 10), (1, 100_001), (2, 100)] {
        tracker.assign("orders", number, 0);
        tracker.polled("orders", number, 0..end);
    }
    let lags: Vec<_> = tracker.partitions().iter().map(|status| status.lag).collect();
    assert_eq!(lags, [10, 100_001, 100]);
    let health = tracker.health(&thresholds);
    assert_eq!(only(&health), (Status::Warning, Figure::Lag, 100_001.0));
    assert!(health.reasons[0].message.contains("(orders/1)"), "{health}");
    (0..5002).for_each(|offset| assert!(tracker.mark_processed("orders", 1, offset)));
    assert!(tracker.health(&thresholds).is_healthy(), "below 95,000");
    manual.advance(300 * SECOND);
    assert!(tracker.health(&thresholds).is_healthy());
    manual.advance(SECOND);
    tracker.polled("orders", 1, [200_000]);
    (0..10).for_each(|offset| assert!(tracker.mark_processed("orders", 0, offset)));
    tracker.skip_to("orders", 1, 300_000);
    let health = tracker.health(&thresholds);
    assert_eq!(only(&health), (Status::Warning, Figure::PendingAge, 301.0));
    assert!(health.reasons[0].message.contains("(orders/2, offset 0)"), "{health}");
    let status = &tracker.partitions()[2];
    assert_eq!((status.committable, status.end, status.in_progress), (0, 100, 0));
    assert_eq!(
        status.oldest_pending.map(|oldest| (oldest.offset, oldest.age)),
        Some((0, 301 * SECOND))
    );
    tracker.revoke("orders", 2);
    assert!(tracker.health(&thresholds).is_healthy() && tracker.partitions().len() == 2);
}

#[test]
fn offsets_that_were_taken_for_absent_and_workers_that_are_fenced() {
    let tracker = OffsetTracker::builder().clock(Clock::manual().0).build();
    let tracker = tracker.expect("the settings agree");
    let thresholds = Thresholds::default();
    tracker.assign("orders", 0, 0);
    tracker.polled("orders", 0, (0..50).chain(51..100));
    for offset in (0..50).chain(51..100) {
        assert!(tracker.mark_processed("orders", 0, offset));
    }
    assert!(tracker.health(&thresholds).is_healthy());
    let Claim::New(ticket) = tracker.claim("orders", 0, 50) else { panic!("it was absent") };
    assert_eq!(only(&tracker.health(&thresholds)), (Status::Critical, Figure::Unfolded, 1.0));
    tracker.assign("orders", 0, 0);
    assert!(!ticket.complete());
    let health = tracker.health(&thresholds);
    assert_eq!(status(&health, Figure::DuplicatesProcessed), Status::Critical);
    assert_eq!((tracker.metrics().fenced, tracker.metrics().overtaken), (1, 1));
}

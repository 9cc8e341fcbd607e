//! Entries with a time to live of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clockhand::{
    Builder, Cache, Clock, Compute, Computed, Expiry, InsertErrorKind, Inserted, ManualClock,
    RemovalCause,
};

const SECOND: Duration = Duration::from_secs(1);

fn seconds(seconds: u32) -> Duration {
    SECOND * seconds
}

fn timed(
    with: impl FnOnce(Builder<u32, u32>) -> Builder<u32, u32>,
) -> (Cache<u32, u32>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).per_entry_ttl().clock(clock);
    (with(builder).build().expect("the settings agree"), manual)
}

/// For how long a key is there, looked at from second to second.
fn lives_for(cache: &Cache<u32, u32>, manual: &ManualClock, key: u32) -> u32 {
    let mut lived = 0;
    while cache.contains_key(&key) && lived < 1000 {
        manual.advance(SECOND);
        lived += 1;
    }
    lived
}

#[test]
fn it_takes_the_place_of_the_time_to_live_shorter_or_longer() {
    for ttl in [None, Some(seconds(10))] {
        for own in [1, 9, 10, 11, 500] {
            let (cache, manual) = timed(|builder| match ttl {
                Some(ttl) => builder.time_to_live(ttl),
                None => builder,
            });
            cache.insert_with_ttl(1, 1, seconds(own));
            assert_eq!(lives_for(&cache, &manual, 1), own);
            assert_eq!(cache.get(&1), None);
            cache.insert(1, 2);
            let ordinary = ttl.map_or(1000, |_| 10);
            assert_eq!(
                lives_for(&cache, &manual, 1),
                ordinary,
                "a later insert is an ordinary one"
            );
        }
    }
}

#[test]
fn zero_expires_at_once_and_the_longest_never() {
    let (cache, manual) = timed(|builder| builder.time_to_live(seconds(10)));
    cache.insert(1, 1);
    cache.insert_with_ttl(1, 2, Duration::ZERO);
    assert_eq!(cache.get(&1), None, "the older value is gone, too");
    cache.insert_with_ttl(1, 3, Duration::MAX);
    manual.advance(seconds(1_000_000));
    assert_eq!(cache.get(&1), Some(3));
    assert!(cache.set_ttl(&1, Duration::ZERO));
    assert_eq!(cache.get(&1), None);
    assert!(!cache.set_ttl(&1, Duration::MAX), "what is expired stays so");
    assert_eq!(cache.get(&1), None);
}

#[test]
fn a_cache_that_keeps_no_time_says_so_and_loses_nothing() {
    let cache = Cache::new(10);
    cache.insert(1, 1);
    let error = cache.try_insert_with_ttl(1, 2, SECOND).expect_err("no deadline can be kept");
    assert_eq!((error.kind, error.key, error.value), (InsertErrorKind::Untimed, 1, 2));
    assert!(error.to_string().contains("per_entry_ttl()"), "{error}");
    let refused = cache.compute(1, |_| Compute::PutWithTtl(3, SECOND));
    assert_eq!(refused, Computed::Refused { kind: InsertErrorKind::Untimed, value: 3 });
    for _ in 0..2 {
        let cache = &cache;
        let insert = || cache.insert_with_ttl(1, 4, SECOND);
        let set = || _ = cache.set_ttl(&1, SECOND);
        for call in [&insert as &dyn Fn(), &set] {
            let call = std::panic::AssertUnwindSafe(call);
            assert!(std::panic::catch_unwind(call).is_err());
        }
    }
    assert_eq!(cache.get(&1), Some(1));
    assert_eq!(cache.stats().refusals_by, clockhand::Refusals::default());
}

#[test]
fn every_cache_with_a_clock_takes_it() {
    let builders = || Cache::<u32, u32>::builder().capacity(10);
    for builder in [
        builders().per_entry_ttl(),
        builders().time_to_live(seconds(60)),
        builders().time_to_idle(seconds(60)),
        builders().clock(Clock::precise()),
    ] {
        let cache = builder.build().expect("the settings agree");
        assert_eq!(cache.try_insert_with_ttl(1, 1, Duration::MAX).expect("room"), Inserted::New);
        assert_eq!(cache.try_insert_with_ttl(1, 2, SECOND).expect("room"), Inserted::Replaced);
        assert!(cache.set_ttl(&1, Duration::ZERO));
        assert_eq!(cache.get(&1), None);
    }
}

#[test]
fn a_deadline_is_set_anew_from_the_call_on() {
    let (cache, manual) = timed(|builder| builder.time_to_live(seconds(10)));
    assert!(!cache.set_ttl(&1, SECOND), "nothing is there");
    for (wait, set) in [(9, 100), (0, 1), (5, 5), (9, 1)] {
        cache.insert(1, 1);
        manual.advance(seconds(wait));
        assert!(cache.set_ttl(&1, seconds(set)));
        assert!(cache.entry_info(&1).is_some_and(|info| info.expires_in == Some(seconds(set))));
        assert_eq!(lives_for(&cache, &manual, 1), set, "after {wait}");
        assert!(!cache.set_ttl(&1, seconds(100)), "it has expired");
        assert_eq!(cache.get(&1), None);
    }
}

#[test]
fn what_nobody_has_looked_at_expires_all_the_same() {
    let (cache, manual) = timed(|builder| builder);
    cache.insert_with_ttl(1, 1, seconds(10));
    manual.advance(seconds(10));
    assert!(!cache.set_ttl(&1, seconds(10)));
    assert_eq!(cache.stats().hits, 0);
}

#[test]
fn the_time_to_idle_goes_on() {
    let (cache, manual) = timed(|builder| builder.time_to_idle(seconds(5)));
    cache.insert_with_ttl(1, 1, seconds(20));
    assert_eq!(lives_for(&cache, &manual, 1), 5, "nobody reads it");
    cache.insert_with_ttl(1, 1, seconds(20));
    for _ in 0..5 {
        manual.advance(seconds(4) - Duration::from_nanos(1));
        assert_eq!(cache.get(&1), Some(1));
    }
    let info = cache.entry_info(&1).expect("it is read all the time");
    assert_eq!(info.idle_for, Some(Duration::ZERO));
    assert_eq!(info.expires_in, Some(Duration::from_nanos(5)), "its own end comes first");
    manual.advance(Duration::from_nanos(5));
    assert_eq!(cache.get(&1), None);
}

/// Counts how often it is asked, and lets everything live for half a minute.
struct Asked(Arc<[AtomicUsize; 3]>);

impl Asked {
    fn answer(&self, nth: usize) -> Option<Duration> {
        self.0[nth].fetch_add(1, Ordering::Relaxed);
        Some(seconds(30))
    }
}

impl Expiry<u32, u32> for Asked {
    fn expire_after_create(&self, _: &u32, _: &u32, _: Instant) -> Option<Duration> {
        self.answer(0)
    }

    fn expire_after_update(
        &self,
        _: &u32,
        _: &u32,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.answer(1)
    }

    fn expire_after_read(
        &self,
        _: &u32,
        _: &u32,
        _: Instant,
        left: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        self.0[2].fetch_add(1, Ordering::Relaxed);
        left
    }
}

#[test]
fn an_expiry_is_not_asked_about_it_until_it_is_read() {
    let asked: Arc<[AtomicUsize; 3]> = Arc::default();
    let counts = || [0, 1, 2].map(|nth: usize| asked[nth].load(Ordering::Relaxed));
    let expiry = Asked(Arc::clone(&asked));
    let (cache, manual) = timed(|builder| builder.expiry(expiry).time_to_live(seconds(60)));
    cache.insert_with_ttl(1, 1, seconds(40));
    cache.insert_with_ttl(1, 2, seconds(50));
    assert_eq!(counts(), [0, 0, 0]);
    assert_eq!(cache.get(&1), Some(2));
    assert_eq!(counts(), [0, 0, 1]);
    assert_eq!(lives_for(&cache, &manual, 1), 50);
    cache.insert_with_ttl(1, 3, seconds(500));
    assert_eq!(lives_for(&cache, &manual, 1), 60, "the time to live bounds what an expiry says");
    cache.insert(1, 4);
    assert_eq!(counts()[0], 1);
}

#[test]
fn a_computed_value_may_have_one() {
    let (cache, manual) = timed(|builder| builder.time_to_live(seconds(10)));
    let put = |ttl: u32| move |_: Option<&u32>| Compute::PutWithTtl(ttl, seconds(ttl));
    assert_eq!(cache.compute(1, put(3)), Computed::Inserted);
    assert_eq!(cache.compute(1, put(30)), Computed::Replaced);
    assert_eq!(lives_for(&cache, &manual, 1), 30);
    assert_eq!(cache.compute(1, put(0)), Computed::Inserted);
    assert_eq!(cache.get(&1), None);
    assert_eq!(cache.compute(1, |_| Compute::Put(7)), Computed::Inserted);
    assert_eq!(lives_for(&cache, &manual, 1), 10);
}

#[test]
fn entries_whose_own_time_is_over_make_room_first() {
    let (clock, manual) = Clock::manual();
    let evicted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&evicted);
    let cache = Cache::builder()
        .capacity(64)
        .per_entry_ttl()
        .clock(clock)
        .removal_listener(move |_: &u32, _: &u32, cause| {
            count.fetch_add(usize::from(cause == RemovalCause::Evicted), Ordering::Relaxed);
        })
        .build()
        .expect("the settings agree");
    // Half of them end soon: some from the beginning, some by a call.
    for key in 0..64 {
        match key % 4 {
            0 => cache.insert_with_ttl(key, key, seconds(5)),
            1 => {
                cache.insert_with_ttl(key, key, Duration::MAX);
                assert!(cache.set_ttl(&key, seconds(5)));
            }
            _ => cache.insert(key, key),
        }
    }
    manual.advance(seconds(5));
    (100..132).for_each(|key| cache.insert(key, key));
    assert_eq!(evicted.load(Ordering::Relaxed), 0, "32 had expired, and 32 came");
    assert!((0..64).filter(|key| key % 4 > 1).all(|key| cache.contains_key(&key)));
}

#[test]
fn what_one_thread_has_seen_as_expired_no_thread_sees_again() {
    for round in 0..200 {
        let (cache, manual) = timed(|builder| builder);
        cache.insert_with_ttl(1, 1, SECOND);
        std::thread::scope(|scope| {
            let (cache, manual) = (&cache, &manual);
            scope.spawn(move || manual.advance(seconds(1 + round % 2)));
            let setter = scope.spawn(|| cache.set_ttl(&1, seconds(100)));
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let mut seen = [(); 50].map(|()| cache.get(&1).is_some()).into_iter();
                    seen.by_ref().find(|live| !live).is_some() && seen.any(|live| live)
                })
            });
            let set = setter.join().expect("no panic");
            for reader in readers {
                assert!(!reader.join().expect("no panic"), "it has come back");
            }
            assert!(!set || cache.get(&1).is_some(), "the deadline was set, and is far away");
        });
    }
}

#[test]
fn one_that_is_set_while_the_value_is_being_renewed_stays_if_the_load_fails() {
    let (cache, manual) = timed(|builder| builder.time_to_live(seconds(60)));
    let own = cache.clone();
    let loading = cache.loading(move |key: &u32| -> Result<u32, String> {
        assert!(own.set_ttl(key, seconds(5)), "the older value is there");
        Err("the source is down".into())
    });
    cache.insert(1, 1);
    assert!(loading.refresh(&1).is_err());
    assert_eq!(lives_for(&cache, &manual, 1), 5);
}

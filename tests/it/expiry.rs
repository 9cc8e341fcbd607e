//! P6: nothing past its deadline is returned, by any read or scan; and what has expired is freed.
//! All with the manual clock, so nothing here waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::support::{self, Random, assert_balanced, ignore, in_time, size, together};
use clockhand::{
    Builder, Cache, Clock, Compute, Computed, Expiry, InsertErrorKind, Inserted, Maintenance,
    ManualClock, RemovalCause,
};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

type Settings = Builder<u64, u64>;

fn timed(settings: impl FnOnce(Settings) -> Settings) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(1000).clock(clock);
    (settings(builder).build().expect("sound"), manual)
}

/// Looks for a key in every way there is; the answers must agree. Counts as a read.
fn is_there(cache: &Cache<u64, u64>, key: u64) -> bool {
    let there = peeked(cache, key);
    assert_eq!(cache.get(&key).is_some(), there, "get");
    assert_eq!(cache.read(&key, |_| ()).is_some(), there, "read");
    assert_eq!(cache.pin().get(&key).is_some(), there, "Guard::get");
    assert_eq!(cache.reader().get(&key).is_some(), there, "Reader::get");
    there
}

/// The same without touching.
fn peeked(cache: &Cache<u64, u64>, key: u64) -> bool {
    let there = cache.contains_key(&key);
    assert_eq!(cache.peek(&key).is_some(), there, "peek");
    assert_eq!(cache.pin().peek(&key).is_some(), there, "Guard::peek");
    assert_eq!(cache.pin().contains_key(&key), there, "Guard::contains_key");
    assert_eq!(cache.reader().peek(&key).is_some(), there, "Reader::peek");
    assert_eq!(cache.iter().any(|(k, _)| k == key), there, "iter");
    assert_eq!(cache.snapshot().iter().any(|&(k, _)| k == key), there, "snapshot");
    let mut visited = false;
    cache.for_each(|&k, _| visited |= k == key);
    assert_eq!(visited, there, "for_each");
    there
}

#[test]
fn time_to_live_counts_from_the_write() {
    let (cache, manual) = timed(|b| b.time_to_live(10 * SECOND));
    cache.insert(1, 1);
    manual.advance(6 * SECOND);
    assert!(is_there(&cache, 1), "reading does not prolong it");
    cache.insert(2, 2);
    manual.advance(4 * SECOND - NANO);
    assert!(is_there(&cache, 1) && is_there(&cache, 2));
    manual.advance(NANO);
    assert!(!is_there(&cache, 1));
    assert!(is_there(&cache, 2));
    manual.advance(6 * SECOND);
    assert!(!is_there(&cache, 2));
}

#[test]
fn replacing_a_value_starts_its_time_to_live_anew() {
    let (cache, manual) = timed(|b| b.time_to_live(10 * SECOND));
    cache.insert(1, 1);
    manual.advance(9 * SECOND);
    cache.insert(1, 2);
    manual.advance(9 * SECOND);
    assert_eq!(
        cache.compute(1, |value| Compute::Put(value.copied().unwrap_or(0) + 1)),
        Computed::Replaced
    );
    manual.advance(9 * SECOND);
    assert_eq!(cache.get(&1), Some(3));
    assert_eq!(cache.compute(1, |_| Compute::Keep), Computed::Kept);
    manual.advance(SECOND);
    assert!(!is_there(&cache, 1), "looking does not prolong it");
}

#[test]
fn time_to_idle_counts_from_the_last_read() {
    let (cache, manual) = timed(|b| b.time_to_idle(10 * SECOND));
    (0..6).for_each(|key| cache.insert(key, key));
    let mut reader = cache.reader();
    for _ in 0..5 {
        manual.advance(9 * SECOND);
        assert!(cache.get(&0).is_some());
        assert!(cache.read(&1, |_| ()).is_some());
        assert!(cache.pin().get(&2).is_some());
        assert!(reader.get(&3).is_some());
        cache.insert(4, 4);
    }
    manual.advance(10 * SECOND - NANO);
    assert!((0..5).all(|key| peeked(&cache, key)));
    assert!(!peeked(&cache, 5), "nobody asked for it");
    manual.advance(NANO);
    assert!((0..5).all(|key| !peeked(&cache, key)), "peeking does not prolong it");
}

#[test]
fn the_earlier_of_both_counts() {
    let (cache, manual) = timed(|b| b.time_to_live(20 * SECOND).time_to_idle(8 * SECOND));
    cache.insert(1, 1);
    cache.insert(2, 2);
    for _ in 0..3 {
        manual.advance(6 * SECOND);
        assert!(is_there(&cache, 1));
    }
    assert!(!is_there(&cache, 2), "idle");
    manual.advance(2 * SECOND);
    assert!(!is_there(&cache, 1), "old");
}

#[test]
fn a_duration_of_zero_is_over_at_once() {
    for settings in [
        (|b| b.time_to_live(Duration::ZERO)) as fn(Settings) -> Settings,
        |b| b.time_to_idle(Duration::ZERO),
        |b| b.expiry(Fixed(Some(Duration::ZERO))),
    ] {
        let (cache, _hand) = timed(settings);
        cache.insert(1, 1);
        assert!(!is_there(&cache, 1));
        assert_eq!(cache.try_insert(1, 2).expect("there is room"), Inserted::New);
        assert!(cache.insert_if_absent(1, 3).is_ok());
        assert!(!is_there(&cache, 1));
        support::validate(&cache);
    }
}

#[test]
fn the_longest_duration_is_for_ever() {
    for settings in [
        (|b| b.time_to_live(Duration::MAX)) as fn(Settings) -> Settings,
        |b| b.time_to_idle(Duration::MAX),
        |b| b.expiry(Fixed(Some(Duration::MAX))),
        |b| b.expiry(Fixed(None)),
        |b| b.time_to_live(Duration::MAX).time_to_idle(Duration::MAX).expiry(Fixed(None)),
    ] {
        let (cache, manual) = timed(settings);
        cache.insert(1, 1);
        manual.advance(Duration::from_secs(500 * 365 * 24 * 3600));
        assert!(is_there(&cache, 1));
        manual.advance(Duration::MAX);
        assert!(is_there(&cache, 1));
        assert_eq!(cache.remove_expired(), 0);
    }
}

#[test]
fn an_expiry_of_nanoseconds_is_exact() {
    let (cache, manual) = timed(|b| b.time_to_live(3 * NANO));
    cache.insert(1, 1);
    manual.advance(2 * NANO);
    assert!(is_there(&cache, 1));
    manual.advance(NANO);
    assert!(!is_there(&cache, 1));
}

/// All entries live so long from their creation.
struct Fixed(Option<Duration>);

impl Expiry<u64, u64> for Fixed {
    fn expire_after_create(&self, _: &u64, _: &u64, _: Instant) -> Option<Duration> {
        self.0
    }
}

/// Which question was asked, and how long the entry had left.
type Asked = Arc<Mutex<Vec<(&'static str, Option<Duration>)>>>;

/// Lives are the value's seconds; a read gives `read`, an update `update`, where they say so.
#[derive(Default)]
struct ByValue {
    read: Option<Duration>,
    update: Option<Duration>,
    asked: Asked,
}

impl ByValue {
    fn note(&self, method: &'static str, left: Option<Duration>) {
        self.asked.lock().expect("not poisoned").push((method, left));
    }
}

impl Expiry<u64, u64> for ByValue {
    fn expire_after_create(&self, _: &u64, value: &u64, _: Instant) -> Option<Duration> {
        self.note("create", None);
        (*value > 0).then(|| Duration::from_secs(*value))
    }

    fn expire_after_read(
        &self,
        _: &u64,
        _: &u64,
        read_at: Instant,
        left: Option<Duration>,
        modified_at: Instant,
    ) -> Option<Duration> {
        assert!(modified_at <= read_at);
        self.note("read", left);
        self.read.or(left)
    }

    fn expire_after_update(
        &self,
        _: &u64,
        _: &u64,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        self.note("update", left);
        self.update.or(left)
    }
}

#[test]
fn each_entry_lives_as_long_as_its_expiry_says() {
    let (cache, manual) = timed(|b| b.expiry(ByValue::default()));
    (0..10).for_each(|seconds| cache.insert(seconds, seconds));
    for second in 1..10 {
        manual.advance(SECOND);
        assert!(!is_there(&cache, second));
        assert!((second + 1..10).all(|key| is_there(&cache, key)));
    }
    assert!(is_there(&cache, 0), "no deadline of its own");
}

#[test]
fn an_expiry_is_told_what_is_left_and_may_change_it() {
    let asked = Arc::default();
    let expiry =
        ByValue { read: Some(5 * SECOND), update: Some(7 * SECOND), asked: Arc::clone(&asked) };
    let (cache, manual) = timed(|b| b.expiry(expiry));
    cache.insert(1, 4);
    manual.advance(SECOND);
    cache.get(&1);
    manual.advance(SECOND);
    cache.insert(1, 4);
    cache.peek(&1);
    let left = |seconds: u32| Some(seconds * SECOND);
    let expected = [("create", None), ("read", left(3)), ("update", left(4))];
    assert_eq!(*asked.lock().expect("not poisoned"), expected);
    manual.advance(7 * SECOND - NANO);
    assert!(cache.contains_key(&1));
    manual.advance(NANO);
    assert!(!cache.contains_key(&1));
    cache.insert(1, 4);
    assert_eq!(asked.lock().expect("not poisoned").last(), Some(&("create", None)));
}

/// Lives are the value's seconds, and nothing is said of updates.
struct OwnLife;

impl Expiry<u64, u64> for OwnLife {
    fn expire_after_create(&self, _: &u64, value: &u64, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(*value))
    }
}

#[test]
fn a_value_that_replaces_another_has_its_own_life() {
    type Put = fn(&Cache<u64, u64>, u64);
    let puts: [Put; 5] = [
        |cache, value| cache.insert(1, value),
        |cache, value| ignore(cache.try_insert(1, value).expect("there is room")),
        |cache, value| ignore(cache.compute(1, |_| Compute::Put(value))),
        |cache, value| ignore(cache.insert_if_newer(1, value, |&it| it == value).is_ok()),
        |cache, value| {
            let loading = cache.loading(move |_: &u64| Ok::<_, String>(value));
            assert_eq!(loading.refresh(&1), Ok(value));
        },
    ];
    for put in puts {
        for (first, second) in [(3600, 5), (5, 3600)] {
            let (cache, manual) = timed(|b| b.expiry(OwnLife));
            cache.insert(1, first);
            manual.advance(SECOND);
            put(&cache, second);
            manual.advance(Duration::from_secs(second) - NANO);
            assert_eq!(cache.peek(&1), Some(second));
            manual.advance(NANO);
            assert_eq!(cache.peek(&1), None);
        }
    }
}

#[test]
fn an_expiry_and_the_builders_durations_hold_together() {
    let (cache, manual) = timed(|b| b.time_to_live(5 * SECOND).expiry(ByValue::default()));
    cache.insert(3, 3);
    cache.insert(9, 9);
    cache.insert(0, 0);
    manual.advance(3 * SECOND);
    assert!(!is_there(&cache, 3));
    manual.advance(2 * SECOND);
    assert!(!is_there(&cache, 9) && !is_there(&cache, 0), "the time to live");
}

#[test]
fn an_expiry_cannot_prolong_the_time_to_live_by_reads() {
    let expiry = ByValue { read: Some(100 * SECOND), ..ByValue::default() };
    let (cache, manual) = timed(|b| b.time_to_live(10 * SECOND).expiry(expiry));
    cache.insert(1, 50);
    manual.advance(5 * SECOND);
    assert!(is_there(&cache, 1));
    manual.advance(5 * SECOND);
    assert!(!is_there(&cache, 1), "written ten seconds ago");
}

#[test]
fn an_expiry_that_says_nothing_does_not_shorten_the_time_to_live() {
    let (cache, manual) = timed(|b| b.time_to_live(10 * SECOND).expiry(Fixed(None)));
    cache.insert(1, 1);
    manual.advance(9 * SECOND);
    cache.insert(1, 2);
    manual.advance(9 * SECOND);
    assert!(is_there(&cache, 1), "written nine seconds ago");
}

#[test]
fn an_expired_entry_is_absent_to_every_write() {
    let (cache, manual) = timed(|b| b.time_to_live(SECOND));
    let expire_all = || {
        (0..6).for_each(|key| cache.insert(key, key));
        manual.advance(SECOND);
    };
    expire_all();
    assert!(cache.insert_if_absent(0, 10).is_ok());
    assert_eq!(cache.try_insert(1, 11).expect("there is room"), Inserted::New);
    let put = |value: Option<&u64>| {
        assert_eq!(value, None);
        Compute::Put(12)
    };
    assert_eq!(cache.compute(2, put), Computed::Inserted);
    assert_eq!(cache.compute(3, |_| Compute::Remove), Computed::Absent);
    assert_eq!(cache.remove(&4), None);
    assert!(!cache.remove_if(&5, |_| panic!("nobody to ask about")));
    let mut left = cache.snapshot();
    left.sort_unstable();
    assert_eq!(left, [(0, 10), (1, 11), (2, 12)]);
    expire_all();
    assert!(!cache.invalidate(&0));
    assert_eq!(cache.compute(1, |_| Compute::Keep), Computed::Absent);
    cache.retain(|_, _| panic!("nobody to ask about"));
    assert!(cache.is_empty(), "retain clears up");
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_live_entry_is_occupied_to_the_last_moment() {
    let (cache, manual) = timed(|b| b.time_to_live(SECOND));
    cache.insert(1, 1);
    manual.advance(SECOND - NANO);
    assert_eq!(
        cache.insert_if_absent(1, 2).expect_err("it is there").kind,
        InsertErrorKind::Occupied
    );
    manual.advance(NANO);
    assert!(cache.insert_if_absent(1, 2).is_ok());
}

#[test]
fn expire_removes_what_has_expired_and_nothing_else() {
    let told: Arc<Mutex<Vec<_>>> = Arc::default();
    let told_too = Arc::clone(&told);
    let listener = move |&key: &u64, _: &u64, cause| {
        told_too.lock().expect("not poisoned").push((key, cause));
    };
    let (cache, manual) = timed(|b| {
        b.expiry(ByValue::default()).removal_listener(listener).maintenance(Maintenance::Manual)
    });
    (0..100).for_each(|key| cache.insert(key, 1 + key % 2 * 10));
    assert_eq!(cache.remove_expired(), 0);
    manual.advance(SECOND);
    assert_eq!(cache.len(), 100, "expired ones that were not removed yet included");
    assert_eq!(cache.remove_expired(), 50);
    assert_eq!(cache.len(), 50);
    let mut told = told.lock().expect("not poisoned");
    told.sort_unstable_by_key(|&(key, _)| key);
    let expected = (0..100).filter(|key| key % 2 == 0).map(|key| (key, RemovalCause::Expired));
    assert!(told.iter().copied().eq(expected));
    assert_eq!(cache.stats().expirations, 50);
    support::validate(&cache);
}

#[test]
fn maintain_expires_within_its_budget() {
    let (cache, manual) = timed(|b| b.time_to_live(SECOND).maintenance(Maintenance::Manual));
    (0..1000).for_each(|key| cache.insert(key, key));
    manual.advance(SECOND);
    let first = cache.maintain(100);
    assert!(first.swept >= 50 && first.swept <= 120, "about a hundred: {first:?}");
    assert_eq!(first.swept, first.expired);
    let mut rounds = 0;
    while !cache.is_empty() {
        cache.maintain(100);
        rounds += 1;
        assert!(rounds < 100, "it gets round the table");
    }
    assert_eq!(cache.stats().expirations, 1000);
    cache.maintain(10_000);
    assert_eq!(cache.usage().retired, 0);
    support::validate(&cache);
}

#[test]
fn an_unlimited_budget_means_once_round_the_table() {
    in_time(|| {
        let (cache, manual) = timed(|b| b.time_to_live(SECOND).maintenance(Maintenance::Manual));
        (0..1000).for_each(|key| cache.insert(key, key));
        manual.advance(SECOND);
        assert_eq!(cache.maintain(usize::MAX).expired, 1000);
    });
}

#[test]
fn writes_expire_what_they_pass() {
    let (cache, manual) = timed(|b| b.time_to_live(SECOND));
    (0..500).for_each(|key| cache.insert(key, key));
    manual.advance(SECOND);
    (0..2000).for_each(|_| cache.insert(1, 1));
    assert_eq!(cache.len(), 1);
    assert_eq!(cache.stats().expirations, 500);
}

#[test]
fn the_maintenance_thread_expires() {
    let (cache, manual) = timed(|b| b.time_to_live(SECOND).maintenance(Maintenance::Thread));
    (0..500).for_each(|key| cache.insert(key, key));
    manual.advance(SECOND);
    assert!(support::eventually(|| cache.is_empty() && cache.usage().retired == 0));
}

#[test]
fn an_expired_entry_makes_room_as_expired() {
    let (cache, manual) = timed(|b| b.time_to_live(SECOND).maintenance(Maintenance::Manual));
    (0..1000).for_each(|key| cache.insert(key, key));
    manual.advance(SECOND);
    (1000..2000).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.len(), 1000);
    assert_eq!(cache.stats().refusals, 0);
    assert_balanced(&cache);
    support::validate(&cache);
}

/// A value that its expiry stamps with the moment from which its life counts.
#[derive(Default)]
struct Stamped(AtomicU64);

/// Stamps what comes in with the milliseconds since `origin`.
struct Stamper(Arc<OnceLock<Instant>>);

impl Stamper {
    fn stamp(&self, value: &Stamped, now: Instant) -> Option<Duration> {
        let since = now - *self.0.get_or_init(|| now);
        value.0.store(since.as_millis() as u64, Ordering::Relaxed);
        Some(LIFE)
    }
}

impl Expiry<u64, Stamped> for Stamper {
    fn expire_after_create(&self, _: &u64, value: &Stamped, now: Instant) -> Option<Duration> {
        self.stamp(value, now)
    }
    fn expire_after_update(
        &self,
        _: &u64,
        value: &Stamped,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.stamp(value, now)
    }
}

const LIFE: Duration = Duration::from_millis(20);

/// Whoever finds a value has asked the clock before: it must not have been too old then.
fn assert_young(value: &Stamped, asked: Duration) {
    let written = Duration::from_millis(value.0.load(Ordering::Relaxed));
    assert!(written + LIFE > asked, "written at {written:?}, returned after {asked:?}");
}

#[test]
fn nothing_expired_is_returned_beside_writers_and_a_moving_clock() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(200).expected_entries(1).clock(clock);
    let cache = builder.expiry(Stamper(Arc::default())).build().expect("sound");
    cache.insert(0, Stamped::default()); // at the clock's origin
    together(4, |nth| {
        let mut random = Random::new(nth as u64);
        for step in 0..size(5_000, 1_000_000) {
            let (key, asked) = (random.below(300), manual.elapsed());
            match random.below(8) {
                0 => cache.insert(key, Stamped::default()),
                1 => drop(cache.compute(key, |_| Compute::Put(Stamped::default()))),
                2 => manual.advance(Duration::from_millis(1)),
                3 if step % 64 == 0 => ignore(cache.remove_expired()),
                4 => ignore(cache.maintain(10)),
                5 if step % 64 == 0 => cache.for_each(|_, value| assert_young(value, asked)),
                _ => drop(cache.read(&key, |value| assert_young(value, asked))),
            }
        }
    });
    manual.advance(LIFE);
    cache.remove_expired();
    assert!(cache.is_empty());
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn what_compute_has_shown_as_live_is_replaced_though_it_expires_meanwhile() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).clock(clock).time_to_live(Duration::from_secs(1));
    let cache = cache.build().expect("sound");
    cache.insert(1, 41);
    let computed = cache.compute(1, |value| {
        manual.advance(Duration::from_secs(2));
        Compute::Put(value.copied().unwrap_or(0) + 1)
    });
    assert_eq!((computed, cache.peek(&1)), (Computed::Replaced, Some(42)));
    assert_eq!(cache.stats().replacements, 1);
    manual.advance(Duration::from_secs(1));
    assert_eq!(cache.peek(&1), None, "it lives for a second from its own writing");
}

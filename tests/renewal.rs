//! Renewal ahead of expiry goes by the age of a value, whatever its life is and whoever has given it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clockhand::load::Job;
use clockhand::{
    Builder, Cache, Clock, Expiry, LoadError, LoadSource, Loader, LoadingCache, ManualClock,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const NANO: Duration = Duration::from_nanos(1);

/// Jobs that the test runs when it likes.
#[derive(Clone, Default)]
struct Later(Arc<Mutex<Vec<Job>>>);

impl Later {
    fn post(&self) -> impl Fn(Job) + Send + Sync + use<> {
        let jobs = Arc::downgrade(&self.0);
        move |job| {
            if let Some(jobs) = jobs.upgrade() {
                jobs.lock().expect("not poisoned").push(job);
            }
        }
    }

    fn run(&self) -> usize {
        let jobs = std::mem::take(&mut *self.0.lock().expect("not poisoned"));
        let count = jobs.len();
        jobs.into_iter().for_each(|job| job());
        count
    }
}

/// Gives each value the life that it was made with, in seconds; none if that is zero.
struct Lives(Arc<AtomicU64>);

impl Loader<u64, u64> for Lives {
    type Error = String;

    fn load(&self, _: &u64) -> Result<u64, String> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

struct ByValue;

impl Expiry<u64, u64> for ByValue {
    fn expire_after_create(&self, _: &u64, value: &u64, _: Instant) -> Option<Duration> {
        (*value > 0).then(|| Duration::from_secs(*value))
    }
}

type Settings = fn(Builder<u64, u64>) -> Builder<u64, u64>;

struct Rig {
    loading: LoadingCache<u64, u64, Lives>,
    life: Arc<AtomicU64>,
    hand: ManualClock,
    later: Later,
}

fn rig(settings: Settings, life: u64, refresh_after: Duration, jitter: f64) -> Rig {
    let (clock, hand) = Clock::manual();
    let cache = settings(Cache::builder().capacity(1000).clock(clock)).build().expect("sound");
    let (life, later) = (Arc::new(AtomicU64::new(life)), Later::default());
    let loading = cache.loading(Lives(Arc::clone(&life))).refresh_after(refresh_after);
    let loading = loading.jitter(jitter).executor(later.post());
    Rig { loading, life, hand, later }
}

fn source(loading: &LoadingCache<u64, u64, Lives>, key: u64) -> LoadSource {
    let loaded: Result<_, LoadError<String>> = loading.get_with_source(&key);
    loaded.expect("it never fails").source
}

#[test]
fn values_that_never_expire_are_renewed() {
    let settings: [Settings; 6] = [
        |b| b,
        |b| b.time_to_live(Duration::MAX),
        |b| b.time_to_idle(MINUTE * 60),
        |b| b.time_to_idle(Duration::MAX),
        |b| b.expiry(ByValue),
        |b| b.expiry(ByValue).time_to_live(Duration::MAX).time_to_idle(Duration::MAX),
    ];
    for (nth, settings) in settings.into_iter().enumerate() {
        let Rig { loading, hand, later, .. } = rig(settings, 0, SECOND, 0.0);
        assert_eq!(source(&loading, 1), LoadSource::Loaded);
        for _ in 0..10 {
            hand.advance(SECOND - NANO);
            assert_eq!(source(&loading, 1), LoadSource::Hit);
            assert_eq!(later.run(), 0, "settings {nth}: too early");
            hand.advance(NANO);
            assert_eq!(source(&loading, 1), LoadSource::Hit);
            assert_eq!(later.run(), 1, "settings {nth}");
        }
    }
}

/// A life that jitter has shortened is not an age.
#[test]
fn jitter_makes_no_value_look_old() {
    let settings: [Settings; 4] = [
        |b| b.time_to_live(MINUTE),
        |b| b.time_to_live(MINUTE).time_to_idle(MINUTE),
        |b| b.expiry(ByValue),
        |b| b.expiry(ByValue).time_to_live(MINUTE),
    ];
    for settings in settings {
        for jitter in [0.1, 0.5, 1.0] {
            let Rig { loading, hand, later, .. } = rig(settings, 60, 10 * SECOND, jitter);
            (0..100).for_each(|key| assert_eq!(source(&loading, key), LoadSource::Loaded));
            // Some lives are over at once where all of a life may be spared; those are loaded, not renewed.
            let read_all = || (0..100).for_each(|key| ignore(source(&loading, key)));
            for _ in 0..10 {
                read_all();
                assert_eq!(later.run(), 0, "time stands still");
            }
            if jitter <= 0.5 {
                hand.advance(5 * SECOND - NANO);
                read_all();
                assert_eq!(later.run(), 0, "nothing is half as old");
                hand.advance(5 * SECOND + NANO);
                read_all();
                assert_eq!(later.run(), 100, "all are as old");
            }
        }
    }
}

fn ignore(_: LoadSource) {}

/// What is put in by hand has no jitter, and is renewed at its age through a handle that has.
#[test]
fn what_was_inserted_is_renewed_at_its_age() {
    let Rig { loading, hand, later, .. } = rig(|b| b.time_to_live(MINUTE), 60, 10 * SECOND, 0.5);
    (0..100).for_each(|key| loading.cache().insert(key, 60));
    for (step, due) in [(5 * SECOND - NANO, 0), (5 * SECOND + NANO, 100)] {
        hand.advance(step);
        (0..100).for_each(|key| assert_eq!(source(&loading, key), LoadSource::Hit));
        assert_eq!(later.run(), due);
    }
}

/// Each renewal begins a life of its own, longer or shorter than the one before.
#[test]
fn a_renewed_value_has_its_own_life() {
    for (first, second) in [(5, 5), (5, 100), (100, 5)] {
        let Rig { loading, life, hand, later } = rig(|b| b.expiry(ByValue), first, 2 * SECOND, 0.0);
        assert_eq!(source(&loading, 1), LoadSource::Loaded);
        life.store(second, Ordering::SeqCst);
        hand.advance(2 * SECOND);
        assert_eq!(source(&loading, 1), LoadSource::Hit);
        assert_eq!(later.run(), 1);
        hand.advance(Duration::from_secs(second) - NANO);
        assert_eq!(loading.cache().peek(&1), Some(second));
        hand.advance(NANO);
        assert_eq!(loading.cache().peek(&1), None);
    }
}

/// While it is read, a value that is renewed in time is never loaded in the foreground.
#[test]
fn renewal_goes_on_for_ever() {
    let Rig { loading, hand, later, .. } = rig(|b| b.expiry(ByValue), 5, 2 * SECOND, 0.0);
    assert_eq!(source(&loading, 1), LoadSource::Loaded);
    for second in 1..60 {
        hand.advance(SECOND);
        assert_eq!(source(&loading, 1), LoadSource::Hit, "at {second} s");
        later.run();
    }
}

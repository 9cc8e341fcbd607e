//! Renewal ahead of expiry goes by the age of a value, whatever its life is and whoever has given it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clockhand::load::Job;
use clockhand::{
    Builder, Cache, Clock, Compute, Computed, Expiry, Fresh, LoadError, LoadSource, Loader,
    LoadingCache, ManualClock,
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
    manual: ManualClock,
    later: Later,
}

fn rig(settings: Settings, life: u64, refresh_after: Duration, jitter: f64) -> Rig {
    let (clock, manual) = Clock::manual();
    let cache = settings(Cache::builder().capacity(1000).clock(clock)).build().expect("sound");
    let (life, later) = (Arc::new(AtomicU64::new(life)), Later::default());
    let loading = cache.loading(Lives(Arc::clone(&life))).refresh_after(refresh_after);
    let loading = loading.jitter(jitter).executor(later.post());
    Rig { loading, life, manual, later }
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
        let Rig { loading, manual, later, .. } = rig(settings, 0, SECOND, 0.0);
        assert_eq!(source(&loading, 1), LoadSource::Loaded);
        for _ in 0..10 {
            manual.advance(SECOND - NANO);
            assert_eq!(source(&loading, 1), LoadSource::Hit);
            assert_eq!(later.run(), 0, "settings {nth}: too early");
            manual.advance(NANO);
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
            let Rig { loading, manual, later, .. } = rig(settings, 60, 10 * SECOND, jitter);
            (0..100).for_each(|key| assert_eq!(source(&loading, key), LoadSource::Loaded));
            // Some lives are over at once where all of a life may be spared; those are loaded, not renewed.
            let read_all = || (0..100).for_each(|key| ignore(source(&loading, key)));
            for _ in 0..10 {
                read_all();
                assert_eq!(later.run(), 0, "time stands still");
            }
            if jitter <= 0.5 {
                manual.advance(5 * SECOND - NANO);
                read_all();
                assert_eq!(later.run(), 0, "nothing is half as old");
                manual.advance(5 * SECOND + NANO);
                read_all();
                assert_eq!(later.run(), 100, "all are as old");
            }
        }
    }
}

fn ignore<T>(_: T) {}

/// What is put in by hand has no jitter, and is renewed at its age through a handle that has.
#[test]
fn what_was_inserted_is_renewed_at_its_age() {
    let Rig { loading, manual, later, .. } = rig(|b| b.time_to_live(MINUTE), 60, 10 * SECOND, 0.5);
    (0..100).for_each(|key| loading.cache().insert(key, 60));
    for (step, due) in [(5 * SECOND - NANO, 0), (5 * SECOND + NANO, 100)] {
        manual.advance(step);
        (0..100).for_each(|key| assert_eq!(source(&loading, key), LoadSource::Hit));
        assert_eq!(later.run(), due);
    }
}

/// Each renewal begins a life of its own, longer or shorter than the one before.
#[test]
fn a_renewed_value_has_its_own_life() {
    for (first, second) in [(5, 5), (5, 100), (100, 5)] {
        let Rig { loading, life, manual, later } =
            rig(|b| b.expiry(ByValue), first, 2 * SECOND, 0.0);
        assert_eq!(source(&loading, 1), LoadSource::Loaded);
        life.store(second, Ordering::SeqCst);
        manual.advance(2 * SECOND);
        assert_eq!(source(&loading, 1), LoadSource::Hit);
        assert_eq!(later.run(), 1);
        manual.advance(Duration::from_secs(second) - NANO);
        assert_eq!(loading.cache().peek(&1), Some(second));
        manual.advance(NANO);
        assert_eq!(loading.cache().peek(&1), None);
    }
}

/// While it is read, a value that is renewed in time is never loaded in the foreground.
#[test]
fn renewal_goes_on_for_ever() {
    let Rig { loading, manual, later, .. } = rig(|b| b.expiry(ByValue), 5, 2 * SECOND, 0.0);
    assert_eq!(source(&loading, 1), LoadSource::Loaded);
    for second in 1..60 {
        manual.advance(SECOND);
        assert_eq!(source(&loading, 1), LoadSource::Hit, "at {second} s");
        later.run();
    }
}

// ---------------------------------------------------------------------------------------------
// One load of a key at a time
// ---------------------------------------------------------------------------------------------

/// So many keys that were read when they were due, and whose renewal has not begun.
fn due(settings: Settings, keys: u64) -> Rig {
    let rig = rig(settings, 60, SECOND, 0.0);
    (0..keys).for_each(|key| ignore(source(&rig.loading, key)));
    rig.manual.advance(SECOND);
    (0..keys).for_each(|key| assert_eq!(source(&rig.loading, key), LoadSource::Hit));
    rig
}

fn started(rig: &Rig) -> u64 {
    rig.loading.stats().loads_started
}

/// Its value could land nowhere, and who asks for the key meanwhile loads beside it.
#[test]
fn a_renewal_whose_key_has_changed_is_not_begun() {
    type Change = (&'static str, fn(&Cache<u64, u64>));
    let changes: [Change; 5] = [
        ("insert", |cache| cache.insert(1, 7)),
        ("remove", |cache| ignore(cache.remove(&1))),
        ("invalidate", |cache| cache.invalidate_all()),
        ("compute", |cache| ignore(cache.compute(1, |_| Compute::Put(7)))),
        ("shrink", |cache| cache.set_capacity(0)),
    ];
    for (name, change) in changes {
        let rig = due(|b| b.time_to_live(MINUTE), 2);
        change(rig.loading.cache());
        rig.loading.cache().set_capacity(1000);
        let (before, there) = (started(&rig), rig.loading.cache().peek(&1));
        let untouched = rig.loading.cache().contains_key(&0);
        assert_eq!(rig.later.run(), 2, "{name}");
        assert_eq!(started(&rig) - before, u64::from(untouched), "{name}");
        assert_eq!(rig.loading.cache().peek(&1), there, "{name}");
        assert_eq!(rig.loading.stats().renewals_failed, 0, "{name}");
        // The next one is not kept from anything.
        assert_eq!(rig.loading.refresh(&1), Ok(60), "{name}");
    }
}

/// While it waits for its turn somebody else has loaded the key.
#[test]
fn a_renewal_that_was_queued_does_not_load_beside_a_reader() {
    let rig = due(|b| b.time_to_live(MINUTE), 1);
    rig.loading.cache().invalidate(&0);
    assert_eq!(source(&rig.loading, 0), LoadSource::Loaded);
    let before = started(&rig);
    assert_eq!(rig.later.run(), 1);
    assert_eq!(started(&rig), before);
    assert_eq!(source(&rig.loading, 0), LoadSource::Hit);
}

#[test]
fn of_many_that_are_renewed_together_those_that_have_changed_are_left_out() {
    let rig = rig(|b| b.time_to_live(MINUTE), 60, SECOND, 0.0);
    let keys: Vec<u64> = (0..10).collect();
    let read = || rig.loading.get_many(&keys).expect("it never fails");
    read();
    rig.manual.advance(SECOND);
    read();
    keys.iter().step_by(2).for_each(|&key| rig.loading.cache().insert(key, 7));
    let before = started(&rig);
    assert!(rig.later.run() > 0);
    assert_eq!(started(&rig) - before, 5);
    let expected: Vec<_> = keys.iter().map(|key| Some(if key % 2 == 0 { 7 } else { 60 })).collect();
    assert_eq!(read(), expected);
}

/// Whoever asks for it next shall find the load that is under way.
#[test]
fn what_is_being_renewed_is_evicted_last() {
    const KEYS: u64 = 20;
    let settings: [Settings; 2] =
        [|b| b.capacity(100), |b| b.capacity(100).time_to_live(MINUTE).weigher(|_, _| 1)];
    for settings in settings {
        let rig = due(settings, KEYS);
        (1000..20_000).for_each(|key| rig.loading.cache().insert(key, key));
        let renewed = || (0..KEYS).filter(|key| rig.loading.cache().contains_key(key)).count();
        assert_eq!(renewed() as u64, KEYS);
        let before = started(&rig);
        rig.later.run();
        assert_eq!(started(&rig) - before, KEYS);
        // Once it is over they go like all others.
        for key in (0..100_u64).flat_map(|round| round * 50..round * 50 + 300) {
            rig.loading.cache().insert(20_000 + key, key);
            rig.loading.cache().get(&(20_000 + key));
        }
        assert_eq!(renewed(), 0);
    }
}

/// Renewals that nobody carries on keep nobody out.
#[test]
fn where_everything_is_being_renewed_the_next_entry_is_inserted() {
    for capacity in [1, 10, 100] {
        let rig = due(|b| b, capacity);
        rig.loading.cache().set_capacity(capacity);
        for key in 1000..1000 + 3 * capacity {
            rig.loading.cache().insert(key, key);
            assert_eq!(rig.loading.cache().peek(&key), Some(key));
        }
        assert_eq!(rig.loading.stats().refusals, 0);
        rig.later.run();
    }
}

/// A loader whose values say themselves when they are renewed: after as many seconds as it has; never, for zero. It
/// fails for 13.
struct Own(Arc<AtomicU64>);

impl Loader<u64, u64> for Own {
    type Error = String;

    fn load(&self, key: &u64) -> Result<u64, String> {
        self.load_fresh(key).map(Fresh::into_value)
    }

    fn load_fresh(&self, _: &u64) -> Result<Fresh<u64>, String> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(Fresh::new(0).refresh_after(Duration::MAX)),
            13 => Err("thirteen".to_string()),
            99 => Ok(Fresh::new(99)),
            age => Ok(Fresh::new(age).refresh_after(age as u32 * SECOND)),
        }
    }
}

struct OwnRig {
    loading: LoadingCache<u64, u64, Own>,
    age: Arc<AtomicU64>,
    manual: ManualClock,
    later: Later,
}

impl OwnRig {
    fn new(refresh_after: Option<Duration>) -> Self {
        let (clock, manual) = Clock::manual();
        let cache = Cache::builder().capacity(1000).clock(clock).build().expect("sound");
        let (age, later) = (Arc::new(AtomicU64::new(5)), Later::default());
        let mut loading = cache.loading(Own(Arc::clone(&age))).executor(later.post());
        if let Some(refresh_after) = refresh_after {
            loading = loading.refresh_after(refresh_after);
        }
        Self { loading, age, manual, later }
    }

    /// Reads after that time. Returns the value, and how many renewals that has started, which have run.
    fn after(&self, time: Duration) -> (u64, usize) {
        self.manual.advance(time);
        let value = self.loading.get(&1).expect("it is there");
        (value, self.later.run())
    }
}

#[test]
fn a_value_says_when_it_is_renewed() {
    for handle in [None, Some(SECOND), Some(60 * MINUTE)] {
        let rig = OwnRig::new(handle);
        assert_eq!(rig.loading.get(&1), Ok(5));
        for _ in 0..3 {
            assert_eq!(rig.after(5 * SECOND - NANO), (5, 0), "it is too early");
            assert_eq!(rig.after(NANO), (5, 1), "{handle:?}");
        }
        rig.age.store(2, Ordering::SeqCst);
        assert_eq!(rig.after(5 * SECOND), (5, 1));
        assert_eq!(rig.after(2 * SECOND - NANO), (2, 0), "the new value goes by its own age");
        rig.age.store(0, Ordering::SeqCst);
        assert_eq!(rig.after(NANO), (2, 1));
        assert_eq!(rig.after(1_000 * 60 * MINUTE), (0, 0), "it is never renewed");
        rig.age.store(99, Ordering::SeqCst);
        assert_eq!(rig.loading.refresh(&1), Ok(99));
        let due = usize::from(handle.is_some());
        assert_eq!(rig.after(60 * MINUTE), (99, due), "it goes by what the handle says");
    }
}

#[test]
fn a_renewal_that_fails_leaves_the_age_that_the_value_has() {
    let rig = OwnRig::new(None);
    assert_eq!(rig.loading.get(&1), Ok(5));
    rig.age.store(13, Ordering::SeqCst);
    for _ in 0..3 {
        // After a tenth of its age it is tried again.
        assert_eq!(rig.after(5 * SECOND), (5, 1));
        std::thread::sleep(Duration::from_millis(1));
    }
    rig.age.store(7, Ordering::SeqCst);
    rig.manual.advance(SECOND);
    assert_eq!(rig.after(SECOND).0, 5);
    assert_eq!(rig.loading.get(&1), Ok(7));
}

/// What holds for other entries holds for those that have an age: they are replaced, removed, evicted, given another
/// life, and told of.
#[test]
fn a_value_with_an_age_is_like_any_other() {
    let rig = OwnRig::new(None);
    let cache = rig.loading.cache();
    let load = |key| assert_eq!(rig.loading.get(&key), Ok(5));
    load(1);
    assert_eq!(cache.replace(1, 6), Some(5));
    assert_eq!(rig.after(60 * MINUTE), (6, 0), "the age was that of the other value");
    assert_eq!(cache.remove(&1), Some(6));
    load(1);
    assert!(cache.set_ttl(&1, MINUTE));
    assert_eq!(cache.entry_info(&1).and_then(|info| info.expires_in), Some(MINUTE));
    assert_eq!(rig.after(5 * SECOND), (5, 1));
    assert_eq!(cache.compute(1, |_| Compute::Remove), Computed::Removed);
    (0..3_000).for_each(load);
    let usage = cache.usage();
    assert_eq!((usage.entries, usage.charged), (1_000, 1_000));
    assert_eq!((cache.iter().count(), cache.keys().count()), (1_000, 1_000));
    cache.retain(|key, _| key % 2 == 0);
    assert!(cache.len() < 1_000);
    cache.set_capacity(10);
    assert!(cache.len() <= 10);
    assert_eq!(
        cache.drain().map(|(_, value)| value).sum::<u64>(),
        5 * cache.usage().entries as u64 + 50
    );
    assert!(cache.is_empty());
}

/// What is refused is given back, be it with an age.
#[test]
fn a_value_with_an_age_that_is_too_heavy_is_returned() {
    let (clock, _manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock);
    let cache = builder.weigher(|_: &u64, _: &u64| 11).build().expect("sound");
    let loading = cache.loading(Own(Arc::new(AtomicU64::new(5))));
    for _ in 0..2 {
        assert_eq!(loading.get(&1), Ok(5));
        assert!(cache.is_empty());
        assert_eq!(cache.get_or_load(2, |_| Fresh::new(7).refresh_after(SECOND)), 7);
        assert!(cache.is_empty());
    }
}

#[test]
fn an_age_needs_a_clock() {
    let cache: Cache<u64, u64> = Cache::new(10);
    for _ in 0..2 {
        let load = || cache.get_or_load(1, |_| Fresh::new(1).refresh_after(SECOND));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)).is_err());
        assert_eq!(cache.get_or_load(2, |_| Fresh::new(2).refresh_after(Duration::MAX)), 2);
    }
    assert_eq!(cache.get_or_load(1, |_| 1), 1, "and nobody is stuck");
}

/// The life that `load_fresh` says is that of renewed values, too; unless the loader has a `reload` of its own.
#[test]
fn a_renewed_value_has_the_terms_of_a_loaded_one() {
    struct Reloads;
    impl Loader<u64, u64> for Reloads {
        type Error = String;
        fn load(&self, _: &u64) -> Result<u64, String> {
            unreachable!("the cache asks for terms")
        }
        fn load_fresh(&self, _: &u64) -> Result<Fresh<u64>, String> {
            Ok(Fresh::new(1).ttl(MINUTE))
        }
    }
    struct Own;
    impl Loader<u64, u64> for Own {
        type Error = String;
        fn load(&self, _: &u64) -> Result<u64, String> {
            Ok(1)
        }
        fn load_fresh(&self, _: &u64) -> Result<Fresh<u64>, String> {
            Ok(Fresh::new(1).ttl(MINUTE))
        }
        fn reload(&self, key: &u64, old: &u64) -> Result<u64, String> {
            // Another loader's default: what it leaves is not for this value.
            Reloads.reload(&(key + 1), old).map(|value| value + old)
        }
    }
    let (clock, _manual) = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder().capacity(10).clock(clock).build().expect("sound");
    let left = |cache: &Cache<u64, u64>| cache.entry_info(&1).and_then(|info| info.expires_in);
    let loading = cache.loading(Reloads);
    for _ in 0..3 {
        assert_eq!((loading.refresh(&1), left(&cache)), (Ok(1), Some(MINUTE)));
    }
    let own = cache.loading(Own);
    assert_eq!((own.refresh(&1), left(&cache)), (Ok(2), None));
}

#[cfg(feature = "async")]
#[test]
fn a_value_that_a_task_renews_has_terms_too() {
    use clockhand::AsyncLoader;

    struct Slow;
    impl AsyncLoader<u64, u64> for Slow {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            unreachable!("the cache asks for terms")
        }
        async fn load_fresh(&self, key: &u64) -> Result<Fresh<u64>, String> {
            tokio::task::yield_now().await;
            Ok(Fresh::new(*key).ttl(MINUTE).refresh_after(SECOND))
        }
    }
    let (clock, manual) = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder().capacity(10).clock(clock).build().expect("sound");
    let loading = cache.loading(Slow);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            assert_eq!(loading.refresh_async(&1).await, Ok(1));
            assert_eq!(cache.entry_info(&1).and_then(|info| info.expires_in), Some(MINUTE));
        }
        for _ in 0..3 {
            manual.advance(SECOND);
            assert_eq!(loading.get_async(&1).await, Ok(1), "and it is renewed");
            for _ in 0..100 {
                tokio::task::yield_now().await;
                assert_eq!(loading.get_async(&1).await, Ok(1));
            }
            assert_eq!(cache.entry_info(&1).and_then(|info| info.expires_in), Some(MINUTE));
        }
    });
}

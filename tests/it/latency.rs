//! How long operations take: what is timed, by a clock that the operations themselves move.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::support::together;
use clockhand::health::{Figure, Health, Status};
use clockhand::{
    Builder, Cache, Clock, Latency, Maintenance, ManualClock, RemovalCause, Thresholds,
};

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A key that takes so many milliseconds to hash.
#[derive(Clone)]
struct Key {
    id: u64,
    slow: Option<(ManualClock, u32)>,
}

impl Key {
    fn new(id: u64) -> Self {
        Self { id, slow: None }
    }

    fn slow(id: u64, manual: &ManualClock, millis: u32) -> Self {
        Self { id, slow: Some((manual.clone(), millis)) }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Key {}
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        if let Some((manual, millis)) = &self.slow {
            manual.advance(*millis * MS);
        }
    }
}

/// A value that takes a second to drop.
struct Heavy(ManualClock);

impl Drop for Heavy {
    fn drop(&mut self) {
        self.0.advance(Duration::from_secs(1));
    }
}

fn builder<V>(capacity: u64) -> (Builder<Key, V>, ManualClock) {
    let (clock, manual) = Clock::manual();
    (Cache::builder().capacity(capacity).clock(clock), manual)
}

/// Whether a time is told to within a thirty-second part, and not too short.
fn is_told(told: Duration, millis: u32) -> bool {
    told >= millis * MS && told <= millis * MS + millis * MS / 32
}

fn latency<V: Send + Sync + 'static>(
    cache: &Cache<Key, V>,
    of: fn(&clockhand::Latencies) -> &Latency,
) -> Latency {
    of(&cache.latencies().expect("they are taken")).clone()
}

#[test]
fn nothing_is_timed_unless_it_is_asked_for() {
    let (builder, _hand) = builder::<u64>(10);
    let cache = builder.build().expect("sound");
    cache.insert(Key::new(1), 1);
    assert_eq!((cache.get(&Key::new(1)), cache.latencies()), (Some(1), None));
}

#[test]
fn each_way_to_look_a_key_up_is_timed() {
    let (builder, manual) = builder::<u64>(10);
    let cache = builder.sample_every(1).build().expect("sound");
    cache.insert(Key::new(1), 1);
    let slow = |millis| Key::slow(1, &manual, millis);
    assert!(cache.get(&slow(1)).is_some());
    assert!(cache.read(&slow(2), |_| ()).is_some());
    assert!(cache.pin().get(&slow(3)).is_some());
    assert!(cache.reader().get(&slow(4)).is_some());
    assert!(cache.get(&Key::slow(2, &manual, 5)).is_none(), "a miss, too");
    assert!(cache.peek(&slow(100)).is_some() && cache.contains_key(&slow(100)));
    let reads = latency(&cache, |all| &all.get);
    assert_eq!(reads.count(), 5, "{reads:?}");
    for (nth, (told, count)) in reads.buckets().enumerate() {
        assert!(count == 1 && is_told(told, nth as u32 + 1), "{told:?}");
    }
    assert!(is_told(reads.p50(), 3) && is_told(reads.max(), 5));
    assert!((reads.mean().as_secs_f64() - 0.003).abs() < 0.0001, "{reads:?}");
}

#[test]
fn a_loading_cache_that_renews_is_timed_as_well() {
    let (builder, manual) = builder::<u64>(10);
    let cache = builder.sample_every(1).build().expect("sound");
    let load = {
        let manual = manual.clone();
        move |key: &Key| {
            manual.advance(700 * MS);
            Ok::<_, String>(key.id)
        }
    };
    let loading = cache.loading(load).refresh_after(MINUTE).build().expect("sound");
    assert_eq!(loading.get(&Key::new(7)), Ok(7));
    assert_eq!(loading.get(&Key::slow(7, &manual, 30)), Ok(7));
    let reads = latency(&cache, |all| &all.get);
    assert_eq!(reads.count(), 2);
    assert!(is_told(reads.max(), 30), "the load is apart: {reads:?}");
    let loads = latency(&cache, |all| &all.load);
    assert_eq!(loads.count(), 1);
    assert!(is_told(loads.max(), 700), "{loads:?}");
}

#[test]
fn inserts_are_timed_with_what_they_evict() {
    let (builder, manual) = builder::<u64>(2);
    let listener = {
        let manual = manual.clone();
        move |_: &Key, _: &u64, _: RemovalCause| manual.advance(8 * MS)
    };
    let cache = builder.sample_every(1).removal_listener(listener).build().expect("sound");
    (0..3).for_each(|id| cache.insert(Key::new(id), id));
    let inserts = latency(&cache, |all| &all.insert);
    assert_eq!(inserts.count(), 3);
    assert!(is_told(inserts.max(), 8) && inserts.p50() == Duration::ZERO, "{inserts:?}");
}

#[test]
fn maintenance_is_timed_and_judged() {
    let (builder, manual) = builder::<Heavy>(10);
    let builder = builder.maintenance(Maintenance::Manual);
    let cache = builder.sample_every(1 << 20).build().expect("sound");
    let thresholds = Thresholds::default();
    assert!(cache.health(&thresholds).is_healthy());
    cache.insert(Key::new(1), Heavy(manual.clone()));
    assert!(cache.invalidate(&Key::new(1)));
    let freed: usize = (0..4).map(|_| cache.maintain(10).freed).sum();
    assert_eq!(freed, 1);
    let cleanups = latency(&cache, |all| &all.maintain);
    assert_eq!(cleanups.count(), 4);
    assert!(is_told(cleanups.max(), 1000), "{cleanups:?}");
    let health = cache.health(&thresholds);
    let reason = health.reason(Figure::CleanupTime).expect("a quarter of a second on average");
    assert_eq!((reason.status, reason.value), (Status::Warning, 0.25));
}

#[test]
fn slow_reads_show_in_health_and_go() {
    let (builder, manual) = builder::<u64>(10);
    let cache = builder.sample_every(1).build().expect("sound");
    cache.insert(Key::new(1), 1);
    let thresholds = Thresholds::default();
    let figures = [Figure::ReadTime, Figure::ReadP95, Figure::ReadP99];
    let told = |health: &Health| figures.map(|figure| health.reason(figure).is_some());
    let mut all = Vec::new();
    // A hundred reads in each window, of which so many take so long.
    for (slow, millis) in [(1, 1000), (2, 120), (2, 90), (6, 60), (100, 250), (0, 0)] {
        manual.advance(MINUTE);
        for nth in 0..100 {
            let key = if nth < slow { Key::slow(1, &manual, millis) } else { Key::new(1) };
            assert_eq!(cache.get(&key), Some(1));
        }
        all.push(told(&cache.health(&thresholds)));
    }
    let expected = [
        [false, false, false],
        [false, false, true],
        [false, false, false],
        [false, true, false],
        [true, true, true],
        [false, false, false],
    ];
    assert_eq!(all, expected);
    // Too few to tell.
    manual.advance(MINUTE);
    (0..19).for_each(|_| assert!(cache.get(&Key::slow(1, &manual, 300)).is_some()));
    assert!(cache.health(&thresholds).is_healthy());
}

#[test]
fn what_all_threads_timed_is_added_up() {
    let cache = Cache::builder().capacity(1000).sample_every(1).build().expect("sound");
    together(4, |thread| {
        for id in 0..500 {
            let key = 1000 * thread as u64 + id;
            cache.insert(key, key);
            cache.get(&key);
        }
    });
    let latencies = cache.latencies().expect("they are taken");
    assert_eq!((latencies.get.count(), latencies.insert.count()), (2000, 2000));
    assert_eq!(latencies.sample_every, 1);
    assert!(latencies.since(&latencies.clone()).get.count() == 0);
}

//! P5 and P6 for reads that are slow: what happens between a read's look at the clock and the deadline
//! that it stores. The user's `Expiry`, or the key's `Eq`, is where a read can be stopped; what the
//! rest of the world does meanwhile is done there, on the same thread, so nothing depends on a scheduler.

use std::cell::Cell;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clockhand::{Cache, Clock, Compute, Computed, Expiry, Maintenance, ManualClock};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// Every write and every read gives this life, where a life is given.
const LIFE: Duration = Duration::from_secs(10);

type Deed = Box<dyn FnOnce() + Send>;

/// Lives of ten seconds, or of its own none. One read can be made slow.
#[derive(Clone)]
struct Slow {
    during: Arc<Mutex<Option<Deed>>>,
    life: Option<Duration>,
}

impl Slow {
    fn new(life: Option<Duration>) -> Self {
        Self { during: Arc::default(), life }
    }

    /// What happens while the next read is under way.
    fn in_the_next_read(&self, deed: impl FnOnce() + Send + 'static) {
        *self.during.lock().expect("not poisoned") = Some(Box::new(deed));
    }
}

impl Expiry<u64, u64> for Slow {
    fn expire_after_create(&self, _: &u64, _: &u64, _: Instant) -> Option<Duration> {
        self.life
    }

    fn expire_after_read(
        &self,
        _: &u64,
        _: &u64,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        let deed = self.during.lock().expect("not poisoned").take();
        if let Some(deed) = deed {
            deed();
        }
        self.life
    }
}

/// A cache with key 1, and no idle deadline or one of ten seconds.
fn cache(slow: &Slow, idle: Option<Duration>) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).expiry(slow.clone()).clock(clock);
    let builder = builder.maintenance(Maintenance::Manual);
    let builder = match idle {
        Some(idle) => builder.time_to_idle(idle),
        None => builder,
    };
    let cache = builder.build().expect("sound");
    cache.insert(1, 100);
    (cache, manual)
}

/// A way to see whether key 1 is there.
type Look = fn(&Cache<u64, u64>) -> bool;

/// All that read.
const READS: [(&str, Look); 5] = [
    ("get", |cache| cache.get(&1).is_some()),
    ("read", |cache| cache.read(&1, |_| ()).is_some()),
    ("Guard::get", |cache| cache.pin().get(&1).is_some()),
    ("Reader::get", |cache| cache.reader().get(&1).is_some()),
    ("get_many", |cache| cache.get_many(&[2, 1])[1].is_some()),
];

/// All that only look.
const LOOKS: [(&str, Look); 8] = [
    ("peek", |cache| cache.peek(&1).is_some()),
    ("contains_key", |cache| cache.contains_key(&1)),
    ("Guard::peek", |cache| cache.pin().peek(&1).is_some()),
    ("Reader::peek", |cache| cache.reader().peek(&1).is_some()),
    ("for_each", |cache| {
        let mut there = false;
        cache.for_each(|_, _| there = true);
        there
    }),
    ("iter", |cache| cache.iter().next().is_some()),
    ("snapshot", |cache| !cache.snapshot().is_empty()),
    ("hottest", |cache| !cache.hottest(1).is_empty()),
];

/// A read begins in time and is slow; the deadline passes; whoever looks then is told that the entry is
/// gone, and so is everybody after.
#[test]
fn what_was_seen_as_expired_does_not_come_back() {
    for (life, idle) in [(Some(LIFE), None), (None, Some(LIFE)), (Some(LIFE), Some(LIFE))] {
        for (reading, read) in READS {
            for (looking, look) in READS.into_iter().chain(LOOKS) {
                let slow = Slow::new(life);
                let (cache, manual) = cache(&slow, idle);
                manual.advance(9 * SECOND);
                let (world, told) = (cache.clone(), Arc::new(Mutex::new(None)));
                let answer = Arc::clone(&told);
                slow.in_the_next_read(move || {
                    manual.advance(2 * SECOND);
                    *answer.lock().expect("not poisoned") = Some(look(&world));
                });
                read(&cache);
                assert_eq!(*told.lock().expect("not poisoned"), Some(false), "{looking}");
                for (later, look) in READS.into_iter().chain(LOOKS) {
                    assert!(
                        !look(&cache),
                        "{looking} saw nothing beside a slow {reading}, {later} did"
                    );
                }
                assert_eq!(cache.remove_expired(), 1);
            }
        }
    }
}

/// The same where the one who sees it writes: what it has put in is not touched by the slow read.
#[test]
fn writers_see_it_once_and_for_all() {
    type Write = fn(&Cache<u64, u64>) -> Option<u64>;
    let writes: [(&str, Write); 7] = [
        ("insert_if_absent", |cache| {
            assert!(cache.insert_if_absent(1, 7).is_ok());
            Some(7)
        }),
        ("compute, put", |cache| {
            let put = |value: Option<&u64>| {
                assert_eq!(value, None);
                Compute::Put(7)
            };
            assert_eq!(cache.compute(1, put), Computed::Inserted);
            Some(7)
        }),
        ("compute, keep", |cache| {
            assert_eq!(cache.compute(1, |_| Compute::Keep), Computed::Absent);
            None
        }),
        ("remove", |cache| {
            assert_eq!(cache.remove(&1), None);
            None
        }),
        ("retain", |cache| {
            cache.retain(|_, _| panic!("nobody to ask about"));
            None
        }),
        ("remove_expired", |cache| {
            assert_eq!(cache.remove_expired(), 1);
            None
        }),
        ("maintain", |cache| {
            assert_eq!(cache.maintain(1000).expired, 1);
            None
        }),
    ];
    for (writing, write) in writes {
        for (life, idle) in [(Some(LIFE), None), (None, Some(LIFE))] {
            let slow = Slow::new(life);
            let (cache, manual) = cache(&slow, idle);
            manual.advance(9 * SECOND);
            let (world, moved, left) = (cache.clone(), manual.clone(), Arc::new(Mutex::new(None)));
            let answer = Arc::clone(&left);
            slow.in_the_next_read(move || {
                moved.advance(2 * SECOND);
                *answer.lock().expect("not poisoned") = write(&world);
            });
            cache.get(&1);
            let left = *left.lock().expect("not poisoned");
            assert_eq!(cache.peek(&1), left, "{writing}");
            manual.advance(LIFE - NANO);
            assert_eq!(cache.peek(&1), left, "{writing}: it has a life of its own");
            manual.advance(NANO);
            assert_eq!(cache.peek(&1), None, "{writing}");
            cache.remove_expired();
            let expired = 1 + u64::from(left.is_some());
            assert_eq!(cache.stats().expirations, expired, "{writing}");
        }
    }
}

/// While a read is slow, a later one moves the deadline: the answer to the slow one, which is from an older
/// time, is not stored over it.
#[test]
fn a_slow_read_does_not_shorten_a_life() {
    for (life, idle) in [(Some(LIFE), None), (None, Some(LIFE)), (Some(LIFE), Some(LIFE))] {
        for (reading, read) in READS {
            for (other, faster) in READS {
                let slow = Slow::new(life);
                let (cache, manual) = cache(&slow, idle);
                manual.advance(SECOND);
                let (world, moved) = (cache.clone(), manual.clone());
                slow.in_the_next_read(move || {
                    moved.advance(5 * SECOND);
                    assert!(faster(&world));
                });
                assert!(read(&cache));
                manual.advance(LIFE - NANO);
                assert!(cache.contains_key(&1), "{other} beside a slow {reading}");
                manual.advance(NANO);
                assert!(!cache.contains_key(&1), "{other} beside a slow {reading}");
            }
        }
    }
}

/// A slow read whose deadline passes meanwhile, and nobody has seen that: it was in time.
#[test]
fn a_read_that_began_in_time_counts() {
    for (life, idle) in [(Some(LIFE), None), (None, Some(LIFE))] {
        let slow = Slow::new(life);
        let (cache, manual) = cache(&slow, idle);
        manual.advance(9 * SECOND);
        let moved = manual.clone();
        slow.in_the_next_read(move || moved.advance(2 * SECOND));
        assert_eq!(cache.get(&1), Some(100));
        manual.advance(8 * SECOND - NANO);
        assert!(cache.contains_key(&1), "read at nine, good until nineteen");
        manual.advance(NANO);
        assert!(!cache.contains_key(&1));
    }
}

#[test]
fn a_read_that_panics_changes_nothing() {
    let slow = Slow::new(Some(LIFE));
    let (cache, manual) = cache(&slow, None);
    manual.advance(9 * SECOND);
    slow.in_the_next_read(|| std::panic::resume_unwind(Box::new("on purpose")));
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get(&1))).is_err());
    manual.advance(SECOND - NANO);
    assert!(cache.contains_key(&1));
    manual.advance(NANO);
    assert!(!cache.contains_key(&1));
}

/// While an answer is sought, another read changes the deadline, every time.
struct Contended {
    cache: Mutex<Option<Cache<u64, u64>>>,
    asked: AtomicU64,
}

thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });

impl Expiry<u64, u64> for &'static Contended {
    fn expire_after_read(
        &self,
        _: &u64,
        _: &u64,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        if INSIDE.get() {
            // Another answer each time.
            return Some(LIFE + u32::try_from(self.asked.load(Ordering::Relaxed)).ok()? * SECOND);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let cache = self.cache.lock().expect("not poisoned").clone()?;
        INSIDE.set(true);
        assert_eq!(cache.get(&1), Some(100));
        INSIDE.set(false);
        Some(SECOND)
    }
}

#[test]
fn a_read_asks_a_bounded_number_of_times() {
    static EXPIRY: Contended = Contended { cache: Mutex::new(None), asked: AtomicU64::new(0) };
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).expiry(&EXPIRY).clock(clock).build().expect("sound");
    cache.insert(1, 100);
    *EXPIRY.cache.lock().expect("not poisoned") = Some(cache.clone());
    assert_eq!(cache.get(&1), Some(100));
    assert_eq!(EXPIRY.asked.load(Ordering::Relaxed), 4);
    EXPIRY.cache.lock().expect("not poisoned").take();
    manual.advance(LIFE + 4 * SECOND - NANO);
    assert!(cache.contains_key(&1), "the last answer of the others stands");
    manual.advance(NANO);
    assert!(!cache.contains_key(&1));
}

/// A key that is slow to compare, once.
#[derive(Clone)]
struct SlowKey(Arc<Mutex<Option<Deed>>>);

impl SlowKey {
    /// What happens while the next comparison is under way.
    fn in_the_next_comparison(&self, deed: impl FnOnce() + Send + 'static) {
        *self.0.lock().expect("not poisoned") = Some(Box::new(deed));
    }
}

impl Hash for SlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        1.hash(state);
    }
}

impl PartialEq for SlowKey {
    fn eq(&self, _: &Self) -> bool {
        let deed = self.0.lock().expect("not poisoned").take();
        if let Some(deed) = deed {
            deed();
        }
        true
    }
}
impl Eq for SlowKey {}

type LookFor = fn(&Cache<SlowKey, u64>, &SlowKey) -> bool;

const LOOKS_FOR: [LookFor; 10] = [
    |cache, key| cache.get(key).is_some(),
    |cache, key| cache.read(key, |_| ()).is_some(),
    |cache, key| cache.pin().get(key).is_some(),
    |cache, key| cache.pin().peek(key).is_some(),
    |cache, key| cache.reader().get(key).is_some(),
    |cache, key| cache.get_many(std::slice::from_ref(key))[0].is_some(),
    |cache, key| cache.peek(key).is_some(),
    |cache, key| cache.contains_key(key),
    |cache, key| cache.compute(key.clone(), |_| Compute::Keep) == Computed::Kept,
    |cache, key| cache.remove(key).is_some(),
];

/// A cache with one slow key, by time to idle or to live.
fn slow_to_compare(idle: bool) -> (Cache<SlowKey, u64>, ManualClock, SlowKey) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock);
    let builder = if idle { builder.time_to_idle(LIFE) } else { builder.time_to_live(LIFE) };
    let (cache, key) = (builder.build().expect("sound"), SlowKey(Arc::default()));
    cache.insert(key.clone(), 1);
    (cache, manual, key)
}

/// The clock is read after the entry was found, however long that took.
#[test]
fn a_key_that_is_slow_to_compare_finds_nothing_that_has_expired() {
    for idle in [true, false] {
        for look in LOOKS_FOR {
            let (cache, manual, key) = slow_to_compare(idle);
            key.in_the_next_comparison(move || manual.advance(LIFE));
            assert!(!look(&cache, &key));
        }
    }
}

/// While the key is compared, its entry is replaced, and would have expired: the key was there all the
/// while.
#[test]
fn a_key_that_is_slow_to_compare_finds_what_has_replaced_it_in_time() {
    for idle in [true, false] {
        for (nth, look) in LOOKS_FOR.into_iter().enumerate() {
            let (cache, manual, key) = slow_to_compare(idle);
            let world = cache.clone();
            key.in_the_next_comparison(move || {
                manual.advance(LIFE / 2);
                world.insert(SlowKey(Arc::default()), 2);
                manual.advance(LIFE / 2);
            });
            assert!(look(&cache, &key), "look {nth}");
            let stats = cache.stats();
            assert_eq!(stats.expirations, 0);
            assert_eq!(stats.misses, 0, "look {nth}");
        }
    }
}

/// All keys are in one bucket, which a scan reads at once.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn finish(&self) -> u64 {
        0
    }
    fn write(&mut self, _: &[u8]) {}
}

/// While a scan visits one key, the others are replaced, and would have expired.
#[test]
fn a_slow_scan_visits_what_was_there_all_the_while() {
    for idle in [true, false] {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(10).clock(clock);
        let builder = builder.hasher(BuildHasherDefault::<Same>::default());
        let builder = if idle { builder.time_to_idle(LIFE) } else { builder.time_to_live(LIFE) };
        let cache = builder.build().expect("sound");
        (0..8).for_each(|key| cache.insert(key, 0));
        let mut visited = Vec::new();
        cache.for_each(|&key, &value| {
            if visited.is_empty() {
                manual.advance(LIFE / 2);
                (0..7).for_each(|key| cache.insert(key, 1));
                manual.advance(LIFE / 2);
            }
            visited.push((key, value));
        });
        visited.sort_unstable();
        let keys: Vec<u64> = visited.iter().map(|&(key, _)| key).collect();
        assert!(keys == [0, 1, 2, 3, 4, 5, 6] || keys == [0, 1, 2, 3, 4, 5, 6, 7], "{visited:?}");
        assert_eq!(visited.iter().filter(|&&(_, value)| value == 0).count(), 1, "{visited:?}");
    }
}

//! P7: every value is dropped exactly once, every entry that leaves has exactly one cause, and
//! dropping the cache frees everything before it returns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{self, Census, Person, Random, assert_balanced, ignore, size, together};
use clockhand::{Cache, Clock, Compute, Maintenance, ManualClock, RemovalCause};

const MAINTENANCE: [Maintenance; 3] =
    [Maintenance::Inline, Maintenance::Thread, Maintenance::Manual];
const THREADS: usize = 4;
const KEYS: u64 = 600;

/// What the listener was told: a cause for each value that left, and how often each was given.
struct Notes {
    causes: Vec<AtomicU8>,
    counts: [Mutex<u64>; 5],
}

impl Notes {
    fn new(most: usize) -> Arc<Self> {
        let causes = (0..most).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Self { causes, counts: Default::default() })
    }

    fn note(&self, person: &Person, cause: RemovalCause) {
        let nth = match cause {
            RemovalCause::Replaced => 0,
            RemovalCause::Invalidated => 1,
            RemovalCause::Evicted => 2,
            RemovalCause::Expired => 3,
            RemovalCause::Refused => 4,
            other => panic!("{other:?}"),
        };
        let before = self.causes[person.id].swap(nth + 1, Ordering::SeqCst);
        assert_eq!(before, 0, "{person:?} had a cause before");
        *self.counts[nth as usize].lock().expect("not poisoned") += 1;
    }

    fn count(&self, nth: usize) -> u64 {
        *self.counts[nth].lock().expect("not poisoned")
    }

    fn has_left(&self, id: usize) -> bool {
        self.causes[id].load(Ordering::SeqCst) != 0
    }
}

/// A crowded cache that expires, and a listener that takes notes.
fn crowded(maintenance: Maintenance, notes: &Arc<Notes>) -> (Cache<u64, Person>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let notes = Arc::clone(notes);
    let cache = Cache::builder()
        .capacity(KEYS)
        .retired_capacity(KEYS / 2)
        .expected_entries(1)
        .weigher(|key, _| 1 + key % 5)
        .time_to_live(Duration::from_millis(500))
        .clock(clock)
        .maintenance(maintenance)
        .removal_listener(move |_, person, cause| notes.note(person, cause))
        .build()
        .expect("sound");
    (cache, manual)
}

/// Everything that changes a cache, at random. Values that come back to the caller are dropped here.
fn churn(cache: &Cache<u64, Person>, manual: &ManualClock, census: &Arc<Census>, nth: usize) {
    let mut random = Random::new(nth as u64);
    for step in 0..size(5_000, 500_000) {
        let key = random.below(KEYS);
        match random.below(16) {
            0 => ignore(cache.invalidate(&key)),
            1 => ignore(cache.remove_if(&key, |person| person.id % 2 == 0)),
            2 => drop(cache.compute(key, |_| Compute::Put(census.person(key)))),
            3 => drop(cache.compute(key, |_| Compute::Remove)),
            4 | 5 => manual.advance(Duration::from_millis(1)),
            6 if step % 50 == 0 => cache.retain(|key, _| key % 3 == 0),
            7 if step % 50 == 0 => ignore(cache.remove_expired()),
            8 if step % 50 == 0 => cache.set_capacity(KEYS / 2 + random.below(KEYS)),
            9 if step % 500 == 0 => cache.invalidate_all(),
            10 => ignore(cache.maintain(20)),
            11 => drop(cache.read(&key, |person| assert_eq!(person.key, key))),
            _ => cache.insert(key, census.person(key)),
        }
    }
}

fn assert_each_value_goes_once(maintenance: Maintenance) {
    let most = THREADS * size(5_000, 500_000) * 2;
    let (census, notes) = (Census::new(most), Notes::new(most));
    let (cache, manual) = crowded(maintenance, &notes);
    together(THREADS, |nth| churn(&cache, &manual, &census, nth));
    // So that the maintenance thread, if there is one, comes to rest.
    cache.remove_expired();
    let told = || [0, 1, 2, 3].map(|nth| notes.count(nth));
    let removed = || {
        let stats = cache.stats();
        [stats.replacements, stats.invalidations, stats.evictions, stats.expirations]
    };
    assert!(support::eventually(|| told() == removed()), "{:?} and {:?}", told(), removed());
    assert_balanced(&cache);
    let stats = cache.stats();
    assert!(notes.count(4) <= stats.refusals, "{stats:?}");
    cache.for_each(|_, person| assert!(!notes.has_left(person.id), "{person:?} left and is there"));
    if maintenance != Maintenance::Thread {
        support::validate(&cache); // for which nobody else may use the cache
    }
    assert!(census.born() - census.dead() <= KEYS as usize * 2, "what left is gone");
    drop(cache);
    census.assert_all_dropped_once();
}

#[test]
fn each_value_is_dropped_once_and_has_one_cause() {
    assert_each_value_goes_once(Maintenance::Inline);
}

#[test]
fn each_value_is_dropped_once_with_a_maintenance_thread() {
    assert_each_value_goes_once(Maintenance::Thread);
}

#[test]
fn each_value_is_dropped_once_without_maintenance() {
    assert_each_value_goes_once(Maintenance::Manual);
}

#[test]
fn dropping_the_cache_frees_everything_before_it_returns() {
    for maintenance in MAINTENANCE {
        for round in 0..20 {
            let census = Census::new(10_000);
            let cache = Cache::builder().capacity(100).expected_entries(1).maintenance(maintenance);
            let cache = cache.build().expect("sound");
            for key in 0..round * 20 {
                cache.insert(key % 150, census.person(key));
            }
            drop(cache);
            census.assert_all_dropped_once();
        }
    }
}

#[test]
fn dropping_the_last_of_many_handles_frees_everything() {
    for maintenance in MAINTENANCE {
        let census = Census::new(10_000);
        let cache = Cache::builder()
            .capacity(50)
            .retired_capacity(1 << 20)
            .maintenance(maintenance)
            .build()
            .expect("sound");
        let handles: Vec<_> = (0..THREADS).map(|_| Mutex::new(Some(cache.clone()))).collect();
        drop(cache);
        together(THREADS, |nth| {
            let cache = handles[nth].lock().expect("not poisoned").take().expect("one for each");
            (0..500).for_each(|key| cache.insert(key, census.person(key)));
        });
        census.assert_all_dropped_once();
    }
}

#[test]
fn a_reader_or_an_iterator_that_is_left_keeps_the_cache() {
    let census = Census::new(100);
    let cache = Cache::new(10);
    cache.insert(1, Arc::new(census.person(1)));
    let (mut reader, mut iter) = (cache.reader(), cache.iter());
    drop(cache);
    assert_eq!(reader.get(&1).map(|person| person.key), Some(1));
    drop(reader);
    assert_eq!(iter.next().map(|(_, person)| person.key), Some(1));
    assert_eq!(census.dead(), 0);
    drop(iter);
    census.assert_all_dropped_once();
}

#[test]
fn a_cache_that_is_dropped_while_its_table_grows_frees_everything() {
    for entries in 0..200 {
        let census = Census::new(400);
        let cache = Cache::builder().capacity(1000).expected_entries(1).build().expect("sound");
        (0..entries).for_each(|key| cache.insert(key, census.person(key)));
        drop(cache);
        census.assert_all_dropped_once();
    }
}

#[test]
fn what_a_refused_insert_returns_is_the_callers() {
    let census = Census::new(10);
    let cache = Cache::new(0);
    let error = cache.try_insert(1, census.person(1)).expect_err("refused");
    assert_eq!(census.dead(), 0);
    drop(error);
    drop(cache.insert_if_absent(2, census.person(2)));
    drop(cache.compute(3, |_| Compute::Put(census.person(3))));
    cache.insert(4, census.person(4));
    census.assert_all_dropped_once();
}

#[test]
fn garbage_of_a_thread_that_ended_is_freed_by_others() {
    let census = Census::new(10_000);
    let cache = Cache::new(100);
    let write = || (0..1000).for_each(|key| cache.insert(key, census.person(key)));
    std::thread::scope(|scope| scope.spawn(write).join().expect("no panic"));
    cache.maintain(10_000);
    assert_eq!(census.born() - census.dead(), 100, "only what is in the cache is left");
    assert_eq!(cache.usage().retired, 0);
}

#[test]
fn maintenance_frees_within_its_budget() {
    let census = Census::new(1000);
    let cache = Cache::builder().capacity(500).maintenance(Maintenance::Manual);
    let cache = cache.build().expect("sound");
    (0..500).for_each(|key| cache.insert(key, census.person(key)));
    cache.invalidate_all();
    assert_eq!(census.dead(), 0, "manual means manual");
    let mut rounds = 0;
    while census.dead() < 500 {
        let dead = census.dead();
        let done = cache.maintain(7);
        assert!(done.freed <= 7 && census.dead() - dead <= done.freed, "{done:?}");
        assert!(done.backlog >= 500 - census.dead(), "{done:?}");
        rounds += 1;
        assert!(rounds < 200, "each call gets on: {done:?}");
    }
    assert_eq!(cache.usage().retired, 0);
    census.assert_all_dropped_once();
}

#[test]
fn the_maintenance_thread_frees_by_itself() {
    let census = Census::new(1000);
    let cache = Cache::builder().capacity(500).maintenance(Maintenance::Thread);
    let cache = cache.build().expect("sound");
    (0..500).for_each(|key| cache.insert(key, census.person(key)));
    cache.invalidate_all();
    assert!(support::eventually(|| census.dead() == 500));
}

#[test]
fn a_destructor_that_panics_while_the_cache_is_dropped_keeps_no_other_from_running() {
    struct Bomb(#[allow(dead_code)] Person, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.1, "a destructor panics");
        }
    }
    for retired in [false, true] {
        let census = Census::new(1000);
        let cache = Cache::builder().capacity(500).maintenance(Maintenance::Manual);
        let cache = cache.build().expect("sound");
        (0..200).for_each(|key| cache.insert(key, Bomb(census.person(key), key == 70)));
        (100..150).for_each(|key| ignore(cache.invalidate(&key)));
        if retired {
            cache.invalidate(&70);
        }
        assert!(support::oblivious(|| drop(cache)), "the panic reaches the caller");
        census.assert_all_dropped_once();
    }
}

#[test]
fn a_destructor_that_panics_while_the_table_doubles_keeps_no_other_from_being_dropped() {
    struct Bomb(u64, Arc<(AtomicU64, AtomicU64)>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.1.0.fetch_add(1, Ordering::Relaxed);
            assert_ne!(self.1.1.load(Ordering::Relaxed), self.0, "the bomb");
        }
    }
    let state = Arc::new((AtomicU64::new(0), AtomicU64::new(u64::MAX)));
    let cache = Cache::builder().capacity(1 << 20).expected_entries(4096).build().expect("sound");
    let (start, mut inserted) = (cache.overhead(), 0);
    let mut insert = || {
        cache.insert(inserted, Bomb(inserted, Arc::clone(&state)));
        inserted += 1;
    };
    while cache.overhead() < start * 3 / 2 {
        insert();
    }
    (0..200).for_each(|_| insert());
    cache.for_each(|key, _| state.1.store(*key, Ordering::Relaxed));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(cache))).is_err(), "the bomb went off");
    assert_eq!(state.0.load(Ordering::Relaxed), inserted);
}

/// Everything of the user's that a cache drops, all of it with destructors that panic, in turns and together.
mod bombs {
    use std::cell::Cell;
    use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
    use std::panic::{self, AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use clockhand::{Cache, Clock, Expiry, Maintenance};

    /// A payload whose destructor panics: that of the first panic goes to the caller, the others are dropped.
    struct Payload(&'static str);

    thread_local!(static DEFUSED: Cell<bool> = const { Cell::new(false) });

    impl Drop for Payload {
        fn drop(&mut self) {
            if !DEFUSED.get() {
                panic::resume_unwind(Box::new("a payload"));
            }
        }
    }

    /// What has gone off, in order.
    #[derive(Default)]
    struct Site {
        live: Vec<&'static str>,
        gone: Mutex<Vec<&'static str>>,
        made: AtomicUsize,
    }

    impl Site {
        fn count(&self) -> usize {
            self.gone.lock().expect("not poisoned").len()
        }
    }

    /// Panics when dropped if its name is among the live ones.
    struct Bomb(&'static str, Arc<Site>);

    impl Bomb {
        fn new(name: &'static str, site: &Arc<Site>) -> Self {
            site.made.fetch_add(1, SeqCst);
            Self(name, Arc::clone(site))
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.1.gone.lock().expect("not poisoned").push(self.0);
            if self.1.live.contains(&self.0) {
                panic::resume_unwind(Box::new(Payload(self.0)));
            }
        }
    }

    struct Key(u64, #[allow(dead_code)] Bomb);
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Key {}
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    struct Keyed(RandomState, #[allow(dead_code)] Bomb);
    impl BuildHasher for Keyed {
        type Hasher = DefaultHasher;
        fn build_hasher(&self) -> DefaultHasher {
            self.0.build_hasher()
        }
    }

    struct Lives(#[allow(dead_code)] Bomb);
    impl Expiry<Key, Bomb> for Lives {
        fn expire_after_create(&self, _: &Key, _: &Bomb, _: Instant) -> Option<Duration> {
            None
        }
    }

    type Tested = Cache<Key, Bomb, Keyed>;
    const NAMES: [&str; 6] = ["value", "key", "hasher", "weigher", "listener", "expiry"];

    /// A cache in the middle of a doubling, with garbage, and bombs all over.
    fn laid(site: &Arc<Site>) -> Tested {
        let (weigher, listener) = (Bomb::new("weigher", site), Bomb::new("listener", site));
        // Each closure has its bomb as a whole.
        let weigh = move |_: &Key, _: &Bomb| {
            let weigher = &weigher;
            weigher.0.len() as u64
        };
        let listen = move |_: &Key, _: &Bomb, _| {
            let listener = &listener;
            assert_eq!(listener.0, "listener");
        };
        let cache = Cache::builder()
            .capacity(1 << 20)
            .expected_entries(256)
            .maintenance(Maintenance::Manual)
            .hasher(Keyed(RandomState::new(), Bomb::new("hasher", site)))
            .weigher(weigh)
            .removal_listener(listen)
            .expiry(Lives(Bomb::new("expiry", site)))
            .clock(Clock::manual().0)
            .build()
            .expect("sound");
        let (start, mut key) = (cache.overhead(), 0);
        while cache.overhead() < start * 3 / 2 {
            cache.insert(Key(key, Bomb::new("key", site)), Bomb::new("value", site));
            key += 1;
        }
        for key in key - 40..key + 3 {
            cache.insert(Key(key, Bomb::new("key", site)), Bomb::new("value", site));
        }
        cache
    }

    /// Drops a cache with such bombs by `end`; the name of the one whose panic arrived.
    fn blast(live: &[&'static str], end: impl FnOnce(Tested)) -> Option<&'static str> {
        let site = Arc::new(Site { live: live.to_vec(), ..Site::default() });
        DEFUSED.set(false);
        let cache = laid(&site);
        let before = site.count();
        let panicked = catch_unwind(AssertUnwindSafe(|| end(cache)));
        DEFUSED.set(true);
        let name = panicked.err().map(|panic| match panic.downcast::<Payload>() {
            Ok(payload) => payload.0,
            Err(_) => "another panic",
        });
        assert!(before < site.count());
        assert_eq!(site.count(), site.made.load(SeqCst), "{live:?}: each is dropped, and once");
        if let Some(name) = name.filter(|name| live.contains(name)) {
            let gone = site.gone.lock().expect("not poisoned");
            let first = gone[before..].iter().find(|name| live.contains(name));
            assert_eq!(first, Some(&name), "the first panic is passed on");
        }
        name
    }

    #[test]
    fn what_panics_at_the_end_keeps_nothing_else_from_being_dropped() {
        for set in 0..1 << NAMES.len() {
            let live: Vec<_> =
                (0..NAMES.len()).filter(|nth| set >> nth & 1 == 1).map(|nth| NAMES[nth]).collect();
            let first = blast(&live, drop);
            assert_eq!(first.is_some(), !live.is_empty(), "{live:?}");
            assert_ne!(first, Some("another panic"), "{live:?}");
        }
    }

    #[test]
    fn the_last_handle_may_be_a_reader_or_an_iterator_or_on_another_thread() {
        let first = blast(&NAMES, |cache| {
            let mut reader = cache.reader();
            drop(cache);
            let _ = reader.get(&Key(1, Bomb::new("none", &Arc::default())));
        });
        assert!(matches!(first, Some("key" | "value")), "{first:?}");
        let first = blast(&NAMES, |cache| {
            std::thread::scope(|scope| {
                let thread = scope.spawn(move || drop(cache));
                panic::resume_unwind(thread.join().expect_err("it panics there"));
            });
        });
        assert!(matches!(first, Some("key" | "value")), "{first:?}");
    }

    /// A second panic would end the process.
    #[test]
    fn a_thread_that_panics_already_is_told_of_none() {
        let first = blast(&NAMES, |cache| {
            let _cache = cache;
            panic::resume_unwind(Box::new("the first"));
        });
        assert_eq!(first, Some("another panic"));
    }

    /// Both parts of an entry panic, in an ordinary write and in one of a thread that panics already.
    #[test]
    fn both_parts_of_an_entry_may_panic_at_once() {
        struct Writes<'c>(&'c Tested);
        impl Drop for Writes<'_> {
            fn drop(&mut self) {
                while self.0.maintain(100).backlog > 0 {}
            }
        }
        let first = blast(&["key", "value"], |cache| {
            // One panic for each entry, and no more.
            while cache.maintain(0).backlog > 0 {
                let panicked = catch_unwind(AssertUnwindSafe(|| cache.maintain(1)));
                DEFUSED.set(true);
                drop(panicked);
                DEFUSED.set(false);
            }
            drop(cache);
        });
        assert!(matches!(first, Some("key" | "value")), "{first:?}");
        let first = blast(&["key", "value"], |cache| {
            let _writes = Writes(&cache);
            panic::resume_unwind(Box::new("the first"));
        });
        assert_eq!(first, Some("another panic"));
    }
}

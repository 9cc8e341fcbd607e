//! P2 and P10 for destructors that write: a thread that is freeing frees nothing inside, so destructors
//! are not in one another as deep as there is garbage; and one write frees no more than a stated number
//! of entries, however many come back meanwhile.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::support;
use clockhand::{Cache, Clock, Maintenance, RemovalCause};

/// Destructors that one write may run whose entry weighs one, with those that its own destructors cause.
const MOST: usize = 16 * 16 + 16;
/// Destructors that a write runs which frees for room, and not only in passing.
const FEW: usize = 32;
/// More than a thread's stack could hold destructors in one another.
const BACKLOG: usize = 20_000;

thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });

/// What a destructor does with the key of its value.
type Act = dyn Fn(&Arc<Log>, u64) + Send + Sync;

/// What the destructors of a test do, and have done.
#[derive(Default)]
struct Log {
    act: OnceLock<Box<Act>>,
    on: AtomicBool,
    born: AtomicUsize,
    dead: AtomicUsize,
    deepest: AtomicUsize,
}

impl Log {
    fn alive(&self) -> usize {
        self.born.load(SeqCst) - self.dead.load(SeqCst)
    }

    /// How many destructors `write` runs.
    fn count(&self, write: impl FnOnce()) -> usize {
        let before = self.dead.load(SeqCst);
        write();
        self.dead.load(SeqCst) - before
    }
}

/// A value whose destructor acts, unless it is a quiet one.
struct Value {
    key: u64,
    log: Arc<Log>,
    quiet: bool,
}

impl Value {
    fn new(log: &Arc<Log>, key: u64, quiet: bool) -> Self {
        log.born.fetch_add(1, SeqCst);
        Self { key, log: Arc::clone(log), quiet }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let depth = DEPTH.get() + 1;
        DEPTH.set(depth);
        self.log.deepest.fetch_max(depth, SeqCst);
        // Were they as deep as the garbage, the test ends before the stack does.
        if !self.quiet && depth < 50 && self.log.on.load(SeqCst) {
            self.log.act.get().expect("set before anything is freed")(&self.log, self.key);
        }
        self.log.dead.fetch_add(1, SeqCst);
        DEPTH.set(depth - 1);
    }
}

type Tested = Cache<u64, Value>;

fn built(retired: u64, maintenance: Maintenance) -> Tested {
    let builder = Cache::builder().capacity(100).retired_capacity(retired);
    builder.maintenance(maintenance).build().expect("sound")
}

/// Fills a cache with garbage that is not freed, as a guard is held meanwhile.
fn fill(cache: &Tested, log: &Arc<Log>) {
    let _guard = cache.pin();
    (0..BACKLOG as u64).for_each(|key| cache.insert(key, Value::new(log, key, false)));
    assert_eq!(cache.stats().refusals, 0);
}

/// Lets no destructor act any more, and frees everything.
fn finish(caches: &[&Tested], log: &Arc<Log>) {
    log.on.store(false, SeqCst);
    // A thread of a cache may be in the midst of a destructor that puts its value back.
    assert!(support::eventually(|| {
        for cache in caches {
            cache.invalidate_all();
            while cache.maintain(usize::MAX).backlog > 0 {}
        }
        log.alive() == 0
    }));
}

/// A log whose values put themselves back into one of the caches.
fn put_back(caches: &[&Tested]) -> Arc<Log> {
    let log = Arc::new(Log::default());
    let caches: Vec<Tested> = caches.iter().map(|&cache| cache.clone()).collect();
    log.act
        .set(Box::new(move |log, key| {
            // What came from one cache goes into the next.
            let cache = &caches[(key as usize + 1) % caches.len()];
            cache.insert(key + 1, Value::new(log, key + 1, false));
        }))
        .ok()
        .expect("once");
    log.on.store(true, SeqCst);
    log
}

#[test]
fn values_that_are_put_back_are_not_in_one_another() {
    for maintenance in [Maintenance::Inline, Maintenance::Manual, Maintenance::Thread] {
        let cache = built(60_000, maintenance);
        let log = put_back(&[&cache]);
        fill(&cache, &log);
        for key in 0..200 {
            let freed = log.count(|| cache.insert(key, Value::new(&log, key, false)));
            assert!(maintenance == Maintenance::Thread || freed <= MOST, "{freed} in one write");
        }
        assert_eq!(cache.stats().refusals, 0);
        finish(&[&cache], &log);
        if maintenance != Maintenance::Thread {
            support::validate(&cache); // for which nobody else may use the cache
        }
        // A value that the cache's thread puts back while all is invalidated may be refused, as the room is in the
        // hand of the call that invalidates: then it is dropped where it was to be put in.
        let refused = usize::from(cache.stats().refusals > 0);
        assert_eq!(log.deepest.load(SeqCst), 1 + refused, "{maintenance:?}");
    }
}

#[test]
fn caches_whose_values_move_over_are_not_in_one_another() {
    let caches = [built(60_000, Maintenance::Inline), built(60_000, Maintenance::Inline)];
    let log = put_back(&[&caches[0], &caches[1]]);
    caches.iter().for_each(|cache| fill(cache, &log));
    for key in 0..200 {
        let cache = &caches[key as usize % 2];
        let freed = log.count(|| cache.insert(key, Value::new(&log, key, false)));
        assert!(freed <= MOST, "{freed} in one write");
    }
    finish(&[&caches[0], &caches[1]], &log);
    caches.iter().for_each(support::validate);
    assert_eq!(log.deepest.load(SeqCst), 1);
}

/// What is freed comes back and takes the room that was made: no call goes on until there is none left.
#[test]
fn no_call_waits_for_the_end_of_what_comes_back() {
    let cache = built(60_000, Maintenance::Manual);
    let log = put_back(&[&cache]);
    fill(&cache, &log);
    let calls: [(&str, &dyn Fn()); 4] = [
        ("maintain", &|| _ = cache.maintain(usize::MAX)),
        ("remove_expired", &|| _ = cache.remove_expired()),
        ("set_capacity", &|| cache.set_capacity(10)),
        ("invalidate_all", &|| cache.invalidate_all()),
    ];
    for (name, call) in calls {
        let garbage = cache.maintain(0).backlog;
        let freed = log.count(call);
        assert!(freed <= garbage + MOST, "{name} freed {freed}, of {garbage}");
    }
    finish(&[&cache], &log);
    assert_eq!(log.deepest.load(SeqCst), 1);
}

/// The same where there is no room for more: what cannot come in is refused, and the writes end.
#[test]
fn a_write_ends_though_what_it_frees_takes_the_room() {
    for lingering in [false, true] {
        // The second one has no place for garbage, so that each older value bears on the capacity.
        let cache = built(if lingering { 0 } else { 300 }, Maintenance::Inline);
        let log = Arc::new(Log::default());
        let inner = cache.clone();
        let act = move |log: &Arc<Log>, key: u64| {
            let again = Value::new(log, key, false);
            if let Err(refused) = inner.try_insert(key % 400, again) {
                // Or its destructor would try again, without an end that a cache could give it.
                let mut value = refused.value;
                value.quiet = true;
            }
        };
        log.act.set(Box::new(act)).ok().expect("once");
        log.on.store(true, SeqCst);
        for key in 0..400 {
            let write = || drop(cache.try_insert(key % 400, Value::new(&log, key, false)));
            let destroyed = log.count(write);
            // For each that is freed, one more may have been refused.
            assert!(destroyed <= 2 * MOST + 2, "{destroyed} in one write");
        }
        finish(&[&cache], &log);
    }
}

/// Room that a write has made by freeing stays with it, whoever would take it before the write comes to use it: here
/// the comparison of keys, which comes in between; elsewhere other threads.
#[test]
fn a_write_keeps_the_room_that_it_has_made() {
    thread_local!(static TAKEN: Cell<Option<usize>> = const { Cell::new(None) });
    static SHARED: OnceLock<Cache<Key, u64>> = OnceLock::new();
    const TWINS: [u64; 2] = [1_000_000, 1_000_001];

    /// The twins have one hash, and are compared by a greedy comparison.
    struct Key(u64);
    impl std::hash::Hash for Key {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u64(if TWINS.contains(&self.0) { TWINS[0] } else { self.0 });
        }
    }
    impl Eq for Key {}
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            // Not in the writes of the comparison itself, and with an end if the write has none.
            let greedy = [self.0, other.0].iter().all(|key| TWINS.contains(key));
            if let Some(times) = TAKEN.take().filter(|&times| greedy && times < 200) {
                let cache = SHARED.get().expect("set before anything is compared");
                let mut key = 2_000_000 + 1_000 * times as u64;
                while cache.try_insert(Key(key), 0).is_ok() {
                    key += 1;
                    // It is not to be evicted, or nothing would be compared.
                    cache.get(&Key(TWINS[0]));
                }
                TAKEN.set(Some(times + 1));
            }
            self.0 == other.0
        }
    }

    let cache = SHARED.get_or_init(|| {
        let builder = Cache::builder().capacity(100).retired_capacity(64);
        builder.maintenance(Maintenance::Manual).build().expect("sound")
    });
    cache.insert(Key(TWINS[0]), 0);
    for key in 0..1_000 {
        cache.insert(Key(key), 0);
        assert_eq!(cache.get(&Key(TWINS[0])), Some(0), "it is read all the time");
    }
    TAKEN.set(Some(0));
    let refused = cache.try_insert(Key(TWINS[1]), 0).is_err();
    let times = TAKEN.take().expect("the twin is still there");
    assert!(times < 16 && !refused, "the comparison took the room {times} times");
    support::validate(cache);
}

/// The last resort of a replacement, which lets an old entry go first that can never lie in the retired capacity, has no
/// more of it than the replacement itself.
#[test]
fn a_replacement_of_an_entry_that_is_too_large_for_garbage_frees_no_more() {
    const LARGE: u64 = u64::MAX;
    let builder = Cache::builder().capacity(40_000).retired_capacity(10_000);
    let builder = builder.maintenance(Maintenance::Inline);
    let weigher = |&key: &u64, _: &Value| if key == LARGE { 30_000 } else { 1 };
    let cache: Tested = builder.weigher(weigher).build().expect("sound");
    let log = Arc::new(Log::default());
    let inner = cache.clone();
    // What is freed comes back as garbage, again and again.
    let act = move |log: &Arc<Log>, key| inner.insert(key, Value::new(log, key, false));
    log.act.set(Box::new(act)).ok().expect("once");
    cache.insert(LARGE, Value::new(&log, LARGE, true));
    let guard = cache.pin();
    for key in (0..100).cycle().take(5_000) {
        cache.insert(key, Value::new(&log, key, false));
    }
    drop(guard);
    log.on.store(true, SeqCst);
    let mut told = None;
    let new = Value::new(&log, LARGE, true);
    let freed = log.count(|| told = Some(cache.try_insert(LARGE, new)));
    assert!(freed > FEW, "there was enough to free: {freed}");
    assert!(freed <= MOST, "{freed} in one write");
    drop(told);
    finish(&[&cache], &log);
    support::validate(&cache);
}

/// Every destructor writes, and nothing is refused for it, nor does garbage gather.
#[test]
fn a_cache_whose_destructors_all_write_is_not_starved() {
    let cache = built(2_000, Maintenance::Inline);
    let log = Arc::new(Log::default());
    let inner = cache.clone();
    let act = move |log: &Arc<Log>, key| inner.insert(key + 1_000_000, Value::new(log, key, true));
    log.act.set(Box::new(act)).ok().expect("once");
    log.on.store(true, SeqCst);
    for key in 0..50_000 {
        cache.insert(key, Value::new(&log, key, false));
    }
    assert_eq!(cache.stats().refusals, 0);
    assert!(log.alive() < 2_100, "{} values", log.alive());
    finish(&[&cache], &log);
    assert_eq!(log.deepest.load(SeqCst), 1);
}

/// Among them one that drops the last handle of another cache, whose values write as well.
#[test]
fn the_end_of_a_cache_inside_a_destructor() {
    let cache = built(60_000, Maintenance::Inline);
    let log = Arc::new(Log::default());
    let inner = cache.clone();
    let act = move |log: &Arc<Log>, key: u64| {
        if key.is_multiple_of(1_000) {
            let other = built(1_000, Maintenance::Inline);
            (0..150).for_each(|nth| other.insert(nth, Value::new(log, 1, false)));
        } else {
            inner.insert(key, Value::new(log, key, true));
        }
    };
    log.act.set(Box::new(act)).ok().expect("once");
    log.on.store(true, SeqCst);
    fill(&cache, &log);
    for key in 1..5_000 {
        cache.insert(key, Value::new(&log, key, true));
    }
    finish(&[&cache], &log);
    // One that is freed, and one of the cache that ends there, and one that this one refused or evicted.
    assert!(log.deepest.load(SeqCst) <= 3, "{}", log.deepest.load(SeqCst));
}

/// The sweep of a write tells the listener, whose write does not sweep on.
#[test]
fn a_listener_that_writes_is_not_inside_of_itself() {
    thread_local!(static INSIDE: Cell<usize> = const { Cell::new(0) });
    const ENTRIES: u64 = 10_000;
    let deepest = Arc::new(AtomicUsize::new(0));
    let (clock, manual) = Clock::manual();
    let shared: Arc<OnceLock<Cache<u64, u64>>> = Arc::default();
    let (inner, most) = (Arc::downgrade(&shared), Arc::clone(&deepest));
    let builder = Cache::builder().capacity(4 * ENTRIES).time_to_live(Duration::from_secs(1));
    let builder = builder.clock(clock).removal_listener(move |&key: &u64, _: &u64, cause| {
        let depth = INSIDE.get() + 1;
        INSIDE.set(depth);
        most.fetch_max(depth, SeqCst);
        let cache = inner.upgrade().and_then(|shared| shared.get().cloned());
        if cause == RemovalCause::Expired
            && depth < 50
            && let Some(cache) = cache
        {
            cache.insert(key + ENTRIES, 0);
        }
        INSIDE.set(depth - 1);
    });
    let cache = shared.get_or_init(|| builder.build().expect("sound"));
    for maintained in [false, true] {
        (0..ENTRIES).for_each(|key| cache.insert(key, 0));
        manual.advance(Duration::from_secs(1));
        for key in 0..10 {
            if maintained {
                cache.maintain(100);
            } else {
                cache.insert(key, 1);
            }
        }
        // One that an insert over an expired value tells, and one of the sweep of its own insert.
        assert!(deepest.load(SeqCst) <= 2, "{} deep", deepest.load(SeqCst));
        cache.invalidate_all();
    }
    // The listener keeps no handle, but let it find none while the cache ends.
    support::validate(cache);
}

/// Caches that are set once, and found by their listeners for as long as they are kept.
type Kept = Arc<OnceLock<Vec<Cache<u64, u64>>>>;

/// Caches whose listener writes when it is told of an eviction: `writes` entries into the cache after its own.
fn evicting_in_turn(caches: usize, capacity: u64, writes: u64) -> (Kept, Arc<AtomicUsize>) {
    thread_local!(static INSIDE: Cell<usize> = const { Cell::new(0) });
    let deepest = Arc::new(AtomicUsize::new(0));
    let shared = Kept::default();
    let built = (0..caches).map(|nth| {
        let (inner, most) = (Arc::downgrade(&shared), Arc::clone(&deepest));
        let listener = move |&key: &u64, _: &u64, cause| {
            let depth = INSIDE.get() + 1;
            INSIDE.set(depth);
            most.fetch_max(depth, SeqCst);
            let caches = inner.upgrade().filter(|_| cause == RemovalCause::Evicted);
            if let Some(caches) = caches.as_ref().and_then(|caches| caches.get()) {
                // Were they as deep as there are entries, the test ends before the stack does.
                let end = if depth < 100 { writes } else { 0 };
                (1..=end)
                    .for_each(|n| caches[(nth + 1) % caches.len()].insert(key + n * 1_000_003, 0));
            }
            INSIDE.set(depth - 1);
        };
        Cache::builder().capacity(capacity).removal_listener(listener).build().expect("sound")
    });
    shared.set(built.collect()).expect("once");
    (shared, deepest)
}

/// What is evicted for a listener's own writes is told inside of what it is told already: that has an end, and does
/// not empty the cache.
#[test]
fn a_listener_that_writes_when_it_is_told_of_an_eviction_is_not_as_deep_as_there_are_entries() {
    /// Evictions of one write whose entry weighs one: its own, and eight that the listener causes; in each cache.
    const MOST_EVICTED: u64 = 1 + 8;
    for (caches, writes) in [(1, 1), (1, 3), (2, 1), (2, 3)] {
        let (kept, deepest) = evicting_in_turn(caches, 1_000, writes);
        let caches = kept.get().expect("set");
        caches.iter().for_each(|cache| (0..1_000).for_each(|key| cache.insert(key, 0)));
        let evictions = || caches.iter().map(|cache| cache.stats().evictions).sum::<u64>();
        for key in 5_000..5_200 {
            let before = evictions();
            caches[0].insert(key, 0);
            let evicted = evictions() - before;
            let most = MOST_EVICTED.pow(caches.len() as u32);
            assert!(evicted > 0 && evicted <= most, "{evicted} in one write");
            assert!(caches.iter().all(|cache| cache.len() > 900), "they are emptied");
        }
        caches[0].set_capacity(500);
        assert_eq!(caches[0].usage().capacity, 500);
        let deepest = deepest.load(SeqCst);
        // The last of them is told that what it writes is refused.
        assert!(deepest as u64 <= 1 + MOST_EVICTED * caches.len() as u64, "{deepest} deep");
        caches.iter().for_each(support::validate);
    }
}

//! A cache that fills itself: renewal ahead of expiry, values that stand in for errors, errors that are
//! remembered, many keys at a time, keys that are kept fresh.

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::support;
use clockhand::load::Job;
use clockhand::{Cache, Clock, LoadError, LoadSource, Loader, LoadingCache, ManualClock, Warmer};

const SECOND: Duration = Duration::from_secs(1);

/// A store that counts what it is asked for, and may be down.
#[derive(Default)]
struct Store {
    version: AtomicU64,
    loads: AtomicU64,
    reloads: AtomicU64,
    queries: Mutex<Vec<Vec<u64>>>,
    down: AtomicBool,
}

impl Store {
    fn read(&self) -> Result<u64, String> {
        if self.down.load(Ordering::SeqCst) {
            return Err("the store is down".to_string());
        }
        Ok(self.version.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn asked(&self) -> (u64, u64) {
        (self.loads.load(Ordering::SeqCst), self.reloads.load(Ordering::SeqCst))
    }
}

/// The store as a loader: values are versions, keys from 1,000 on have none.
struct Shop(Arc<Store>);

impl Loader<u64, u64> for Shop {
    type Error = String;

    fn load(&self, key: &u64) -> Result<u64, String> {
        self.0.loads.fetch_add(1, Ordering::SeqCst);
        if *key >= 1_000 { Err("there is no such key".to_string()) } else { self.0.read() }
    }

    fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
        self.0.queries.lock().unwrap().push(keys.to_vec());
        self.0.read()?;
        Ok(keys.iter().map(|key| (*key < 1_000).then_some(key * 10)).collect())
    }

    fn reload(&self, _: &u64, old: &u64) -> Result<u64, String> {
        self.0.reloads.fetch_add(1, Ordering::SeqCst);
        let new = self.0.read()?;
        assert!(new > *old);
        Ok(new)
    }
}

/// Jobs that the test runs when it likes.
#[derive(Clone, Default)]
struct Later(Arc<Mutex<Vec<Job>>>);

impl Later {
    /// What an executor does with a job. The jobs hold the executor, which does not hold the jobs.
    fn post(&self) -> impl Fn(Job) + Send + Sync + use<> {
        let jobs = Arc::downgrade(&self.0);
        move |job| {
            if let Some(jobs) = jobs.upgrade() {
                jobs.lock().unwrap().push(job);
            }
        }
    }

    fn run(&self) -> usize {
        let jobs = std::mem::take(&mut *self.0.lock().unwrap());
        let count = jobs.len();
        jobs.into_iter().for_each(|job| job());
        count
    }
}

struct Rig {
    loading: LoadingCache<u64, u64, Shop>,
    store: Arc<Store>,
    manual: ManualClock,
    later: Later,
}

/// Values live for ten seconds; jobs wait until they are run.
fn rig(
    configure: impl FnOnce(LoadingCache<u64, u64, Shop>) -> LoadingCache<u64, u64, Shop>,
) -> Rig {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let cache = builder.build().unwrap();
    let (store, later) = (Arc::new(Store::default()), Later::default());
    let loading = cache.loading(Shop(Arc::clone(&store)));
    let loading = configure(loading).executor(later.post());
    Rig { loading, store, manual, later }
}

fn source(loading: &LoadingCache<u64, u64, Shop>) -> (u64, LoadSource) {
    let loaded = loading.get_with_source(&1).unwrap();
    (loaded.value, loaded.source)
}

#[test]
fn a_value_is_renewed_ahead_of_its_expiry() {
    let Rig { loading, store, manual, later } = rig(|loading| loading.refresh_after(4 * SECOND));
    assert_eq!(source(&loading), (1, LoadSource::Loaded));
    manual.advance(3 * SECOND);
    assert_eq!((source(&loading), later.run()), ((1, LoadSource::Hit), 0));
    manual.advance(SECOND);
    for _ in 0..5 {
        assert_eq!(source(&loading), (1, LoadSource::Hit), "the current value, at once");
    }
    assert_eq!(later.run(), 1, "one reload for any number of reads");
    assert_eq!((source(&loading), store.asked()), ((2, LoadSource::Hit), (1, 1)));
    // It has a life of its own.
    manual.advance(9 * SECOND);
    assert_eq!(source(&loading), (2, LoadSource::Hit));
    manual.advance(SECOND);
    assert_eq!(
        source(&loading),
        (3, LoadSource::Loaded),
        "the job has not run, and it has expired"
    );
    assert_eq!(later.run(), 1);
    assert_eq!(source(&loading), (3, LoadSource::Hit), "what came too late is discarded");
    support::validate(loading.cache());
}

thread_local! {
    /// What happens on this thread the next time that a key is cloned.
    static NEXT: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

#[derive(PartialEq, Eq, Hash)]
struct Fateful(u64);

impl Clone for Fateful {
    fn clone(&self) -> Self {
        if let Some(next) = NEXT.with(|next| next.borrow_mut().take()) {
            next();
        }
        Self(self.0)
    }
}

#[test]
fn a_value_that_was_renewed_since_it_was_seen_is_not_renewed_again() {
    let ((clock, manual), later) = (Clock::manual(), Later::default());
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let (cache, version) = (builder.build().unwrap(), AtomicU64::new(0));
    let load = move |_: &Fateful| Ok::<_, String>(version.fetch_add(1, Ordering::SeqCst) + 1);
    let loading = cache.loading(load).refresh_after(4 * SECOND).executor(later.post());
    assert_eq!(loading.get(&Fateful(1)), Ok(1));
    manual.advance(3 * SECOND);
    NEXT.set(Some(Box::new(|| panic!("a hit that is not due clones no key"))));
    assert_eq!((loading.get(&Fateful(1)), NEXT.take().is_some()), (Ok(1), true));
    manual.advance(SECOND);
    // A reader clones the key when it has seen that the value is due, and before it begins to renew it.
    let other = loading.clone();
    NEXT.set(Some(Box::new(move || assert_eq!(other.refresh(&Fateful(1)), Ok(2)))));
    assert_eq!(loading.get(&Fateful(1)), Ok(1), "as it was when it was read");
    assert!(NEXT.take().is_none(), "the other one came in between");
    assert_eq!((later.run(), loading.get(&Fateful(1))), (0, Ok(2)), "it is not due any more");
    manual.advance(4 * SECOND);
    assert_eq!((loading.get(&Fateful(1)), later.run()), (Ok(2), 1));
    assert_eq!(loading.get(&Fateful(1)), Ok(3));
    support::validate(loading.cache());
}

#[test]
fn a_renewal_is_detached_by_whatever_happens_to_the_key() {
    type Operation = fn(&Cache<u64, u64>);
    let operations: [(Operation, Option<u64>); 4] = [
        (|cache| cache.insert(1, 77), Some(77)),
        (|cache| support::ignore(cache.remove(&1)), None),
        (|cache| cache.invalidate_all(), None),
        (|cache| support::ignore(cache.compute(1, |_| clockhand::Compute::Put(77))), Some(77)),
    ];
    for (operation, left) in operations {
        let Rig { loading, manual, later, .. } = rig(|loading| loading.refresh_after(SECOND));
        loading.get(&1).unwrap();
        manual.advance(SECOND);
        loading.get(&1).unwrap();
        operation(loading.cache());
        assert_eq!(later.run(), 1);
        assert_eq!(loading.cache().get(&1), left);
        support::validate(loading.cache());
    }
}

#[test]
fn a_renewal_that_fails_leaves_the_value_until_it_expires() {
    let Rig { loading, store, manual, later } = rig(|loading| loading.refresh_after(4 * SECOND));
    loading.get(&1).unwrap();
    manual.advance(4 * SECOND);
    loading.get(&1).unwrap();
    store.down.store(true, Ordering::SeqCst);
    assert_eq!((later.run(), source(&loading)), (1, (1, LoadSource::Hit)));
    manual.advance(6 * SECOND);
    let error = loading.get(&1).unwrap_err();
    assert_eq!(error.error().map(String::as_str), Some("the store is down"));
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(source(&loading), (2, LoadSource::Loaded));
}

/// A renewal lands while a walk decides about the value that it replaces: what landed was loaded before
/// the walk came by.
#[test]
fn a_renewal_that_lands_under_a_walk_goes_with_what_it_replaced() {
    let Rig { loading, manual, later, .. } = rig(|loading| loading.refresh_after(4 * SECOND));
    loading.get(&1).unwrap();
    manual.advance(4 * SECOND);
    assert_eq!(loading.get(&1), Ok(1), "and its renewal is under way");
    let mut met = Vec::new();
    loading.cache().retain(|_, &value| {
        met.push(value);
        later.run();
        false
    });
    assert_eq!((met, loading.cache().peek(&1)), (vec![1, 2], None));
}

#[test]
fn a_renewal_that_is_given_up_comes_again() {
    let Rig { loading, manual, .. } = rig(|loading| loading.refresh_after(SECOND));
    // An executor that drops its jobs.
    let loading = loading.executor(drop);
    loading.get(&1).unwrap();
    manual.advance(SECOND);
    loading.get(&1).unwrap();
    let later = Later::default();
    // The pause after a failure is a tenth of the time, in real time.
    let loading = loading.executor(later.post());
    assert!(support::eventually(|| {
        loading.get(&1).unwrap();
        later.run() == 1
    }));
    assert_eq!(loading.get(&1), Ok(2));
}

#[test]
fn an_old_value_stands_in_for_an_error() {
    let rig = rig(|loading| loading.stale_if_error(30 * SECOND));
    let Rig { loading, store, manual, .. } = rig;
    loading.get(&1).unwrap();
    store.down.store(true, Ordering::SeqCst);
    manual.advance(10 * SECOND);
    for _ in 0..3 {
        assert_eq!(source(&loading), (1, LoadSource::Stale));
        assert_eq!(loading.cache().get(&1), None, "the cache itself returns nothing expired");
        loading.cache().remove_expired();
    }
    manual.advance(29 * SECOND);
    assert_eq!(source(&loading), (1, LoadSource::Stale));
    manual.advance(SECOND);
    assert!(loading.get(&1).is_err());
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(source(&loading), (2, LoadSource::Loaded));
    support::validate(loading.cache());
}

#[test]
fn a_stale_value_is_for_all_that_wait() {
    let Rig { loading, store, manual, .. } = rig(|loading| loading.stale_if_error(30 * SECOND));
    loading.get(&1).unwrap();
    store.down.store(true, Ordering::SeqCst);
    manual.advance(10 * SECOND);
    support::together(8, |_| {
        for _ in 0..200 {
            assert_eq!(source(&loading), (1, LoadSource::Stale));
        }
    });
}

/// Where garbage leaves no room for a load that others can join, each caller loads for itself, and has the old value like
/// all others.
#[test]
fn a_stale_value_is_for_those_that_load_alone() {
    let Rig { loading, store, manual, .. } = rig(|loading| loading.stale_if_error(30 * SECOND));
    loading.get(&1).unwrap();
    (1_000..1_099).for_each(|key| loading.cache().insert(key, key));
    store.down.store(true, Ordering::SeqCst);
    manual.advance(10 * SECOND);
    let (pinned, done) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = loading.cache().pin();
            pinned.wait();
            done.wait();
        });
        pinned.wait();
        // Each replaces another one, until there is no room for one more.
        let fill = |key| loading.cache().try_insert(key, key).is_ok();
        let _ = (1_000..1_099).cycle().take(1_000).all(fill);
        let before = loading.cache().stats().loads_started;
        let one = loading.get_with_source(&1);
        let (many, new) = (loading.get_many(&[1]), loading.refresh(&1));
        done.wait();
        assert_eq!(one.map(|loaded| (loaded.value, loaded.source)), Ok((1, LoadSource::Stale)));
        assert_eq!(many, Ok(vec![Some(1)]));
        assert!(new.is_err(), "who wants a new one gets none");
        assert!(loading.cache().stats().loads_started > before, "it was asked for");
    });
    support::validate(loading.cache());
}

#[test]
fn errors_are_remembered_if_that_is_wanted() {
    let Rig { loading, store, manual, .. } = rig(|loading| loading.negative_ttl(5 * SECOND));
    for _ in 0..3 {
        assert!(matches!(loading.get(&5_000), Err(LoadError::Failed(_))));
    }
    assert_eq!(store.asked(), (1, 0));
    assert_eq!(loading.cache().len(), 0, "an error is no entry");
    loading.cache().insert(5_000, 9);
    assert_eq!(loading.get(&5_000), Ok(9), "a value takes its place");
    loading.cache().invalidate(&5_000);
    assert!(loading.get(&5_000).is_err());
    assert_eq!(store.asked(), (2, 0), "it was forgotten");
    manual.advance(4 * SECOND);
    assert!(loading.get(&5_000).is_err());
    assert_eq!(store.asked(), (2, 0));
    manual.advance(SECOND);
    assert!(loading.get(&5_000).is_err());
    assert_eq!(store.asked(), (3, 0));
    support::validate(loading.cache());
}

#[test]
fn what_was_loaded_together_does_not_expire_together() {
    let Rig { loading, manual, .. } = rig(|loading| loading.jitter(0.5));
    loading.warm(0..100).unwrap();
    assert_eq!(loading.cache().len(), 100);
    let mut lives = HashSet::new();
    for tick in 0..100 {
        lives.insert((0..100).filter(|key| loading.cache().contains_key(key)).count());
        assert!(tick > 50 || lives.len() == 1, "no life is shorter than half");
        manual.advance(SECOND / 10);
    }
    assert!(lives.len() > 20, "they go one by one: {lives:?}");
    assert!((0..100).all(|key| !loading.cache().contains_key(&key)), "none lives longer");
}

#[test]
fn many_keys_are_one_query() {
    let Rig { loading, store, .. } = rig(|loading| loading);
    loading.cache().insert(3, 33);
    let values = loading.get_many(&[1, 3, 2, 1, 2_000, 2]).unwrap();
    assert_eq!(values, [Some(10), Some(33), Some(20), Some(10), None, Some(20)]);
    assert_eq!(*store.queries.lock().unwrap(), [vec![1, 2, 2_000]]);
    assert_eq!(loading.get_many(&[0_u64; 0]).unwrap(), []);
    assert_eq!(loading.warm([1, 2, 4]), Ok(1));
    assert_eq!(store.queries.lock().unwrap()[1..], [vec![4]]);
    assert_eq!(loading.get_many(&[3_000, 1, 3_000]).unwrap(), [None, Some(10), None]);
    assert_eq!(store.queries.lock().unwrap()[2..], [vec![3_000]], "once, though it has no value");
    store.down.store(true, Ordering::SeqCst);
    assert!(loading.get_many(&[1, 9]).is_err());
    store.down.store(false, Ordering::SeqCst);
    assert_eq!(loading.get_many(&[1, 9]).unwrap(), [Some(10), Some(90)], "nothing is stuck");
    support::validate(loading.cache());
}

#[test]
fn a_read_of_many_keys_renews_those_that_are_due() {
    let Rig { loading, store, manual, later } = rig(|loading| loading.refresh_after(4 * SECOND));
    loading.get_many(&[1, 2]).unwrap();
    // A store's versions only grow.
    store.version.store(100, Ordering::SeqCst);
    manual.advance(2 * SECOND);
    loading.cache().insert(3, 33);
    manual.advance(2 * SECOND);
    let values = loading.get_many(&[1, 2, 3]).unwrap();
    assert_eq!(values, [Some(10), Some(20), Some(33)], "the current ones, at once");
    assert_eq!((later.run(), store.asked()), (1, (0, 0)), "both by one query");
    assert_eq!(store.queries.lock().unwrap()[1..], [vec![1, 2]]);
    assert_eq!(later.run(), 0);
    manual.advance(4 * SECOND);
    assert_eq!(loading.get_many(&[2]).unwrap(), [Some(20)]);
    assert_eq!((later.run(), store.asked()), (1, (0, 1)), "one alone is reloaded");
}

#[test]
fn overlapping_queries_ask_for_each_key_once() {
    let Rig { loading, store, .. } = rig(|loading| loading);
    for round in 0..50_u64 {
        support::together(4, |thread| {
            let keys: Vec<u64> =
                (0..10).map(|n| round * 10 + (n * 7 + thread as u64) % 10).collect();
            let values = loading.get_many(&keys).unwrap();
            assert!(values.iter().zip(&keys).all(|(value, key)| *value == Some(key * 10)));
        });
        loading.cache().invalidate_all();
    }
    let mut asked: Vec<u64> = store.queries.lock().unwrap().iter().flatten().copied().collect();
    let all = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!((all, asked.len()), (500, 500), "one load for each key");
}

#[test]
fn a_refresh_loads_anew_and_waits() {
    let Rig { loading, store, .. } = rig(|loading| loading);
    assert_eq!(loading.refresh(&1), Ok(1), "there was nothing");
    assert_eq!(loading.refresh(&1), Ok(2));
    assert_eq!((loading.get(&1), store.asked()), (Ok(2), (1, 1)));
    store.down.store(true, Ordering::SeqCst);
    assert!(loading.refresh(&1).is_err());
    assert_eq!(loading.get(&1), Ok(2), "it stays");
    store.down.store(false, Ordering::SeqCst);
    support::together(8, |_| drop(loading.refresh(&1)));
    let (_, reloads) = store.asked();
    assert!(reloads <= 10, "{reloads}");
    support::validate(loading.cache());
}

#[test]
fn settings_that_need_time_say_so() {
    let timeless = || Cache::<u64, u64>::new(10).loading(Shop(Arc::default()));
    for what in ["refresh_after", "stale_if_error"] {
        let caught = catch_unwind(AssertUnwindSafe(|| match what {
            "refresh_after" => drop(timeless().refresh_after(SECOND)),
            _ => drop(timeless().stale_if_error(SECOND)),
        }));
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains(what) && message.contains("clock"), "{message}");
    }
    // A clock alone will do.
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).clock(clock).build().unwrap();
    let store = Arc::new(Store::default());
    let later = Later::default();
    let loading =
        cache.loading(Shop(store)).refresh_after(SECOND).jitter(f64::NAN).executor(later.post());
    loading.get(&1).unwrap();
    manual.advance(SECOND);
    loading.get(&1).unwrap();
    assert_eq!((later.run(), loading.get(&1)), (1, Ok(2)));
}

#[test]
fn our_own_threads_renew_values() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let store = Arc::new(Store::default());
    let loading = cache.build().unwrap().loading(Shop(Arc::clone(&store))).refresh_after(SECOND);
    (0..50).for_each(|key| drop(loading.get(&key)));
    manual.advance(SECOND);
    assert!(support::eventually(|| {
        (0..50).for_each(|key| assert!(loading.get(&key).is_ok()));
        store.asked().1 >= 50
    }));
    // A loader that panics is no end of them.
    let loading = loading.cache().loading(|_: &u64| -> Result<u64, String> { panic!("as wanted") });
    let loading = loading.refresh_after(SECOND);
    manual.advance(5 * SECOND);
    (0..50).for_each(|key| assert!(loading.get(&key).is_ok()));
}

#[test]
fn what_is_renewed_was_not_used() {
    let Rig { loading, .. } = rig(|loading| loading);
    (10..60).for_each(|key| drop(loading.get(&key)));
    (20..25).for_each(|key| drop(loading.get(&key)));
    for _ in 0..10 {
        assert!(loading.refresh(&30).is_ok());
    }
    let mut hottest = loading.cache().hottest(5);
    hottest.sort_unstable();
    assert_eq!(hottest, [20, 21, 22, 23, 24]);
}

#[test]
fn a_warmer_keeps_keys_fresh() {
    let Rig { loading, store, .. } = rig(|loading| loading);
    let warmer = Warmer::start(&loading, [1, 2, 5_000], Duration::from_millis(1)).unwrap();
    assert!(support::eventually(|| warmer.status().rounds >= 3));
    let status = warmer.stop();
    assert!(!status.running && status.renewed >= 6 && status.failed >= 3, "{status:?}");
    assert!(status.last_failure.unwrap().contains("no such key"));
    let loaded = store.version.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(5));
    assert_eq!(store.version.load(Ordering::SeqCst), loaded, "it has stopped");
    assert!(loading.cache().contains_key(&1) && loading.cache().contains_key(&2));

    (10..60).for_each(|key| drop(loading.get(&key)));
    for _ in 0..3 {
        (20..25).for_each(|key| drop(loading.get(&key)));
    }
    let before = store.asked();
    let warmer = Warmer::start_hottest(&loading, 5, Duration::from_secs(3_600)).unwrap();
    assert!(support::eventually(|| warmer.status().rounds == 1));
    drop(warmer);
    assert_eq!(store.asked(), before);
    let last = store.queries.lock().unwrap().last().unwrap().len();
    assert_eq!(last, 5, "they are renewed by one query");
    let mut hottest = loading.cache().hottest(5);
    hottest.sort_unstable();
    assert_eq!(hottest, [20, 21, 22, 23, 24]);
    assert_eq!(loading.cache().hottest(0), [0; 0]);
    assert_eq!(loading.cache().hottest(usize::MAX).len(), loading.cache().len());
}

#[test]
fn a_warmer_survives_a_loader_that_panics() {
    let cache = Cache::<u64, u64>::new(10);
    let loading = cache.loading(|key: &u64| {
        assert!(*key != 1, "as wanted");
        Ok::<u64, String>(*key)
    });
    let warmer = Warmer::start(&loading, [1, 2], Duration::from_millis(1)).unwrap();
    assert!(support::eventually(|| warmer.status().rounds >= 2));
    let status = warmer.stop();
    assert!(status.failed >= 2 && status.renewed >= 2, "{status:?}");
}

#[test]
fn a_walk_that_invalidates_is_not_undone_by_a_renewal() {
    // While the walk looks at the value, a reader has it renewed: the same value, under a ticket.
    let Rig { loading, store, manual, later } = rig(|loading| loading.refresh_after(SECOND));
    loading.cache().insert(1, 7);
    manual.advance(2 * SECOND);
    loading.cache().retain(|key, _| {
        assert_eq!(loading.get(key), Ok(7));
        false
    });
    store.down.store(true, Ordering::SeqCst);
    later.run();
    assert_eq!(loading.cache().get(&1), None, "what was invalidated is there");
    // And beside a walk on another thread.
    let Rig { loading, manual, later, .. } = rig(|loading| loading.refresh_after(SECOND));
    for round in 0..support::size(500, 20_000) as u64 {
        loading.cache().insert(1, 1_000_000 + round);
        manual.advance(SECOND);
        thread::scope(|scope| {
            scope.spawn(|| drop(loading.get(&1)));
            loading.cache().invalidate_all();
        });
        let found = loading.cache().get(&1);
        assert!(found != Some(1_000_000 + round), "what was invalidated is there");
        later.0.lock().unwrap().clear();
        loading.cache().invalidate_all();
    }
    support::validate(loading.cache());
}

#[test]
fn a_refresh_is_fresh_even_if_there_is_no_room_to_renew() {
    let builder = Cache::builder().capacity(1_000).retired_capacity(50).weigher(|_, _: &u64| 100);
    let store = Arc::new(Store::default());
    let loading = builder.build().unwrap().loading(Shop(Arc::clone(&store)));
    assert_eq!((loading.get(&1), loading.refresh(&1), loading.refresh(&1)), (Ok(1), Ok(2), Ok(3)));
    // A guard is held, and garbage fills the retired capacity and the capacity.
    let held = loading.cache().pin();
    let fresh: Vec<u64> = (0..20).map(|_| loading.refresh(&1).unwrap()).collect();
    assert!(
        fresh.windows(2).all(|pair| pair[0] < pair[1]),
        "an old value was passed on: {fresh:?}"
    );
    drop(held);
    support::validate(loading.cache());
}

#[test]
fn errors_and_old_values_are_the_same_for_many_keys() {
    let Rig { loading, store, manual, .. } =
        rig(|loading| loading.negative_ttl(5 * SECOND).stale_if_error(30 * SECOND));
    assert_eq!(loading.get_many(&[1, 2]).unwrap(), [Some(10), Some(20)]);
    store.down.store(true, Ordering::SeqCst);
    manual.advance(10 * SECOND);
    assert_eq!(
        loading.get_many(&[1, 2]).unwrap(),
        [Some(10), Some(20)],
        "old, and better than none"
    );
    manual.advance(30 * SECOND);
    let queries = store.queries.lock().unwrap().len();
    for _ in 0..3 {
        assert!(loading.get_many(&[1, 2]).is_err());
        assert!(loading.get(&2).is_err() && loading.warm([1]).is_err());
    }
    assert_eq!(store.queries.lock().unwrap().len(), queries + 1, "the error is remembered");
}

#[test]
fn durations_without_end_are_no_reason_to_panic() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).clock(clock).build().unwrap();
    let loading = cache.loading(Shop(Arc::default())).refresh_after(Duration::MAX);
    let loading = loading.stale_if_error(Duration::MAX).jitter(1.0);
    loading.get(&1).unwrap();
    manual.advance(Duration::MAX);
    assert_eq!(loading.get(&1), Ok(1));
}

#[test]
fn a_warmer_that_is_dropped_by_a_loader_waits_for_nothing() {
    let cache = Cache::<u64, u64>::new(10);
    let inner = cache.loading(|key: &u64| Ok::<u64, String>(*key));
    let loaded = cache.get_or_load(1, |_| {
        let warmer = Warmer::start(&inner, [1], Duration::from_millis(1)).unwrap();
        thread::sleep(Duration::from_millis(20));
        drop(warmer);
        5
    });
    assert_eq!(loaded, 5);
}

/// Loads that were started, succeeded and failed; renewals, and those that failed.
fn counted(cache: &Cache<u64, u64>) -> ([u64; 3], [u64; 2]) {
    let stats = cache.stats();
    let loads = [stats.loads_started, stats.loads_succeeded, stats.loads_failed];
    (loads, [stats.renewals, stats.renewals_failed])
}

#[test]
fn loads_and_renewals_are_counted() {
    let Rig { loading, store, manual, later } = rig(|loading| loading.refresh_after(4 * SECOND));
    let cache = loading.cache();
    loading.get(&1).unwrap();
    assert!(loading.get(&5_000).is_err());
    loading.get_many(&[1, 2, 3, 2_000]).unwrap();
    assert_eq!(counted(cache), ([5, 4, 1], [0, 0]), "each key of many by itself");
    // A store's versions only grow.
    store.version.store(100, Ordering::SeqCst);
    manual.advance(4 * SECOND);
    loading.get(&1).unwrap();
    assert_eq!(counted(cache), ([5, 4, 1], [1, 0]), "begun, and not started");
    store.down.store(true, Ordering::SeqCst);
    later.run();
    assert_eq!(counted(cache), ([6, 4, 2], [1, 1]), "a renewal that fails leaves a trace");
    store.down.store(false, Ordering::SeqCst);
    loading.get(&2).unwrap();
    later.0.lock().unwrap().clear();
    assert_eq!(counted(cache), ([6, 4, 2], [2, 2]), "one that is given up, too");
    loading.get(&3).unwrap();
    later.run();
    assert_eq!(counted(cache), ([7, 5, 2], [3, 2]));
    let panics = catch_unwind(AssertUnwindSafe(|| cache.get_or_load(9, |_| panic!("as wanted"))));
    assert!(panics.is_err());
    assert_eq!(counted(cache), ([8, 5, 3], [3, 2]));
    // One that waits, and gives up.
    thread::scope(|scope| {
        cache.get_or_load(10, |_| {
            let waits = || cache.get_or_load_timeout(10, SECOND / 100, |_| Ok::<_, String>(0));
            assert_eq!(scope.spawn(waits).join().unwrap(), Err(LoadError::TimedOut));
            1
        });
    });
    let stats = cache.stats();
    assert_eq!((stats.loads_joined, stats.loads_timed_out), (1, 1));
    assert_eq!((counted(cache).0, stats.loads_relieved), ([9, 6, 3], 0));
}

#[test]
fn a_load_that_hangs_shows() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).clock(clock).time_to_live(10 * SECOND);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (held, first) = (Mutex::new(held), AtomicBool::new(true));
    let loading = cache.build().unwrap().loading(move |key: &u64| {
        if !first.swap(false, Ordering::SeqCst) {
            support::ignore(held.lock().unwrap().recv());
        }
        Ok::<_, String>(*key)
    });
    let loading = loading.refresh_after(SECOND);
    loading.get(&1).unwrap();
    manual.advance(SECOND);
    loading.get(&1).unwrap();
    let stats = || loading.cache().stats();
    assert!(support::eventually(|| stats().loads_started == 2));
    assert_eq!((stats().loads_succeeded, stats().loads_failed, stats().renewals), (1, 0, 1));
    drop(hold);
    assert!(support::eventually(|| stats().loads_succeeded == 2));
}

#[test]
fn a_warmer_asks_once_for_all_and_heeds_what_is_remembered() {
    let Rig { loading, store, manual, .. } = rig(|loading| loading.negative_ttl(5 * SECOND));
    let rounds = |more: u64, warmer: &Warmer| {
        let until = warmer.status().rounds + more;
        assert!(support::eventually(|| warmer.status().rounds >= until));
    };
    store.down.store(true, Ordering::SeqCst);
    let keys = (0..50).chain(0..50).chain([2_000]);
    let warmer = Warmer::start(&loading, keys, Duration::from_millis(1)).unwrap();
    rounds(3, &warmer);
    assert_eq!(store.queries.lock().unwrap().len(), 1, "an upstream that is down is left alone");
    assert_eq!(store.queries.lock().unwrap()[0].len(), 51);
    assert!(warmer.status().failed >= 2 * 51 && warmer.status().renewed == 0);
    store.down.store(false, Ordering::SeqCst);
    manual.advance(5 * SECOND);
    rounds(2, &warmer);
    let status = warmer.stop();
    assert!(status.renewed >= 50, "{status:?}");
    assert_eq!(loading.cache().len(), 50);
    assert_eq!(store.asked(), (0, 0), "never one by one");
    support::validate(loading.cache());
}

#[test]
fn a_failure_is_remembered_beyond_the_life_of_the_old_value() {
    let Rig { loading, store, manual, later } =
        rig(|loading| loading.refresh_after(4 * SECOND).negative_ttl(20 * SECOND));
    loading.get(&1).unwrap();
    store.down.store(true, Ordering::SeqCst);
    manual.advance(5 * SECOND);
    assert_eq!((loading.get(&1), later.run(), store.asked()), (Ok(1), 1, (1, 1)));
    manual.advance(6 * SECOND);
    for _ in 0..3 {
        loading.cache().remove_expired();
        loading.cache().insert(2, 2);
        assert!(loading.get(&1).is_err());
        assert_eq!(store.asked(), (1, 1), "a source that is down is left alone");
    }
    manual.advance(14 * SECOND);
    loading.cache().remove_expired();
    assert!(loading.get(&1).is_err());
    assert_eq!(store.asked(), (2, 1));
    // Where nobody asks again, failures are swept away when their time is over.
    manual.advance(20 * SECOND);
    while loading.cache().maintain(1_000).freed > 0 {}
    support::validate(loading.cache());
}

#[test]
fn failures_that_are_remembered_are_bounded() {
    let Rig { loading, store, .. } = rig(|loading| loading.negative_ttl(1_000 * SECOND));
    let keys = 2_000..4_000_u64;
    for key in keys.clone() {
        assert!(loading.get(&key).is_err());
    }
    assert_eq!(store.asked(), (2_000, 0));
    // The newest are remembered, and there is room for loads beside them.
    for key in keys.clone().rev().take(1_000) {
        assert!(loading.get(&key).is_err());
    }
    assert_eq!(store.asked(), (2_000, 0));
    assert!(loading.get(&keys.start).is_err());
    assert_eq!(store.asked(), (2_001, 0), "the oldest are not");
    assert_eq!(loading.warm(0..900), Ok(900));
    support::validate(loading.cache());
}

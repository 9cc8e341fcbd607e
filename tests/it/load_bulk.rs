//! Many keys at a time: one query, however many they are, and every key answered by itself.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use crate::support;
use clockhand::load::Job;
use clockhand::{Cache, Clock, LoadSource, Loader, ManualClock, Warmer};

const SECOND: Duration = Duration::from_secs(1);

/// A table that is asked by queries. Keys from 900,000 on have no value.
#[derive(Clone, Default)]
struct Table {
    queries: Arc<Mutex<Vec<Vec<u64>>>>,
    single: Arc<AtomicU64>,
    down: Arc<AtomicBool>,
}

impl Table {
    fn queries(&self) -> usize {
        self.queries.lock().unwrap().len()
    }
}

impl Loader<u64, u64> for Table {
    type Error = String;
    fn load(&self, key: &u64) -> Result<u64, String> {
        self.single.fetch_add(1, Ordering::SeqCst);
        if *key < 900_000 { Ok(key + 1) } else { Err("no such key".to_string()) }
    }
    fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
        self.queries.lock().unwrap().push(keys.to_vec());
        if self.down.load(Ordering::SeqCst) {
            return Err("down".to_string());
        }
        Ok(keys.iter().map(|key| (*key < 900_000).then_some(key + 1)).collect())
    }
}

fn timed() -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(1_000).clock(clock).time_to_live(10 * SECOND);
    (builder.build().unwrap(), manual)
}

/// A loader of single keys, of which 13 has an error and 66 makes it panic.
struct Single(Arc<Mutex<Vec<u64>>>);

impl Loader<u64, u64> for Single {
    type Error = String;
    fn load(&self, key: &u64) -> Result<u64, String> {
        self.0.lock().unwrap().push(*key);
        assert!(*key != 66, "as wanted");
        if *key == 13 { Err("thirteen".to_string()) } else { Ok(key + 1) }
    }
}

/// A loader that passes all on to another one.
struct Outer(Single);

impl Loader<u64, u64> for Outer {
    type Error = String;
    fn load(&self, key: &u64) -> Result<u64, String> {
        self.0.load(key)
    }
    fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
        self.0.load_many(keys)
    }
}

#[test]
fn one_bad_key_is_its_own_error_only() {
    fn check<L: Loader<u64, u64, Error = String> + 'static>(loader: L, asked: &Mutex<Vec<u64>>) {
        let (cache, _hand) = timed();
        let loading = cache.loading(loader).negative_ttl(60 * SECOND);
        let error = loading.get_many(&[1, 13, 2, 13]).unwrap_err();
        assert_eq!(error.error().unwrap(), "thirteen");
        assert_eq!(*asked.lock().unwrap(), [1, 13, 2]);
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&13)), (Some(2), Some(3), None));
        assert!(loading.get(&13).is_err() && loading.get_many(&[13, 3]).is_err());
        assert_eq!(
            *asked.lock().unwrap(),
            [1, 13, 2, 3],
            "the error of 13 is remembered, and does not deny 3"
        );
        assert_eq!(loading.warm([1, 4, 5]), Ok(2));
        support::validate(&cache);
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    check(Single(Arc::clone(&asked)), &asked);
    asked.lock().unwrap().clear();
    check(Outer(Single(Arc::clone(&asked))), &asked);
    asked.lock().unwrap().clear();
    let single = Single(Arc::clone(&asked));
    check(move |key: &u64| single.load(key), &asked);
}

#[test]
fn the_default_for_many_keys_may_be_called() {
    let single = Single(Arc::default());
    assert_eq!(single.load_many(&[1, 2]), Ok(vec![Some(2), Some(3)]));
    assert_eq!(single.load_many(&[1, 13, 2]), Err("thirteen".to_string()));
    assert_eq!(*single.0.lock().unwrap(), [1, 2, 1, 13]);
    // Also while the cache asks another loader.
    struct Asking(Single);
    impl Loader<u64, u64> for Asking {
        type Error = String;
        fn load(&self, _: &u64) -> Result<u64, String> {
            panic!("this one is asked for many");
        }
        fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
            let keys: Vec<u64> = keys.iter().map(|key| key + 100).collect();
            self.0.load_many(&keys)
        }
    }
    let loading = Cache::new(10).loading(Asking(Single(Arc::default())));
    assert_eq!(loading.get_many(&[1, 2]).unwrap(), [Some(102), Some(103)]);
}

#[test]
fn a_key_that_panics_leaves_the_others() {
    let loading = Cache::<u64, u64>::new(10).loading(Single(Arc::default()));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| loading.get_many(&[1, 66, 2]))).is_err());
        assert_eq!(loading.cache().get(&1), Some(2), "it was loaded before");
    }
    assert_eq!(loading.get_many(&[1, 2]).unwrap(), [Some(2), Some(3)], "nothing is stuck");
    struct Broken;
    impl Loader<u64, u64> for Broken {
        type Error = String;
        fn load(&self, key: &u64) -> Result<u64, String> {
            Ok(*key)
        }
        fn load_many(&self, _: &[u64]) -> Result<Vec<Option<u64>>, String> {
            panic!("as wanted");
        }
    }
    let broken = loading.cache().loading(Broken);
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| broken.get_many(&[1, 7, 8]))).is_err());
    }
    assert_eq!(broken.get(&7), Ok(7));
    support::validate(loading.cache());
}

#[test]
fn a_value_that_panics_on_its_way_in_leaves_the_others() {
    let weigher = |key: &u64, _: &u64| if *key == 2 { panic!("as wanted") } else { 1 };
    let cache = Cache::builder().capacity(100).weigher(weigher).build().unwrap();
    let table = Table::default();
    let loading = cache.loading(table.clone());
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| loading.get_many(&[1, 2, 3]))).is_err());
        assert_eq!([1, 2, 3].map(|key| cache.get(&key)), [Some(2), None, Some(4)]);
    }
    assert_eq!(*table.queries.lock().unwrap(), [vec![1, 2, 3], vec![2]]);
    support::validate(&cache);
}

/// The loads of key 1 last until the test says so.
struct First {
    begins: Mutex<mpsc::Sender<()>>,
    holds: Mutex<mpsc::Receiver<()>>,
    asked: Arc<Mutex<Vec<u64>>>,
}

impl Loader<u64, u64> for First {
    type Error = String;
    fn load(&self, key: &u64) -> Result<u64, String> {
        self.asked.lock().unwrap().push(*key);
        if *key == 1 {
            self.begins.lock().unwrap().send(()).unwrap();
            let _ = self.holds.lock().unwrap().recv();
        }
        Ok(key + 1)
    }
}

/// A loader is found to have no `load_many` only when it is asked; by then the loads of all keys have begun.
#[test]
fn who_asks_for_a_key_whose_turn_has_not_come_loads_it() {
    let ((begins, begun), (go, holds)) = (mpsc::channel(), mpsc::channel());
    let asked = Arc::<Mutex<Vec<u64>>>::default();
    let (begins, holds) = (Mutex::new(begins), Mutex::new(holds));
    let loading = Cache::<u64, u64>::new(10).loading(First { begins, holds, asked: asked.clone() });
    thread::scope(|scope| {
        let many = scope.spawn(|| loading.get_many(&[1, 2, 3]));
        begun.recv().unwrap();
        let one = loading.clone();
        assert_eq!(support::in_time(move || one.get(&3)), Ok(4));
        go.send(()).unwrap();
        assert_eq!(many.join().unwrap().unwrap(), [Some(2), Some(3), Some(4)]);
    });
    assert_eq!(*asked.lock().unwrap(), [1, 3, 2], "each once");
    support::validate(loading.cache());
}

#[test]
fn who_asks_for_a_key_that_a_warmer_has_not_come_to_loads_it() {
    let ((begins, begun), (go, holds)) = (mpsc::channel(), mpsc::channel());
    let asked = Arc::<Mutex<Vec<u64>>>::default();
    let (begins, holds) = (Mutex::new(begins), Mutex::new(holds));
    let loading = Cache::<u64, u64>::new(10).loading(First { begins, holds, asked: asked.clone() });
    let warmer = Warmer::start(&loading, [1, 2, 3], Duration::from_secs(3_600)).unwrap();
    begun.recv().unwrap();
    let one = loading.clone();
    assert_eq!(support::in_time(move || one.get(&3)), Ok(4));
    go.send(()).unwrap();
    assert!(support::eventually(|| warmer.status().renewed == 3));
    warmer.stop();
    assert_eq!(loading.cache().len(), 3);
    assert_eq!(asked.lock().unwrap()[..3], [1, 3, 2]);
}

#[test]
fn a_query_that_fails_is_every_keys_error_and_an_old_value_stands_in() {
    let (cache, manual) = timed();
    let table = Table::default();
    let loading = cache.loading(table.clone()).stale_if_error(60 * SECOND).negative_ttl(SECOND);
    loading.get_many(&[1, 2]).unwrap();
    table.down.store(true, Ordering::SeqCst);
    manual.advance(10 * SECOND);
    assert_eq!(loading.get_many(&[1, 2]).unwrap(), [Some(2), Some(3)]);
    cache.invalidate(&2);
    assert!(loading.get_many(&[1, 2]).is_err(), "what was invalidated does not stand in");
    assert_eq!(*table.queries.lock().unwrap(), [vec![1, 2], vec![1, 2], vec![2]]);
    assert_eq!(loading.get_with_source(&1).unwrap().source, LoadSource::Stale);
    assert_eq!(table.single.load(Ordering::SeqCst), 0, "the error of 1 is remembered");
}

#[test]
fn a_key_without_a_value_is_asked_for_once() {
    let (cache, manual) = timed();
    let table = Table::default();
    let loading = cache.loading(table.clone()).negative_ttl(5 * SECOND);
    // However they come, one after the other or at once.
    support::together(8, |_| {
        for _ in 0..20 {
            assert_eq!(loading.get_many(&[900_001, 900_001]).unwrap(), [None, None]);
        }
    });
    assert_eq!(table.queries(), 1);
    assert!(loading.get(&900_001).is_err(), "who asks for one key gets its loader's own error");
    assert_eq!(table.single.load(Ordering::SeqCst), 1);
    manual.advance(5 * SECOND);
    assert_eq!(loading.get_many(&[900_001]).unwrap(), [None]);
    assert_eq!(table.queries(), 2);
    cache.insert(900_001, 5);
    assert_eq!(loading.get_many(&[900_001]).unwrap(), [Some(5)]);
    cache.remove(&900_001);
    assert_eq!(loading.get_many(&[900_001]).unwrap(), [None]);
    assert_eq!(table.queries(), 3, "it was forgotten");
    support::validate(&cache);
}

#[test]
fn who_waits_for_a_key_without_a_value_is_told() {
    struct Slow(mpsc::SyncSender<()>, Mutex<mpsc::Receiver<()>>, AtomicU64);
    impl Loader<u64, u64> for Slow {
        type Error = String;
        fn load(&self, _: &u64) -> Result<u64, String> {
            panic!("nobody asks for one");
        }
        fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
            self.2.fetch_add(1, Ordering::SeqCst);
            self.0.send(()).unwrap();
            self.1.lock().unwrap().recv().unwrap();
            Ok(vec![None; keys.len()])
        }
    }
    let ((begin, begun), (go, gone)) = (mpsc::sync_channel(9), mpsc::channel());
    let loading =
        Cache::<u64, u64>::new(10).loading(Slow(begin, Mutex::new(gone), AtomicU64::new(0)));
    thread::scope(|scope| {
        let leader = scope.spawn(|| loading.get_many(&[1]));
        begun.recv().unwrap();
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| loading.get_many(&[1]))).collect();
        assert!(support::eventually(|| loading.cache().stats().loads_joined == 4));
        go.send(()).unwrap();
        assert_eq!(leader.join().unwrap().unwrap(), [None]);
        waiting.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap().unwrap(), [None]));
    });
    let stats = loading.cache().stats();
    assert_eq!((stats.loads_started, stats.loads_succeeded), (1, 1), "an answer is an answer");
    support::validate(loading.cache());
}

#[test]
fn more_keys_than_placeholders_are_one_query() {
    let table = Table::default();
    let cache = Cache::builder().capacity(100_000).retired_capacity(100).build().unwrap();
    let loading = cache.loading(table.clone());
    let keys: Vec<u64> = (0..5_000).chain(0..5_000).collect();
    let values = loading.get_many(&keys).unwrap();
    assert!(values.iter().zip(&keys).all(|(value, key)| *value == Some(key + 1)));
    assert_eq!((table.queries(), table.single.load(Ordering::SeqCst)), (1, 0));
    assert_eq!((table.queries.lock().unwrap()[0].len(), cache.len()), (5_000, 5_000));
    support::validate(&cache);
    // Also where most find no room in the cache.
    let small = Cache::<u64, u64>::new(10);
    let values = small.loading(table.clone()).get_many(&keys).unwrap();
    assert!(values.iter().zip(&keys).all(|(value, key)| *value == Some(key + 1)));
    assert_eq!(table.queries(), 2);
    support::validate(&small);
}

#[test]
fn what_large_queries_leave_behind_is_bounded() {
    let table = Table::default();
    let cache = Cache::<u64, u64>::builder().capacity(100).retired_capacity(10).build().unwrap();
    let loading = cache.loading(table.clone());
    let held = cache.pin();
    table.down.store(true, Ordering::SeqCst);
    for round in 0..10 {
        let keys: Vec<u64> = (0..2_000).map(|key| round * 2_000 + key).collect();
        assert!(loading.get_many(&keys).is_err());
        let backlog = cache.maintain(0).backlog;
        assert!(backlog <= 2_000 + 1_100, "{backlog} items wait for the guard");
    }
    table.down.store(false, Ordering::SeqCst);
    let keys: Vec<u64> = (50_000..52_000).collect();
    let values = loading.get_many(&keys).unwrap();
    assert!(values.iter().all(Option::is_some), "they are loaded, if not put in");
    assert_eq!(table.queries(), 11, "by one query");
    drop(held);
    support::validate(&cache);
    assert_eq!(loading.get_many(&[1]).unwrap(), [Some(2)]);
    assert_eq!(cache.get(&1), Some(2));
}

/// Counts how often keys are compared.
#[derive(Clone, Eq)]
struct Counted(u64);

thread_local! {
    static COMPARED: Cell<u64> = const { Cell::new(0) };
}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

#[test]
fn a_query_costs_in_proportion_to_its_keys() {
    struct Rows(AtomicU64);
    impl Loader<Counted, u64> for Rows {
        type Error = String;
        fn load(&self, key: &Counted) -> Result<u64, String> {
            Ok(key.0)
        }
        fn load_many(&self, keys: &[Counted]) -> Result<Vec<Option<u64>>, String> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(keys.iter().map(|key| Some(key.0)).collect())
        }
    }
    let compared = |number: u64| {
        let loading = Cache::new(1_000_000).loading(Rows(AtomicU64::new(0)));
        let before = COMPARED.get();
        let twice = (0..number).chain(0..number).map(Counted);
        assert_eq!(loading.warm(twice), Ok(number as usize), "each of them once");
        assert_eq!(loading.cache().len() as u64, number);
        COMPARED.get() - before
    };
    let most = support::size(20_000, 500_000) as u64;
    let (few, many) = (compared(most / 10), compared(most));
    assert!(many < few * 20, "{few} comparisons for {most} keys, {many} for ten times as many");
}

#[test]
fn keys_that_are_due_are_renewed_together() {
    let (cache, manual) = timed();
    let (table, jobs) = (Table::default(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&jobs);
    let executor = move |job: Job| {
        counted.fetch_add(1, Ordering::SeqCst);
        job();
    };
    let loading =
        cache.loading(table.clone()).refresh_after(4 * SECOND).stale_while_revalidate(SECOND);
    let loading = loading.executor(executor);
    let keys: Vec<u64> = (0..300).collect();
    loading.get_many(&keys).unwrap();
    // Ahead of their expiry, and after it.
    for wait in [5, 10] {
        manual.advance(wait * SECOND);
        let twice: Vec<u64> = keys.iter().chain(&keys).copied().collect();
        assert!(loading.get_many(&twice).unwrap().iter().all(Option::is_some));
    }
    assert_eq!((table.queries(), table.single.load(Ordering::SeqCst)), (3, 0));
    assert_eq!(jobs.load(Ordering::SeqCst), 2);
    // A row that is gone takes its value along.
    cache.insert(900_000, 1);
    manual.advance(5 * SECOND);
    assert_eq!(loading.get_many(&[900_000, 1]).unwrap(), [Some(1), Some(2)]);
    assert_eq!((cache.get(&900_000), cache.get(&1)), (None, Some(2)));
    support::validate(&cache);
}

#[test]
fn a_key_that_panics_when_its_value_is_renewed_stops_no_other() {
    let (cache, manual) = timed();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let loading = cache.loading(Single(Arc::clone(&asked))).refresh_after(4 * SECOND);
    let loading = loading.executor(|job: Job| drop(catch_unwind(AssertUnwindSafe(job))));
    [66, 13, 1, 2].into_iter().for_each(|key| cache.insert(key, 0));
    manual.advance(4 * SECOND);
    assert_eq!(loading.get_many(&[66, 13, 1, 2]).unwrap(), [Some(0); 4]);
    assert_eq!(*asked.lock().unwrap(), [66, 13, 1, 2]);
    assert_eq!(loading.get_many(&[66, 13, 1, 2]).unwrap(), [Some(0), Some(0), Some(2), Some(3)]);
}

#[cfg(feature = "async")]
#[test]
fn one_bad_key_is_its_own_error_for_tasks() {
    use clockhand::AsyncLoader;
    use futures_executor::block_on;
    struct Shy(Single);
    impl AsyncLoader<u64, u64> for Shy {
        type Error = String;
        async fn load(&self, key: &u64) -> Result<u64, String> {
            self.0.load(key)
        }
    }
    let (cache, _hand) = timed();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let loading = cache.loading(Shy(Single(Arc::clone(&asked)))).negative_ttl(60 * SECOND);
    assert!(block_on(loading.get_many_async(&[1, 13, 2, 13])).is_err());
    assert_eq!(*asked.lock().unwrap(), [1, 13, 2]);
    assert_eq!((cache.get(&1), cache.get(&2), cache.get(&13)), (Some(2), Some(3), None));
    assert!(block_on(loading.get_many_async(&[13, 3])).is_err());
    assert_eq!(*asked.lock().unwrap(), [1, 13, 2, 3]);
    let many = block_on(AsyncLoader::load_many(&Shy(Single(Arc::default())), &[1, 2]));
    assert_eq!(many, Ok(vec![Some(2), Some(3)]), "the default may be called");
    support::validate(&cache);
}

#[cfg(feature = "async")]
#[test]
fn a_task_that_asks_for_a_key_whose_turn_has_not_come_loads_it() {
    use clockhand::AsyncLoader;
    use futures_executor::block_on;
    use std::task::{Context, Poll, Waker};
    type Gate = tokio::sync::oneshot::Receiver<()>;
    struct Gated(Mutex<Option<Gate>>, Arc<Mutex<Vec<u64>>>);
    impl AsyncLoader<u64, u64> for Gated {
        type Error = String;
        async fn load(&self, key: &u64) -> Result<u64, String> {
            self.1.lock().unwrap().push(*key);
            if *key == 1 {
                let gate = self.0.lock().unwrap().take().unwrap();
                gate.await.unwrap();
            }
            Ok(key + 1)
        }
    }
    let ((open, gate), asked) =
        (tokio::sync::oneshot::channel(), Arc::<Mutex<Vec<u64>>>::default());
    let loader = Gated(Mutex::new(Some(gate)), Arc::clone(&asked));
    let loading = Cache::<u64, u64>::new(10).loading(loader);
    let mut many = Box::pin(loading.get_many_async(&[1, 2, 3]));
    let mut poll = || many.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    assert_eq!(block_on(loading.get_async(&3)), Ok(4));
    open.send(()).unwrap();
    assert_eq!(poll(), Poll::Ready(Ok(vec![Some(2), Some(3), Some(4)])));
    assert_eq!(*asked.lock().unwrap(), [1, 3, 2], "each once");
    support::validate(loading.cache());
}

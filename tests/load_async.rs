//! One load per key, and never a stale one: what tasks see.

#![cfg(feature = "async")]
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use clockhand::load::{AsyncLoader, BoxFuture};
use clockhand::{Cache, Clock, LoadError, LoadSource};
use support::heap;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const SECOND: Duration = Duration::from_secs(1);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap()
}

async fn load(loads: Arc<AtomicU64>) -> u64 {
    loads.fetch_add(1, Ordering::Relaxed);
    tokio::task::yield_now().await;
    7
}

#[test]
fn a_thousand_tasks_and_sixty_four_threads_cause_one_load() {
    let (cache, loads) = (Cache::<u64, u64>::new(100), Arc::new(AtomicU64::new(0)));
    let runtime = runtime();
    for round in 0..10 {
        let tasks: Vec<_> = (0..1_000)
            .map(|_| {
                let (cache, loads) = (cache.clone(), Arc::clone(&loads));
                runtime.spawn(async move { cache.get_or_load_async(round, |_| load(loads)).await })
            })
            .collect();
        support::together(support::size(16, 64), |_| {
            let value = cache.get_or_load(round, |_| {
                loads.fetch_add(1, Ordering::Relaxed);
                7
            });
            assert_eq!(value, 7);
        });
        runtime.block_on(async {
            for task in tasks {
                assert_eq!(task.await.unwrap(), 7);
            }
        });
        assert_eq!(loads.load(Ordering::Relaxed), round + 1);
    }
    support::validate(&cache);
}

#[test]
fn another_executor_does_it_as_well() {
    let (cache, loads) = (Cache::<u64, u64>::new(100), Arc::new(AtomicU64::new(0)));
    let pool = futures_executor::ThreadPool::builder().pool_size(4).create().unwrap();
    let (told, values) = mpsc::channel();
    for _ in 0..1_000 {
        let (cache, loads, told) = (cache.clone(), Arc::clone(&loads), told.clone());
        pool.spawn_ok(async move {
            let value = cache.get_or_load_async(1, |_| async {
                loads.fetch_add(1, Ordering::Relaxed);
                // Gives way once, in the manner of no runtime.
                let mut waited = false;
                std::future::poll_fn(|context| {
                    if std::mem::replace(&mut waited, true) {
                        return Poll::Ready(7);
                    }
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await
            });
            told.send(value.await).unwrap();
        });
    }
    drop(told);
    assert_eq!(values.iter().filter(|value| *value == 7).count(), 1_000);
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[test]
fn a_hit_allocates_nothing_and_polls_nothing() {
    let cache = Cache::<u64, u64>::new(10);
    cache.insert(1, 5);
    assert_eq!(cache.get(&1), Some(5));
    let mut context = Context::from_waker(Waker::noop());
    let before = heap::calls();
    for _ in 0..100 {
        let future = cache.get_or_load_async(1, |_| async { unreachable!("it is there") });
        assert_eq!(pin!(future).as_mut().poll(&mut context), Poll::Ready(5));
        assert_eq!(cache.get_or_load(1, |_| unreachable!("it is there")), 5);
    }
    assert_eq!(heap::calls(), before);
}

/// A waker that counts.
#[derive(Default)]
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

type Waiting<'c> = Pin<Box<dyn Future<Output = u64> + 'c>>;

fn poll(waiting: &mut Waiting<'_>, waker: &Waker) -> Poll<u64> {
    waiting.as_mut().poll(&mut Context::from_waker(waker))
}

#[test]
fn the_first_that_waits_is_the_first_that_is_promoted() {
    let cache = Cache::<u64, u64>::new(10);
    let mut leader: Waiting<'_> =
        Box::pin(cache.get_or_load_async(1, |_| std::future::pending::<u64>()));
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let bells: Vec<_> = (0..3).map(|_| bell()).collect();
    let mut waiting: Vec<Waiting<'_>> = (0..3)
        .map(|n| {
            Box::pin(cache.get_or_load_async(1, move |_| async move { 10 + n })) as Waiting<'_>
        })
        .collect();
    for (waiting, (_, waker)) in waiting.iter_mut().zip(&bells) {
        assert!(poll(waiting, waker).is_pending());
    }
    drop(leader);
    let woken: Vec<u64> = bells.iter().map(|(bell, _)| bell.0.load(Ordering::Relaxed)).collect();
    assert_eq!(woken, [1, 0, 0]);
    // The first one is cancelled, although it has just been promoted: it is the second one's turn.
    drop(waiting.remove(0));
    assert_eq!(bells[1].0.0.load(Ordering::Relaxed), 1);
    assert!(poll(&mut waiting[1], &bells[2].1).is_pending());
    assert_eq!(poll(&mut waiting[0], &bells[1].1), Poll::Ready(11));
    assert_eq!(bells[2].0.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut waiting[1], &bells[2].1), Poll::Ready(11));
    assert_eq!(cache.get(&1), Some(11));
}

#[test]
fn a_task_that_moves_is_woken_where_it_is() {
    let cache = Cache::<u64, u64>::new(10);
    let (open, gate) = tokio::sync::oneshot::channel();
    let mut leader: Waiting<'_> =
        Box::pin(cache.get_or_load_async(1, |_| async { gate.await.unwrap() }));
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let mut waiting: Waiting<'_> = Box::pin(cache.get_or_load_async(1, |_| async { 9 }));
    let ((old, first), (new, second)) = (bell(), bell());
    assert!(poll(&mut waiting, &first).is_pending());
    assert!(poll(&mut waiting, &second).is_pending());
    open.send(5).unwrap();
    assert_eq!(poll(&mut leader, Waker::noop()), Poll::Ready(5));
    assert_eq!((old.0.load(Ordering::Relaxed), new.0.load(Ordering::Relaxed)), (0, 1));
    assert_eq!(poll(&mut waiting, &second), Poll::Ready(5));
}

#[test]
fn leaders_that_are_dropped_leave_nothing_behind() {
    let cache = Cache::<u64, String>::new(10);
    for key in 0..1_000 {
        let mut future =
            Box::pin(cache.get_or_load_async(key, |_| std::future::pending::<String>()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        if key % 2 == 0 {
            cache.invalidate(&key);
        }
    }
    support::validate(&cache);
    assert_eq!(cache.len(), 0);
}

#[test]
fn threads_and_tasks_that_are_cancelled_at_random() {
    let cache = Cache::<u64, u64>::new(4);
    let runtime = runtime();
    let rounds = support::size(2_000, 100_000) as u64;
    let tasks: Vec<_> = (0..8)
        .map(|seed| {
            let cache = cache.clone();
            runtime.spawn(async move {
                let mut random = support::Random::new(seed);
                for _ in 0..rounds {
                    let key = random.below(6);
                    let pause = random.below(3);
                    let load = async move {
                        for _ in 0..pause {
                            tokio::task::yield_now().await;
                        }
                        if pause == 2 { Err("no".to_string()) } else { Ok(key) }
                    };
                    let patience = Duration::from_micros(random.below(200));
                    let wait = cache.try_get_or_load_async(key, |_| load);
                    if let Ok(Ok(value)) = tokio::time::timeout(patience, wait).await {
                        assert_eq!(value, key);
                    }
                }
            })
        })
        .collect();
    support::together(2, |thread| {
        let mut random = support::Random::new(100 + thread as u64);
        for _ in 0..rounds {
            let key = random.below(6);
            match random.below(4) {
                0 => support::ignore(cache.invalidate(&key)),
                1 => cache.insert(key, key),
                _ => assert_eq!(cache.get_or_load(key, |&key| key), key),
            }
        }
    });
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    support::validate(&cache);
    support::assert_balanced(&cache);
}

/// Versions of each key.
struct Store(Arc<AtomicU64>);

impl AsyncLoader<u64, u64> for Store {
    type Error = String;

    async fn load(&self, key: &u64) -> Result<u64, String> {
        tokio::task::yield_now().await;
        if *key >= 1_000 {
            return Err("there is no such key".to_string());
        }
        Ok(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

#[test]
fn a_cache_fills_itself_with_tasks() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let versions = Arc::new(AtomicU64::new(0));
    let futures: Arc<Mutex<Vec<BoxFuture>>> = Arc::default();
    let spawned = Arc::clone(&futures);
    let loading = builder.build().unwrap().loading(Store(Arc::clone(&versions)));
    let loading = loading
        .refresh_after(4 * SECOND)
        .stale_if_error(SECOND)
        .negative_ttl(SECOND)
        .spawner(move |future| spawned.lock().unwrap().push(future));
    runtime().block_on(async {
        assert_eq!(loading.get_async(&1).await, Ok(1));
        manual.advance(4 * SECOND);
        for _ in 0..3 {
            let loaded = loading.get_with_source_async(&1).await.unwrap();
            assert_eq!((loaded.value, loaded.source), (1, LoadSource::Hit));
        }
        let jobs = std::mem::take(&mut *futures.lock().unwrap());
        assert_eq!(jobs.len(), 1);
        for job in jobs {
            job.await;
        }
        assert_eq!(loading.get_async(&1).await, Ok(2));
        assert_eq!(loading.refresh_async(&1).await, Ok(3));
        assert!(matches!(loading.get_async(&1_000).await, Err(LoadError::Failed(_))));
        let error = loading.get_many_async(&[1, 2, 1_000, 3]).await.unwrap_err();
        assert!(error.to_string().contains("no such key"));
        let values = loading.get_many_async(&[1, 2, 2, 3]).await.unwrap();
        assert_eq!(values[0], Some(3));
        assert!(values[1].is_some() && values[1] == values[2] && values[3].is_some());
        assert_eq!(loading.warm_async([1, 2, 3, 4]).await, Ok(1));
    });
    support::validate(loading.cache());
}

#[test]
fn many_keys_are_loaded_once_each_and_renewed_by_tasks() {
    /// Counts the queries; no key but one has a value.
    struct Sparse(Arc<AtomicU64>);
    impl AsyncLoader<u64, u64> for Sparse {
        type Error = String;
        async fn load(&self, key: &u64) -> Result<u64, String> {
            Ok(*key + 100)
        }
        async fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(keys.iter().map(|&key| (key == 1).then_some(10)).collect())
        }
    }
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let (queries, futures) = (Arc::new(AtomicU64::new(0)), Arc::<Mutex<Vec<BoxFuture>>>::default());
    let spawned = Arc::clone(&futures);
    let loading = builder.build().unwrap().loading(Sparse(Arc::clone(&queries)));
    let loading = loading
        .refresh_after(4 * SECOND)
        .spawner(move |future| spawned.lock().unwrap().push(future));
    let many = |keys: &[u64]| futures_executor::block_on(loading.get_many_async(keys)).unwrap();
    assert_eq!(many(&[2, 1, 2, 1]), [None, Some(10), None, Some(10)]);
    assert_eq!(queries.load(Ordering::SeqCst), 1, "also for a key that has no value");
    manual.advance(4 * SECOND);
    assert_eq!(many(&[1]), [Some(10)], "the current value, at once");
    let jobs = std::mem::take(&mut *futures.lock().unwrap());
    assert_eq!(jobs.len(), 1);
    jobs.into_iter().for_each(futures_executor::block_on);
    assert_eq!(many(&[1]), [Some(101)]);
}

#[test]
fn a_renewal_whose_key_has_changed_is_not_begun_by_tasks_either() {
    struct Counts;
    impl AsyncLoader<u64, u64> for Counts {
        type Error = String;
        async fn load(&self, key: &u64) -> Result<u64, String> {
            Ok(*key)
        }
    }
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let futures = Arc::<Mutex<Vec<BoxFuture>>>::default();
    let spawned = Arc::clone(&futures);
    let loading = builder.build().unwrap().loading(Counts);
    let loading = loading
        .refresh_after(4 * SECOND)
        .spawner(move |future| spawned.lock().unwrap().push(future));
    let get = |key| futures_executor::block_on(loading.get_async(&key)).unwrap();
    (0..3).for_each(|key| assert_eq!(get(key), key));
    manual.advance(4 * SECOND);
    (0..3).for_each(|key| assert_eq!(get(key), key));
    loading.cache().insert(0, 7);
    loading.cache().invalidate(&1);
    let before = loading.stats().loads_started;
    let jobs = std::mem::take(&mut *futures.lock().unwrap());
    assert_eq!(jobs.len(), 3);
    jobs.into_iter().for_each(futures_executor::block_on);
    let stats = loading.stats();
    assert_eq!((stats.loads_started - before, stats.renewals_failed), (1, 0));
    assert_eq!((get(0), loading.cache().peek(&1), get(2)), (7, None, 2));
}

#[test]
fn futures_are_renewed_by_those_who_read_where_nobody_spawns_them() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let loading = builder.build().unwrap().loading(Store(Arc::default())).refresh_after(SECOND);
    let get = || futures_executor::block_on(loading.get_async(&1)).unwrap();
    assert_eq!(get(), 1);
    manual.advance(SECOND);
    assert!(support::eventually(|| get() == 2));
}

#[test]
fn a_thread_waits_for_a_task_and_a_task_for_a_thread() {
    let cache = Cache::<u64, u64>::new(10);
    let (open, gate) = tokio::sync::oneshot::channel::<u64>();
    let mut leader: Waiting<'_> =
        Box::pin(cache.get_or_load_async(1, |_| async { gate.await.unwrap() }));
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| cache.get_or_load(1, |_| unreachable!("it waits")));
        thread::sleep(Duration::from_millis(10));
        open.send(3).unwrap();
        assert_eq!(poll(&mut leader, Waker::noop()), Poll::Ready(3));
        assert_eq!(waiter.join().unwrap(), 3);
    });
    let ((go, gone), (started, starts)) = (mpsc::channel::<()>(), mpsc::channel());
    thread::scope(|scope| {
        let cache = &cache;
        scope.spawn(move || {
            cache.get_or_load(2, |_| {
                started.send(()).unwrap();
                gone.recv().unwrap();
                4
            })
        });
        starts.recv().unwrap();
        let mut waiter: Waiting<'_> = Box::pin(cache.get_or_load_async(2, |_| async { 9 }));
        let (_, waker) = bell();
        assert!(poll(&mut waiter, &waker).is_pending());
        go.send(()).unwrap();
        assert_eq!(futures_executor::block_on(waiter), 4);
    });
}

#[test]
fn a_hit_allocates_nothing_while_its_value_is_being_renewed() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let jobs: Arc<Mutex<Vec<clockhand::load::Job>>> = Arc::default();
    // The jobs hold the executor, which does not hold the jobs.
    let posted = Arc::downgrade(&jobs);
    let loading = builder.build().unwrap().loading(|_: &u64| Ok::<_, String>(1));
    let loading = loading.refresh_after(SECOND);
    let loading = loading.executor(move |job| {
        posted.upgrade().expect("the test has them").lock().unwrap().push(job);
    });
    loading.get(&1).unwrap();
    manual.advance(SECOND);
    loading.get(&1).unwrap();
    assert_eq!(jobs.lock().unwrap().len(), 1);
    let before = heap::calls();
    (0..1_000).for_each(|_| assert_eq!(loading.get(&1), Ok(1)));
    assert_eq!(heap::calls(), before);
    assert_eq!(jobs.lock().unwrap().len(), 1);
}

#[test]
fn a_completion_that_asks_for_its_own_key_is_told_so() {
    let own: Arc<Mutex<Option<Cache<u64, u64>>>> = Arc::default();
    let (inside, told) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (cache_in, count, tell) = (Arc::clone(&own), Arc::clone(&inside), Arc::clone(&told));
    let cache = Cache::builder()
        .capacity(100)
        .weigher(move |key: &u64, _: &u64| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                let cache = cache_in.lock().unwrap().clone().unwrap();
                let again = cache.try_get_or_load(*key, |_| Ok::<_, String>(5));
                tell.store(u64::from(again == Err(LoadError::Cycle)), Ordering::SeqCst);
            }
            1
        })
        .build()
        .unwrap();
    *own.lock().unwrap() = Some(cache.clone());
    assert_eq!(futures_executor::block_on(cache.get_or_load_async(1, |_| async { 7 })), 7);
    assert_eq!((told.load(Ordering::SeqCst), cache.get(&1)), (1, Some(7)));
    // The weigher holds the cache.
    own.lock().unwrap().take();
}

#[test]
fn a_future_that_parks_its_thread_is_polled_again() {
    struct Parks;
    impl AsyncLoader<u64, u64> for Parks {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            let mut again = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut again, true) {
                    return Poll::Ready(Ok(9));
                }
                context.waker().wake_by_ref();
                // Uses the token up that the wake has left.
                thread::park_timeout(Duration::from_millis(1));
                Poll::Pending
            })
            .await
        }
    }
    let (clock, manual) = Clock::manual();
    let cache =
        Cache::builder().capacity(10).clock(clock).time_to_live(10 * SECOND).build().unwrap();
    cache.insert(1, 1);
    let loading = cache.loading(Parks).refresh_after(SECOND);
    manual.advance(SECOND);
    let get = || futures_executor::block_on(loading.get_async(&1)).unwrap();
    assert!(support::eventually(|| get() == 9));
}

//! Tasks that stall, are dropped, wait for themselves: nobody is forgotten, nobody waits for ever, and a
//! load that only takes its time is loaded once.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::support;
use crate::support::strict::{Ended, Fut, Strict, bell, give_way, poll};
use clockhand::{Cache, LoadError, LoadPolicy};

const MS: Duration = Duration::from_millis(1);
/// No wait takes so long unless it never ends.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A cache whose leaders are relieved soon.
fn hasty() -> Cache<u64, u64> {
    let policy = LoadPolicy::new().woken_limit(2 * MS).renewal_limit(20 * MS);
    Cache::builder().capacity(100).load_policy(policy).build().unwrap()
}

fn load(cache: &Cache<u64, u64>, value: u64) -> Fut<'_, u64> {
    Box::pin(cache.get_or_load_async(1, move |_| async move { value }))
}

/// Opened with the value of a load that waits for it.
struct Gate {
    open: tokio::sync::oneshot::Sender<u64>,
    begun: Arc<AtomicBool>,
}

impl Gate {
    fn open(self, value: u64) {
        self.open.send(value).unwrap();
    }

    /// Polls a caller until it leads, and its load has begun. Others may be promoted before it, which do
    /// not come.
    fn begin(&self, future: &mut Fut<'_, u64>, waker: &Waker) {
        let begins = || {
            assert!(poll(future, waker).is_pending());
            self.begun.load(Ordering::SeqCst)
        };
        assert!(support::eventually(begins), "it is never its turn");
    }
}

fn gated(cache: &Cache<u64, u64>) -> (Gate, Fut<'_, u64>) {
    let ((open, gate), begun) = (tokio::sync::oneshot::channel(), Arc::new(AtomicBool::new(false)));
    let begins = Arc::clone(&begun);
    let load = async move {
        begins.store(true, Ordering::SeqCst);
        gate.await.unwrap()
    };
    (Gate { open, begun }, Box::pin(cache.get_or_load_async(1, |_| load)))
}

#[test]
fn a_waiter_that_was_passed_by_is_woken_at_the_end() {
    for late_polls in 0..3 {
        let cache = hasty();
        let mut leader: Fut<'_, u64> = Box::pin(cache.get_or_load_async(1, |_| pending::<u64>()));
        assert!(poll(&mut leader, Waker::noop()).is_pending());
        let ((bell_a, waker_a), (bell_b, waker_b)) = (bell(), bell());
        let mut a = load(&cache, 100);
        let (open, mut b) = gated(&cache);
        assert!(poll(&mut a, &waker_a).is_pending());
        assert!(poll(&mut b, &waker_b).is_pending());
        drop(leader);
        assert_eq!(bell_a.rung(), 1, "a is promoted");
        assert!(support::eventually(|| bell_b.rung() > 0), "b takes over");
        open.begin(&mut b, &waker_b);
        (0..late_polls).for_each(|_| assert!(poll(&mut a, &waker_a).is_pending()));
        let before = bell_a.rung();
        open.open(5);
        assert_eq!(poll(&mut b, &waker_b), Poll::Ready(5));
        assert!(late_polls == 0 || bell_a.rung() > before, "nobody wakes it");
        assert_eq!(poll(&mut a, &waker_a), Poll::Ready(5));
        support::validate(&cache);
    }
}

#[test]
fn waiters_that_were_passed_by_may_be_dropped_anywhere() {
    // Which of the three are dropped, and whether before or after the last one leads.
    for (mask, late) in (0..8_u32).flat_map(|mask| [(mask, false), (mask, true)]) {
        let cache = hasty();
        let mut leader: Fut<'_, u64> = Box::pin(cache.get_or_load_async(1, |_| pending::<u64>()));
        assert!(poll(&mut leader, Waker::noop()).is_pending());
        let mut waiting: Vec<_> = (0..3).map(|_| Some(load(&cache, 7))).collect();
        for waiting in waiting.iter_mut().flatten() {
            assert!(poll(waiting, Waker::noop()).is_pending());
        }
        let (bell, waker) = bell();
        let (open, mut last) = gated(&cache);
        assert!(poll(&mut last, &waker).is_pending());
        drop(leader);
        let cancel = |waiting: &mut Vec<Option<Fut<'_, u64>>>| {
            (0..3).filter(|nth| mask >> nth & 1 == 1).for_each(|nth| waiting[nth] = None);
        };
        if !late {
            cancel(&mut waiting);
        }
        assert!(support::eventually(|| bell.rung() > 0), "{mask:b}: the last one's turn");
        open.begin(&mut last, &waker);
        if late {
            cancel(&mut waiting);
        }
        open.open(5);
        assert_eq!(poll(&mut last, &waker), Poll::Ready(5));
        for waiting in waiting.iter_mut().flatten() {
            assert_eq!(poll(waiting, Waker::noop()), Poll::Ready(5));
        }
        support::validate(&cache);
    }
}

#[test]
fn nobody_is_stuck_whoever_stalls_or_is_dropped() {
    let rounds = support::size(150, 20_000) as u64;
    for seed in 0..rounds {
        let (cache, mut random) = (hasty(), support::Random::new(seed));
        let mut tasks = Strict::new();
        for _ in 0..2 + random.below(6) {
            let (key, ways, end) = (random.below(2), random.below(4), random.below(8));
            let cache = &cache;
            tasks.spawn(async move {
                let load = async move {
                    give_way(ways).await;
                    match end {
                        0 => panic!("the loader, as wanted"),
                        1 => Err("no".to_string()),
                        _ => Ok(key),
                    }
                };
                cache.try_get_or_load_async(key, |_| load).await
            });
        }
        // Each may be left alone for longer than the limit, whether it leads, waits or was promoted.
        for _ in 0..random.below(30) {
            let nth = random.below(tasks.len() as u64) as usize;
            match random.below(12) {
                0 => tasks.cancel(nth),
                1 => thread::sleep(3 * MS),
                _ => drop(tasks.poll(nth)),
            }
        }
        let stuck = tasks.run(FOR_EVER);
        assert!(stuck.is_empty(), "seed {seed}: {stuck:?} are not done, and nobody wakes them");
        support::validate(&cache);
    }
}

#[test]
fn nobody_is_stuck_on_a_runtime_that_stalls() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (told, ends) = mpsc::channel();
    let (callers, rounds) = (8, support::size(100, 5_000) as u64);
    for seed in 0..callers {
        let (cache, told) = (hasty(), told.clone());
        let caches = [cache.clone(), cache];
        for cache in caches {
            let told = told.clone();
            runtime.spawn(async move {
                let mut random = support::Random::new(seed);
                for _ in 0..rounds {
                    let (ways, stall) = (random.below(3), random.below(20) == 0);
                    let load = async move {
                        give_way(ways).await;
                        if stall {
                            // The whole worker, with all the tasks in its queue.
                            thread::sleep(3 * MS);
                        }
                        Ok::<_, String>(1)
                    };
                    // Not polled again unless it is woken.
                    assert_eq!(cache.try_get_or_load_async(1, |_| load).await, Ok(1));
                    cache.invalidate(&1);
                }
                told.send(()).unwrap();
            });
        }
    }
    for _ in 0..2 * callers {
        ends.recv_timeout(FOR_EVER).expect("a task is stuck");
    }
}

#[test]
fn a_load_that_takes_its_time_is_loaded_once() {
    let cache = hasty();
    let (open, mut leader) = gated(&cache);
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let (bell, waker) = bell();
    let mut waiter: Fut<'_, u64> =
        Box::pin(cache.get_or_load_async(1, |_| async { unreachable!() }));
    assert!(poll(&mut waiter, &waker).is_pending());
    thread::scope(|scope| {
        let blocking = scope.spawn(|| cache.get_or_load(1, |_| unreachable!("it is being loaded")));
        // Fifty times the limit, and nothing has woken the leader.
        thread::sleep(100 * MS);
        assert!(poll(&mut waiter, &waker).is_pending());
        assert_eq!(bell.rung(), 0);
        open.open(5);
        // Whether it is relieved now depends on the machine; what arrives first serves all.
        assert_eq!(poll(&mut leader, Waker::noop()), Poll::Ready(5));
        let blocking = blocking.join();
        assert!(blocking.is_err() || blocking.unwrap() == 5);
    });
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(5));
}

#[test]
fn what_a_leader_that_was_relieved_has_first_serves_all() {
    let cache = hasty();
    let (open, mut leader) = gated(&cache);
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let ((bell_a, waker_a), (bell_b, waker_b)) = (bell(), bell());
    let (open_a, mut a) = gated(&cache);
    let mut b = load(&cache, 9);
    assert!(poll(&mut a, &waker_a).is_pending() && poll(&mut b, &waker_b).is_pending());
    open.open(5);
    assert!(support::eventually(|| bell_a.rung() > 0), "it was woken and not polled");
    open_a.begin(&mut a, &waker_a);
    // It is polled at last, and is the first to have a value.
    assert_eq!(poll(&mut leader, Waker::noop()), Poll::Ready(5));
    assert!(cache.get(&1) == Some(5) && bell_b.rung() > 0);
    assert_eq!(poll(&mut b, &waker_b), Poll::Ready(5));
    // The second value is its own caller's.
    open_a.open(6);
    assert_eq!(poll(&mut a, &waker_a), Poll::Ready(6));
    assert_eq!(cache.get(&1), Some(5));
    support::validate(&cache);
}

#[test]
fn wakers_may_panic_and_come_back_into_the_cache() {
    /// Calls a function once, and then panics.
    struct Trap(Box<dyn Fn() + Send + Sync>);
    impl Wake for Trap {
        fn wake(self: Arc<Self>) {
            self.0();
            panic!("the waker, as wanted");
        }
    }
    let cache = hasty();
    let (open, mut leader) = gated(&cache);
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let (own, seen) = (cache.clone(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&seen);
    let trap = Waker::from(Arc::new(Trap(Box::new(move || {
        // The flight is not locked, and its value is in.
        count.store(own.get_or_load(1, |_| 9), Ordering::SeqCst);
    }))));
    let (bell, waker) = bell();
    let (mut trapped, mut waiter) = (load(&cache, 1), load(&cache, 2));
    assert!(poll(&mut trapped, &trap).is_pending() && poll(&mut waiter, &waker).is_pending());
    open.open(5);
    assert_eq!(poll(&mut leader, Waker::noop()), Poll::Ready(5), "it has no part in that");
    assert_eq!((seen.load(Ordering::SeqCst), bell.rung()), (5, 1));
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(5));
    assert_eq!(poll(&mut trapped, Waker::noop()), Poll::Ready(5));
    // One that panics when it is promoted.
    cache.invalidate(&1);
    let mut leader: Fut<'_, u64> = Box::pin(cache.get_or_load_async(1, |_| pending::<u64>()));
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let trap = Waker::from(Arc::new(Trap(Box::new(|| ()))));
    let (mut trapped, mut waiter) = (load(&cache, 1), load(&cache, 2));
    assert!(poll(&mut trapped, &trap).is_pending() && poll(&mut waiter, &waker).is_pending());
    let rung = bell.rung();
    drop(leader);
    assert!(support::eventually(|| bell.rung() > rung), "it is passed by");
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(2));
    assert_eq!(poll(&mut trapped, &trap), Poll::Ready(2));
    support::validate(&cache);
}

#[test]
fn wakers_that_panic_do_not_keep_others_from_being_looked_after() {
    struct Trap;
    impl Wake for Trap {
        fn wake(self: Arc<Self>) {
            panic!("the waker, as wanted");
        }
    }
    let cache = hasty();
    let (open, mut leader) = gated(&cache);
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    let ((bell, waker), trap) = (bell(), Waker::from(Arc::new(Trap)));
    let mut trapped: Vec<_> = (0..3).map(|_| load(&cache, 1)).collect();
    for task in &mut trapped {
        assert!(poll(task, &trap).is_pending());
    }
    let mut waiter = load(&cache, 2);
    assert!(poll(&mut waiter, &waker).is_pending());
    // The leader is woken, and nobody polls it, nor those that are promoted in its place.
    open.open(5);
    assert!(support::eventually(|| bell.rung() > 0), "nobody looks after it any more");
    assert_eq!(poll(&mut waiter, &waker), Poll::Ready(2));
    support::validate(&cache);
}

#[test]
fn a_task_that_is_here_does_not_wait_for_those_that_nobody_polls() {
    let policy = LoadPolicy::new().woken_limit(20 * MS);
    let cache: Cache<u64, u64> = Cache::builder().capacity(10).load_policy(policy).build().unwrap();
    let mut leader: Fut<'_, u64> = Box::pin(cache.get_or_load_async(1, |_| pending::<u64>()));
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    // Like futures in the buffer of a stream that nobody reads: a second for each fifty of them, if each
    // was waited for.
    let mut idle: Vec<_> = (0..10_000).map(|_| load(&cache, 1)).collect();
    for task in &mut idle {
        assert!(poll(task, Waker::noop()).is_pending());
    }
    drop(leader);
    let mut tasks = Strict::new();
    tasks.spawn(cache.get_or_load_async(1, |_| async { 2 }));
    assert!(tasks.run(FOR_EVER).is_empty());
    assert_eq!(tasks.ended(0), Some(&Ended::Done(2)));
    support::validate(&cache);
}

#[test]
fn a_task_that_asks_for_its_own_key_is_told() {
    let cache = Cache::<u64, u64>::new(10);
    let mut tasks = Strict::new();
    tasks.spawn(async {
        let load = async {
            give_way(1).await;
            let again = cache.try_get_or_load_async(1, |_| async { Ok::<_, String>(5) }).await;
            assert_eq!(again, Err(LoadError::Cycle));
            // Nor may a thread wait for it that it runs on.
            assert_eq!(cache.try_get_or_load(1, |_| Ok::<_, String>(5)), Err(LoadError::Cycle));
            Ok::<_, String>(6)
        };
        cache.try_get_or_load_async(1, |_| load).await
    });
    assert!(tasks.run(FOR_EVER).is_empty());
    assert_eq!(tasks.ended(0), Some(&Ended::Done(Ok(6))));
    assert_eq!(cache.get(&1), Some(6));
}

#[test]
fn a_circle_of_tasks_is_told() {
    for tasks in [2_u64, 3, 7] {
        for order in 0..tasks {
            let (a, b) = (Cache::<u64, u64>::new(100), Cache::<u64, u64>::new(100));
            // The circle goes over two caches.
            let (told, cache) = (AtomicU64::new(0), |key: u64| [&a, &b][key as usize % 2]);
            let mut executor = Strict::new();
            for nth in 0..tasks {
                let own = (nth + order) % tasks;
                let (told, next) = (&told, (own + 1) % tasks);
                executor.spawn(async move {
                    let load = async {
                        give_way(1).await;
                        let asked = cache(next)
                            .try_get_or_load_async(next, |_| async { Ok::<_, String>(next) })
                            .await;
                        if asked == Err(LoadError::Cycle) {
                            told.fetch_add(1, Ordering::SeqCst);
                        }
                        Ok::<_, String>(own)
                    };
                    cache(own).try_get_or_load_async(own, |_| load).await
                });
            }
            assert!(executor.run(FOR_EVER).is_empty(), "{tasks} wait for each other");
            assert_eq!(told.load(Ordering::SeqCst), 1, "the one that would close it");
            for nth in 0..tasks as usize {
                assert!(matches!(executor.ended(nth), Some(Ended::Done(Ok(_)))));
            }
        }
    }
}

#[test]
fn a_circle_of_a_task_and_a_thread_is_told() {
    let cache = Cache::<u64, u64>::new(10);
    let (asks, asked) = mpsc::channel();
    let mut task: Fut<'_, Result<u64, LoadError<String>>> =
        Box::pin(cache.try_get_or_load_async(1, |_| async {
            give_way(1).await;
            let other = cache.try_get_or_load_async(2, |_| async { Ok::<_, String>(5) }).await;
            other.map_err(|error| error.to_string())
        }));
    assert!(poll(&mut task, Waker::noop()).is_pending());
    thread::scope(|scope| {
        let cache = &cache;
        let thread = scope.spawn(move || {
            cache.try_get_or_load(2, |_| {
                asks.send(()).unwrap();
                // It waits for the task, which is then told that it must not wait for this one.
                cache.try_get_or_load(1, |_| Ok::<_, String>(9)).map_err(|error| error.to_string())
            })
        });
        asked.recv_timeout(FOR_EVER).unwrap();
        let end = futures_executor::block_on(task);
        let thread = thread.join().unwrap();
        let told = [&end, &thread].into_iter().any(|end| {
            end.as_ref().is_err_and(|error| error.to_string().contains("wait for itself"))
        });
        assert!(told, "{end:?}, {thread:?}");
    });
}

#[test]
fn loads_that_wait_for_each_other_without_a_circle_are_not_told() {
    let cache = Cache::<u64, u64>::new(100);
    let mut tasks = Strict::new();
    for _ in 0..5 {
        for top in [12, 9, 12, 5] {
            let cache = &cache;
            tasks.spawn(async move { factorial(cache, top).await });
        }
    }
    assert!(tasks.run(FOR_EVER).is_empty());
    assert_eq!(tasks.ended(0), Some(&Ended::Done(479_001_600)));
    support::validate(&cache);
}

fn factorial(cache: &Cache<u64, u64>, n: u64) -> Fut<'_, u64> {
    Box::pin(cache.get_or_load_async(n, move |_| async move {
        give_way(n % 3).await;
        if n == 0 { 1 } else { n * factorial(cache, n - 1).await }
    }))
}

#[test]
fn a_thread_is_told_that_would_wait_for_a_task_of_its_own() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let cache = Cache::<u64, u64>::new(10);
    support::in_time(move || {
        runtime.block_on(async {
            let (own, (open, gate)) = (cache.clone(), tokio::sync::oneshot::channel());
            let leader = tokio::spawn(async move {
                own.get_or_load_async(1, |_| async { gate.await.unwrap() }).await
            });
            tokio::task::yield_now().await;
            // The only thread that polls the leader would sleep.
            let told = cache.try_get_or_load(1, |_| Ok::<_, String>(9));
            assert_eq!(told, Err(LoadError::Cycle));
            let other = cache.clone();
            let waiter = thread::spawn(move || other.get_or_load(1, |_| 9));
            open.send(5).unwrap();
            assert_eq!(leader.await.unwrap(), 5);
            assert_eq!(waiter.join().unwrap(), 5, "another thread may wait");
            assert_eq!(cache.try_get_or_load(1, |_| Ok::<_, String>(9)), Ok(5));
        });
    });
}

/// A thread has polled a task that leads key 1 and waits for its source. Then it asks for key 2, whose
/// loader, on another thread, asks for key 1, before or after that. Both are answered, and one is told.
fn circle_over_a_thread_that_polls_tasks(asks_last: bool) {
    let cache = Cache::<u64, u64>::new(10);
    support::in_time(move || {
        let (open, mut task) = gated(&cache);
        assert!(poll(&mut task, Waker::noop()).is_pending());
        let ((begin, begun), (go, gone)) = (mpsc::channel(), mpsc::channel());
        let other = cache.clone();
        let thread = thread::spawn(move || {
            other.try_get_or_load(2, |_| {
                begin.send(()).unwrap();
                gone.recv().unwrap();
                other.try_get_or_load(1, |_| Ok::<_, String>(9)).map_err(|error| error.to_string())
            })
        });
        begun.recv().unwrap();
        let joined = || cache.stats().loads_joined;
        let release = || {
            go.send(()).unwrap();
            assert!(support::eventually(|| joined() > 0));
        };
        if asks_last {
            release();
        }
        let told = thread::scope(|scope| {
            if !asks_last {
                scope.spawn(|| {
                    assert!(support::eventually(|| joined() > 0));
                    go.send(()).unwrap();
                });
            }
            cache.try_get_or_load(2, |_| Ok::<_, String>(7))
        });
        assert_eq!(told, Err(LoadError::Cycle), "the thread that is blocked is told");
        // It is not blocked any more, and polls its task.
        open.open(5);
        assert_eq!(poll(&mut task, Waker::noop()), Poll::Ready(5));
        assert_eq!(thread.join().unwrap(), Ok(5));
        drop(task);
        assert_eq!(cache.try_get_or_load(2, |_| Ok::<_, String>(7)), Ok(5));
        support::validate(&cache);
    });
}

#[test]
fn a_circle_over_a_thread_that_polls_tasks_is_told() {
    circle_over_a_thread_that_polls_tasks(true);
}

#[test]
fn a_circle_that_others_close_while_a_thread_is_blocked_is_told() {
    circle_over_a_thread_that_polls_tasks(false);
}

#[test]
fn two_threads_that_wait_for_each_others_tasks_are_told() {
    let cache = Cache::<u64, u64>::new(10);
    support::in_time(move || {
        let both = std::sync::Barrier::new(2);
        let wait = |own: u64, other: u64| {
            let load = cache.get_or_load_async(own, |_| async move {
                give_way(1).await;
                own
            });
            let mut task: Fut<'_, u64> = Box::pin(load);
            assert!(poll(&mut task, Waker::noop()).is_pending());
            both.wait();
            let got = cache.try_get_or_load(other, |_| Ok::<_, String>(9));
            let own = poll(&mut task, Waker::noop());
            (got, own)
        };
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| wait(1, 2));
            (wait(2, 1), first.join().unwrap())
        });
        let told = [&first, &second].into_iter().filter(|(got, _)| *got == Err(LoadError::Cycle));
        assert!(told.count() >= 1, "{first:?}, {second:?}");
    });
}

#[test]
fn a_thread_may_wait_for_a_task_that_another_one_polls_from_now_on() {
    struct Sends(Mutex<mpsc::Sender<()>>);
    impl Wake for Sends {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(());
        }
    }
    let cache = Cache::<u64, u64>::new(10);
    let (wake, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Sends(Mutex::new(wake))));
    let (open, gate) = tokio::sync::oneshot::channel();
    let own = cache.clone();
    let load = async move { own.get_or_load_async(1, |_| async { gate.await.unwrap() }).await };
    let mut leader: std::pin::Pin<Box<dyn Future<Output = u64> + Send>> = Box::pin(load);
    let mut context = Context::from_waker(&waker);
    assert!(leader.as_mut().poll(&mut context).is_pending(), "polled here, like by a worker");
    thread::scope(|scope| {
        let waker = waker.clone();
        scope.spawn(move || {
            let (mut context, mut open) = (Context::from_waker(&waker), Some(open));
            loop {
                // Nothing but a thread that wants to wait wakes it the first time.
                woken.recv_timeout(FOR_EVER).unwrap();
                if leader.as_mut().poll(&mut context).is_ready() {
                    return;
                }
                open.take().unwrap().send(5).unwrap();
            }
        });
        assert_eq!(cache.try_get_or_load(1, |_| Ok::<_, String>(9)), Ok(5));
    });
}

mod warmers {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use clockhand::load::{BoxFuture, memoize_async};
    use clockhand::{AsyncLoader, Cache, Warmer};

    const HOUR: Duration = Duration::from_secs(3600);

    /// Counts its calls; 13 fails, 66 panics. With one query for many keys, if that is wanted.
    struct Table {
        queries: Arc<AtomicU64>,
        many: bool,
    }

    impl AsyncLoader<u64, u64> for Table {
        type Error = String;

        async fn load(&self, key: &u64) -> Result<u64, String> {
            self.queries.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            assert!(*key != 66, "as wanted");
            if *key == 13 { Err("thirteen".to_string()) } else { Ok(key * 2) }
        }

        async fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
            self.queries.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(keys.iter().map(|key| self.many.then_some(key * 2)).collect())
        }
    }

    /// The same without a query of its own.
    struct Single(Table);

    impl AsyncLoader<u64, u64> for Single {
        type Error = String;
        async fn load(&self, key: &u64) -> Result<u64, String> {
            self.0.load(key).await
        }
    }

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_warmer_gives_its_rounds_to_a_runtime() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let spawner = || {
            let handle = runtime.handle().clone();
            move |task: BoxFuture| drop(handle.spawn(task))
        };
        let queries = Arc::new(AtomicU64::new(0));
        let table = |many| Table { queries: Arc::clone(&queries), many };
        let cache = Cache::new(100).loading(table(true)).spawner(spawner());
        let warmer = Warmer::start_async(&cache, [1, 2, 3, 2], Duration::from_millis(1)).unwrap();
        until(|| warmer.status().rounds >= 3);
        let status = warmer.stop();
        // The last round may have been stopped in its midst.
        let (rounds, renewed) = (status.rounds, status.renewed);
        assert!((3 * rounds..3 * rounds + 3).contains(&renewed), "{status:?}");
        assert_eq!(status.failed, 0, "{status:?}");
        let asked = queries.load(Ordering::SeqCst);
        assert!((rounds..=rounds + 1).contains(&asked), "one query for each round: {asked}");
        assert_eq!([1, 2, 3].map(|key| cache.cache().peek(&key)), [2, 4, 6].map(Some));

        let single = Cache::new(100).loading(Single(table(false))).spawner(spawner());
        let warmer = Warmer::start_async(&single, [1, 13, 66, 4], HOUR).unwrap();
        until(|| warmer.status().rounds == 1);
        let status = warmer.stop();
        assert_eq!((status.renewed, status.failed), (2, 2), "{status:?}");
        assert_eq!((single.cache().peek(&4), single.cache().len()), (Some(8), 2));
    }

    #[test]
    fn a_runtime_that_drops_its_tasks_hangs_no_warmer() {
        let queries = Arc::new(AtomicU64::new(0));
        let table = Table { queries: Arc::clone(&queries), many: true };
        let cache = Cache::new(100).loading(table).spawner(drop);
        let warmer = Warmer::start_async(&cache, [1], Duration::from_millis(1)).unwrap();
        until(|| warmer.status().rounds >= 2);
        assert_eq!((warmer.stop().renewed, queries.load(Ordering::SeqCst)), (0, 0));
        let without =
            Cache::new(100).loading(|key: &u64| std::future::ready(Ok::<_, String>(*key)));
        assert!(Warmer::start_async(&without, [1], HOUR).is_err(), "it has no spawner");
    }

    #[test]
    fn tasks_call_a_function_once() {
        let cache: Cache<(&'static str, u64), u64> =
            Cache::builder().capacity(100).time_to_live(HOUR).build().unwrap();
        let calls = Arc::new(AtomicU64::new(0));
        let own = Arc::clone(&calls);
        let double = Arc::new(memoize_async(&cache, "double", HOUR, move |n: &u64| {
            let (n, calls) = (*n, Arc::clone(&own));
            async move {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                n * 2
            }
        }));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|nth| {
                let double = Arc::clone(&double);
                runtime.spawn(async move { double.call(nth % 5).await })
            })
            .collect();
        for (nth, task) in tasks.into_iter().enumerate() {
            assert_eq!(runtime.block_on(task).unwrap(), nth as u64 % 5 * 2);
        }
        assert_eq!((calls.load(Ordering::SeqCst), cache.len()), (5, 5));
    }
}

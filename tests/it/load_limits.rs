//! Loads that hang, or that nobody carries on: who waits gets an answer, and values are renewed.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::support;
use crate::support::strict::{Ended, Fut, Strict, bell, poll};
use clockhand::load::{AsyncLoader, BoxFuture, Job, Loader};
use clockhand::{
    Cache, Clock, LoadError, LoadPolicy, LoadSource, LoadingCache, ManualClock, Warmer,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// No wait takes so long unless it never ends.
const FOR_EVER: Duration = Duration::from_secs(60);

fn timed(policy: LoadPolicy) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    (builder.load_policy(policy).build().unwrap(), manual)
}

/// Panics when it is dropped, also if it is what a panic has brought.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("the bomb, as wanted");
        }
    }
}

fn hasty() -> LoadPolicy {
    LoadPolicy::new().woken_limit(2 * MS).renewal_limit(20 * MS)
}

/// Its first load is done at once, and so are those after the second one, which hangs.
struct HangsOnce(Arc<AtomicU64>);

impl AsyncLoader<u64, u64> for HangsOnce {
    type Error = String;
    async fn load(&self, _: &u64) -> Result<u64, String> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            1 => pending().await,
            nth => Ok(nth),
        }
    }
}

#[test]
fn a_reload_on_a_thread_that_hangs_keeps_nobody() {
    let (cache, manual) = timed(hasty());
    let loads = Arc::new(AtomicU64::new(0));
    let (own, (held, holds)) = (Arc::clone(&loads), mpsc::channel::<()>());
    let holds = Mutex::new(holds);
    let loading = cache
        .loading(move |_: &u64| {
            let nth = own.fetch_add(1, Ordering::SeqCst);
            if nth == 1 {
                let _ = holds.lock().unwrap().recv();
            }
            Ok::<_, String>(nth)
        })
        .refresh_after(SECOND)
        .executor(|job: Job| drop(thread::spawn(job)));
    assert_eq!(loading.get(&1), Ok(0));
    manual.advance(2 * SECOND);
    assert_eq!(loading.get(&1), Ok(0));
    assert!(support::eventually(|| loads.load(Ordering::SeqCst) == 2), "a reload begins");
    manual.advance(20 * SECOND);
    let reader = loading.clone();
    assert_eq!(support::in_time(move || reader.get(&1)), Ok(2), "a reader loads for itself");
    drop(held);
    support::validate(&cache);
}

#[test]
fn a_reload_that_hangs_while_the_value_lives_is_begun_anew() {
    let (cache, manual) = timed(hasty());
    let (loads, jobs) = (Arc::new(AtomicU64::new(0)), Arc::<Mutex<Vec<BoxFuture>>>::default());
    let spawned = Arc::downgrade(&jobs);
    let loading = cache.loading(HangsOnce(loads)).refresh_after(SECOND).spawner(move |future| {
        spawned.upgrade().expect("the test has them").lock().unwrap().push(future);
    });
    let get = || futures_executor::block_on(loading.get_async(&1)).unwrap();
    assert_eq!(get(), 0);
    manual.advance(2 * SECOND);
    let renewed = || {
        let value = get();
        let mut context = Context::from_waker(Waker::noop());
        jobs.lock().unwrap().retain_mut(|job| job.as_mut().poll(&mut context).is_pending());
        value == 2
    };
    assert!(support::eventually(renewed), "the second reload is not begun");
    support::validate(&cache);
}

/// A loader that hangs at its `nth` call as long as the sender lives, and what counts its calls.
fn hangs_at(
    nth: u64,
) -> (impl Fn(&u64) -> Result<u64, String> + Send + Sync + Clone, Arc<AtomicU64>, mpsc::Sender<()>)
{
    let (calls, (held, holds)) = (Arc::<AtomicU64>::default(), mpsc::channel());
    let (own, holds) = (Arc::clone(&calls), Arc::new(Mutex::new(holds)));
    let load = move |_: &u64| {
        let call = own.fetch_add(1, Ordering::SeqCst);
        if call == nth {
            let _ = holds.lock().unwrap().recv();
        }
        Ok(call)
    };
    (load, calls, held)
}

#[test]
fn a_refresh_that_hangs_does_not_stop_renewal() {
    let ((cache, manual), (load, calls, held)) = (timed(hasty()), hangs_at(1));
    let loading = cache.loading(load).refresh_after(SECOND);
    assert_eq!(loading.get(&1), Ok(0));
    thread::scope(|scope| {
        let hung = scope.spawn(|| loading.refresh(&1));
        assert!(support::eventually(|| calls.load(Ordering::SeqCst) == 2), "it begins");
        manual.advance(2 * SECOND);
        let renewed = support::eventually(|| loading.get(&1) == Ok(2));
        drop(held);
        assert_eq!(hung.join().unwrap(), Ok(1), "its caller has its own");
        assert!(renewed, "nobody renews the value");
    });
    assert_eq!(cache.get(&1), Some(2));
    support::validate(&cache);
}

#[test]
fn a_warmer_that_hangs_keeps_nobody() {
    /// Many keys are one query.
    struct Rows<L>(L);
    impl<L: Fn(&u64) -> Result<u64, String> + Send + Sync> Loader<u64, u64> for Rows<L> {
        type Error = String;
        fn load(&self, key: &u64) -> Result<u64, String> {
            self.0(key)
        }
        fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
            let row = self.0(&0)?;
            Ok(vec![Some(row); keys.len()])
        }
    }
    let ((cache, manual), (load, calls, held)) = (timed(hasty()), hangs_at(0));
    let loading = cache.loading(Rows(load)).refresh_after(SECOND);
    cache.insert(3, 33);
    let warmer = Warmer::start(&loading, [1, 2, 3], 3_600 * SECOND).unwrap();
    assert!(support::eventually(|| calls.load(Ordering::SeqCst) == 1), "it begins");
    for key in [1, 2] {
        let reader = loading.clone();
        assert!(support::in_time(move || reader.get(&key)).is_ok_and(|value| value > 0));
    }
    manual.advance(2 * SECOND);
    assert!(support::eventually(|| loading.get(&3).is_ok_and(|value| value < 33)), "nor renewal");
    drop(held);
    warmer.stop();
    assert!([1, 2, 3].iter().all(|key| cache.get(key) > Some(0)), "it comes too late");
    support::validate(&cache);
}

#[test]
fn a_task_that_renews_and_hangs_keeps_nobody() {
    let (cache, manual) = timed(hasty());
    let (loads, jobs) = (Arc::new(AtomicU64::new(0)), Arc::<Mutex<Vec<BoxFuture>>>::default());
    let spawned = Arc::downgrade(&jobs);
    let loading = cache.loading(HangsOnce(loads)).refresh_after(SECOND).spawner(move |future| {
        spawned.upgrade().expect("the test has them").lock().unwrap().push(future);
    });
    assert_eq!(futures_executor::block_on(loading.get_async(&1)), Ok(0));
    manual.advance(2 * SECOND);
    assert_eq!(futures_executor::block_on(loading.get_async(&1)), Ok(0));
    let job = &mut jobs.lock().unwrap()[0];
    let mut context = Context::from_waker(Waker::noop());
    assert!(job.as_mut().poll(&mut context).is_pending());
    manual.advance(20 * SECOND);
    let mut tasks = Strict::new();
    for _ in 0..3 {
        tasks.spawn(loading.get_async(&1));
    }
    assert!(tasks.run(FOR_EVER).is_empty(), "readers wait for a renewal that hangs");
    (0..3).for_each(|nth| assert_eq!(tasks.ended(nth), Some(&Ended::Done(Ok(2)))));
}

#[test]
fn a_thread_waits_for_a_load_as_long_as_it_may() {
    let cache = Cache::<u64, u64>::new(10);
    let ((go, gone), (started, starts)) = (mpsc::channel::<()>(), mpsc::channel());
    let gone = Mutex::new(gone);
    let loading = cache.loading(move |_: &u64| {
        started.send(()).unwrap();
        gone.lock().unwrap().recv().unwrap();
        Ok::<_, String>(7)
    });
    let hurried = loading.clone().load_timeout(20 * MS);
    thread::scope(|scope| {
        // The one that leads is not interrupted.
        let leader = scope.spawn(|| hurried.get(&1));
        starts.recv_timeout(FOR_EVER).unwrap();
        assert_eq!(hurried.get(&1), Err(LoadError::TimedOut));
        assert_eq!(hurried.get_many(&[1]), Err(LoadError::TimedOut));
        assert_eq!(hurried.refresh(&1), Err(LoadError::TimedOut));
        assert_eq!(loading.clone().load_timeout(Duration::ZERO).get(&1), Err(LoadError::TimedOut));
        let patient = scope.spawn(|| loading.clone().load_timeout(Duration::MAX).get(&1));
        go.send(()).unwrap();
        assert_eq!((leader.join().unwrap(), patient.join().unwrap()), (Ok(7), Ok(7)));
    });
    assert_eq!(hurried.get(&1), Ok(7), "the load went on, and its value is in");
}

#[test]
fn a_task_waits_for_a_load_as_long_as_it_may() {
    struct Gated(Mutex<Option<tokio::sync::oneshot::Receiver<u64>>>);
    impl AsyncLoader<u64, u64> for Gated {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            let gate = self.0.lock().unwrap().take().expect("one load");
            gate.await.map_err(|error| error.to_string())
        }
    }
    let (cache, manual) = timed(LoadPolicy::new());
    let (open, gate) = tokio::sync::oneshot::channel();
    let loading = cache.loading(Gated(Mutex::new(Some(gate))));
    let hurried = loading.clone().load_timeout(20 * MS);
    let content = hurried.clone().stale_if_error(60 * SECOND);
    cache.insert(1, 5);
    manual.advance(11 * SECOND);
    let mut leader: Fut<'_, _> = Box::pin(hurried.get_async(&1));
    assert!(poll(&mut leader, Waker::noop()).is_pending());
    // Nobody polls them unless they are woken.
    let mut tasks = Strict::new();
    for _ in 0..3 {
        tasks.spawn(hurried.get_with_source_async(&1));
    }
    let stale = tasks.spawn(content.get_with_source_async(&1));
    assert!(tasks.run(FOR_EVER).is_empty(), "nobody tells them that their time is over");
    (0..3).for_each(|nth| {
        assert_eq!(tasks.ended(nth), Some(&Ended::Done(Err(LoadError::TimedOut))));
    });
    let Some(Ended::Done(Ok(loaded))) = tasks.ended(stale) else { panic!("a value may stand in") };
    assert_eq!((loaded.value, loaded.source), (5, LoadSource::Stale));
    open.send(7).unwrap();
    assert_eq!(poll(&mut leader, Waker::noop()), Poll::Ready(Ok(7)));
    assert_eq!(cache.get(&1), Some(7), "the load went on");
    support::validate(&cache);
}

type Gate = tokio::sync::oneshot::Sender<u64>;

/// Each load but the first of a key waits for its gate.
#[derive(Clone, Default)]
struct Doors(Arc<Mutex<Vec<Gate>>>, Arc<AtomicU64>);

impl AsyncLoader<u64, u64> for Doors {
    type Error = String;
    async fn load(&self, _: &u64) -> Result<u64, String> {
        Ok(self.1.fetch_add(1, Ordering::SeqCst))
    }
    async fn reload(&self, _: &u64, _: &u64) -> Result<u64, String> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let (open, gate) = tokio::sync::oneshot::channel();
        self.0.lock().unwrap().push(open);
        gate.await.map_err(|error| error.to_string())
    }
}

impl Doors {
    fn open(&self, value: u64) {
        self.0.lock().unwrap().remove(0).send(value).unwrap();
    }
}

#[test]
fn without_a_spawner_whoever_reads_carries_renewals_on() {
    let ((cache, manual), doors) = (timed(LoadPolicy::new()), Doors::default());
    let loading = cache.loading(doors.clone()).refresh_after(SECOND);
    let get = |key: u64| futures_executor::block_on(loading.get_async(&key)).unwrap();
    assert_eq!((get(1), get(2)), (0, 1));
    manual.advance(2 * SECOND);
    (0..3).for_each(|_| assert_eq!(get(1), 0, "nobody waits for it"));
    assert_eq!(doors.1.load(Ordering::SeqCst), 3, "one renewal is under way");
    doors.open(10);
    assert_eq!(cache.get(&1), Some(0), "nobody has read");
    // A read of another key, through another handle.
    let other = loading.clone();
    assert_eq!(futures_executor::block_on(other.get_async(&2)), Ok(1));
    assert_eq!(cache.get(&1), Some(10));
    doors.open(11);
    assert_eq!(futures_executor::block_on(loading.get_many_async(&[2, 1])).unwrap().len(), 2);
    assert_eq!(cache.get(&2), Some(11));
    support::validate(&cache);
}

#[test]
fn without_a_spawner_who_waits_for_a_renewal_is_woken_for_it() {
    let ((cache, manual), doors) = (timed(LoadPolicy::new()), Doors::default());
    let loading = cache.loading(doors.clone()).refresh_after(SECOND);
    assert_eq!(futures_executor::block_on(loading.get_async(&1)), Ok(0));
    manual.advance(2 * SECOND);
    assert_eq!(futures_executor::block_on(loading.get_async(&1)), Ok(0));
    // It expires while it is being renewed.
    manual.advance(20 * SECOND);
    let (bell, waker) = bell();
    let mut reader: Fut<'_, _> = Box::pin(loading.get_with_source_async(&1));
    assert!(poll(&mut reader, &waker).is_pending());
    doors.open(10);
    assert_eq!(bell.rung(), 1);
    let Poll::Ready(Ok(loaded)) = poll(&mut reader, &waker) else { panic!("it is there") };
    assert_eq!((loaded.value, loaded.source), (10, LoadSource::Joined));
    assert_eq!(doors.1.load(Ordering::SeqCst), 2, "nothing is loaded twice");
}

/// Limits that nobody lives to see: no relief hides a wake-up that is lost.
fn patient() -> LoadPolicy {
    LoadPolicy::new().woken_limit(3_600 * SECOND).renewal_limit(3_600 * SECOND)
}

/// So many keys, each of which is being renewed and has expired meanwhile.
fn renewing(keys: u64) -> (LoadingCache<u64, u64, Doors>, Doors) {
    let ((cache, manual), doors) = (timed(patient()), Doors::default());
    let loading = cache.loading(doors.clone()).refresh_after(SECOND);
    for wait in [2, 20] {
        for key in 0..keys {
            futures_executor::block_on(loading.get_async(&key)).unwrap();
        }
        manual.advance(wait * SECOND);
    }
    assert_eq!(doors.0.lock().unwrap().len() as u64, keys);
    (loading, doors)
}

#[test]
fn without_a_spawner_a_call_that_goes_leaves_renewals_to_another() {
    let (loading, doors) = renewing(2);
    let ((bell, waker), (other_bell, other_waker)) = (bell(), bell());
    let mut reader: Fut<'_, _> = Box::pin(loading.get_with_source_async(&0));
    assert!(poll(&mut reader, &waker).is_pending());
    let mut other: Fut<'_, _> = Box::pin(loading.get_with_source_async(&1));
    // One that goes while it waits.
    assert!(poll(&mut other, &other_waker).is_pending());
    drop(other);
    doors.open(10);
    assert_eq!((bell.rung(), other_bell.rung()), (1, 0), "nobody carries it on");
    let Poll::Ready(Ok(loaded)) = poll(&mut reader, &waker) else { panic!("it is there") };
    assert_eq!((loaded.value, loaded.source), (10, LoadSource::Joined));
    // And one that was told, and goes instead of carrying it on.
    let [(bell_a, waker_a), (bell_b, waker_b)] = [(); 2].map(|()| support::strict::bell());
    let mut a: Fut<'_, _> = Box::pin(loading.get_with_source_async(&1));
    let mut b: Fut<'_, _> = Box::pin(loading.get_with_source_async(&1));
    assert!(poll(&mut a, &waker_a).is_pending() && poll(&mut b, &waker_b).is_pending());
    doors.open(11);
    assert_eq!((bell_a.rung(), bell_b.rung()), (1, 0), "one is enough");
    drop(a);
    assert_eq!(bell_b.rung(), 1, "nobody carries it on");
    let Poll::Ready(Ok(loaded)) = poll(&mut b, &waker_b) else { panic!("it is there") };
    assert_eq!((loaded.value, loaded.source), (11, LoadSource::Joined));
}

#[test]
fn without_a_spawner_more_renewals_than_one_call_polls_are_carried_on() {
    let (loading, doors) = renewing(100);
    let mut tasks = Strict::new();
    let last = tasks.spawn(loading.get_async(&99));
    // It waits; then all the renewals are woken at once.
    assert!(tasks.poll(last));
    for value in 0..100 {
        doors.open(value);
    }
    assert!(tasks.run(SECOND).is_empty(), "nobody carries the rest on");
    assert_eq!(tasks.ended(last), Some(&Ended::Done(Ok(99))));
    assert_eq!(doors.1.load(Ordering::SeqCst), 200, "nothing is loaded twice");
}

#[test]
fn without_a_spawner_a_renewal_that_is_woken_while_it_is_polled_is_polled_again() {
    /// Its reload blocks its thread, is woken meanwhile, and wants to be polled twice.
    struct Blocks(Mutex<mpsc::Sender<Waker>>, Mutex<mpsc::Receiver<()>>);
    impl AsyncLoader<u64, u64> for Blocks {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            Ok(0)
        }
        async fn reload(&self, _: &u64, _: &u64) -> Result<u64, String> {
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                if polls == 1 {
                    self.0.lock().unwrap().send(context.waker().clone()).unwrap();
                    self.1.lock().unwrap().recv().unwrap();
                }
                if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            Ok(7)
        }
    }
    let (cache, manual) = timed(patient());
    let ((begin, begun), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let loader = Blocks(Mutex::new(begin), Mutex::new(gone));
    let loading = cache.loading(loader).refresh_after(SECOND);
    let get = || futures_executor::block_on(loading.get_async(&1)).unwrap();
    assert_eq!(get(), 0);
    manual.advance(2 * SECOND);
    thread::scope(|scope| {
        let blocked = scope.spawn(get);
        let waker: Waker = begun.recv_timeout(FOR_EVER).unwrap();
        waker.wake_by_ref();
        assert_eq!(get(), 0, "another call does not wait for it");
        go.send(()).unwrap();
        assert_eq!(blocked.join().unwrap(), 0);
    });
    assert_eq!(cache.get(&1), Some(7), "the call that polls it does so again");
}

#[test]
fn without_a_spawner_a_renewal_that_hangs_or_panics_is_given_up() {
    struct Fails(AtomicU64);
    impl AsyncLoader<u64, u64> for Fails {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                1 => std::panic::panic_any(Bomb),
                2 => pending().await,
                3 => {
                    let _bomb = Bomb;
                    pending().await
                }
                nth => Ok(nth),
            }
        }
    }
    let (cache, manual) = timed(hasty());
    let loading = cache.loading(Fails(AtomicU64::new(0))).refresh_after(100 * MS);
    let get = || futures_executor::block_on(loading.get_async(&1)).unwrap();
    assert_eq!(get(), 0);
    let renewed = || {
        // Past the pause that follows a failure, and never past its expiry.
        thread::sleep(5 * MS);
        manual.advance(20 * MS);
        assert!(cache.contains_key(&1), "it has expired without a renewal");
        get() > 3
    };
    assert!(support::eventually(renewed));
    assert!(get() > 3, "it is never renewed");
    support::validate(&cache);
}

#[test]
fn without_a_spawner_a_renewal_that_is_late_is_dropped() {
    /// Its reloads never end. It keeps the waker of the first one.
    struct Late(Arc<Mutex<Option<Waker>>>, Arc<AtomicU64>);
    struct Counts(Arc<AtomicU64>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    impl AsyncLoader<u64, u64> for Late {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            Ok(7)
        }
        async fn reload(&self, _: &u64, _: &u64) -> Result<u64, String> {
            let _counts = Counts(Arc::clone(&self.1));
            std::future::poll_fn(|context| {
                self.0.lock().unwrap().get_or_insert_with(|| context.waker().clone());
                Poll::Pending
            })
            .await
        }
    }
    let ((cache, manual), dropped) = (timed(hasty()), Arc::<AtomicU64>::default());
    let waker = Arc::<Mutex<Option<Waker>>>::default();
    let loading =
        cache.loading(Late(Arc::clone(&waker), Arc::clone(&dropped))).refresh_after(SECOND);
    let get = || futures_executor::block_on(loading.get_async(&1)).unwrap();
    assert_eq!(get(), 7);
    manual.advance(2 * SECOND);
    assert_eq!(get(), 7);
    let waker = waker.lock().unwrap().clone().expect("a reload has begun");
    let is_given_up = || {
        waker.wake_by_ref();
        assert_eq!(get(), 7);
        dropped.load(Ordering::SeqCst) > 0
    };
    assert!(support::eventually(is_given_up), "it is carried on for ever");
    support::validate(&cache);
}

#[test]
fn without_a_spawner_a_cache_that_is_dropped_leaves_nothing_behind() {
    struct Holds(Arc<()>);
    impl AsyncLoader<u64, Arc<()>> for Holds {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<Arc<()>, String> {
            Ok(Arc::clone(&self.0))
        }
        async fn reload(&self, _: &u64, _: &Arc<()>) -> Result<Arc<()>, String> {
            let _held = Arc::clone(&self.0);
            pending().await
        }
    }
    let held = Arc::new(());
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let cache = builder.build().unwrap();
    let loading = cache.loading(Holds(Arc::clone(&held))).refresh_after(SECOND);
    for key in 0..10 {
        futures_executor::block_on(loading.get_async(&key)).unwrap();
    }
    manual.advance(2 * SECOND);
    for key in 0..10 {
        futures_executor::block_on(loading.get_async(&key)).unwrap();
    }
    assert!(Arc::strong_count(&held) > 20);
    drop((loading, cache));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn without_a_spawner_a_runtime_is_where_the_reads_are() {
    struct Sleepy(AtomicU64);
    impl AsyncLoader<u64, u64> for Sleepy {
        type Error = String;
        async fn load(&self, _: &u64) -> Result<u64, String> {
            tokio::time::sleep(MS).await;
            Ok(self.0.fetch_add(1, Ordering::SeqCst))
        }
    }
    let (cache, manual) = timed(LoadPolicy::new());
    let loading = cache.loading(Sleepy(AtomicU64::new(0))).refresh_after(SECOND);
    for threads in [1, 2] {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).enable_time().build().unwrap();
        runtime.block_on(async {
            let first = loading.get_async(&1).await.unwrap();
            manual.advance(2 * SECOND);
            while loading.get_async(&1).await == Ok(first) {
                tokio::time::sleep(MS).await;
            }
        });
    }
}

#[test]
fn what_a_panic_brings_ends_no_thread_of_ours() {
    struct Rings(mpsc::Sender<u64>, u64);
    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(self.1);
            std::panic::panic_any(Bomb);
        }
    }
    // The threads that renew values.
    let (cache, manual) = timed(hasty());
    let loads = Arc::new(AtomicU64::new(0));
    let own = Arc::clone(&loads);
    let loading = cache.loading(move |key: &u64| {
        if own.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            std::panic::panic_any(Bomb);
        }
        Ok::<_, String>(*key)
    });
    let renewed = loading.clone().refresh_after(SECOND);
    assert_eq!(renewed.get(&1), Ok(1));
    let count = |wanted: u64| {
        support::eventually(|| {
            manual.advance(500 * MS);
            let _ = cache.contains_key(&1).then(|| renewed.get(&1));
            cache.insert(1, 1);
            manual.advance(SECOND);
            thread::sleep(MS);
            let _ = renewed.get(&1);
            loads.load(Ordering::SeqCst) >= wanted
        })
    };
    assert!(count(40), "more panics than there may be threads");
    // The thread of a warmer.
    let warmer = Warmer::start(&loading, [1], MS).unwrap();
    assert!(support::eventually(|| warmer.status().failed > 3 && warmer.status().renewed > 3));
    warmer.stop();
    // The thread that looks after tasks.
    let (rings, rung) = mpsc::channel();
    for key in 10..13 {
        let (open, gate) = tokio::sync::oneshot::channel::<u64>();
        let load = async { gate.await.unwrap() };
        let mut leader: Fut<'_, u64> = Box::pin(cache.get_or_load_async(key, |_| load));
        assert!(poll(&mut leader, Waker::noop()).is_pending());
        let mut waiter: Fut<'_, u64> = Box::pin(cache.get_or_load_async(key, |_| async { 1 }));
        let waker = Waker::from(Arc::new(Rings(rings.clone(), key)));
        assert!(poll(&mut waiter, &waker).is_pending());
        open.send(5).unwrap();
        assert_eq!(rung.recv_timeout(FOR_EVER), Ok(key), "nobody looks after it");
        assert!(matches!(poll(&mut waiter, Waker::noop()), Poll::Ready(1 | 5)));
    }
}

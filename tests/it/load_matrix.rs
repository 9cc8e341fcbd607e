//! A load against everything that can happen beside it: how it ends, times what happens to a key
//! meanwhile, for a leader that is a thread or a task. The values of the store carry generations: what
//! was loaded before an operation is never read after it, and everybody who waits comes to an end.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::support;
use clockhand::{Cache, Clock, LoadError, ManualClock};

/// No wait takes so long unless it never ends.
const FOR_EVER: Duration = Duration::from_secs(60);
const KEY: u64 = 1;
const OTHER: u64 = 2;
const CAPACITY: u64 = 8;
const LIFE: Duration = Duration::from_secs(100);
/// The generation that `Insert` puts in.
const INSERTED: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Leader {
    Blocking,
    Async,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Ok,
    Error,
    Panic,
    /// The leader's future is dropped.
    Dropped,
    /// The leader's future is kept, and not polled any more.
    NeverPolled,
    /// The waiters give up before the load ends.
    Timeout,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Insert,
    Remove,
    Invalidate,
    InvalidateAll,
    Compute,
    Retain,
    Evict,
    Expire,
}

const OPERATIONS: [Operation; 8] = [
    Operation::Insert,
    Operation::Remove,
    Operation::Invalidate,
    Operation::InvalidateAll,
    Operation::Compute,
    Operation::Retain,
    Operation::Evict,
    Operation::Expire,
];

/// What a test holds of one cell.
struct Cell {
    cache: Cache<u64, u64>,
    manual: ManualClock,
    store: AtomicU64,
}

impl Cell {
    fn new() -> Arc<Self> {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(CAPACITY).clock(clock).time_to_live(LIFE);
        let cache = builder.build().unwrap();
        Arc::new(Self { cache, manual, store: AtomicU64::new(1) })
    }

    fn read_store(&self) -> u64 {
        self.store.load(Ordering::SeqCst)
    }

    /// The store moves on, and then the cache is told.
    fn operate(&self, operation: Operation, key: u64) {
        let generation = self.store.fetch_add(1, Ordering::SeqCst) + 1;
        assert_eq!(generation, 2);
        match operation {
            Operation::Insert => self.cache.insert(key, INSERTED),
            Operation::Remove => drop(self.cache.remove(&key)),
            Operation::Invalidate => drop(self.cache.invalidate(&key)),
            Operation::InvalidateAll => self.cache.invalidate_all(),
            Operation::Compute => {
                self.cache.compute(key, |_| clockhand::Compute::Remove);
            }
            Operation::Retain => self.cache.retain(|_, _| true),
            Operation::Evict => (100..200).for_each(|key| self.cache.insert(key, 0)),
            Operation::Expire => {
                self.manual.advance(2 * LIFE);
                self.cache.remove_expired();
            }
        }
    }

    /// Whether the operation overtakes a load of `KEY`.
    fn overtakes(operation: Operation, key: u64) -> bool {
        match operation {
            Operation::InvalidateAll | Operation::Retain => true,
            Operation::Evict | Operation::Expire => false,
            _ => key == KEY,
        }
    }

    fn check(&self, operation: Operation, key: u64, cell: &str) {
        if Self::overtakes(operation, key) {
            let found = self.cache.get(&KEY);
            assert!(found != Some(1), "{cell}: a stale value was installed");
            let loaded = self.cache.get_or_load(KEY, |_| self.read_store());
            assert!(loaded >= 2, "{cell}: a later caller got a stale value");
        }
        if operation == Operation::Insert && key == KEY {
            assert_eq!(self.cache.get(&KEY), Some(INSERTED), "{cell}: what was inserted is gone");
        }
        support::validate(&self.cache);
    }
}

/// Lets a loader wait, as a thread or as a task.
struct Gate {
    open: Arc<tokio::sync::Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { open: Arc::new(tokio::sync::Semaphore::new(0)) }
    }

    fn open(&self) {
        self.open.add_permits(1_000);
    }

    async fn pass(open: Arc<tokio::sync::Semaphore>) {
        drop(open.acquire().await);
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    futures_executor::block_on(future)
}

type Told = Result<u64, LoadError<String>>;

/// Starts two callers that join: a thread and a task. Their own loaders read the store.
fn waiters(cell: &Arc<Cell>, patience: Duration) -> mpsc::Receiver<Told> {
    let (told, ends) = mpsc::channel();
    let (cell_a, told_a) = (Arc::clone(cell), told.clone());
    thread::spawn(move || {
        let load = |_: &u64| Ok::<_, String>(cell_a.read_store());
        let _ = told_a.send(cell_a.cache.get_or_load_timeout(KEY, patience, load));
    });
    let cell_b = Arc::clone(cell);
    thread::spawn(move || {
        let load = async { Ok::<_, String>(cell_b.read_store()) };
        let waiting = cell_b.cache.try_get_or_load_async(KEY, |_| load);
        let waiting = async {
            match patience < FOR_EVER {
                true => either(waiting, patience).await,
                false => Some(waiting.await),
            }
        };
        let _ = told.send(block_on(waiting).unwrap_or(Err(LoadError::TimedOut)));
    });
    ends
}

/// A future, or nothing if it is not ready in time: then it is dropped.
async fn either<F: Future>(future: F, patience: Duration) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let began = std::time::Instant::now();
    std::future::poll_fn(move |context| {
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if began.elapsed() >= patience {
            return Poll::Ready(None);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Waits until both callers sit in the flight, or at least have had the time.
fn settle() {
    thread::sleep(Duration::from_millis(5));
}

fn collect(ends: &mpsc::Receiver<Told>, cell: &str) -> Vec<Told> {
    (0..2)
        .map(|_| ends.recv_timeout(FOR_EVER).unwrap_or_else(|_| panic!("{cell}: one waits yet")))
        .collect()
}

fn blocking(cell: &Arc<Cell>, end: End, operation: Operation, key: u64, name: &str) {
    let (gate, (started, starts)) = (Gate::new(), mpsc::channel());
    let (own, open) = (Arc::clone(cell), Arc::clone(&gate.open));
    let leader = thread::spawn(move || {
        catch_unwind(AssertUnwindSafe(|| {
            own.cache.try_get_or_load(KEY, |_| {
                let read = own.read_store();
                started.send(()).unwrap();
                block_on(Gate::pass(open));
                match end {
                    End::Error => Err("the store is down".to_string()),
                    End::Panic => panic!("the loader, as wanted"),
                    _ => Ok(read),
                }
            })
        }))
    });
    starts.recv_timeout(FOR_EVER).unwrap();
    let patience = if end == End::Timeout { Duration::from_millis(20) } else { FOR_EVER };
    let ends = waiters(cell, patience);
    settle();
    let early = (end == End::Timeout).then(|| collect(&ends, name));
    cell.operate(operation, key);
    gate.open();
    let led = leader.join().unwrap();
    match end {
        End::Panic => assert!(led.is_err(), "{name}: the leader panics"),
        End::Error => assert!(led.unwrap().is_err(), "{name}: the leader gets its error"),
        _ => assert_eq!(led.unwrap(), Ok(1), "{name}: the leader gets what it loaded"),
    }
    for told in early.unwrap_or_else(|| collect(&ends, name)) {
        match told {
            Ok(_) => {}
            Err(LoadError::Failed(_)) => assert_eq!(end, End::Error, "{name}"),
            Err(LoadError::TimedOut) => assert_eq!(end, End::Timeout, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

fn tasks(cell: &Arc<Cell>, end: End, operation: Operation, key: u64, name: &str) {
    let gate = Gate::new();
    let load = {
        let (own, open) = (Arc::clone(cell), Arc::clone(&gate.open));
        async move {
            let read = own.read_store();
            Gate::pass(open).await;
            match end {
                End::Error => Err("the store is down".to_string()),
                End::Panic => panic!("the loader, as wanted"),
                _ => Ok(read),
            }
        }
    };
    let own = Arc::clone(cell);
    let leader = async move { own.cache.try_get_or_load_async(KEY, |_| load).await };
    let mut leader: Pin<Box<dyn Future<Output = Told>>> = Box::pin(leader);
    let mut context = Context::from_waker(Waker::noop());
    assert!(leader.as_mut().poll(&mut context).is_pending(), "{name}: it waits for the gate");
    let patience = if end == End::Timeout { Duration::from_millis(20) } else { FOR_EVER };
    let ends = waiters(cell, patience);
    settle();
    let early = (end == End::Timeout).then(|| collect(&ends, name));
    cell.operate(operation, key);
    gate.open();
    let mut kept = None;
    match end {
        End::Dropped => drop(leader),
        End::NeverPolled => kept = Some(leader),
        End::Panic => {
            let led = catch_unwind(AssertUnwindSafe(|| block_on(leader)));
            assert!(led.is_err(), "{name}: the leader panics");
        }
        End::Error => assert!(block_on(leader).is_err(), "{name}: the leader gets its error"),
        End::Ok | End::Timeout => assert_eq!(block_on(leader), Ok(1), "{name}"),
    }
    for told in early.unwrap_or_else(|| collect(&ends, name)) {
        match told {
            Ok(_) => {}
            Err(LoadError::Failed(_)) => assert_eq!(end, End::Error, "{name}"),
            Err(LoadError::TimedOut) => assert_eq!(end, End::Timeout, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    if let Some(leader) = kept {
        // It wakes up at last: what it has loaded is its own.
        assert_eq!(block_on(leader), Ok(1), "{name}");
    }
}

fn run(leader: Leader, end: End) {
    for operation in OPERATIONS {
        for key in [KEY, OTHER] {
            if end == End::NeverPolled && key == OTHER {
                // It takes half a second each.
                continue;
            }
            let name = format!("{leader:?}, {end:?}, {operation:?} of {key}");
            let cell = Cell::new();
            match leader {
                Leader::Blocking => blocking(&cell, end, operation, key, &name),
                Leader::Async => tasks(&cell, end, operation, key, &name),
            }
            cell.check(operation, key, &name);
        }
    }
}

#[test]
fn a_thread_that_succeeds() {
    run(Leader::Blocking, End::Ok);
}

#[test]
fn a_thread_that_fails() {
    run(Leader::Blocking, End::Error);
}

#[test]
fn a_thread_that_panics() {
    run(Leader::Blocking, End::Panic);
}

#[test]
fn a_thread_whose_waiters_give_up() {
    run(Leader::Blocking, End::Timeout);
}

#[test]
fn a_task_that_succeeds() {
    run(Leader::Async, End::Ok);
}

#[test]
fn a_task_that_fails() {
    run(Leader::Async, End::Error);
}

#[test]
fn a_task_that_panics() {
    run(Leader::Async, End::Panic);
}

#[test]
fn a_task_that_is_dropped() {
    run(Leader::Async, End::Dropped);
}

#[test]
fn a_task_that_nobody_polls() {
    run(Leader::Async, End::NeverPolled);
}

#[test]
fn a_task_whose_waiters_give_up() {
    run(Leader::Async, End::Timeout);
}

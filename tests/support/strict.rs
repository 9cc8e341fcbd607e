//! An executor that polls a future only if its waker was called: a wake-up that is lost leaves it stuck,
//! as no time limit polls it again.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn rung(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

/// A future of a test.
pub(crate) type Fut<'c, T> = Pin<Box<dyn Future<Output = T> + 'c>>;

pub(crate) fn poll<T>(future: &mut Fut<'_, T>, waker: &Waker) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended<T> {
    Done(T),
    Panicked,
    Cancelled,
}

struct Task<'c, T> {
    future: Option<Fut<'c, T>>,
    bell: Arc<Bell>,
    waker: Waker,
    seen: u64,
    ended: Option<Ended<T>>,
}

/// The executor.
pub(crate) struct Strict<'c, T> {
    tasks: Vec<Task<'c, T>>,
}

impl<'c, T> Strict<'c, T> {
    pub(crate) fn new() -> Self {
        Self { tasks: Vec::new() }
    }

    /// Adds a task, which is polled a first time in the next round.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = T> + 'c) -> usize {
        let (bell, waker) = bell();
        waker.wake_by_ref();
        self.tasks.push(Task { future: Some(Box::pin(future)), bell, waker, seen: 0, ended: None });
        self.tasks.len() - 1
    }

    /// Polls a task if it was woken; whether it was.
    pub(crate) fn poll(&mut self, nth: usize) -> bool {
        let task = &mut self.tasks[nth];
        let rung = task.bell.rung();
        let Some(future) = task.future.as_mut().filter(|_| rung != task.seen) else { return false };
        task.seen = rung;
        let polled = catch_unwind(AssertUnwindSafe(|| poll(future, &task.waker)));
        task.ended = match polled {
            Ok(Poll::Pending) => return true,
            Ok(Poll::Ready(done)) => Some(Ended::Done(done)),
            Err(_) => Some(Ended::Panicked),
        };
        task.future = None;
        true
    }

    pub(crate) fn cancel(&mut self, nth: usize) {
        let task = &mut self.tasks[nth];
        if task.future.take().is_some() {
            task.ended = Some(Ended::Cancelled);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Polls whoever was woken, until all have ended. Those that are left when nobody was woken for so
    /// long are stuck.
    pub(crate) fn run(&mut self, patience: Duration) -> Vec<usize> {
        let mut idle = Instant::now();
        loop {
            let mut woken = false;
            for nth in 0..self.tasks.len() {
                woken |= self.poll(nth);
            }
            let left = || (0..self.tasks.len()).filter(|&nth| self.tasks[nth].future.is_some());
            if woken {
                idle = Instant::now();
            } else if left().next().is_none() || idle.elapsed() > patience {
                return left().collect();
            } else {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    pub(crate) fn ended(&self, nth: usize) -> Option<&Ended<T>> {
        self.tasks[nth].ended.as_ref()
    }
}

/// Gives way so often, by waking itself.
pub(crate) async fn give_way(times: u64) {
    for _ in 0..times {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

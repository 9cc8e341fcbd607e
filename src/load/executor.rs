//! Where values are renewed: what the user gives, or two threads of our own.

use std::collections::VecDeque;
use std::fmt;
#[cfg(feature = "async")]
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "async")]
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
#[cfg(feature = "async")]
use std::task::Context;
use std::thread;
use std::time::Duration;

/// Work for the background: a reload. Dropped instead of called, it is given up, and the value stays
/// as it is.
pub type Job = Box<dyn FnOnce() + Send>;

/// Threads that a process has at most for caches without an executor.
const THREADS: usize = 2;
/// Jobs that wait for them at most; what comes on top of it is given up, and comes again with the
/// next read.
const WAITING: usize = 4096;
/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

/// Where jobs go.
#[derive(Clone)]
pub(super) enum Executor {
    /// Our own threads, which all caches of the process share.
    Pool,
    /// A function of the user's.
    Given(Arc<dyn Fn(Job) + Send + Sync>),
    /// A function of the user's that runs futures.
    #[cfg(feature = "async")]
    Tasks(Arc<dyn Fn(BoxFuture) + Send + Sync>),
}

/// A future for the background. Dropped before it is done, it is given up.
#[cfg(feature = "async")]
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Executor {
    pub(super) fn spawn(&self, job: Job) {
        match self {
            Self::Pool => pool().spawn(job),
            Self::Given(spawn) => spawn(job),
            #[cfg(feature = "async")]
            Self::Tasks(spawn) => spawn(Box::pin(async { job() })),
        }
    }

    /// Runs a future: where there are only threads, one of them waits for it.
    #[cfg(feature = "async")]
    pub(super) fn spawn_future(&self, future: BoxFuture) {
        match self {
            Self::Tasks(spawn) => spawn(future),
            Self::Pool | Self::Given(_) => self.spawn(Box::new(|| block_on(future))),
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "Pool",
            Self::Given(_) => "Given",
            #[cfg(feature = "async")]
            Self::Tasks(_) => "Tasks",
        })
    }
}

#[cfg(feature = "async")]
fn block_on(mut future: BoxFuture) {
    let sleep = crate::sync::Sleep::new();
    let waker = sleep.waker();
    let mut context = Context::from_waker(&waker);
    while future.as_mut().poll(&mut context).is_pending() {
        sleep.rest(Duration::MAX);
    }
}

#[derive(Default)]
struct Pool {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(Pool::default)
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&'static self, job: Job) {
        let mut queue = self.queue();
        if queue.jobs.len() >= WAITING {
            // Dropping it runs user code.
            drop(queue);
            return drop(job);
        }
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() || queue.threads == THREADS {
            self.work.notify_one();
            return;
        }
        queue.threads += 1;
        drop(queue);
        let started =
            thread::Builder::new().name("clockhand-load".to_string()).spawn(|| self.run());
        if started.is_err() {
            self.give_up();
        }
    }

    /// No thread could be started. If there is none at all, what waits is given up.
    fn give_up(&self) {
        let mut queue = self.queue();
        queue.threads -= 1;
        let jobs =
            if queue.threads == 0 { std::mem::take(&mut queue.jobs) } else { VecDeque::new() };
        drop(queue);
        drop(jobs);
    }

    fn run(&self) {
        while let Some(job) = self.next() {
            // A panic was reported by the panic hook, and the flight has gone to the next one.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; nothing if the thread is not needed any more.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue.idle += 1;
            let (back, waited) =
                self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = back;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

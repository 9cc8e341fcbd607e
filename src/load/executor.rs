//! Where values are renewed: an executor of the user's, or threads of our own.
//!
//! All caches of the process share these threads. A load that hangs blocks its thread; so a thread
//! whose job has run for long does not count, and another one may start instead, up to a bound.

use std::collections::VecDeque;
use std::fmt;
#[cfg(feature = "async")]
use std::future::Future;
#[cfg(feature = "async")]
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
#[cfg(feature = "async")]
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::quietly;

/// Work for the background: a reload. If it is dropped instead of called, the reload is given up,
/// and the value stays as it is.
pub type Job = Box<dyn FnOnce() + Send>;

/// How many threads a process has for caches without an executor.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolLimits {
    /// Limit on threads whose jobs have not run for `long`.
    pub(super) threads: usize,
    pub(super) long: Duration,
    /// Limit on all threads.
    pub(super) max_threads: usize,
}

const LIMITS: PoolLimits = PoolLimits { threads: 8, long: Duration::from_secs(1), max_threads: 64 };
/// Limit on jobs that wait for a thread. More are dropped; the next read of such a key starts one
/// again.
pub(super) const MAX_QUEUED_JOBS: usize = 4096;
/// After how long without work a thread ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where jobs are run.
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

/// A future for the background. If it is dropped before it is done, its work is given up.
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

    /// Runs a future; an executor of jobs gets a job that blocks until it is done. Returns the
    /// future if the user has given no executor.
    #[cfg(feature = "async")]
    pub(super) fn spawn_future(&self, future: BoxFuture) -> Option<BoxFuture> {
        match self {
            Self::Tasks(spawn) => spawn(future),
            Self::Given(spawn) => spawn(Box::new(|| block_on(future))),
            Self::Pool => return Some(future),
        }
        None
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

pub(super) struct Pool {
    limits: PoolLimits,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// When each running job began.
    began: Vec<Instant>,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::new(LIMITS))
}

/// Drops jobs, and values of the user's with them. A panic of a destructor reaches neither the
/// reader nor the other jobs.
fn give_up(jobs: impl IntoIterator<Item = Job>) {
    jobs.into_iter().for_each(|job| _ = quietly(|| drop(job)));
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self { limits, queue: Mutex::default(), work: Condvar::new() }
    }

    /// How many threads there are.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.queue().threads
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spawn(&'static self, job: Job) {
        let mut queue = self.queue();
        if queue.jobs.len() >= MAX_QUEUED_JOBS {
            drop(queue);
            return give_up([job]);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.work.notify_one();
        self.grow();
    }

    /// Starts a thread if there are more jobs than idle threads, and one more is allowed.
    fn grow(&'static self) {
        let mut queue = self.queue();
        if queue.idle >= queue.jobs.len() || !queue.may_grow(self.limits) {
            return;
        }
        queue.threads += 1;
        drop(queue);
        let started =
            thread::Builder::new().name("clockhand-load".to_string()).spawn(|| self.run());
        if started.is_err() {
            self.not_started();
        }
    }

    /// Notes that a thread could not be started. If there is none at all, the jobs are dropped.
    fn not_started(&self) {
        let mut queue = self.queue();
        queue.threads -= 1;
        let jobs =
            if queue.threads == 0 { std::mem::take(&mut queue.jobs) } else { VecDeque::new() };
        drop(queue);
        give_up(jobs);
    }

    fn run(&'static self) {
        while let Some((job, began)) = self.next() {
            // Other jobs may have become long since the last one was queued.
            self.grow();
            // A panic was reported by the panic hook, and the next waiter of the flight leads.
            quietly(job);
            self.queue().end(began);
        }
    }

    /// Returns the next job, and `None` if the thread is not needed any more.
    fn next(&self) -> Option<(Job, Instant)> {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                let began = Instant::now();
                queue.began.push(began);
                return Some((job, began));
            }
            queue.idle += 1;
            let (back, waited) =
                self.work.wait_timeout(queue, IDLE_TIMEOUT).unwrap_or_else(PoisonError::into_inner);
            queue = back;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

impl Queue {
    /// Whether one more thread may start.
    fn may_grow(&self, limits: PoolLimits) -> bool {
        let long = self.began.iter().filter(|began| began.elapsed() >= limits.long).count();
        self.threads < limits.max_threads && self.threads - long < limits.threads
    }

    /// Notes that a job that began at that moment is over. If several did, it makes no difference
    /// which.
    fn end(&mut self, began: Instant) {
        if let Some(index) = self.began.iter().position(|&other| other == began) {
            self.began.swap_remove(index);
        }
    }
}

//! Where values are renewed: what the user gives, or threads of our own.
//!
//! All caches of the process share those. A load that hangs takes its thread with it; so one that has
//! run for long does not count, and another thread may start in its place, up to a bound.

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

/// Work for the background: a reload. Dropped instead of called, it is given up, and the value stays
/// as it is.
pub type Job = Box<dyn FnOnce() + Send>;

/// How many threads a process has for caches without an executor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Those at most whose jobs have not run for long.
    pub(super) threads: usize,
    /// How long that is.
    pub(super) long: Duration,
    /// All of them, whatever they do.
    pub(super) most: usize,
}

const LIMITS: Limits = Limits { threads: 8, long: Duration::from_secs(1), most: 64 };
/// Jobs that wait for them at most; what comes on top of it is given up, and comes again with the
/// next read.
pub(super) const WAITING: usize = 4096;
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

    /// Runs a future: on a user's thread one waits for it. Gives it back if nothing of the user's is there.
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
    limits: Limits,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// When the jobs began that are running.
    began: Vec<Instant>,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::new(LIMITS))
}

/// Drops jobs, with what is the user's in them. A panic of that is none of those who read, and keeps no other job.
fn give_up(jobs: impl IntoIterator<Item = Job>) {
    jobs.into_iter().for_each(|job| _ = quietly(|| drop(job)));
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
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
        if queue.jobs.len() >= WAITING {
            drop(queue);
            return give_up([job]);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.work.notify_one();
        self.grow();
    }

    /// Starts a thread if jobs wait that nobody is about to do, and there may be one more.
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

    /// No thread could be started. If there is none at all, what waits is given up.
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
            // Others may have run for long since the last job came.
            self.grow();
            // A panic was reported by the panic hook, and the flight has gone to the next one.
            quietly(job);
            self.queue().end(began);
        }
    }

    /// The next job; nothing if the thread is not needed any more.
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

impl Queue {
    /// Whether one more thread may start.
    fn may_grow(&self, limits: Limits) -> bool {
        let long = self.began.iter().filter(|began| began.elapsed() >= limits.long).count();
        self.threads < limits.most && self.threads - long < limits.threads
    }

    /// A job that began at that moment is over. Those that began at the same one are alike.
    fn end(&mut self, began: Instant) {
        if let Some(place) = self.began.iter().position(|&other| other == began) {
            self.began.swap_remove(place);
        }
    }
}

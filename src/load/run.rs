//! One run of a loader, for one flight or for many.
//!
//! A run that is a task notes when it was woken, and whether it is being polled. These are hints:
//! if one is read too late, a leader is relieved that is about to go on, and of two values the
//! first one completes the load.
//!
//! A run also lists the flights that it waits for, so that `cycle` can tell whether waiting would
//! close a cycle.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};

use super::now;
use crate::engine::ThinLoad;
use crate::load_policy::LoadPolicy;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, unique};
use crate::trace::LoadSpan;

/// A flight, of values of any type, that tells the run of its leader.
pub(super) trait LedFlight: Send + Sync {
    /// Returns the run of the present leader, if that has begun.
    fn run(&self) -> Option<Arc<Run>>;
}

/// One run of a loader.
#[derive(Default)]
pub(super) struct Run {
    /// When it was woken, if it has not been polled since; otherwise zero.
    woken: Relaxed<AtomicU64>,
    /// Whether it renews a value in the background: a caller that waits for it takes over after a
    /// while.
    background: bool,
    /// How many threads poll it now: one or none.
    polling: Relaxed<AtomicU64>,
    /// The thread that has polled it; zero if none has, or `SEVERAL_THREADS`.
    thread: Relaxed<AtomicU64>,
    /// Its waker, if it is a task.
    run_waker: Mutex<Weak<RunWaker>>,
    /// The flights that it waits for.
    waits_for: Mutex<Vec<Arc<dyn LedFlight>>>,
    /// The span in which it runs, if loads are traced.
    span: OnceLock<LoadSpan>,
    /// The keys that it loads for its caller alone, of a type that `alone` knows.
    alone: Option<Box<dyn Any + Send + Sync>>,
}

/// A run on a thread's stack.
enum Frame {
    Run(Arc<Run>),
    /// The run of a load that began thin: it has no record unless its thread wants to wait.
    Thin(ThinFrame),
}

/// A load that began thin, as its thread's stack knows it.
pub(super) struct ThinFrame {
    pub(super) load: ThinLoad,
    pub(super) policy: LoadPolicy,
    /// Attaches a record of the run to the load.
    pub(super) attach: fn(&Self, &Arc<Run>),
}

/// Takes its run from the thread's stack on drop.
pub(super) struct PopOnDrop;

impl Drop for PopOnDrop {
    fn drop(&mut self) {
        // The caller that leads keeps the run alive: nothing of the user's is dropped here.
        let _ = STACK.try_with(|stack| stack.borrow_mut().pop());
    }
}

impl Frame {
    /// Puts it on the thread's stack. While the thread ends there is none, and cycles are not found.
    fn push(self) -> Option<PopOnDrop> {
        STACK.try_with(|stack| stack.borrow_mut().push(self)).is_ok().then_some(PopOnDrop)
    }

    /// The record of the run.
    fn run(&mut self) -> Arc<Run> {
        match self {
            Self::Run(run) => Arc::clone(run),
            Self::Thin(frame) => {
                let run = Arc::new(Run::default());
                (frame.attach)(frame, &run);
                *self = Self::Run(Arc::clone(&run));
                run
            }
        }
    }
}

impl ThinFrame {
    /// Puts it on the thread's stack until what is returned is dropped.
    pub(super) fn push(self) -> Option<PopOnDrop> {
        Frame::Thin(self).push()
    }
}

const SEVERAL_THREADS: u64 = u64::MAX;

thread_local! {
    /// The runs that are on this thread's stack, the innermost last.
    static STACK: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// Whether this thread has polled a run.
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread polls tasks, as far as is known.
pub(super) fn polls_tasks() -> bool {
    POLLS.get()
}

/// The number of the calling thread; never zero.
pub(super) fn thread() -> u64 {
    thread_local! {
        static NUMBER: u64 = unique();
    }
    // While a thread ends it gets a new number each time.
    NUMBER.try_with(|number| *number).unwrap_or_else(|_| unique())
}

/// The runs that wait if the calling thread does.
pub(super) fn stack() -> Vec<Arc<Run>> {
    STACK
        .try_with(|stack| stack.borrow_mut().iter_mut().map(Frame::run).collect())
        .unwrap_or_default()
}

/// Those of them that are more than loads that began thin.
pub(super) fn stack_of_records() -> Vec<Arc<Run>> {
    let record = |frame: &Frame| match frame {
        Frame::Run(run) => Some(Arc::clone(run)),
        Frame::Thin(_) => None,
    };
    STACK.try_with(|stack| stack.borrow().iter().filter_map(record).collect()).unwrap_or_default()
}

/// Calls `part` without the runs on the thread's stack, which do not wait for it.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
pub(super) fn off_stack<T>(part: impl FnOnce() -> T) -> T {
    struct RestoreOnDrop(Vec<Frame>);
    impl Drop for RestoreOnDrop {
        fn drop(&mut self) {
            let _ = STACK.try_with(|stack| stack.replace(std::mem::take(&mut self.0)));
        }
    }
    let _restore = RestoreOnDrop(STACK.try_with(RefCell::take).unwrap_or_default());
    part()
}

impl Run {
    /// A run that renews values in the background.
    pub(super) fn background() -> Self {
        Self { background: true, ..Self::default() }
    }

    /// Traces it as a load, or a renewal, of the cache named `cache`. It is on the stack then: a subscriber may ask
    /// for what it loads.
    pub(super) fn trace(self: &Arc<Self>, cache: &str, renewal: bool) {
        if self.span.get().is_none() {
            let span = self.stacked(|| LoadSpan::new(cache, renewal));
            let _ = self.span.set(span);
        }
    }

    /// A run that also loads `keys` for its caller alone.
    pub(super) fn alone(keys: Box<dyn Any + Send + Sync>) -> Self {
        Self { alone: Some(keys), ..Self::default() }
    }

    /// Returns what it loads for its caller alone, if that is of type `T`.
    pub(super) fn loads_alone<T: 'static>(&self) -> Option<&T> {
        self.alone.as_ref().and_then(|keys| keys.downcast_ref())
    }

    /// Calls a part of the run: the whole loader of a thread, one poll of a task, the completion.
    pub(super) fn enter<T>(self: &Arc<Self>, part: impl FnOnce() -> T) -> T {
        // The span inside: a subscriber that hears that it is entered may ask for what is loaded.
        self.stacked(|| match self.span.get() {
            Some(span) => span.enter(part),
            None => part(),
        })
    }

    /// Calls `part` with this run on the thread's stack of runs.
    fn stacked<T>(self: &Arc<Self>, part: impl FnOnce() -> T) -> T {
        let _leave = Frame::Run(Arc::clone(self)).push();
        part()
    }

    /// Whether it was woken more than `limit` ago, and is not being polled.
    pub(super) fn is_overdue(&self, now: u64, limit: u64) -> bool {
        let woken = self.woken.get();
        woken != 0 && self.polling.get() == 0 && now.saturating_sub(woken) > limit
    }

    pub(super) fn waits_for(&self) -> Vec<Arc<dyn LedFlight>> {
        lock(&self.waits_for).clone()
    }

    pub(super) fn begin_wait(&self, flight: Arc<dyn LedFlight>) {
        lock(&self.waits_for).push(flight);
    }

    pub(super) fn end_wait(&self, flight: &Arc<dyn LedFlight>) {
        let mut waits_for = lock(&self.waits_for);
        let index = waits_for.iter().position(|other| Arc::ptr_eq(other, flight));
        let gone = index.map(|index| waits_for.swap_remove(index));
        drop(waits_for);
        // After the lock is released: the flight may hold a value with a destructor of the user's.
        drop(gone);
    }

    /// Returns the only thread that has polled it, if it is a task that a caller waits for and is
    /// not being polled now: without that thread it does not go on, as far as is known.
    pub(super) fn sole_poller(&self) -> Option<u64> {
        let thread = self.thread.get();
        let rests = !self.background && self.polling.get() == 0;
        (rests && thread != 0 && thread != SEVERAL_THREADS).then_some(thread)
    }
}

/// Wakes the task of a run, and notes when.
pub(super) struct RunWaker {
    run: Arc<Run>,
    task: Waker,
}

#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl RunWaker {
    pub(super) fn new(run: &Arc<Run>, task: Waker) -> Arc<Self> {
        let run_waker = Arc::new(Self { run: Arc::clone(run), task });
        *lock(&run.run_waker) = Arc::downgrade(&run_waker);
        run_waker
    }
}

impl Wake for RunWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.run.wake(now());
        self.task.wake_by_ref();
    }
}

/// For runs that are tasks.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl Run {
    /// Polls the task. If that panics, the run is over.
    pub(super) fn poll<T>(self: &Arc<Self>, now: impl Fn() -> u64, poll: impl FnOnce() -> T) -> T {
        let own = thread();
        POLLS.set(true);
        if self.thread.get() != own {
            self.thread.set(if self.thread.get() == 0 { own } else { SEVERAL_THREADS });
        }
        self.polling.set(1);
        self.woken.set(0);
        let polled = self.enter(poll);
        if self.woken.get() != 0 {
            // It was woken while it was polled: from now on it can be polled again.
            self.woken.set(now());
        }
        self.polling.set(0);
        polled
    }

    /// Returns its waker.
    pub(super) fn run_waker(&self) -> Option<Arc<RunWaker>> {
        lock(&self.run_waker).upgrade()
    }

    /// Notes that it was woken: it should be polled soon.
    pub(super) fn wake(&self, now: u64) {
        if self.woken.get() == 0 {
            self.woken.set(now);
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("woken", &self.woken).finish_non_exhaustive()
    }
}

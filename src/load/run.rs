//! One run of a loader, for one flight or for many.
//!
//! A run that is a task gives signs of life: when it was woken, and whether it is being polled. They are
//! hints: if one is read too late, a leader is relieved that is about to go on, and of two values
//! the first one lands.
//!
//! A run also says which flights it waits for, so that `cycle` finds out whether waiting would close a
//! circle.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Wake, Waker};

use super::now;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, unique};
use crate::trace::LoadSpan;

/// A flight, of whatever values, whose leader's run can be asked for.
pub(super) trait Led: Send + Sync {
    /// The run of the present leader, if it has begun.
    fn run(&self) -> Option<Arc<Run>>;
}

/// One run of a loader.
#[derive(Default)]
pub(super) struct Run {
    /// When it was woken, if it has not been polled since; else zero.
    woken: Relaxed<AtomicU64>,
    /// Whether it renews a value in the background: whoever waits for it takes over after a while.
    background: bool,
    /// How many threads poll it at this moment: one or none.
    polling: Relaxed<AtomicU64>,
    /// The thread that has polled it; zero if none has, or `SEVERAL`.
    thread: Relaxed<AtomicU64>,
    /// What wakes it, if it is a task.
    alarm: Mutex<Weak<Alarm>>,
    /// The flights that it waits for.
    awaits: Mutex<Vec<Arc<dyn Led>>>,
    /// What those are told who trace it.
    span: OnceLock<LoadSpan>,
    /// What it loads for its caller alone, as `alone` knows it.
    alone: Option<Box<dyn Any + Send + Sync>>,
}

const SEVERAL: u64 = u64::MAX;

thread_local! {
    /// The runs that are on this thread's stack, the innermost last.
    static STACK: RefCell<Vec<Arc<Run>>> = const { RefCell::new(Vec::new()) };
    /// Whether this thread has polled a run.
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread polls tasks, as far as it is known.
pub(super) fn polls_tasks() -> bool {
    POLLS.get()
}

/// The number of the calling thread; never zero.
pub(super) fn thread() -> u64 {
    thread_local! {
        static NUMBER: u64 = unique();
    }
    // While a thread ends it gets numbers that nobody else has.
    NUMBER.try_with(|number| *number).unwrap_or_else(|_| unique())
}

/// The runs that wait if the calling thread does.
pub(super) fn stack() -> Vec<Arc<Run>> {
    STACK.try_with(|stack| stack.borrow().clone()).unwrap_or_default()
}

/// Runs something that the runs on the thread's stack do not wait for.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "nothing is polled by others"))]
pub(super) fn apart<T>(part: impl FnOnce() -> T) -> T {
    struct Back(Vec<Arc<Run>>);
    impl Drop for Back {
        fn drop(&mut self) {
            let _ = STACK.try_with(|stack| stack.replace(std::mem::take(&mut self.0)));
        }
    }
    let _back = Back(STACK.try_with(RefCell::take).unwrap_or_default());
    part()
}

impl Run {
    /// One that renews values in the background.
    pub(super) fn background() -> Self {
        Self { background: true, ..Self::default() }
    }

    /// It is a load, or a renewal, of the cache of this name.
    pub(super) fn trace(&self, cache: &str, renewal: bool) {
        self.span.get_or_init(|| LoadSpan::new(cache, renewal));
    }

    /// One that also loads this for its caller alone.
    pub(super) fn alone(keys: Box<dyn Any + Send + Sync>) -> Self {
        Self { alone: Some(keys), ..Self::default() }
    }

    /// What it loads for its caller alone, if that is of this type.
    pub(super) fn loads_alone<T: 'static>(&self) -> Option<&T> {
        self.alone.as_ref().and_then(|keys| keys.downcast_ref())
    }

    /// Runs a part of it: the whole loader of a thread, one poll of a task, a landing.
    pub(super) fn enter<T>(self: &Arc<Self>, part: impl FnOnce() -> T) -> T {
        match self.span.get() {
            Some(span) => span.enter(|| self.stacked(part)),
            None => self.stacked(part),
        }
    }

    /// Runs a part of it on the thread's stack of runs.
    fn stacked<T>(self: &Arc<Self>, part: impl FnOnce() -> T) -> T {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                // The run itself is kept by its lead: nothing of the user's is dropped here.
                let _ = STACK.try_with(|stack| stack.borrow_mut().pop());
            }
        }
        // While the thread ends there is no stack: circles are not found then.
        let entered = STACK.try_with(|stack| stack.borrow_mut().push(Arc::clone(self))).is_ok();
        let _leave = entered.then(|| Leave);
        part()
    }

    /// Whether it was woken so long ago, and is not being polled.
    pub(super) fn is_overdue(&self, now: u64, limit: u64) -> bool {
        let woken = self.woken.get();
        woken != 0 && self.polling.get() == 0 && now.saturating_sub(woken) > limit
    }

    pub(super) fn waits_for(&self) -> Vec<Arc<dyn Led>> {
        lock(&self.awaits).clone()
    }

    pub(super) fn begin_wait(&self, flight: Arc<dyn Led>) {
        lock(&self.awaits).push(flight);
    }

    pub(super) fn end_wait(&self, flight: &Arc<dyn Led>) {
        let mut awaits = lock(&self.awaits);
        let place = awaits.iter().position(|other| Arc::ptr_eq(other, flight));
        let gone = place.map(|place| awaits.swap_remove(place));
        drop(awaits);
        // After the lock: the flight may hold a value whose destructor is the user's.
        drop(gone);
    }

    /// The thread without which it does not go on, as far as it is known: it is a task that a caller waits
    /// for, no other thread has polled it so far, and that one is not at it now.
    pub(super) fn rests_with(&self) -> Option<u64> {
        let thread = self.thread.get();
        let rests = !self.background && self.polling.get() == 0;
        (rests && thread != 0 && thread != SEVERAL).then_some(thread)
    }
}

/// Wakes a task, and notes it.
pub(super) struct Alarm {
    run: Arc<Run>,
    task: Waker,
}

#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl Alarm {
    pub(super) fn new(run: &Arc<Run>, task: Waker) -> Arc<Self> {
        let alarm = Arc::new(Self { run: Arc::clone(run), task });
        *lock(&run.alarm) = Arc::downgrade(&alarm);
        alarm
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.run.wake(now());
        self.task.wake_by_ref();
    }
}

/// Runs that are tasks.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl Run {
    /// Polls it. If that panics, the run is over.
    pub(super) fn poll<T>(self: &Arc<Self>, now: impl Fn() -> u64, poll: impl FnOnce() -> T) -> T {
        let own = thread();
        POLLS.set(true);
        if self.thread.get() != own {
            self.thread.set(if self.thread.get() == 0 { own } else { SEVERAL });
        }
        self.polling.set(1);
        self.woken.set(0);
        let polled = self.enter(poll);
        if self.woken.get() != 0 {
            // It was woken meanwhile, and could not be polled again before.
            self.woken.set(now());
        }
        self.polling.set(0);
        polled
    }

    /// What wakes it.
    pub(super) fn alarm(&self) -> Option<Arc<Alarm>> {
        lock(&self.alarm).upgrade()
    }

    /// It should be polled soon.
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

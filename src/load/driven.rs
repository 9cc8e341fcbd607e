//! Renewals that the reads of a cache carry on, where its user has given no spawner.
//!
//! A future of a runtime wants to be polled where that runtime is, and the one place of that kind that the
//! cache knows is inside the calls of those who read. So a renewal is polled by the call that starts it,
//! and whenever it was woken by the next call, whatever key that asks for. A call that waits for a load
//! is woken for it. No thread is started, and no call waits for a renewal that it does not need.
//!
//! A renewal that is not done within its limit is dropped: what it would bring may be old by then.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::executor::BoxFuture;
use super::{now, run};
use crate::sync::{AtomicUsize, Relaxed, quietly};

/// Renewals that a cache has at most; what comes on top of it is given up, and comes again with the next
/// read.
const MOST: usize = 4096;
/// Renewals that one call polls at most.
const TURNS: usize = 16;

/// The renewals of one cache that fills itself.
#[derive(Default)]
pub(super) struct Driven {
    /// How many there are, and how many of them were woken: hints for those who read.
    tasks: Relaxed<AtomicUsize>,
    woken: Relaxed<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    tasks: HashMap<u64, Arc<Task>>,
    /// Those to be polled.
    woken: BTreeSet<u64>,
    /// A call that waits for a load, and that polls what is woken meanwhile.
    attends: Option<Waker>,
}

/// One renewal; its own waker.
struct Task {
    number: u64,
    /// When it is dropped.
    until: u64,
    /// Nothing once it is done.
    future: Mutex<Option<BoxFuture>>,
    driven: Weak<Driven>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driven {
    /// Begins a renewal, which is dropped when it lasts longer than so many nanoseconds.
    pub(super) fn spawn(self: &Arc<Self>, future: BoxFuture, limit: u64) {
        let (now, mut state) = (now(), lock(&self.state));
        let mut gone = Vec::new();
        if state.tasks.len() >= MOST {
            gone.extend(state.tasks.extract_if(|_, task| task.until < now));
        }
        let number = state.next;
        state.next += 1;
        let (until, driven) = (now.saturating_add(limit), Arc::downgrade(self));
        let task = Task { number, until, future: Mutex::new(Some(future)), driven };
        let task = Arc::new(task);
        if state.tasks.len() < MOST {
            state.tasks.insert(number, Arc::clone(&task));
            state.woken.insert(number);
        } else {
            gone.push((number, task));
        }
        self.hint(&state);
        drop(state);
        gone.into_iter().for_each(|(_, task)| task.give_up());
        self.drive();
    }

    /// Polls what was woken. A single load if there is none.
    #[inline]
    pub(super) fn drive(&self) {
        if self.woken.get() != 0 {
            self.poll_woken();
        }
    }

    /// The same for a call that waits; `waker` is told when there is more.
    pub(super) fn attend(&self, waker: &Waker) {
        if self.tasks.get() != 0 {
            let waker = Some(waker.clone());
            let other = std::mem::replace(&mut lock(&self.state).attends, waker);
            drop(other);
            self.drive();
        }
    }

    #[cold]
    fn poll_woken(&self) {
        thread_local! {
            /// Whether a call further up on this thread's stack is at it.
            static BUSY: Cell<bool> = const { Cell::new(false) };
        }
        if BUSY.replace(true) {
            return;
        }
        // A renewal has nothing to do with the loads of whoever happens to poll it.
        run::apart(|| {
            for _ in 0..TURNS {
                let Some(task) = self.next() else { break };
                let polled = if task.until < now() { Poll::Ready(()) } else { task.poll() };
                if polled.is_ready() {
                    let mut state = lock(&self.state);
                    state.tasks.remove(&task.number);
                    self.hint(&state);
                    drop(state);
                    task.give_up();
                }
            }
        });
        BUSY.set(false);
    }

    /// The next one that was woken.
    fn next(&self) -> Option<Arc<Task>> {
        let mut state = lock(&self.state);
        let task = loop {
            let number = state.woken.pop_first()?;
            if let Some(task) = state.tasks.get(&number) {
                break Arc::clone(task);
            }
        };
        self.hint(&state);
        Some(task)
    }

    fn hint(&self, state: &State) {
        self.tasks.set(state.tasks.len());
        self.woken.set(state.woken.len());
    }

    fn wake(&self, number: u64) {
        let mut state = lock(&self.state);
        if !state.tasks.contains_key(&number) {
            return;
        }
        state.woken.insert(number);
        self.hint(&state);
        let attends = state.attends.take();
        drop(state);
        if let Some(waker) = attends {
            waker.wake();
        }
    }
}

impl Task {
    /// Not ready if another call is at it; that one is told to come again.
    fn poll(self: &Arc<Self>) -> Poll<()> {
        let Ok(mut future) = self.future.try_lock() else {
            // It was woken while it was polled, and is polled once more by a later call.
            self.wake_by_ref();
            return Poll::Pending;
        };
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        // A panic is as good as an end. Its lead is dropped with it.
        let poll = || future.as_mut().map(|future| future.as_mut().poll(&mut context));
        quietly(poll).flatten().unwrap_or(Poll::Ready(()))
    }

    /// Drops the future, with what is the user's.
    fn give_up(&self) {
        let future = lock(&self.future).take();
        quietly(|| drop(future));
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(driven) = self.driven.upgrade() {
            driven.wake(self.number);
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // Wakers may keep the tasks for longer, and the tasks their wakers.
        let state = std::mem::take(&mut *lock(&self.state));
        state.tasks.values().for_each(|task| task.give_up());
    }
}

impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driven").field("tasks", &self.tasks.get()).finish_non_exhaustive()
    }
}

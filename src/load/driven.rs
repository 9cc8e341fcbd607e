//! Renewals that the reads of a cache carry on, where its user has given no spawner.
//!
//! A future of a runtime wants to be polled where that runtime is, and the one place of that kind that the
//! cache knows is inside the calls of those who read. So a renewal is polled by the call that starts it,
//! and whenever it was woken by the next call, whatever key that asks for. A call that waits for a load
//! is woken for it. No thread is started, and no call waits for a renewal that it does not need.
//!
//! A renewal that is not done within its limit is dropped: what it would bring may be old by then.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::executor::BoxFuture;
use super::{now, run};
use crate::sync::{AtomicUsize, Mutex, Relaxed, lock, quietly, unique, wake_quietly};

/// Renewals that a cache has at most; what comes on top of it is given up, and comes again with the next
/// read.
const MOST: usize = 4096;
/// Renewals that one call polls at most.
const TURNS: usize = 16;

/// The renewals of one cache that fills itself.
#[derive(Default)]
pub(super) struct Driven {
    /// How many of them were woken: a hint for those who read.
    woken: Relaxed<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    renewals: HashMap<u64, Renewal>,
    /// Those to be polled. None of them is being polled.
    woken: BTreeSet<u64>,
    /// Calls that wait, and poll meanwhile what is woken: each is told once, and comes back.
    attendants: BTreeMap<u64, Waker>,
}

struct Renewal {
    task: Arc<Task>,
    /// Whether a call is polling it, and whether it was woken meanwhile.
    polled: bool,
    again: bool,
}

/// What is polled; its own waker.
struct Task {
    number: u64,
    /// When it is dropped.
    until: u64,
    /// Nothing once it is done.
    future: Mutex<Option<BoxFuture>>,
    driven: Weak<Driven>,
}

impl State {
    /// Somebody to poll what is woken, if there is anything.
    fn attendant(&mut self) -> Option<Waker> {
        if self.woken.is_empty() {
            return None;
        }
        self.attendants.pop_first().map(|(_, waker)| waker)
    }

    /// The next one to be polled. The caller is at it from now on.
    fn begin(&mut self) -> Option<Arc<Task>> {
        loop {
            let number = self.woken.pop_first()?;
            if let Some(renewal) = self.renewals.get_mut(&number) {
                renewal.polled = true;
                return Some(Arc::clone(&renewal.task));
            }
        }
    }

    /// The caller has polled it; whether that was the last time.
    fn end(&mut self, number: u64, done: bool) -> bool {
        let Some(renewal) = self.renewals.get_mut(&number) else { return true };
        if done {
            self.renewals.remove(&number);
            return true;
        }
        renewal.polled = false;
        if std::mem::take(&mut renewal.again) {
            self.woken.insert(number);
        }
        false
    }
}

impl Driven {
    /// Begins a renewal, which is dropped when it lasts longer than so many nanoseconds.
    pub(super) fn spawn(self: &Arc<Self>, future: BoxFuture, limit: u64) {
        let (now, mut state) = (now(), lock(&self.state));
        let mut gone = Vec::new();
        if state.renewals.len() >= MOST {
            gone.extend(state.renewals.extract_if(|_, renewal| renewal.task.until < now));
        }
        let number = state.next;
        state.next += 1;
        let (until, driven) = (now.saturating_add(limit), Arc::downgrade(self));
        let task = Task { number, until, future: Mutex::new(Some(future)), driven };
        let renewal = Renewal { task: Arc::new(task), polled: false, again: false };
        if state.renewals.len() < MOST {
            state.renewals.insert(number, renewal);
            state.woken.insert(number);
        } else {
            gone.push((number, renewal));
        }
        self.hint(&state);
        drop(state);
        // One that is being polled is dropped by whoever is at it.
        let idle = gone.into_iter().filter(|(_, renewal)| !renewal.polled);
        idle.for_each(|(_, renewal)| renewal.task.give_up());
        self.drive();
    }

    /// Polls what was woken. A single load if there is none.
    #[inline]
    pub(super) fn drive(&self) {
        if self.woken.get() != 0 {
            self.poll_woken();
        }
    }

    #[cold]
    fn poll_woken(&self) {
        thread_local! {
            /// Whether a call further up on this thread's stack is at it.
            static BUSY: Cell<bool> = const { Cell::new(false) };
        }
        struct Idle;
        impl Drop for Idle {
            fn drop(&mut self) {
                BUSY.set(false);
            }
        }
        if BUSY.replace(true) {
            return;
        }
        let _idle = Idle;
        // A renewal has nothing to do with the loads of whoever happens to poll it.
        run::apart(|| {
            for _ in 0..TURNS {
                let Some(task) = self.begin() else { break };
                let done = task.until < now() || task.poll().is_ready();
                if self.end(task.number, done) {
                    task.give_up();
                }
            }
        });
        // What is left, or was woken again.
        let attendant = lock(&self.state).attendant();
        wake_quietly(attendant);
    }

    fn begin(&self) -> Option<Arc<Task>> {
        let mut state = lock(&self.state);
        let task = state.begin();
        self.hint(&state);
        task
    }

    fn end(&self, number: u64, done: bool) -> bool {
        let mut state = lock(&self.state);
        let over = state.end(number, done);
        self.hint(&state);
        over
    }

    fn hint(&self, state: &State) {
        self.woken.set(state.woken.len());
    }

    fn wake(&self, number: u64) {
        let mut state = lock(&self.state);
        match state.renewals.get_mut(&number) {
            None => return,
            Some(renewal) if renewal.polled => {
                renewal.again = true;
                return;
            }
            Some(_) => state.woken.insert(number),
        };
        self.hint(&state);
        let attendant = state.attendant();
        drop(state);
        wake_quietly(attendant);
    }
}

/// A call that waits for a load, and polls meanwhile what is woken. Dropped, it leaves that to another.
pub(super) struct Attendant {
    driven: Arc<Driven>,
    number: u64,
}

impl Attendant {
    pub(super) fn new(driven: &Arc<Driven>) -> Self {
        Self { driven: Arc::clone(driven), number: unique() }
    }

    /// Polls what was woken.
    pub(super) fn drive(&self) {
        self.driven.drive();
    }

    /// From now on `waker` is told when there is more. To be called after the call has found that it has to
    /// wait: what it waits for may be a renewal that has begun a moment ago.
    pub(super) fn attend(&self, waker: &Waker) {
        let own = waker.clone();
        let mut state = lock(&self.driven.state);
        let old = state.attendants.insert(self.number, own);
        let more = !state.woken.is_empty();
        drop(state);
        drop(old);
        if more {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        let mut state = lock(&self.driven.state);
        let own = state.attendants.remove(&self.number);
        // It may have been told of something that it does not poll any more.
        let other = if own.is_none() { state.attendant() } else { None };
        drop(state);
        quietly(|| drop(own));
        wake_quietly(other);
    }
}

impl Task {
    fn poll(self: &Arc<Self>) -> Poll<()> {
        let mut future = lock(&self.future);
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
        state.renewals.values().for_each(|renewal| renewal.task.give_up());
    }
}

impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driven").field("woken", &self.woken.get()).finish_non_exhaustive()
    }
}

//! Renewals that the reads of a cache poll, where its user has given no spawner.
//!
//! A future of a runtime has to be polled inside that runtime, and the only such place that the
//! cache knows is inside the calls of its readers. So a renewal is polled by the call that starts
//! it and, each time it was woken, by the next call, whichever key that asks for. A call that waits
//! for a load is woken to poll renewals as well. No thread is started, and no call waits for a
//! renewal that it does not need.
//!
//! A renewal that is not done within its limit is dropped: its value may be old by then.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::executor::BoxFuture;
use super::{now, run};
use crate::sync::{AtomicUsize, Mutex, Relaxed, lock, quietly, unique, wake_quietly};

/// Limit on the renewals of a cache. More are dropped; the next read of such a key starts one
/// again.
const MAX_RENEWALS: usize = 4096;
/// Limit on the renewals that one call polls.
const MAX_POLLS_PER_CALL: usize = 16;

/// The renewals of one cache with a loader.
#[derive(Default)]
pub(super) struct Driven {
    /// How many of them were woken: a hint for readers.
    woken: Relaxed<AtomicUsize>,
    state: Mutex<DrivenState>,
}

#[derive(Default)]
struct DrivenState {
    next: u64,
    renewals: HashMap<u64, Renewal>,
    /// Those that were woken, and are not being polled.
    woken: BTreeSet<u64>,
    /// Calls that wait, and poll meanwhile what is woken. Each is woken once, and registers again.
    drivers: BTreeMap<u64, Waker>,
}

struct Renewal {
    task: Arc<Task>,
    /// Whether a call is polling it, and whether it was woken meanwhile.
    polled: bool,
    again: bool,
}

/// A renewal as it is polled. It is its own waker.
struct Task {
    number: u64,
    /// When it is dropped.
    until: u64,
    /// `None` once it is done.
    future: Mutex<Option<BoxFuture>>,
    driven: Weak<Driven>,
}

impl DrivenState {
    /// Takes a call to poll what is woken, if there is anything.
    fn driver(&mut self) -> Option<Waker> {
        if self.woken.is_empty() {
            return None;
        }
        self.drivers.pop_first().map(|(_, waker)| waker)
    }

    /// Takes the next renewal to be polled, for the caller to poll.
    fn begin(&mut self) -> Option<Arc<Task>> {
        loop {
            let number = self.woken.pop_first()?;
            if let Some(renewal) = self.renewals.get_mut(&number) {
                renewal.polled = true;
                return Some(Arc::clone(&renewal.task));
            }
        }
    }

    /// Notes that the caller has polled a renewal. Returns whether that was the last time.
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
    /// Begins a renewal, which is dropped if it takes longer than `limit` nanoseconds.
    pub(super) fn spawn(self: &Arc<Self>, future: BoxFuture, limit: u64) {
        let (now, mut state) = (now(), lock(&self.state));
        let mut gone = Vec::new();
        if state.renewals.len() >= MAX_RENEWALS {
            gone.extend(state.renewals.extract_if(|_, renewal| renewal.task.until < now));
        }
        let number = state.next;
        state.next += 1;
        let (until, driven) = (now.saturating_add(limit), Arc::downgrade(self));
        let task = Task { number, until, future: Mutex::new(Some(future)), driven };
        let renewal = Renewal { task: Arc::new(task), polled: false, again: false };
        if state.renewals.len() < MAX_RENEWALS {
            state.renewals.insert(number, renewal);
            state.woken.insert(number);
        } else {
            gone.push((number, renewal));
        }
        self.hint(&state);
        drop(state);
        // One that is being polled is dropped by the thread that polls it.
        let idle = gone.into_iter().filter(|(_, renewal)| !renewal.polled);
        idle.for_each(|(_, renewal)| renewal.task.give_up());
        self.drive();
    }

    /// Polls what was woken. A single load from memory if there is nothing.
    #[inline]
    pub(super) fn drive(&self) {
        if self.woken.get() != 0 {
            self.poll_woken();
        }
    }

    #[cold]
    fn poll_woken(&self) {
        thread_local! {
            /// Whether a call further up on this thread's stack polls already.
            static POLLING: Cell<bool> = const { Cell::new(false) };
        }
        struct ResetOnDrop;
        impl Drop for ResetOnDrop {
            fn drop(&mut self) {
                POLLING.set(false);
            }
        }
        if POLLING.replace(true) {
            return;
        }
        let _reset = ResetOnDrop;
        // A renewal is not part of the loads on the stack of the thread that happens to poll it.
        run::off_stack(|| {
            for _ in 0..MAX_POLLS_PER_CALL {
                let Some(task) = self.begin() else { break };
                let done = task.until < now() || task.poll().is_ready();
                if self.end(task.number, done) {
                    task.give_up();
                }
            }
        });
        // What is left, or was woken again.
        let driver = lock(&self.state).driver();
        wake_quietly(driver);
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

    fn hint(&self, state: &DrivenState) {
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
        let driver = state.driver();
        drop(state);
        wake_quietly(driver);
    }
}

/// A call that waits for a load, and polls meanwhile what is woken. If it is dropped, it leaves
/// that to another one.
pub(super) struct Driver {
    driven: Arc<Driven>,
    number: u64,
}

impl Driver {
    pub(super) fn new(driven: &Arc<Driven>) -> Self {
        Self { driven: Arc::clone(driven), number: unique() }
    }

    /// Polls what was woken.
    pub(super) fn drive(&self) {
        self.driven.drive();
    }

    /// Has `waker` woken when there is more. To be called after the call has found that it has to
    /// wait: it may wait for a renewal that has begun only just before.
    pub(super) fn register(&self, waker: &Waker) {
        let own = waker.clone();
        let mut state = lock(&self.driven.state);
        let old = state.drivers.insert(self.number, own);
        let more = !state.woken.is_empty();
        drop(state);
        drop(old);
        if more {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut state = lock(&self.driven.state);
        let own = state.drivers.remove(&self.number);
        // It may have been woken for a renewal that it will not poll.
        let other = if own.is_none() { state.driver() } else { None };
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
        // A panic ends the renewal. Its leader is dropped with the future.
        let poll = || future.as_mut().map(|future| future.as_mut().poll(&mut context));
        quietly(poll).flatten().unwrap_or(Poll::Ready(()))
    }

    /// Drops the future, and values of the user's with it.
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
        // Wakers may keep the tasks alive, and the tasks their wakers.
        let state = std::mem::take(&mut *lock(&self.state));
        state.renewals.values().for_each(|renewal| renewal.task.give_up());
    }
}

impl std::fmt::Debug for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driven").field("woken", &self.woken.get()).finish_non_exhaustive()
    }
}

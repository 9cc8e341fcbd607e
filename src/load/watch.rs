//! The thread that wakes tasks: when a leader is not polled, and when a time limit is over.
//!
//! A waiter that is a task sleeps until it is woken, and the leader that should wake it may be a
//! task that is no longer polled. One thread of the process checks from time to time the flights
//! that tasks wait for, and promotes the next waiter if a leader stalls. The same thread wakes
//! waiters whose time limit is over. It sleeps while there are none, and ends after a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::flight::{CallerId, Flight};
use super::now;
use crate::sync::{quietly, unique};
use crate::time::nanos;

/// After how long without anything to watch the thread ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A flight, of values of any type.
trait Watched: Send + Sync {
    /// Replaces the leader if it stalls. Returns when to check again, and `None` if the flight is
    /// over.
    fn look(&self) -> Option<Duration>;
    /// Wakes a waiter.
    fn wake_waiter(&self, id: CallerId);
}

impl<V: Send + Sync> Watched for Flight<V> {
    fn look(&self) -> Option<Duration> {
        self.relieve_stalled(now()).then(|| self.limits().period())
    }

    fn wake_waiter(&self, id: CallerId) {
        self.wake_waiter(id);
    }
}

enum Action {
    /// To check a flight.
    Look(Weak<dyn Watched>),
    /// To wake a waiter.
    WakeWaiter(Weak<dyn Watched>, CallerId),
    /// To call a waker.
    Wake(Waker),
}

/// When an action is due, and a number that makes this unique.
type Due = (u64, u64);

impl Action {
    /// Runs the action, and user code with it. Returns when it is due again, if it is.
    fn run(self) -> Option<(u64, Self)> {
        match self {
            Self::Look(ref flight) => {
                let pause = flight.upgrade()?.look()?;
                Some((now().saturating_add(nanos(pause)), self))
            }
            Self::WakeWaiter(flight, id) => {
                flight.upgrade()?.wake_waiter(id);
                None
            }
            Self::Wake(waker) => {
                waker.wake();
                None
            }
        }
    }
}

#[derive(Default)]
struct Watch {
    entries: BTreeMap<Due, Action>,
    /// The process in which the thread runs: a child after `fork` has none.
    runs_in: Option<u32>,
    /// When the thread wakes up by itself; zero while it is awake.
    sleeps_until: u64,
}

static WATCH: Mutex<Option<Watch>> = Mutex::new(None);
static EARLIER: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, Option<Watch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A moment at which a waiter is woken, unless this is dropped before.
#[must_use = "a timer that is dropped wakes no waiter"]
pub(super) struct Timer(Due);

impl Drop for Timer {
    fn drop(&mut self) {
        let gone = state().as_mut().and_then(|watch| watch.entries.remove(&self.0));
        drop(gone);
    }
}

/// Checks a flight from time to time until it is over.
pub(super) fn watch<V: Send + Sync + 'static>(flight: &Arc<Flight<V>>) {
    if flight.begin_watch() {
        let at = now().saturating_add(nanos(flight.limits().period()));
        schedule(at, Action::Look(Arc::downgrade(flight) as _));
    }
}

/// Wakes the waiter `id` at that moment, if it still waits.
pub(super) fn wake_waiter_at<V: Send + Sync + 'static>(
    flight: &Arc<Flight<V>>,
    id: CallerId,
    at: u64,
) -> Timer {
    Timer(schedule(at, Action::WakeWaiter(Arc::downgrade(flight) as _, id)))
}

/// Calls a waker on the watch's thread.
pub(super) fn wake(waker: Waker) {
    schedule(0, Action::Wake(waker));
}

/// How many waiters are to be woken after that moment.
#[cfg(test)]
pub(super) fn timers_after(at: u64) -> usize {
    state().as_ref().map_or(0, |watch| watch.entries.range((at, 0)..).count())
}

fn schedule(at: u64, action: Action) -> Due {
    let (due, mut state) = ((at, unique()), state());
    let watch = state.get_or_insert_default();
    let earlier = at < watch.sleeps_until;
    watch.entries.insert(due, action);
    let process = std::process::id();
    if watch.runs_in != Some(process) {
        let started = thread::Builder::new().name("clockhand-watch".to_string()).spawn(run);
        // If it could not be started, that is tried again with the next action. Until then stalled
        // leaders and time limits go unnoticed.
        watch.runs_in = started.is_ok().then_some(process);
    } else if earlier {
        EARLIER.notify_one();
    }
    due
}

fn run() {
    let mut state = state();
    loop {
        let watch = state.get_or_insert_default();
        let began = now();
        match watch.entries.first_key_value().map(|((at, _), _)| *at) {
            Some(at) if at <= began => {
                let first = watch.entries.pop_first();
                // Without the lock, as waking a task runs user code (F5).
                drop(state);
                let next = first.and_then(|(_, action)| quietly(|| action.run()).flatten());
                state = self::state();
                if let Some((at, action)) = next {
                    state.get_or_insert_default().entries.insert((at, unique()), action);
                }
            }
            next => {
                let pause = next.map_or(IDLE_TIMEOUT, |at| Duration::from_nanos(at - began));
                watch.sleeps_until = next.unwrap_or(u64::MAX);
                let rested = EARLIER.wait_timeout(state, pause);
                let (back, timed_out) = rested.unwrap_or_else(PoisonError::into_inner);
                state = back;
                let watch = state.get_or_insert_default();
                watch.sleeps_until = 0;
                if timed_out.timed_out() && watch.entries.is_empty() {
                    watch.runs_in = None;
                    return;
                }
            }
        }
    }
}

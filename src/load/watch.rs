//! What no task comes back for by itself: leaders that nobody polls, and time limits.
//!
//! A waiter that is a task sleeps until it is woken, and the one who should wake it may be a leader
//! that its owner has put aside. One thread of the process looks, from time to time, at the flights
//! that tasks wait for, and has the next waiter take over from a leader that stalls. The same thread
//! wakes those whose time is over. It rests while there are none, and ends when that lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::flight::{Flight, Seat};
use super::now;
use crate::sync::{quietly, unique};
use crate::time::nanos;

/// How long the thread stays when there is nothing to watch.
const IDLE: Duration = Duration::from_secs(10);

/// A flight of whatever values.
trait Watched: Send + Sync {
    /// Says how long it may be left alone; nothing if there is nothing to watch any more.
    fn look(&self) -> Option<Duration>;
    /// Wakes one that waits.
    fn rouse(&self, seat: Seat);
}

impl<V: Send + Sync> Watched for Flight<V> {
    fn look(&self) -> Option<Duration> {
        self.nudge(now()).then(|| self.limits().period())
    }

    fn rouse(&self, seat: Seat) {
        self.rouse(seat);
    }
}

enum What {
    /// To look at a flight.
    Look(Weak<dyn Watched>),
    /// To wake one that waits.
    Rouse(Weak<dyn Watched>, Seat),
    /// To call a waker.
    Wake(Waker),
}

/// The moment of something to do, and its number.
type When = (u64, u64);

impl What {
    /// Does it; what follows it, and when, if anything does. User code may run.
    fn act(self) -> Option<(u64, Self)> {
        match self {
            Self::Look(ref flight) => {
                let rest = flight.upgrade()?.look()?;
                Some((now().saturating_add(nanos(rest)), self))
            }
            Self::Rouse(flight, seat) => {
                flight.upgrade()?.rouse(seat);
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
    entries: BTreeMap<When, What>,
    /// The process whose thread it is, while that runs: a child after `fork` has none.
    runs_in: Option<u32>,
    /// When the thread wakes up by itself.
    rests_until: u64,
}

static WATCH: Mutex<Option<Watch>> = Mutex::new(None);
static EARLIER: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, Option<Watch>> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A moment at which somebody is woken, unless this is dropped before.
#[must_use = "a timer that is dropped wakes nobody"]
pub(super) struct Timer(When);

impl Drop for Timer {
    fn drop(&mut self) {
        let gone = state().as_mut().and_then(|watch| watch.entries.remove(&self.0));
        drop(gone);
    }
}

/// Looks after a flight until it is over.
pub(super) fn watch<V: Send + Sync + 'static>(flight: &Arc<Flight<V>>) {
    if flight.begin_watch() {
        let at = now().saturating_add(nanos(flight.limits().period()));
        enter(at, What::Look(Arc::downgrade(flight) as _));
    }
}

/// Wakes whoever waits in that seat, at that moment, if it waits yet.
pub(super) fn rouse_at<V: Send + Sync + 'static>(
    flight: &Arc<Flight<V>>,
    seat: Seat,
    at: u64,
) -> Timer {
    Timer(enter(at, What::Rouse(Arc::downgrade(flight) as _, seat)))
}

/// Calls a waker on the watch's thread.
pub(super) fn wake(waker: Waker) {
    enter(0, What::Wake(waker));
}

/// How many are to be woken after that moment.
#[cfg(test)]
pub(super) fn timers_after(at: u64) -> usize {
    state().as_ref().map_or(0, |watch| watch.entries.range((at, 0)..).count())
}

fn enter(at: u64, what: What) -> When {
    let (when, mut state) = ((at, unique()), state());
    let watch = state.get_or_insert_default();
    let earlier = at < watch.rests_until;
    watch.entries.insert(when, what);
    let process = std::process::id();
    if watch.runs_in != Some(process) {
        let started = thread::Builder::new().name("clockhand-watch".to_string()).spawn(run);
        // Without it leaders that stall, and time limits, are not noticed until there is another entry.
        watch.runs_in = started.is_ok().then_some(process);
    } else if earlier {
        EARLIER.notify_one();
    }
    when
}

fn run() {
    let mut state = state();
    loop {
        let watch = state.get_or_insert_default();
        let began = now();
        match watch.entries.first_key_value().map(|((at, _), _)| *at) {
            Some(at) if at <= began => {
                let first = watch.entries.pop_first();
                // Without the lock, as waking a task runs user code.
                drop(state);
                let next = first.and_then(|(_, what)| quietly(|| what.act()).flatten());
                state = self::state();
                if let Some((at, what)) = next {
                    state.get_or_insert_default().entries.insert((at, unique()), what);
                }
            }
            next => {
                let rest = next.map_or(IDLE, |at| Duration::from_nanos(at - began));
                watch.rests_until = next.unwrap_or(u64::MAX);
                let rested = EARLIER.wait_timeout(state, rest);
                let (back, timed_out) = rested.unwrap_or_else(PoisonError::into_inner);
                state = back;
                let watch = state.get_or_insert_default();
                watch.rests_until = 0;
                if timed_out.timed_out() && watch.entries.is_empty() {
                    watch.runs_in = None;
                    return;
                }
            }
        }
    }
}

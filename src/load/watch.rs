//! Leaders that nobody polls.
//!
//! A waiter that is a task sleeps until it is woken, and the one who should wake it may be a leader
//! that its owner has put aside. One thread of the process looks, from time to time, at the flights
//! that tasks wait for, and wakes the first waiter of a leader that stalls. It ends when there are
//! none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use super::flight::Flight;
use super::{now, patience};
use crate::sync::{Mutex, MutexGuard, lock};

/// A flight of whatever values.
trait Watched: Send + Sync {
    /// False if there is nothing to watch any more.
    fn look(&self) -> bool;
}

impl<V: Send + Sync> Watched for Flight<V> {
    fn look(&self) -> bool {
        self.nudge(now(), patience())
    }
}

#[derive(Default)]
struct Watch {
    flights: Vec<Weak<dyn Watched>>,
    running: bool,
}

fn state() -> MutexGuard<'static, Watch> {
    static WATCH: OnceLock<Mutex<Watch>> = OnceLock::new();
    lock(WATCH.get_or_init(Mutex::default))
}

/// Looks after a flight until it is over.
pub(super) fn watch<V: Send + Sync + 'static>(flight: &Arc<Flight<V>>) {
    if !flight.begin_watch() {
        return;
    }
    let flight: Weak<dyn Watched> = Arc::downgrade(flight) as _;
    let mut watch = state();
    watch.flights.push(flight);
    if watch.running {
        return;
    }
    let started = thread::Builder::new().name("clockhand-watch".to_string()).spawn(run);
    // Without it leaders that stall are not noticed, until the next flight is watched.
    watch.running = started.is_ok();
}

fn run() {
    let pause = Duration::from_nanos(patience().woken / 2);
    loop {
        thread::sleep(pause);
        // Looked at without the lock, as waking a task runs user code.
        let flights = std::mem::take(&mut state().flights);
        let look = |flight: &Weak<dyn Watched>| {
            // A waker that panics was reported by the panic hook.
            let look = || flight.upgrade().is_some_and(|flight| flight.look());
            catch_unwind(AssertUnwindSafe(look)).unwrap_or(true)
        };
        let left: Vec<_> = flights.into_iter().filter(look).collect();
        let mut watch = state();
        watch.flights.extend(left);
        if watch.flights.is_empty() {
            watch.running = false;
            return;
        }
    }
}

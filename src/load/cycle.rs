//! Loads that would wait for each other for ever.
//!
//! A flight makes progress by the run of its leader. A run that joins a flight waits for that flight's
//! leader, and so for whatever that one's run waits for. Before it joins, the chain is followed: if it
//! ends at the run itself, waiting would close a circle. Which runs wait is known by where the join
//! happens: inside a loader of a thread, or inside a poll of a task that leads.
//!
//! Edges come in only here, and only if runs are on the thread's stack, under one lock of the
//! process: of those that would close a circle the last one sees it. A caller that leads nothing waits
//! without that lock, as nobody waits for it.
//!
//! A thread that polls tasks is an exception: while it is blocked, those that it alone has polled wait for
//! it. Such an edge is a guess, as another thread of the runtime may poll the task next. So who finds a
//! circle over a guess has the task woken, gives it a moment to move, and is told of the circle only if
//! it does not. And it is the blocked thread that is told: it looks when it begins to wait, and again from
//! time to time, as the circle may be closed by others.
//!
//! What a run hands to other tasks or threads and awaits there is not seen. A circle over that is ended
//! by time limits only.

use std::sync::{Arc, OnceLock};

use super::run::{Led, Run, polls_tasks, stack, thread};
use crate::sync::{Mutex, MutexGuard, lock};

/// How many milliseconds tasks are given to be polled by another thread.
const PATIENCE: u32 = 100;

/// The threads that poll tasks and are blocked, and what for.
type Blocked = Vec<(u64, Arc<dyn Led>)>;

fn edges() -> MutexGuard<'static, Blocked> {
    static EDGES: OnceLock<Mutex<Blocked>> = OnceLock::new();
    lock(EDGES.get_or_init(Mutex::default))
}

/// Who wants to wait.
#[derive(Clone)]
struct Waiter {
    /// The runs on its thread's stack.
    runs: Vec<Arc<Run>>,
    /// The thread, if it polls tasks and will be blocked.
    thread: Option<u64>,
}

/// The runs on the stack of a thread wait for a flight, while this lives.
pub(super) struct Waiting {
    waiter: Waiter,
    flight: Arc<dyn Led>,
}

/// A circle.
struct Circle {
    /// The tasks that have to be polled by the threads that polled them before, or there is none.
    guesses: Vec<(Arc<Run>, u64)>,
}

impl Waiting {
    /// Nothing if it would be for ever. A thread that `blocks` polls no task meanwhile.
    pub(super) fn begin(flight: Arc<dyn Led>, blocks: bool) -> Option<Self> {
        let thread = if blocks && polls_tasks() { Some(thread()) } else { None };
        let waiter = Waiter { runs: stack(), thread };
        waiter.goes_on(|| waiter.begin_wait(&flight)).then_some(())?;
        Some(Self { waiter, flight })
    }

    /// Whether it turns out to be for ever, as far as that may change while a thread is blocked.
    pub(super) fn closes(&self) -> bool {
        self.waiter.thread.is_some() && !self.waiter.goes_on(|| self.waiter.look(&self.flight))
    }
}

impl Waiter {
    /// Whether there is no circle, once those tasks have moved that do.
    fn goes_on(&self, look: impl Fn() -> Result<(), Circle>) -> bool {
        let mut patience = PATIENCE;
        loop {
            match look() {
                Ok(()) => return true,
                Err(circle) if !circle.moves(&mut patience) => return false,
                Err(_) => {}
            }
        }
    }

    /// Waits for a flight from now on, unless that would close a circle.
    fn begin_wait(&self, flight: &Arc<dyn Led>) -> Result<(), Circle> {
        if self.runs.is_empty() && self.thread.is_none() {
            return Ok(());
        }
        let mut edges = edges();
        let (closed, met) = self.follow(flight, &edges);
        if closed.is_ok() {
            self.runs.iter().for_each(|run| run.begin_wait(Arc::clone(flight)));
            edges.extend(self.thread.map(|thread| (thread, Arc::clone(flight))));
        }
        drop(edges);
        // After the lock: a flight may hold a value whose destructor is the user's.
        drop(met);
        closed
    }

    fn look(&self, flight: &Arc<dyn Led>) -> Result<(), Circle> {
        let edges = edges();
        let (closed, met) = self.follow(flight, &edges);
        drop(edges);
        drop(met);
        closed
    }

    /// Follows the chain that starts at a flight; first without any guess.
    fn follow(&self, flight: &Arc<dyn Led>, blocked: &Blocked) -> (Result<(), Circle>, [Chain; 2]) {
        let mut chains = [Chain::new(flight), Chain::new(flight)];
        let sure = chains[0].follow(self, None);
        let closed = sure || self.thread.is_some() && chains[1].follow(self, Some(blocked));
        let guesses = if sure { Vec::new() } else { chains[1].guesses.clone() };
        (if closed { Err(Circle { guesses }) } else { Ok(()) }, chains)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiter.runs.iter().for_each(|run| run.end_wait(&self.flight));
        let Some(thread) = self.waiter.thread else { return };
        let mut edges = edges();
        let is_own = |(other, flight): &(u64, Arc<dyn Led>)| {
            *other == thread && Arc::ptr_eq(flight, &self.flight)
        };
        let own = edges.iter().position(is_own).map(|place| edges.swap_remove(place));
        drop(edges);
        drop(own);
    }
}

/// What is met on the way from a flight on.
struct Chain {
    flights: Vec<Arc<dyn Led>>,
    runs: Vec<Arc<Run>>,
    guesses: Vec<(Arc<Run>, u64)>,
}

impl Chain {
    fn new(flight: &Arc<dyn Led>) -> Self {
        Self { flights: vec![Arc::clone(flight)], runs: Vec::new(), guesses: Vec::new() }
    }

    /// Whether the chain comes to the waiter itself; over tasks that blocked threads keep, if those are
    /// given.
    fn follow(&mut self, waiter: &Waiter, blocked: Option<&Blocked>) -> bool {
        let mut next = 0;
        // Ends: each run is followed once, and no edge comes in meanwhile.
        while let Some(flight) = self.flights.get(next) {
            next += 1;
            let Some(run) = flight.run() else { continue };
            let is_run = |other: &Arc<Run>| Arc::ptr_eq(other, &run);
            if waiter.runs.iter().any(is_run) {
                return true;
            }
            if self.runs.iter().any(is_run) {
                continue;
            }
            self.flights.extend(run.waits_for());
            if let Some((blocked, thread)) = blocked.zip(run.rests_with()) {
                let before = self.flights.len();
                let kept = blocked.iter().filter(|(other, _)| *other == thread);
                self.flights.extend(kept.map(|(_, flight)| Arc::clone(flight)));
                let closes = waiter.thread == Some(thread);
                if closes || self.flights.len() > before {
                    self.guesses.push((Arc::clone(&run), thread));
                }
                if closes {
                    return true;
                }
            }
            self.runs.push(run);
        }
        false
    }
}

impl Circle {
    /// Has the tasks woken that it goes over. Whether another thread polls one of them then, or one is
    /// polled at all.
    fn moves(&self, patience: &mut u32) -> bool {
        let alarms: Vec<_> = self.guesses.iter().filter_map(|(run, _)| run.alarm()).collect();
        if alarms.is_empty() {
            return false;
        }
        // By another thread: some runtimes keep what is woken on a thread of theirs for that thread.
        #[cfg(feature = "async")]
        alarms.into_iter().for_each(|alarm| super::watch::wake(alarm.into()));
        while *patience > 0 {
            *patience -= 1;
            std::thread::sleep(std::time::Duration::from_millis(1));
            if self.guesses.iter().any(|(run, thread)| run.rests_with() != Some(*thread)) {
                return true;
            }
        }
        false
    }
}

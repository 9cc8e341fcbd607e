//! Loads that would wait for each other forever.
//!
//! A flight makes progress by the run of its leader. A run that joins a flight waits for that
//! flight's leader, and so for everything that the leader's run waits for. Before a run joins, this
//! chain is followed: if it leads back to the run itself, waiting would close a cycle. Which runs
//! wait is known from where the join happens: inside a thread's call of a loader, or inside a poll
//! of a task that leads.
//!
//! Edges are added only here, only if runs are on the thread's stack, and under one lock of the
//! process: of the edges that would close a cycle together, the last one finds the others. A caller
//! that leads nothing waits without that lock, as no run waits for it.
//!
//! A thread that polls tasks is an exception: while it is blocked, the tasks that no other thread
//! has polled wait for it. Such an edge is a guess, as another thread of the runtime may poll the
//! task next. So a thread that finds a cycle over a guess wakes the task, gives it a moment to be
//! polled elsewhere, and reports the cycle only if it is not. The blocked thread itself reports it:
//! it checks when it begins to wait, and again from time to time, as other threads may close the
//! cycle.
//!
//! Work that a run hands to other tasks or threads and awaits there is not seen. A cycle over that
//! is ended by time limits only.

use std::sync::{Arc, OnceLock};

use super::run::{LedFlight, Run, polls_tasks, stack, thread};
use crate::sync::{Mutex, MutexGuard, lock};

/// For how many milliseconds a thread waits for tasks to be polled by other threads.
const MAX_MOVE_MILLIS: u32 = 100;

/// The threads that poll tasks and are blocked, each with the flight that it waits for.
type Blocked = Vec<(u64, Arc<dyn LedFlight>)>;

fn edges() -> MutexGuard<'static, Blocked> {
    static EDGES: OnceLock<Mutex<Blocked>> = OnceLock::new();
    lock(EDGES.get_or_init(Mutex::default))
}

/// A caller that wants to wait.
#[derive(Clone)]
struct WaitingCaller {
    /// The runs on its thread's stack.
    runs: Vec<Arc<Run>>,
    /// The thread, if it polls tasks and will be blocked.
    thread: Option<u64>,
}

/// While this exists, the runs on the stack of a thread wait for a flight.
pub(super) struct WaitEdge {
    caller: WaitingCaller,
    flight: Arc<dyn LedFlight>,
}

/// A cycle of runs that wait for each other.
struct Cycle {
    /// The tasks that only these threads have polled so far. If another thread polls one of them
    /// next, there is no cycle.
    guesses: Vec<(Arc<Run>, u64)>,
}

impl WaitEdge {
    /// Returns `None` if waiting would close a cycle. A thread that `blocks` polls no task
    /// meanwhile.
    pub(super) fn begin(flight: Arc<dyn LedFlight>, blocks: bool) -> Option<Self> {
        let thread = if blocks && polls_tasks() { Some(thread()) } else { None };
        let caller = WaitingCaller { runs: stack(), thread };
        caller.is_acyclic(|| caller.begin_wait(&flight)).then_some(())?;
        Some(Self { caller, flight })
    }

    /// Whether a cycle has been closed since the wait began, as far as a blocked thread is part of
    /// it.
    pub(super) fn is_cyclic(&self) -> bool {
        self.caller.thread.is_some() && !self.caller.is_acyclic(|| self.caller.check(&self.flight))
    }
}

impl WaitingCaller {
    /// Whether there is no cycle, after tasks that other threads may poll have had the time for it.
    fn is_acyclic(&self, check: impl Fn() -> Result<(), Cycle>) -> bool {
        let mut millis_left = MAX_MOVE_MILLIS;
        loop {
            match check() {
                Ok(()) => return true,
                Err(cycle) if !cycle.moves_on(&mut millis_left) => return false,
                Err(_) => {}
            }
        }
    }

    /// Adds the edges to `flight`, unless they would close a cycle.
    fn begin_wait(&self, flight: &Arc<dyn LedFlight>) -> Result<(), Cycle> {
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
        // After the lock is released: a flight may hold a value with a destructor of the user's.
        drop(met);
        closed
    }

    fn check(&self, flight: &Arc<dyn LedFlight>) -> Result<(), Cycle> {
        let edges = edges();
        let (closed, met) = self.follow(flight, &edges);
        drop(edges);
        drop(met);
        closed
    }

    /// Follows the chain that starts at `flight`, first without guesses.
    fn follow(
        &self,
        flight: &Arc<dyn LedFlight>,
        blocked: &Blocked,
    ) -> (Result<(), Cycle>, [Chain; 2]) {
        let mut chains = [Chain::new(flight), Chain::new(flight)];
        let sure = chains[0].follow(self, None);
        let closed = sure || self.thread.is_some() && chains[1].follow(self, Some(blocked));
        let guesses = if sure { Vec::new() } else { chains[1].guesses.clone() };
        (if closed { Err(Cycle { guesses }) } else { Ok(()) }, chains)
    }
}

impl Drop for WaitEdge {
    fn drop(&mut self) {
        self.caller.runs.iter().for_each(|run| run.end_wait(&self.flight));
        let Some(thread) = self.caller.thread else { return };
        let mut edges = edges();
        let is_own = |(other, flight): &(u64, Arc<dyn LedFlight>)| {
            *other == thread && Arc::ptr_eq(flight, &self.flight)
        };
        let own = edges.iter().position(is_own).map(|index| edges.swap_remove(index));
        drop(edges);
        drop(own);
    }
}

/// What is found on the way from a flight on.
struct Chain {
    flights: Vec<Arc<dyn LedFlight>>,
    runs: Vec<Arc<Run>>,
    guesses: Vec<(Arc<Run>, u64)>,
}

impl Chain {
    fn new(flight: &Arc<dyn LedFlight>) -> Self {
        Self { flights: vec![Arc::clone(flight)], runs: Vec::new(), guesses: Vec::new() }
    }

    /// Whether the chain leads back to `caller`; over tasks that wait for blocked threads as well,
    /// if `blocked` is given.
    fn follow(&mut self, caller: &WaitingCaller, blocked: Option<&Blocked>) -> bool {
        let mut next = 0;
        // Ends: each run is followed once, and no edge is added meanwhile.
        while let Some(flight) = self.flights.get(next) {
            next += 1;
            let Some(run) = flight.run() else { continue };
            let is_run = |other: &Arc<Run>| Arc::ptr_eq(other, &run);
            if caller.runs.iter().any(is_run) {
                return true;
            }
            if self.runs.iter().any(is_run) {
                continue;
            }
            self.flights.extend(run.waits_for());
            if let Some((blocked, thread)) = blocked.zip(run.sole_poller()) {
                let before = self.flights.len();
                let kept = blocked.iter().filter(|(other, _)| *other == thread);
                self.flights.extend(kept.map(|(_, flight)| Arc::clone(flight)));
                let is_cyclic = caller.thread == Some(thread);
                if is_cyclic || self.flights.len() > before {
                    self.guesses.push((Arc::clone(&run), thread));
                }
                if is_cyclic {
                    return true;
                }
            }
            self.runs.push(run);
        }
        false
    }
}

impl Cycle {
    /// Wakes the tasks that the cycle goes over. Returns whether one of them is polled by another
    /// thread then, or is being polled.
    fn moves_on(&self, millis_left: &mut u32) -> bool {
        let wakers: Vec<_> = self.guesses.iter().filter_map(|(run, _)| run.run_waker()).collect();
        if wakers.is_empty() {
            return false;
        }
        // On another thread: some runtimes keep a task that is woken on one of their threads for
        // that thread.
        #[cfg(feature = "async")]
        wakers.into_iter().for_each(|waker| super::watch::wake(waker.into()));
        while *millis_left > 0 {
            *millis_left -= 1;
            std::thread::sleep(std::time::Duration::from_millis(1));
            if self.guesses.iter().any(|(run, thread)| run.sole_poller() != Some(*thread)) {
                return true;
            }
        }
        false
    }
}

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
//! What a run hands to other tasks or threads and awaits there is not seen. A circle over that is ended
//! by time limits only.

use std::sync::{Arc, OnceLock};

use super::run::{Led, Run, stack, thread};
use crate::sync::{Mutex, MutexGuard, lock};

/// How many milliseconds a task is given to be polled by another thread.
#[cfg(feature = "async")]
const PATIENCE: u32 = 100;

fn edges() -> MutexGuard<'static, ()> {
    static EDGES: OnceLock<Mutex<()>> = OnceLock::new();
    lock(EDGES.get_or_init(Mutex::default))
}

/// The runs on the stack of a thread wait for a flight, while this lives.
pub(super) struct Waiting {
    runs: Vec<Arc<Run>>,
    flight: Arc<dyn Led>,
}

impl Waiting {
    /// Nothing if it would be for ever. A thread that `blocks` polls no task meanwhile.
    pub(super) fn begin(flight: Arc<dyn Led>, blocks: bool) -> Option<Self> {
        let own = blocks.then(thread);
        match Self::attempt(Arc::clone(&flight), own) {
            Ok(waiting) => Some(waiting),
            Err(run) => {
                let rests = own.filter(|own| run.rests_with(*own));
                rests.filter(|own| moves(&run, *own)).and_then(|_| Self::attempt(flight, own).ok())
            }
        }
    }

    /// The run that closes the circle, if one does; it may be a task that the thread that blocks has polled.
    fn attempt(flight: Arc<dyn Led>, blocks: Option<u64>) -> Result<Self, Arc<Run>> {
        let runs = stack();
        let closes = |run: &Arc<Run>| {
            runs.iter().any(|own| Arc::ptr_eq(own, run))
                || blocks.is_some_and(|thread| run.rests_with(thread))
        };
        if runs.is_empty() {
            return match blocks.and_then(|_| flight.run()).filter(closes) {
                Some(run) => Err(run),
                None => Ok(Self { runs, flight }),
            };
        }
        let edges = edges();
        let (closed, met) = follow(&flight, closes);
        if closed.is_none() {
            runs.iter().for_each(|run| run.begin_wait(Arc::clone(&flight)));
        }
        drop(edges);
        // After the lock: a flight may hold a value whose destructor is the user's.
        drop(met);
        closed.map_or(Ok(Self { runs, flight }), Err)
    }
}

/// What the chain from a flight on has come by.
type Met = (Vec<Arc<dyn Led>>, Vec<Arc<Run>>);

/// Whether another thread polls a task when it is woken, which this one has polled so far: then it may be
/// waited for.
#[cfg(feature = "async")]
fn moves(run: &Arc<Run>, own: u64) -> bool {
    let Some(alarm) = run.alarm() else { return false };
    // By another thread: some runtimes keep what is woken on a thread of theirs for that thread.
    super::watch::wake(alarm.into());
    (0..PATIENCE).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        !run.rests_with(own)
    })
}

#[cfg(not(feature = "async"))]
fn moves(_: &Arc<Run>, _: u64) -> bool {
    false
}

/// The run by which the chain that starts at a flight comes, if it is such a one.
fn follow(flight: &Arc<dyn Led>, closes: impl Fn(&Arc<Run>) -> bool) -> (Option<Arc<Run>>, Met) {
    let (mut flights, mut runs) = (vec![Arc::clone(flight)], Vec::<Arc<Run>>::new());
    let mut next = 0;
    // Ends: each run is followed once, and no edge comes in meanwhile.
    while next < flights.len() {
        if let Some(run) = flights[next].run() {
            if closes(&run) {
                return (Some(run), (flights, runs));
            }
            if !runs.iter().any(|other| Arc::ptr_eq(other, &run)) {
                flights.extend(run.waits_for());
                runs.push(run);
            }
        }
        next += 1;
    }
    (None, (flights, runs))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.runs.iter().for_each(|run| run.end_wait(&self.flight));
    }
}

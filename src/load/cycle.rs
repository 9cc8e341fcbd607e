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
        let runs = stack();
        let blocked = blocks.then(thread);
        let closes = |run: &Arc<Run>| {
            runs.iter().any(|own| Arc::ptr_eq(own, run))
                || blocked.is_some_and(|thread| run.rests_with(thread))
        };
        if runs.is_empty() {
            let closed = blocks && flight.run().is_some_and(|run| closes(&run));
            return (!closed).then_some(Self { runs, flight });
        }
        let edges = edges();
        let (closed, met) = follow(&flight, closes);
        if !closed {
            runs.iter().for_each(|run| run.begin_wait(Arc::clone(&flight)));
        }
        drop(edges);
        // After the lock: a flight may hold a value whose destructor is the user's.
        drop(met);
        (!closed).then_some(Self { runs, flight })
    }
}

/// What the chain from a flight on has come by.
type Met = (Vec<Arc<dyn Led>>, Vec<Arc<Run>>);

/// Whether the chain that starts at a flight comes by such a run.
fn follow(flight: &Arc<dyn Led>, closes: impl Fn(&Arc<Run>) -> bool) -> (bool, Met) {
    let (mut flights, mut runs) = (vec![Arc::clone(flight)], Vec::<Arc<Run>>::new());
    let mut next = 0;
    // Ends: each run is followed once, and no edge comes in meanwhile.
    while next < flights.len() {
        if let Some(run) = flights[next].run() {
            if closes(&run) {
                runs.push(run);
                return (true, (flights, runs));
            }
            if !runs.iter().any(|other| Arc::ptr_eq(other, &run)) {
                flights.extend(run.waits_for());
                runs.push(run);
            }
        }
        next += 1;
    }
    (false, (flights, runs))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.runs.iter().for_each(|run| run.end_wait(&self.flight));
    }
}

//! Threads that would wait for each other for ever.
//!
//! One registry for the process says which thread waits for which flight; each flight says which
//! thread leads it. Before a thread waits it follows the chain that starts at the flight: if it ends
//! at the thread itself, waiting would close a circle. Edges come in only here, under one lock, so of
//! the threads that would close a circle the last one sees it. A promotion adds no edge from the
//! promoted thread, which runs.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::sync::{Mutex, MutexGuard, lock, unique};

/// Says which thread leads a flight; zero if none does.
pub(super) trait Led: Send + Sync {
    fn thread(&self) -> u64;
}

type Waits = HashMap<u64, Arc<dyn Led>>;

fn waits() -> MutexGuard<'static, Waits> {
    static WAITS: OnceLock<Mutex<Waits>> = OnceLock::new();
    lock(WAITS.get_or_init(Mutex::default))
}

/// The number of the calling thread; never zero.
pub(super) fn thread() -> u64 {
    thread_local! {
        static NUMBER: u64 = unique();
    }
    // While a thread ends it gets numbers that nobody waits for.
    NUMBER.try_with(|number| *number).unwrap_or_else(|_| unique())
}

/// The calling thread waits for a flight, while this lives.
#[derive(Debug)]
pub(super) struct Waiting {
    thread: u64,
}

impl Waiting {
    /// Nothing if it would wait for itself.
    pub(super) fn begin(flight: Arc<dyn Led>) -> Option<Self> {
        let own = thread();
        let mut waits = waits();
        let mut leader = flight.thread();
        // No chain is longer than the registry: there is no circle in it.
        for _ in 0..=waits.len() {
            if leader == own {
                return None;
            }
            let Some(next) = waits.get(&leader) else { break };
            leader = next.thread();
        }
        waits.insert(own, flight);
        Some(Self { thread: own })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let gone = waits().remove(&self.thread);
        // After the lock: the flight may hold a value whose destructor is the user's.
        drop(gone);
    }
}

//! Which loads run, and since when.
//!
//! A load is entered when its loader begins and taken out when it ends, mostly on the same thread, so each thread has
//! one of a few lists for its loads. A list is locked for a few instructions.

use std::time::Duration;

use crate::sync::{CachePadded, Mutex, lock, unique};

const LISTS: usize = 8;

/// The loads of a cache that run.
#[derive(Debug, Default)]
pub(super) struct Running([CachePadded<Mutex<List>>; LISTS]);

/// When each began; places that are free are kept for later loads.
#[derive(Debug, Default)]
struct List {
    begun: Vec<Option<Duration>>,
    free: Vec<usize>,
}

/// Where a load is entered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entered {
    list: usize,
    place: usize,
}

/// The list of the calling thread.
fn own() -> usize {
    thread_local! {
        static OWN: usize = unique() as usize % LISTS;
    }
    OWN.try_with(|own| *own).unwrap_or(0)
}

impl Running {
    /// Enters a load that begins then.
    pub(super) fn enter(&self, begun: Duration) -> Entered {
        let own = own();
        let mut list = lock(&self.0[own]);
        let place = match list.free.pop() {
            Some(place) => {
                list.begun[place] = Some(begun);
                place
            }
            None => {
                list.begun.push(Some(begun));
                list.begun.len() - 1
            }
        };
        Entered { list: own, place }
    }

    /// Takes a load out.
    pub(super) fn leave(&self, entered: Entered) {
        let mut list = lock(&self.0[entered.list]);
        list.begun[entered.place] = None;
        list.free.push(entered.place);
    }

    /// When the oldest one began.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let oldest = |list: &CachePadded<_>| {
            let list: &Mutex<List> = list;
            lock(list).begun.iter().flatten().min().copied()
        };
        self.0.iter().filter_map(oldest).min()
    }
}

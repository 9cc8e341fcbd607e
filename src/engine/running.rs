//! Which loads run, and since when.
//!
//! A load is entered when its loader begins and taken out when it ends, mostly on the same thread, so each thread has
//! one of a few lists for its loads. A list is locked for a few instructions.
//!
//! Those that begin thin end on the same thread, one within another. The outermost one is the oldest, so each thread
//! notes in its own part of the cache when that began, and is in no list. A thread that has no part of its own any
//! more, as it ends, enters them in a list.
//!
//! A load is entered with the thread on which it begins, so that a child that `fork` made can tell which loads no
//! thread ends any more. One that is ended there all the same, as it is a task, is found to be out of the list.

use std::time::Duration;

use crate::narrow::in_memory;
use crate::sync::{AtomicU64, CachePadded, Holder, Mutex, Relaxed, lock, unique};
use crate::time::TimerStart;

const LISTS: usize = 8;

/// The loads of a cache that run.
#[derive(Debug, Default)]
pub(super) struct Running {
    lists: [CachePadded<Mutex<List>>; LISTS],
    /// Those that a fork has cut off.
    lost: Relaxed<AtomicU64>,
}

/// When each began, and on which thread; places that are free are kept for later loads.
#[derive(Debug, Default)]
struct List {
    begun: Vec<Option<(Duration, Holder)>>,
    free: Vec<usize>,
}

/// The loads of one thread that have begun thin.
#[derive(Debug, Default)]
pub(super) struct ThinRunning {
    depth: Relaxed<AtomicU64>,
    /// When the outermost began, and one more; zero if there is none.
    begun: Relaxed<AtomicU64>,
}

impl ThinRunning {
    /// One more begins. Called by the thread, as is `leave`.
    #[inline]
    pub(super) fn enter(&self, begun: TimerStart) {
        let depth = self.depth.get();
        self.depth.set(depth + 1);
        if depth == 0 {
            self.begun.set(begun.into_raw().wrapping_add(1));
        }
    }

    /// The one that began last ends.
    #[inline]
    pub(super) fn leave(&self) {
        let depth = self.depth.get().saturating_sub(1);
        self.depth.set(depth);
        if depth == 0 {
            self.begun.set(0);
        }
    }

    /// When the oldest one began.
    pub(super) fn oldest(&self) -> Option<TimerStart> {
        self.begun.get().checked_sub(1).map(TimerStart::from_raw)
    }

    /// Forgets those of a thread that a fork has left behind; how many there were.
    fn reset_after_fork(&self) -> u64 {
        let lost = self.depth.get();
        self.depth.set(0);
        self.begun.set(0);
        lost
    }
}

/// Where a load is entered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunningPlace {
    list: usize,
    place: usize,
    holder: Holder,
}

/// The list of the calling thread.
fn own() -> usize {
    thread_local! {
        static OWN: usize = in_memory(unique()) % LISTS;
    }
    OWN.try_with(|own| *own).unwrap_or(0)
}

impl List {
    fn enter(&mut self, load: (Duration, Holder)) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.begun[place] = Some(load);
                place
            }
            None => {
                self.begun.push(Some(load));
                self.begun.len() - 1
            }
        }
    }

    /// Takes out the load of a place if it is one of these.
    fn leave(&mut self, place: usize, is_one: impl Fn(Holder) -> bool) -> bool {
        let left = self.begun[place].take_if(|(_, holder)| is_one(*holder)).is_some();
        if left {
            self.free.push(place);
        }
        left
    }
}

impl Running {
    /// Enters a load that begins then.
    pub(super) fn enter(&self, begun: Duration) -> RunningPlace {
        let (list, holder) = (own(), Holder::me());
        let place = lock(&self.lists[list]).enter((begun, holder));
        RunningPlace { list, place, holder }
    }

    /// Takes a load out; false if a fork has cut it off.
    pub(super) fn leave(&self, entered: RunningPlace) -> bool {
        // A thread that was left behind enters nothing any more, so what has the place now has another holder.
        lock(&self.lists[entered.list]).leave(entered.place, |holder| holder == entered.holder)
    }

    /// When the oldest one began.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let oldest = |list: &CachePadded<_>| {
            let list: &Mutex<List> = list;
            lock(list).begun.iter().flatten().map(|&(begun, _)| begun).min()
        };
        self.lists.iter().filter_map(oldest).min()
    }

    /// Takes out the loads of the threads that a fork has left behind, of which `thin` are theirs. To be called in the child, by the thread that
    /// called `fork`; called by another, or elsewhere, it does nothing.
    pub(super) fn reset_after_fork<'l>(&self, thin: impl Iterator<Item = &'l ThinRunning>) {
        let me = Holder::me();
        if !me.is_from_elsewhere() {
            return;
        }
        self.lost.add(thin.map(ThinRunning::reset_after_fork).sum());
        for list in &self.lists {
            let mut list = lock(list);
            for place in 0..list.begun.len() {
                if list.leave(place, |holder| holder.was_left_by_fork(me)) {
                    self.lost.add(1);
                }
            }
        }
    }

    /// How many loads a fork has cut off.
    pub(super) fn lost(&self) -> u64 {
        self.lost.get()
    }
}

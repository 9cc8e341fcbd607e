//! That a thread which is freeing frees nothing inside (R6).
//!
//! What is freed has destructors, and these may write. A write frees, too: without an end to this, each
//! would free the next item inside the destructor of the last, as deep as there is garbage. The end is
//! one for all domains of the thread, as two caches whose destructors write into each other would nest
//! through one another just so.
//!
//! What a write leaves for that reason is not forgotten: it is due when the thread writes next.

use std::cell::Cell;

use crate::sync::{AtomicUsize, Outermost, Relaxed, seeded, thread_local};

thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's has no such form")]
    static FREEING: Cell<bool> = Cell::new(false);
}

/// From now on the calling thread is freeing, unless it is already.
pub(super) fn begin() -> Option<Outermost> {
    if seeded("reclaim-free-inside") {
        FREEING.with(|freeing| freeing.set(false));
    }
    Outermost::enter(&FREEING)
}

/// Whether the calling thread is freeing.
pub(crate) fn is_freeing() -> bool {
    FREEING.with(Cell::get)
}

/// How many collections are under way: those who run them have garbage in their hands, which they free or put back.
#[derive(Debug, Default)]
pub(super) struct CollectionCounter(Relaxed<AtomicUsize>);

/// A collection that is under way.
#[derive(Debug)]
pub(super) struct RunningCollection<'c>(&'c CollectionCounter, CollectionKind);

/// By whom collections are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CollectionKind {
    /// By one thread, which runs one at a time (R6).
    ByOne,
    ByAll,
}

impl CollectionCounter {
    pub(super) fn begin(&self, counted: CollectionKind) -> RunningCollection<'_> {
        match counted {
            CollectionKind::ByOne => self.0.set(1),
            CollectionKind::ByAll => _ = self.0.add(1),
        }
        RunningCollection(self, counted)
    }

    pub(super) fn any(&self) -> bool {
        self.0.get() > 0
    }

    /// Forgets those that a fork has left behind.
    pub(super) fn reset(&self) {
        self.0.set(0);
    }
}

impl Drop for RunningCollection<'_> {
    fn drop(&mut self) {
        match self.1 {
            CollectionKind::ByOne => self.0.reset(),
            CollectionKind::ByAll => _ = self.0.0.sub(1),
        }
    }
}

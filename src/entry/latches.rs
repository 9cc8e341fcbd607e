//! The latches that no load uses.
//!
//! A thread keeps a few for its next loads, one within another. All others are in one list of the process, which only
//! grows: a latch that is given up stays where it is, and is marked. So there is no lock, which a child of `fork`
//! could find taken by a thread that it does not have, and no place that is used again while another thread has read
//! it. A thread makes a latch only if it has found all others taken, so there are about as many as loads ran at once.

use std::cell::Cell;
use std::ptr;

use super::thin_load::Latch;
use crate::sync::{AtomicBool, AtomicPtr, CachePadded, Ordering, seeded};

/// A latch, which is never freed, on cache lines of its own: threads load side by side.
type Shared = &'static CachePadded<Latch>;

/// How many latches a thread keeps.
const KEPT: usize = 4;

/// A list of latches, which only grows.
pub(crate) struct LatchList {
    newest: AtomicPtr<CachePadded<Latch>>,
}

/// The place of a latch in such a list.
pub(super) struct Link {
    taken: AtomicBool,
    /// The latch that was made before it.
    older: AtomicPtr<CachePadded<Latch>>,
}

impl Link {
    pub(super) fn taken() -> Self {
        Self { taken: AtomicBool::new(true), older: AtomicPtr::new(ptr::null_mut()) }
    }

    fn try_take(&self) -> bool {
        if seeded("latch-taken-by-two") {
            // ORDERING H-d: as below.
            return !self.taken.load(Ordering::Acquire) && {
                self.taken.store(true, Ordering::Relaxed);
                true
            };
        }
        // ORDERING H-d: Acquire: the number that the last load has left; pairs with `give_up`. A look first, as most
        // are taken.
        !self.taken.load(Ordering::Relaxed) && !self.taken.swap(true, Ordering::Acquire)
    }

    /// Leaves the latch to any thread.
    pub(super) fn give_up(&self) {
        // ORDERING H-d: Release: the number of the next load; pairs with `try_take`.
        self.taken.store(false, Ordering::Release);
    }
}

impl LatchList {
    #[cfg(not(clockhand_loom))]
    const fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    #[cfg(all(test, clockhand_loom))]
    pub(crate) fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// One that no load uses, which is made if there is none.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[cold]
    pub(crate) fn take(&self) -> Shared {
        self.all().find(|latch| latch.link.try_take()).unwrap_or_else(|| self.add())
    }

    #[allow(unsafe_code)]
    fn all(&self) -> impl Iterator<Item = Shared> {
        // ORDERING H-e: Acquire: pairs with the exchange in `add`, which publishes the latch.
        let mut next = self.newest.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: by H1 a latch is never freed.
            let latch: Shared = unsafe { next.as_ref() }?;
            // ORDERING S-o: Relaxed: written before the latch was published.
            next = latch.link.older.load(Ordering::Relaxed);
            Some(latch)
        })
    }

    fn add(&self) -> Shared {
        let new: Shared = Box::leak(Box::new(CachePadded::new(Latch::new())));
        // ORDERING S-h: Relaxed: the exchange below checks it.
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // ORDERING S-o: Relaxed: published by the exchange.
            new.link.older.store(newest, Ordering::Relaxed);
            // ORDERING H-e: Release: publishes the latch; pairs with the load in `all`. On failure another one was
            // added.
            match self.newest.compare_exchange(
                newest,
                ptr::from_ref(new).cast_mut(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return new,
                Err(other) => newest = other,
            }
        }
    }

    /// How many there are.
    #[cfg(all(test, clockhand_loom))]
    pub(crate) fn len(&self) -> usize {
        self.all().count()
    }
}

/// The latches that a thread keeps for its next loads.
struct SpareList([Cell<Option<Shared>>; KEPT]);

impl SpareList {
    fn take(&self) -> Option<Shared> {
        self.0.iter().find_map(Cell::take)
    }

    /// Whether there was room for it.
    fn keep(&self, latch: Shared) -> bool {
        let free = self.0.iter().find(|spare| spare.get().is_none());
        free.map(|spare| spare.set(Some(latch))).is_some()
    }
}

impl Drop for SpareList {
    fn drop(&mut self) {
        while let Some(latch) = self.take() {
            latch.link.give_up();
        }
    }
}

thread_local! {
    static SPARES: SpareList = const { SpareList([const { Cell::new(None) }; KEPT]) };
}

#[cfg(not(clockhand_loom))]
static LATCHES: LatchList = LatchList::new();

/// One that no load uses.
#[cfg(not(clockhand_loom))]
#[inline]
pub(super) fn take() -> Shared {
    // While the thread ends it keeps none.
    SPARES.try_with(SpareList::take).ok().flatten().unwrap_or_else(|| LATCHES.take())
}

/// Keeps one for the thread's next load, or leaves it to any thread.
#[cfg(not(clockhand_loom))]
#[inline]
pub(super) fn keep(latch: Shared) {
    if !SPARES.try_with(|spares| spares.keep(latch)).unwrap_or(false) {
        latch.link.give_up();
    }
}

/// In a model each load has a latch of its own, unless it says otherwise, and threads keep none.
#[cfg(clockhand_loom)]
pub(super) fn take() -> Shared {
    Box::leak(Box::new(CachePadded::new(Latch::new())))
}

#[cfg(clockhand_loom)]
pub(super) fn keep(_: Shared) {}

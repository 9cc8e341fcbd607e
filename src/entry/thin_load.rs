//! Loads that no caller has joined yet.
//!
//! Most loads end before any other caller asks for their key. Such a load is *thin*: its token names a *latch*, a
//! word that serves one load after another, and nothing is allocated for it. The first caller that wants to wait
//! *inflates* it: it attaches a flight to the latch, where the leader finds it at the end. So locks are done that are
//! seldom contended (D. Bacon et al., *Thin locks: featherweight synchronization for Java*, PLDI 1998).
//!
//! ```text
//!   63                          1         0
//!   +-----------------------------+----------+
//!   | number of the load          | INFLATED |
//!   +-----------------------------+----------+
//! ```
//!
//! # Invariants
//!
//! - **H1** A latch never serves two loads with the same number, and is never freed. So a token tells at any time, to
//!   any thread, whether its load is over, and what is done with it afterwards concerns no other load.
//! - **H2** The exchange that inflates a load and the one that ends it are on the same word: of a leader and a caller
//!   that joins, either the leader learns of the flight, or the caller learns that the load is over.

use std::fmt;
use std::sync::Arc;

use super::LoadStatus;
#[cfg(all(test, clockhand_loom))]
use super::latches::LatchList;
use super::latches::{self, Link};
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering, lock, seeded};

/// A flight, as its latch knows it.
pub(crate) type AnyFlight = Arc<dyn LoadStatus + Send + Sync>;

const INFLATED: u64 = 1;
/// From the number of one load to that of the next.
const NEXT: u64 = 2;

/// A load that began thin: its token.
#[derive(Clone, Copy)]
pub(crate) struct ThinLoad {
    latch: &'static CachePadded<Latch>,
    number: u64,
}

/// What a thin load has of its own.
pub(super) struct Latch {
    /// The number of the load that it serves, or of the next one.
    word: AtomicU64,
    /// The flight of that load, if it is inflated.
    flight: Mutex<Option<AnyFlight>>,
    /// Its place among the latches of the process.
    pub(super) link: Link,
}

impl Latch {
    /// One that is taken.
    pub(super) fn new() -> Self {
        Self { word: AtomicU64::new(0), flight: Mutex::new(None), link: Link::taken() }
    }
}

impl ThinLoad {
    /// Begins a load. To be ended.
    #[inline]
    pub(crate) fn begin() -> Self {
        Self::by(latches::take())
    }

    fn by(latch: &'static CachePadded<Latch>) -> Self {
        // ORDERING H-a: Relaxed: only the thread that has the latch changes the number, and has it by what passed it
        // on.
        Self { latch, number: latch.word.load(Ordering::Relaxed) }
    }

    /// One with a latch of these.
    #[cfg(all(test, clockhand_loom))]
    pub(crate) fn begin_with(latches: &LatchList) -> Self {
        Self::by(latches.take())
    }

    /// Leaves its latch, as it is over, to any thread.
    #[cfg(all(test, clockhand_loom))]
    pub(crate) fn give_up_latch(self) {
        self.latch.link.give_up();
    }

    /// One that begins with the latch of another, which is over.
    #[cfg(all(test, clockhand_loom))]
    pub(crate) fn after(other: Self) -> Self {
        Self::by(other.latch)
    }

    fn word(self) -> u64 {
        // ORDERING H-b: Acquire: a thread that learns that the load is over finds in the table what it has left there; pairs
        // with `end` and `end_inflated`.
        self.latch.word.load(Ordering::Acquire)
    }

    /// Whether it has ended.
    pub(crate) fn is_over(self) -> bool {
        self.word() & !INFLATED != self.number
    }

    /// Its flight, which is made if there is none. `None` if the load is over.
    pub(crate) fn inflate(self, make: impl FnOnce() -> AnyFlight) -> Option<AnyFlight> {
        let mut flight = lock(&self.latch.flight);
        let word = self.word();
        if word == self.number | INFLATED && !seeded("thin-inflated-twice") {
            return flight.clone();
        }
        if word & !INFLATED != self.number && !seeded("thin-number-ignored") {
            return None;
        }
        let own = make();
        *flight = Some(Arc::clone(&own));
        // ORDERING H-c: AcqRel: as in `word`, and the other way round what the caller has done before is not put off
        // beyond it.
        let inflated = self.latch.word.compare_exchange(
            word & !INFLATED,
            word | INFLATED,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if inflated.is_err() && !seeded("thin-inflated-twice") {
            *flight = None;
            return None;
        }
        Some(own)
    }

    /// Ends the load, as its leader.
    ///
    /// # Errors
    ///
    /// Its flight, if it was inflated: the load ends with that.
    #[inline]
    pub(crate) fn end(self) -> Result<(), AnyFlight> {
        let next = self.number.wrapping_add(NEXT);
        if seeded("thin-end-unseen") {
            // ORDERING H-c: as below.
            self.latch.word.store(next, Ordering::Release);
        } else {
            // ORDERING H-c: AcqRel: what the load has left in the table comes first; pairs with `word`.
            let ended = self.latch.word.compare_exchange(
                self.number,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if ended.is_err() {
                let flight = lock(&self.latch.flight).clone();
                return Err(flight.expect("an inflated load has a flight until it ends"));
            }
        }
        latches::keep(self.latch);
        Ok(())
    }

    /// Ends the load, as the flight of it that is over, and returns what the latch has of that: to be dropped without
    /// a lock, as it may hold values of the user's.
    #[must_use]
    pub(crate) fn end_inflated(self) -> Option<AnyFlight> {
        let mut slot = lock(&self.latch.flight);
        let flight = slot.take();
        // ORDERING H-c: Release: as in `end`; no other thread writes while it is inflated and this thread has the
        // lock.
        self.latch.word.store(self.number.wrapping_add(NEXT), Ordering::Release);
        drop(slot);
        latches::keep(self.latch);
        flight
    }
}

impl PartialEq for ThinLoad {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.latch, other.latch) && self.number == other.number
    }
}

impl fmt::Debug for ThinLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThinLoad").field("number", &self.number).finish_non_exhaustive()
    }
}

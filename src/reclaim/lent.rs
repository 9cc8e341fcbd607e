//! What an owned guard has lent, and how it keeps no more than that.
//!
//! An owned guard stays pinned from one use to the next, so its thread holds all that it could have reached, although it
//! has lent a single item, or none. While the guard is not in use, its thread knows better. So a thread that wants room
//! *narrows* its own guards: one that has lent nothing is unpinned, and one that has lent a single item shows that item
//! instead of an epoch: a hazard pointer (M. Michael, *Hazard Pointers*, 2004), which is sound without another look, as
//! the item is protected by the pin until the pointer is shown. Its next use pins anew, with a fence.
//!
//! # Invariants
//!
//! - **L1** `lent` is the holder's. It is [`UNKNOWN`] while an operation runs, and unless its guard has lent one item, or
//!   none, to a caller that may use nothing else of what was read.
//! - **L2** `hazard` is written before the state that says that it is in force, and not before the reads of what it
//!   named before are over.

use crate::sync::{AtomicUsize, Ordering, Relaxed, relaxed_if_seeded, seeded};

/// Nothing was lent, or nothing that is retired alone.
const NOTHING: usize = 0;
/// It is not known what was lent. No item lies there.
const UNKNOWN: usize = usize::MAX;

/// A part of an item that a guard lends, and where the item lies.
#[derive(Debug)]
pub(crate) struct Lent<'g, R: ?Sized> {
    part: &'g R,
    address: usize,
}

impl<'g, R: ?Sized> Lent<'g, R> {
    /// A part of the item that lies at `address`.
    ///
    /// # Safety
    ///
    /// The part stays where it is until an item is freed that [lies](super::Reclaim::address) there.
    #[inline(always)]
    pub(crate) unsafe fn new(part: &'g R, address: usize) -> Self {
        Self { part, address }
    }

    #[inline(always)]
    pub(super) fn part(self) -> &'g R {
        self.part
    }
}

/// The words of a participant that say what was lent.
#[derive(Debug)]
pub(super) struct LentState {
    lent: Relaxed<AtomicUsize>,
    /// The item that is held, while the state of the participant says so.
    hazard: AtomicUsize,
}

/// What a guard has to show to keep what it has lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrowed {
    Nothing,
    Item,
}

impl LentState {
    pub(super) fn new() -> Self {
        Self { lent: Relaxed::<AtomicUsize>::new(UNKNOWN), hazard: AtomicUsize::new(NOTHING) }
    }

    /// The holder may be lent anything from now on.
    #[inline(always)]
    pub(super) fn note_unknown(&self) {
        if !seeded("reclaim-lent-in-use") {
            self.lent.set(UNKNOWN);
        }
    }

    /// The holder was lent this, and nothing else that it may still use.
    #[inline(always)]
    pub(super) fn note<R: ?Sized>(&self, lent: Option<&Lent<'_, R>>) {
        self.lent.set(lent.map_or(NOTHING, |lent| lent.address));
    }

    /// Writes the hazard pointer, if what was lent is known: it is in force once the state says so.
    pub(super) fn narrow(&self) -> Option<Narrowed> {
        match self.lent.get() {
            UNKNOWN => None,
            NOTHING => Some(Narrowed::Nothing),
            address => {
                // ORDERING R-z: Release: the reads of what it named before are over, as the fence of the last pin says for
                // threads elsewhere, and the exchange that stands for it on x86-64 does not; pairs with the load in
                // `hazard`.
                self.hazard.store(address, Ordering::Release);
                Some(Narrowed::Item)
            }
        }
    }

    /// The item that a participant holds whose state was loaded before and says that it holds one; or the one that it
    /// has held after that.
    pub(super) fn hazard(&self) -> usize {
        if seeded("reclaim-hazard-ignored") {
            return NOTHING;
        }
        // ORDERING R-z: Acquire: if it is a later one, the holder is done with what that state has stood for; pairs with
        // the store in `narrow`.
        self.hazard.load(relaxed_if_seeded("reclaim-hazard-relaxed", Ordering::Acquire))
    }
}

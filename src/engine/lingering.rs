//! Charge that lingers: of entries that are unlinked, or about to be, and that the capacity bears until
//! they are freed.
//!
//! Garbage must evict no entry, so the thread that finds no room has to know whether there would be some without it.
//! Two words tell: what has ever begun to linger, and how much of that is over. A search for room reads the second
//! word, then looks for room in vain, and then reads the first.
//!
//! # Invariants
//!
//! - **N1** Charge is announced here before units are taken for what replaces it, and is over only after its units
//!   were given back. So while garbage holds units, the first word is ahead of the second.
//! - **N2** Neither word is ever lowered, and the second never overtakes the first. If what was over *before* a
//!   search is all that had begun *after* it, nothing lingered at any moment in between.

use std::fmt;
use std::mem::ManuallyDrop;

use crate::sync::{AtomicU64, Ordering, fence, seeded};

/// How much charge lingers in a cache.
#[derive(Default)]
pub(super) struct Lingering {
    begun: AtomicU64,
    over: AtomicU64,
}

/// What was over when a search for room began.
#[derive(Debug, Clone, Copy)]
pub(super) struct SearchStart(u64);

/// Charge that has begun to linger. It is over again when this is dropped, unless it is left to an entry.
#[derive(Debug)]
#[must_use = "charge that nobody keeps does not linger"]
pub(super) struct LingeringCharge<'a> {
    lingering: &'a Lingering,
    charge: u64,
}

impl Lingering {
    /// Looks at it before a search for room.
    #[inline]
    pub(super) fn before(&self) -> SearchStart {
        // ORDERING N-a: Acquire: the search sees the units of what is over (N1); pairs with `end`.
        SearchStart(self.over.load(Ordering::Acquire))
    }

    /// What has lingered at some moment since, or more.
    #[inline]
    pub(super) fn since(&self, before: SearchStart) -> u64 {
        let before = if seeded("lingering-looks-late") { self.before() } else { before };
        // ORDERING N-b: Acquire fence: the search read what others have left of the units that they took, and
        // they announced before (N1); pairs with the release of the exchange by which they took them.
        if !seeded("lingering-unfenced") {
            fence(Ordering::Acquire);
        }
        // ORDERING N-b: Relaxed: after the fence.
        self.begun.load(Ordering::Relaxed).wrapping_sub(before.0)
    }

    /// What lingers now.
    pub(super) fn charge(&self) -> u64 {
        self.since(self.before())
    }

    /// Announces charge. Before units are taken for what replaces it.
    #[inline]
    pub(super) fn begin(&self, charge: u64) -> LingeringCharge<'_> {
        if !seeded("lingering-unannounced") {
            // ORDERING N-c: Release, with the exchange that takes units next: see `since`.
            self.begun.fetch_add(charge, Ordering::Release);
        }
        LingeringCharge { lingering: self, charge }
    }

    /// Announces charge if none lingers. Of several threads that do this at once, one succeeds.
    pub(super) fn begin_alone(&self, charge: u64) -> Option<LingeringCharge<'_>> {
        let over = self.before().0;
        // ORDERING N-c: Release: as in `begin`. On failure something lingers, or did.
        let begun = over.wrapping_add(charge);
        let alone =
            self.begun.compare_exchange(over, begun, Ordering::Release, Ordering::Relaxed).is_ok();
        // Only then: one that is dropped ends what has begun.
        alone.then(|| LingeringCharge { lingering: self, charge })
    }

    /// Charge does not linger any more, after `give` has given its units back.
    #[inline]
    pub(super) fn end(&self, charge: u64, give: impl FnOnce()) {
        if seeded("lingering-ends-early") {
            // ORDERING N-a: Release: too early.
            self.over.fetch_add(charge, Ordering::Release);
            return give();
        }
        give();
        // ORDERING N-a: Release: the units; pairs with `before`.
        self.over.fetch_add(charge, Ordering::Release);
    }
}

impl LingeringCharge<'_> {
    /// Leaves it to an entry that was unlinked, until that is freed.
    pub(super) fn keep(self) {
        let kept = ManuallyDrop::new(self);
        if seeded("lingering-unannounced") {
            // ORDERING N-c: Release: too late.
            kept.lingering.begun.fetch_add(kept.charge, Ordering::Release);
        }
    }
}

impl Drop for LingeringCharge<'_> {
    fn drop(&mut self) {
        self.lingering.end(self.charge, || ());
    }
}

impl fmt::Debug for Lingering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lingering").field(&self.charge()).finish()
    }
}

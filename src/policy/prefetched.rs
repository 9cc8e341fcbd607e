//! Room for entries that were prefetched: how much of it probation has, and how it comes to have that.
//!
//! No protected entry makes room for a prefetched one: the unread entry on probation that came first does. But keys that
//! come back start protected, and each displaces a protected entry, so where nearly all keys come back, probation would
//! never grow to its target: prefetched entries would displace each other before they are asked for. So it is noted
//! where that happens, and the next threads that bring in what they have asked for evict some protected entries more.
//! What moves the target is what prefetched entries were good for, so one that nobody asks for makes it smaller.

use super::probation_delta::ProbationDelta;
use super::state::{Fill, Policy};
use crate::sync::seeded;

/// Protected entries that make room at a time, beside the victim of the entry that was asked for.
pub(crate) const MAX_EXTRA_VICTIMS: usize = 8;

impl Policy {
    /// An entry that was prefetched was asked for in vain after it had made room, or was asked for: then more of them
    /// may be of use. Or it was not asked for.
    pub(crate) fn note_prefetched(&self, asked: bool, fill: Fill) {
        self.move_target(if asked { self.target_step() } else { -self.target_step() }, fill);
    }

    /// How many entries of usual charge have room on probation.
    pub(crate) fn probation_room(&self, fill: Fill) -> u64 {
        let room = self.target(fill) + if fill.has_room() { fill.free as f64 } else { 0.0 };
        crate::narrow::whole(room / self.target_step())
    }

    /// A prefetched entry displaces another one on probation.
    pub(crate) fn note_displaced(&self, delta: &ProbationDelta<'_>, fill: Fill) {
        if self.is_probation_small(delta, fill) {
            self.displaced.add(1);
        }
    }

    /// Whether that has happened while probation was below its target.
    #[inline]
    pub(crate) fn has_displaced(&self) -> bool {
        self.displaced.get() > 0
    }

    /// Takes one of those; whether a protected entry should make room for it.
    pub(crate) fn take_displaced(&self, delta: &ProbationDelta<'_>, fill: Fill) -> bool {
        let displaced = self.displaced.get();
        let makes_room = displaced > 0
            && self.is_probation_small(delta, fill)
            && !seeded("predict-probation-stays-small");
        self.displaced.set(if makes_room { displaced - 1 } else { 0 });
        makes_room
    }

    /// Whether probation, with what is free, is below its target.
    fn is_probation_small(&self, delta: &ProbationDelta<'_>, fill: Fill) -> bool {
        (delta.probation_charge().saturating_add(fill.free) as f64) < self.target(fill)
    }
}

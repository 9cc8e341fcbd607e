//! Who bears an unlinked entry until it is freed.

use super::lingering::Lingerer;
use super::work::Work;
use super::{Engine, Local};
use crate::accounting::Reservation;
use crate::reclaim::ChargedTo;

/// What a retired entry takes of the ledger that bears it. An entry that weighs nothing takes one, so that
/// their number is bounded, too.
#[inline]
pub(super) fn plot(charge: u64) -> u64 {
    charge.max(1)
}

/// Who is going to bear an entry that is about to be unlinked.
#[derive(Debug)]
pub(super) enum Bearer<'a> {
    /// The retired capacity, which has room; the entry's charge is the caller's then.
    Retired(Reservation<'a>),
    /// The capacity, with the entry's own charge; or with one unit, which the caller finds, if it has none.
    Capacity(Lingerer<'a>),
    /// Nobody: the entry weighs nothing, and there was not a single unit.
    Nobody,
}

impl<K, V, S> Engine<K, V, S> {
    /// Room in the retired capacity.
    #[inline(always)]
    pub(super) fn retired_room<'a>(
        &'a self,
        local: &'a Local,
        charge: u64,
    ) -> Option<Reservation<'a>> {
        let mut room = self.retired.reserve_up_to(&local.retired, plot(charge));
        room.gather(plot(charge), self.retired_credits()).then_some(room)
    }

    /// The same for an operation: from its credit, without an exchange, if it has not done so since it is pinned; or
    /// from the room that it has made.
    #[inline(always)]
    pub(super) fn retired_room_for<'w>(
        &self,
        work: &mut Work<'w>,
        charge: u64,
    ) -> Option<Reservation<'w>> {
        let (plot, own) = (plot(charge), &work.local.retired);
        if work.to_spend.is_some_and(|most| plot <= most) {
            work.to_spend = None;
            if let Some(room) = work.room.spend(plot) {
                return Some(room);
            }
        }
        own.set_allowance(plot);
        if work.room.gather(plot, self.retired_credits()) {
            return work.room.split(plot);
        }
        // What does not do here may do for others.
        work.room.surrender();
        None
    }

    /// The retired capacity, or else the capacity: for an entry that an operation replaces.
    #[inline]
    pub(super) fn bearer_of_replaced<'a, 'w: 'a>(
        &'a self,
        work: &mut Work<'w>,
        charge: u64,
    ) -> Bearer<'a> {
        self.retired_room_for(work, charge).map_or_else(|| self.lingerer(charge), Bearer::Retired)
    }

    /// The retired capacity, or else the capacity.
    #[inline]
    pub(super) fn bearer<'a>(&'a self, local: &'a Local, charge: u64) -> Bearer<'a> {
        self.retired_room(local, charge).map_or_else(|| self.lingerer(charge), Bearer::Retired)
    }

    /// The capacity.
    #[cold]
    pub(super) fn lingerer(&self, charge: u64) -> Bearer<'_> {
        Bearer::Capacity(self.lingering.begin(plot(charge)))
    }

    /// Leaves an entry that was unlinked to who bears it.
    #[inline]
    pub(super) fn settle(&self, bearer: Bearer<'_>, charge: u64) -> ChargedTo {
        match bearer {
            Bearer::Retired(room) => {
                room.commit(plot(charge));
                ChargedTo::Retired
            }
            Bearer::Capacity(lingerer) => {
                lingerer.keep();
                ChargedTo::Capacity
            }
            Bearer::Nobody => {
                self.unborne.add(1);
                ChargedTo::Nowhere
            }
        }
    }
}

impl Bearer<'_> {
    /// What is free for a successor of an entry of this charge.
    #[inline]
    pub(super) fn frees(&self, charge: u64) -> u64 {
        if matches!(self, Self::Retired(_)) { charge } else { 0 }
    }

    /// What the capacity has to give beside the entry's charge.
    #[inline]
    pub(super) fn costs(&self, charge: u64) -> u64 {
        if matches!(self, Self::Capacity(_)) { plot(charge) - charge } else { 0 }
    }
}

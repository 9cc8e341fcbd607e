//! What an unlinked entry is charged to until it is freed.

use super::lingering::LingeringCharge;
use super::write_op::WriteOp;
use super::{Engine, Local};
use crate::accounting::Reservation;
use crate::reclaim::ChargedTo;

/// What a retired entry takes of the ledger that bears it. An entry that weighs nothing takes one, so that
/// their number is bounded, too.
#[inline]
pub(super) fn retired_charge(charge: u64) -> u64 {
    charge.max(1)
}

/// Who is going to bear an entry that is about to be unlinked.
#[derive(Debug)]
pub(super) enum GarbageCharge<'a> {
    /// The retired capacity, which has room; the entry's charge is the caller's then.
    Retired(Reservation<'a>),
    /// The capacity, with the entry's own charge; or with one unit, which the caller finds, if it has none.
    Capacity(LingeringCharge<'a>),
    /// To neither: the entry weighs nothing, and there was not a single unit.
    Uncharged,
}

impl<K, V, S> Engine<K, V, S> {
    /// Room in the retired capacity.
    #[inline(always)]
    pub(super) fn retired_room<'a>(
        &'a self,
        local: &'a Local,
        charge: u64,
    ) -> Option<Reservation<'a>> {
        let mut room = self.retired.reserve_up_to(&local.retired, retired_charge(charge));
        room.gather(retired_charge(charge), self.retired_credits()).then_some(room)
    }

    /// The same for an operation: from its credit, without an exchange, if it has not done so since it is pinned; or
    /// from the room that it has made.
    #[inline(always)]
    pub(super) fn retired_room_for<'w>(
        &self,
        op: &mut WriteOp<'w>,
        charge: u64,
    ) -> Option<Reservation<'w>> {
        let (retired_charge, own) = (retired_charge(charge), &op.local.retired);
        if let Some(room) = op.room.spend(retired_charge) {
            return Some(room);
        }
        own.set_allowance(retired_charge);
        if op.room.gather(retired_charge, self.retired_credits()) {
            return op.room.split(retired_charge);
        }
        // What does not do here may do for others.
        op.room.surrender();
        None
    }

    /// The retired capacity, or else the capacity: for an entry that an operation replaces.
    #[inline]
    pub(super) fn garbage_charge_of_replaced<'a, 'w: 'a>(
        &'a self,
        op: &mut WriteOp<'w>,
        charge: u64,
    ) -> GarbageCharge<'a> {
        self.retired_room_for(op, charge)
            .map_or_else(|| self.lingering_charge(charge), GarbageCharge::Retired)
    }

    /// The retired capacity, or else the capacity.
    #[inline]
    pub(super) fn garbage_charge<'a>(&'a self, local: &'a Local, charge: u64) -> GarbageCharge<'a> {
        self.retired_room(local, charge)
            .map_or_else(|| self.lingering_charge(charge), GarbageCharge::Retired)
    }

    /// The capacity.
    #[cold]
    pub(super) fn lingering_charge(&self, charge: u64) -> GarbageCharge<'_> {
        GarbageCharge::Capacity(self.lingering.begin(retired_charge(charge)))
    }

    /// Charges an entry that was unlinked.
    #[inline]
    pub(super) fn commit_garbage(
        &self,
        garbage_charge: GarbageCharge<'_>,
        charge: u64,
    ) -> ChargedTo {
        match garbage_charge {
            GarbageCharge::Retired(room) => {
                room.commit(retired_charge(charge));
                ChargedTo::Retired
            }
            GarbageCharge::Capacity(lingering_charge) => {
                lingering_charge.keep();
                ChargedTo::Capacity
            }
            GarbageCharge::Uncharged => {
                self.uncharged.add(1);
                ChargedTo::Nowhere
            }
        }
    }
}

impl GarbageCharge<'_> {
    /// What is free for a successor of an entry of this charge.
    #[inline]
    pub(super) fn frees(&self, charge: u64) -> u64 {
        if matches!(self, Self::Retired(_)) { charge } else { 0 }
    }

    /// What the capacity has to give in addition to the entry's charge.
    #[inline]
    pub(super) fn costs(&self, charge: u64) -> u64 {
        if matches!(self, Self::Capacity(_)) { retired_charge(charge) - charge } else { 0 }
    }
}

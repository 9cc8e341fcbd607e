//! What an unlinked entry is charged to until it is freed.

use std::hash::{BuildHasher, Hash};

use super::lingering::LingeringCharge;
use super::write_op::WriteOp;
use super::{Engine, Local};
use crate::accounting::Reservation;
use crate::entry::EntryRef;
use crate::reclaim::ChargedTo;
use crate::sync::{AtomicU64, Relaxed, seeded};
use crate::table;

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
        own.adapt_allowance(retired_charge);
        if op.room.gather(retired_charge, self.retired_credits()) {
            return op.room.split(retired_charge);
        }
        // What does not do here may do for others.
        op.room.release();
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

/// Since when what is kept was charged anew in vain, and how often.
#[derive(Debug, Default)]
pub(super) struct RechargeAttempts {
    activity: Relaxed<AtomicU64>,
    vain: Relaxed<AtomicU64>,
}

/// How often that is tried while nothing is inserted, retired or freed: what lingers comes to be kept a few epochs after it
/// was retired.
const MAX_VAIN_RECHARGES: u64 = 8;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Has the retired capacity bear what it had no room for when it was unlinked, and has now; whether it bears
    /// more. Only of that which is kept for those who sleep: the rest is freed soon, and a write waits for it.
    #[cold]
    #[inline(never)]
    pub(super) fn recharge_kept(&self, op: &mut WriteOp<'_>) -> bool {
        let lingers = self.lingering.charge() > 0 || self.uncharged.get() > 0;
        let (domain, local) = (self.table.domain(), op.local);
        if !lingers || !domain.keeps() || seeded("lingering-not-recharged") {
            return false;
        }
        // What the operation has freed is of no use to it while it waits for what lingers.
        op.room.release();
        if self.retired.free(self.retired_credits()) == 0 {
            return false;
        }
        let (activity, before) = (self.activity(), &self.recharges);
        if before.activity.get() != activity {
            before.activity.set(activity);
            before.vain.set(0);
        } else if before.vain.get() >= MAX_VAIN_RECHARGES {
            return false;
        }
        let mut bears_more = false;
        domain.recharge_kept(|garbage, charged_to| {
            let table::Garbage::Entry(entry) = garbage else { return charged_to };
            let taken = self.recharge(local, entry.as_ref(), charged_to);
            bears_more |= taken.is_some();
            taken.unwrap_or(charged_to)
        });
        before.vain.add(u64::from(!bears_more));
        bears_more
    }

    /// Has the retired capacity bear an unlinked entry that the caller has in its hand, if it has room.
    fn recharge(
        &self,
        local: &Local,
        entry: EntryRef<'_, K, V>,
        charged_to: ChargedTo,
    ) -> Option<ChargedTo> {
        let borne = charged_to == ChargedTo::Capacity;
        if charged_to == ChargedTo::Retired || !borne && entry.is_placeholder() {
            return None;
        }
        let charge = retired_charge(entry.charge());
        self.retired_room(local, entry.charge())?.commit(charge);
        if borne {
            self.lingering.end(charge, || self.capacity.give(&local.credit, charge));
        } else {
            self.uncharged.sub(1);
        }
        Some(ChargedTo::Retired)
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

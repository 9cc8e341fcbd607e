//! How an entry leaves: unlinked, accounted for, counted, retired, reported. A placeholder is neither
//! counted nor reported.

use super::garbage_charge::GarbageCharge;
use super::types::{EntryState, Occupied, View};
use super::{Engine, Local};
use crate::accounting::Reservation;
use crate::entry::EntryRef;
use crate::expiry::Expiration;
use crate::outcome::RemovalCause;
use crate::reclaim::ChargedTo;

impl<K, V, S> Engine<K, V, S> {
    /// Removes an entry if it is still there, and reports it. A load whose token the entry carries will
    /// not put its value in.
    pub(super) fn remove_occupied<'g>(
        &self,
        view: View<'g, K, V>,
        occupied: Occupied<'g, K, V>,
        cause: RemovalCause,
    ) -> bool {
        let gone = self.unlink_and_retire(view, occupied, cause);
        if gone && !occupied.entry().is_placeholder() {
            self.report(occupied.entry(), cause);
        }
        gone
    }

    /// Removes an entry if it is still there; the report is left to the caller. Its charge goes back to the
    /// ledger: now if the retired capacity has room, else when it is freed.
    ///
    /// Always possible. If there is not a unit left for an entry that weighs nothing, no other such entry is inserted
    /// before it is freed: so there are never more of them than there were entries.
    pub(super) fn unlink_and_retire<'g>(
        &self,
        view: View<'g, K, V>,
        occupied: Occupied<'g, K, V>,
        cause: RemovalCause,
    ) -> bool {
        let local = view.local();
        let (entry, charge) = (occupied.entry(), occupied.entry().charge());
        if entry.is_placeholder() {
            let Some((unlinked, meta)) = view.unlink(occupied) else { return false };
            self.count_out(&self.policy.probation_delta(&local.cursor), entry, meta);
            local.tally.token_changes.bump();
            local.tally.placeholders_gone.bump();
            view.retire(unlinked, ChargedTo::Nowhere);
            return true;
        }
        let (garbage_charge, unit) = self.garbage_charge_of_removed(local, charge);
        let Some((unlinked, meta)) = view.unlink(occupied) else { return false };
        self.count_out(&self.policy.probation_delta(&local.cursor), entry, meta);
        local.tally.count_out(cause, charge);
        let charged_to = self.commit_garbage(garbage_charge, charge);
        if let Some(unit) = unit {
            unit.commit(1);
        }
        if charged_to == ChargedTo::Retired {
            self.capacity.give(&local.credit, charge);
        }
        view.retire(unlinked, charged_to);
        self.note_removed(view, entry.hash(), cause);
        true
    }

    /// What an entry without a successor is charged to, and the unit for it if it has no charge.
    fn garbage_charge_of_removed<'a>(
        &'a self,
        local: &'a Local,
        charge: u64,
    ) -> (GarbageCharge<'a>, Option<Reservation<'a>>) {
        let garbage_charge = self.garbage_charge(local, charge);
        if garbage_charge.costs(charge) == 0 {
            return (garbage_charge, None);
        }
        let mut unit = self.capacity.reserve_up_to(&local.credit, 1);
        if unit.gather(1, self.credits()) {
            (garbage_charge, Some(unit))
        } else {
            (GarbageCharge::Uncharged, None)
        }
    }

    pub(super) fn report(&self, entry: EntryRef<'_, K, V>, cause: RemovalCause) {
        self.rules.notify(entry.key(), entry.value(), cause);
    }

    /// Whether an entry has a value that may be read.
    #[inline]
    pub(super) fn is_live(&self, entry: EntryRef<'_, K, V>) -> bool {
        self.state(entry) == EntryState::Live
    }

    /// Whether an entry with a value is worth keeping: it is live, may stand in if a load fails, or
    /// carries a token that keeps it.
    #[inline]
    pub(super) fn is_kept(&self, entry: EntryRef<'_, K, V>) -> bool {
        self.op_time().is_none_or(|now| now.is_kept(entry))
    }

    /// Whether an entry may be swept away: it has expired, or the failure that it stands for is no
    /// longer remembered.
    pub(super) fn is_outdated(&self, entry: EntryRef<'_, K, V>) -> bool {
        if entry.is_placeholder() {
            entry.load_token().is_some_and(|token| !token.keeps_entry())
        } else {
            !self.is_kept(entry)
        }
    }

    #[inline]
    pub(super) fn state(&self, entry: EntryRef<'_, K, V>) -> EntryState {
        let in_time = |expiration: &Expiration<K, V>| Self::is_in_time(expiration, entry);
        if entry.is_placeholder() {
            EntryState::Placeholder
        } else if self.rules.expiration.as_ref().is_none_or(in_time) {
            EntryState::Live
        } else {
            EntryState::Expired
        }
    }

    #[inline(never)]
    fn is_in_time(expiration: &Expiration<K, V>, entry: EntryRef<'_, K, V>) -> bool {
        expiration.is_live(entry, expiration.now())
    }

    /// Notes that a write has found a live value and leaves it: for the policy and for the time to idle that is a
    /// use, as a hit is.
    pub(super) fn note_use<'g>(&self, view: View<'g, K, V>, occupied: Occupied<'g, K, V>) {
        let read = |time: &Expiration<K, V>| {
            self.apply_reading(view, occupied.entry(), time.read(occupied.entry(), time.now()))
        };
        if self.rules.expiration.as_ref().is_none_or(read) {
            occupied.touch();
        }
    }
}

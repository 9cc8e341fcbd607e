//! How an entry leaves: unlinked, accounted for, counted, retired, reported. One whose value is still
//! awaited is neither counted nor reported.

use super::{Engine, Local};
use crate::accounting::Reservation;
use crate::entry::EntryRef;
use crate::expiry::Expiration;
use crate::outcome::RemovalCause;
use crate::policy::Memory;
use crate::reclaim::Ledgered;
use crate::sync::seeded;
use crate::table::{Held, View};

pub(super) type Table<'g, K, V> = View<'g, K, V, Memory, Local>;
pub(super) type Found<'g, K, V> = Held<'g, K, V, Memory>;

/// What an entry is to those who look for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Expired,
    /// Its value is being loaded.
    Awaited,
}

/// What a retired entry takes of the retired capacity. An entry that weighs nothing takes one, so that the
/// retired capacity bounds their number, too.
#[inline]
pub(super) fn plot(charge: u64) -> u64 {
    charge.max(1)
}

impl<K, V, S> Engine<K, V, S> {
    /// Room in the retired capacity for an entry that is about to be unlinked.
    #[inline(always)]
    pub(super) fn retired_room<'a>(
        &'a self,
        local: &'a Local,
        charge: u64,
    ) -> Option<Reservation<'a>> {
        let mut room = self.retired.reserve_up_to(&local.retired, plot(charge));
        room.gather(plot(charge), self.retired_credits()).then_some(room)
    }

    /// Removes an entry if it is still there. Its charge goes back to the ledger: now if the retired capacity
    /// has room, else when it is freed. A load whose ticket goes with it will not put its value in.
    pub(super) fn bury<'g>(
        &self,
        view: Table<'g, K, V>,
        held: Found<'g, K, V>,
        cause: RemovalCause,
    ) -> bool {
        let local = view.local();
        let (entry, charge) = (held.entry(), held.entry().charge());
        if entry.is_awaited() {
            let Some((unlinked, _)) = view.unlink(held) else { return false };
            view.retire(unlinked, Ledgered::Nowhere);
            return true;
        }
        let room = self.retired_room(local, charge);
        let Some((unlinked, bits)) = view.unlink(held) else { return false };
        self.count_out(&self.policy.shift(), entry, bits);
        self.count(local, cause);
        let account = self.pass_on(charge, room);
        if account == Ledgered::Retired {
            self.capacity.give(&local.credit, charge);
        }
        view.retire(unlinked, account);
        self.report(entry, cause);
        true
    }

    /// Decides who bears an unlinked entry until it is freed: the retired capacity, where there is room, and
    /// then the charge is the caller's; else the capacity.
    #[inline]
    pub(super) fn pass_on(&self, charge: u64, room: Option<Reservation<'_>>) -> Ledgered {
        match room {
            Some(room) => {
                room.commit(plot(charge));
                Ledgered::Retired
            }
            None => {
                self.lingering.add(charge);
                Ledgered::Capacity
            }
        }
    }

    pub(super) fn count(&self, local: &Local, cause: RemovalCause) {
        match cause {
            RemovalCause::Replaced => local.tally.replacements.bump(),
            RemovalCause::Invalidated => local.tally.invalidations.bump(),
            RemovalCause::Evicted => local.tally.evictions.bump(),
            RemovalCause::Expired => local.tally.expirations.bump(),
            RemovalCause::Refused => local.tally.refusals.bump(),
        }
    }

    pub(super) fn report(&self, entry: EntryRef<'_, K, V>, cause: RemovalCause) {
        self.rules.notify(entry.key(), entry.value(), cause);
    }

    /// Whether an entry has a value that may be read.
    pub(super) fn is_live(&self, entry: EntryRef<'_, K, V>) -> bool {
        self.state(entry) == State::Live
    }

    /// Whether an entry with a value is not to be collected: live, worth something if a load fails, or
    /// with a ticket that counts, which would go with it.
    pub(super) fn is_kept(&self, entry: EntryRef<'_, K, V>) -> bool {
        let in_time = |expiration: &Expiration<K, V>| expiration.is_kept(entry, expiration.now());
        self.rules.expiration.as_ref().is_none_or(in_time)
            || entry.ticket().is_some_and(|ticket| ticket.holds()) && !seeded("failure-swept")
    }

    /// Whether an entry may be swept away: its time is over, or that of the failure that it stands for.
    pub(super) fn is_outdated(&self, entry: EntryRef<'_, K, V>) -> bool {
        if entry.is_awaited() {
            entry.ticket().is_some_and(|ticket| !ticket.holds())
        } else {
            !self.is_kept(entry)
        }
    }

    pub(super) fn state(&self, entry: EntryRef<'_, K, V>) -> State {
        let in_time = |expiration: &Expiration<K, V>| expiration.is_live(entry, expiration.now());
        if entry.is_awaited() {
            State::Awaited
        } else if self.rules.expiration.as_ref().is_none_or(in_time) {
            State::Live
        } else {
            State::Expired
        }
    }
}

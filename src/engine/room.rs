//! How charge is found for an entry: own credit, the pool, other threads' credit, victims.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use super::Engine;
use super::bearer::{Bearer, plot};
use super::bury::{Found, Table};
use super::table_entries::TableEntries;
use super::work::{Attempt, Obstacle, Work};
use crate::entry::EntryRef;
use crate::error::InsertErrorKind;
use crate::expiry::Expiration;
use crate::outcome::RemovalCause;
use crate::policy::{Fill, History, RecentUses};
use crate::reclaim::ChargedTo;
use crate::sync::seeded;
use crate::table::DueBucket;
use crate::time::Deadline;

/// Vain attempts to find or to unlink a victim after which a small table's search ends. Those that
/// succeed are as many as the charge needs.
const VAIN: usize = 64;

/// Buckets for which one more vain attempt is made: in a table that is nearly empty, one attempt comes
/// by so many and finds nothing.
const BUCKETS_PER_VAIN: usize = 1 << 11;

/// Buckets that are looked at for one expired entry.
const LOOKS: usize = 128;

/// Vain attempts after which an entry may go that is being renewed: there may be nothing else.
const SPARED: usize = 8;

/// Victims of one insert whose charge pays for a shrink.
const PAID: usize = 2;

/// Vain attempts after which a search for victims ends.
pub(super) fn patience<K, V>(view: &Table<'_, K, V>) -> usize {
    VAIN + view.buckets() / BUCKETS_PER_VAIN
}

/// What an attempt to evict came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eviction {
    Done,
    /// The victim was used or gone, or the policy found none within its steps.
    Vain,
    /// The victim is of the key that room is made for, and has come since that was looked for.
    Own,
    /// The retired capacity is full.
    Relieve,
    /// The write is one of a listener that is told of an eviction, and has evicted enough itself.
    Barred,
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Collects `need` in the operation's hand from what is free, and evicts nobody.
    pub(super) fn find_room(&self, work: &mut Work<'_>, need: u64) -> Attempt<()> {
        if work.hand.gather(need, self.credits()) {
            return Ok(());
        }
        // Others may need what is not enough here, and shall not evict for it.
        work.hand.surrender();
        Err(Obstacle::Garbage)
    }

    /// Collects `need` in the operation's hand, and evicts only where all that is free, and all that garbage
    /// holds, is not enough. What was found stays in the hand in any case. Room is made for `own`, which is an entry
    /// that comes in or one that is to be replaced: no entry of its key goes for it.
    #[inline(always)]
    pub(super) fn make_room<'g>(
        &'g self,
        view: &Table<'g, K, V>,
        work: &mut Work<'_>,
        need: u64,
        own: Option<EntryRef<'_, K, V>>,
    ) -> Attempt<()> {
        let (mut vain, mut paid) = (0, 0);
        loop {
            let before = self.lingering.before();
            if work.hand.gather(need, self.credits()) {
                return Ok(());
            }
            let lingering = self.lingering.since(before);
            if lingering > 0 && self.waits_for(lingering, need - work.hand.held(), work) {
                return Err(Obstacle::Garbage);
            }
            match self.evict(view, work, own, vain) {
                // A shrink that readers stopped goes on: the victim's charge pays for that.
                Eviction::Done if paid < PAID && self.capacity.debt() > 0 => {
                    work.hand.surrender();
                    paid += 1;
                }
                Eviction::Done => {}
                Eviction::Relieve => return Err(Obstacle::Garbage),
                Eviction::Barred => return Err(Obstacle::NoRoom),
                Eviction::Own => {
                    // To replace that takes less: nobody shall evict for what was taken for both.
                    work.hand.surrender();
                    return Err(Obstacle::Changed);
                }
                Eviction::Vain if vain >= patience(view) || self.len() == 0 => {
                    return Err(Obstacle::NoRoom);
                }
                Eviction::Vain => vain += 1,
            }
        }
    }

    /// Whether an operation that lacks so much has to wait for garbage. Garbage that is charged to the capacity goes
    /// before an entry does; and if there would be room without it, no entry has to go at all.
    #[cold]
    fn waits_for(&self, lingering: u64, lacking: u64, work: &Work<'_>) -> bool {
        // What pays the debt of a shrink will not be free.
        let owed = lingering.saturating_sub(self.capacity.debt());
        owed >= lacking || owed > 0 && work.has_hope()
    }

    /// Evicts one entry, but none of the key of `own`. Its charge comes into the hand.
    ///
    /// One that is being renewed goes only after some attempts that were `vain`. Its key was asked for just now, and
    /// whoever asks next would not find the load that is under way.
    ///
    /// An entry that is larger than the retired capacity can never lie there: the capacity bears it until it
    /// is freed, and there is only one such at a time, or inserts would empty the cache while a
    /// reader sleeps.
    #[inline(never)]
    pub(super) fn evict<'g>(
        &'g self,
        view: &Table<'g, K, V>,
        work: &mut Work<'_>,
        own: Option<EntryRef<'_, K, V>>,
        vain: usize,
    ) -> Eviction {
        if !work.local.telling.may_evict() {
            return Eviction::Barred;
        }
        if self.retired.limit() == 0 && self.lingering.charge() > 0 {
            return Eviction::Relieve;
        }
        let Some(occupied) = self.victim(*view, work, own, vain) else {
            // Those who could go may be in buckets that somebody has begun to migrate, and sleeps.
            view.migrate(1);
            return Eviction::Vain;
        };
        let (entry, charge) = (occupied.entry(), occupied.entry().charge());
        // Somebody has put it in since the key was looked for, and it is what the operation has to replace. To evict
        // it would lose an update that both have made.
        if own.is_some_and(|own| own.hash() == entry.hash() && own.key() == entry.key())
            && !seeded("room-of-its-own-key")
        {
            return Eviction::Own;
        }
        let Some(bearer) = self.bearer_of_victim(work, charge) else {
            return Eviction::Relieve;
        };
        let live = self.is_live(entry);
        let Some((unlinked, bits)) = view.unlink(occupied) else {
            view.help_migrate(occupied);
            return Eviction::Vain;
        };
        let cause = if live { RemovalCause::Evicted } else { RemovalCause::Expired };
        work.local.tally.count_out(cause, charge);
        self.count_out(&work.delta, entry, bits);
        if live {
            let (cursor, history) = (&work.local.cursor, view.extension());
            let recent_uses = RecentUses::from_bits(entry.recent_uses());
            self.policy.evicted(history, cursor, entry.hash(), (bits, recent_uses));
        } else {
            self.note_removed(*view, entry.hash(), cause);
        }
        let charged_to = self.settle(bearer, charge);
        let outcome = if charged_to == ChargedTo::Retired {
            work.hand.add(charge);
            Eviction::Done
        } else {
            Eviction::Relieve
        };
        view.retire(unlinked, charged_to);
        if self.rules.listener.is_some() {
            work.local.telling.of_eviction(|| work.report(&self.rules, entry, cause));
        }
        outcome
    }

    /// Who goes: an entry whose time is over, or else one that the policy names.
    #[inline(always)]
    fn victim<'g>(
        &'g self,
        view: Table<'g, K, V>,
        work: &Work<'_>,
        own: Option<EntryRef<'g, K, V>>,
        vain: usize,
    ) -> Option<Found<'g, K, V>> {
        if let Some(expiration) = &self.rules.expiration
            && let Some(overdue) = self.overdue(view, expiration, own)
        {
            return Some(overdue);
        }
        let entries =
            TableEntries::new(self, view).excluding(own).excluding_renewing(vain < SPARED);
        self.policy.victim(&entries, &work.local.cursor, view.extension(), &work.delta, self.fill())
    }

    /// An entry whose time is over, if there is one that is known of: it makes room before any live one does.
    #[inline]
    fn overdue<'g>(
        &self,
        view: Table<'g, K, V>,
        expiration: &Expiration<K, V>,
        spared: Option<EntryRef<'_, K, V>>,
    ) -> Option<Found<'g, K, V>> {
        let now = expiration.collected_before().to_word();
        // Threads begin at different places.
        let seed = std::ptr::from_ref(view.local()).addr() >> 8;
        for look in 0..LOOKS {
            let overdue = view.find_due(now, seed.wrapping_add(look))?;
            let dead = self.look_at_due(view, expiration, overdue, spared);
            if dead.is_some() {
                return dead;
            }
        }
        None
    }

    /// An entry whose time is over in a bucket where one may be; if there is none, it is noted when the first one will be.
    pub(super) fn look_at_due<'g>(
        &self,
        view: Table<'g, K, V>,
        expiration: &Expiration<K, V>,
        due: DueBucket<'g, K, V, History>,
        spared: Option<EntryRef<'_, K, V>>,
    ) -> Option<Found<'g, K, V>> {
        let look = || self.look_for_dead(view, expiration, due.positions(), spared);
        let (dead, end) = look();
        if dead.is_none() && view.set_earliest(due, end.to_word()) {
            let (_, end) = look();
            view.note_due(due.positions().start, end.to_word());
        }
        dead
    }

    /// An entry whose time is over, in these places, and its end; else the end of the one that comes first.
    fn look_for_dead<'g>(
        &self,
        view: Table<'g, K, V>,
        expiration: &Expiration<K, V>,
        positions: Range<u64>,
        spared: Option<EntryRef<'_, K, V>>,
    ) -> (Option<Found<'g, K, V>>, Deadline) {
        let (mut found, mut earliest) = (Vec::new(), Deadline::NEVER);
        let mut next = Some(positions.start);
        while let Some(from) = next.filter(|&from| from < positions.end) {
            next = view.collect_entries(from..positions.end, &mut found, |a, b| a == b);
            for &occupied in &found {
                let entry = occupied.entry();
                // What weighs nothing makes no room.
                if entry.charge() == 0 {
                    continue;
                }
                let (end, collected) = (expiration.end(entry), expiration.collected_before());
                if !end.is_passed(collected) {
                    earliest = earliest.min(end);
                } else if !spared.is_some_and(|spared| spared.is(entry)) && !self.is_kept(entry) {
                    return (Some(occupied), end);
                }
                // One that is overdue and has to stay goes with the load or the write that it waits for.
            }
        }
        (None, earliest)
    }

    /// Who bears a victim: the retired capacity, or for one that is larger than that, the capacity, if nothing
    /// lingers.
    #[inline]
    fn bearer_of_victim<'a, 'w: 'a>(
        &'a self,
        work: &mut Work<'w>,
        charge: u64,
    ) -> Option<Bearer<'a>> {
        let room = self.retired_room_for(work, charge).map(Bearer::Retired);
        if room.is_some() || plot(charge) <= self.retired.limit() {
            return room;
        }
        self.lingering.begin_alone(plot(charge)).map(Bearer::Capacity)
    }

    /// Takes charge for what is not an entry.
    pub(crate) fn set_aside(&self, charge: u64) -> Result<(), InsertErrorKind> {
        self.fits(charge)?;
        let mut pin = self.pin();
        let mut work = self.work(pin.local());
        let taken = self.persist(&mut pin, &mut work, |pin, work| {
            self.make_room(&self.table.view(pin.guard_ref()), work, charge, None)?;
            work.spend(charge);
            Ok(())
        });
        drop(work);
        self.tidy(pin);
        taken
    }

    /// Gives back what was set aside.
    pub(crate) fn give_back(&self, charge: u64) {
        self.capacity.give(&self.pin().local().credit, charge);
    }

    /// How full the cache is, for the policy.
    pub(super) fn fill(&self) -> Fill {
        let capacity = self.capacity.capacity();
        Fill { capacity, free: self.capacity.free_in_pool() }
    }
}

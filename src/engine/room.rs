//! How charge is found for an entry: own credit, the pool, other threads' credit, victims.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use super::Engine;
use super::garbage_charge::{GarbageCharge, retired_charge};
use super::table_entries::TableEntries;
use super::types::{Due, Occupied, View};
use super::write_op::{Attempt, AttemptError, MAX_KEPT, WriteOp};
use crate::entry::EntryRef;
use crate::error::InsertErrorKind;
use crate::expiry::Expiration;
use crate::outcome::RemovalCause;
use crate::policy::{Entries, Fill, RecentUses};
use crate::reclaim::ChargedTo;
use crate::sync::seeded;
use crate::table::SlotSnapshot;
use crate::time::{Deadline, Moment};

/// Vain attempts to find or to unlink a victim after which a small table's search ends. Those that
/// succeed are as many as the charge needs.
const MAX_FAILED_EVICTIONS: usize = 64;

/// The same for one that spares protected entries: there may be no others.
const MAX_FAILED_SPARING: usize = 4;

/// Buckets for which one more vain attempt is made: in a table that is nearly empty, one attempt passes
/// that many and finds nothing.
const BUCKETS_PER_FAILED_EVICTION: usize = 1 << 11;

/// Buckets that are looked at for one expired entry.
const MAX_DUE_BUCKETS: usize = 128;

/// Vain attempts after which an entry may go that is being renewed: there may be nothing else.
const EVICTIONS_SPARING_RENEWING: usize = 8;

/// Victims of one insert whose charge pays for a shrink.
const MAX_PAID: usize = 2;

/// Vain attempts after which a search for victims ends.
pub(super) fn max_failed_evictions<K, V>(view: &View<'_, K, V>) -> usize {
    MAX_FAILED_EVICTIONS + view.buckets() / BUCKETS_PER_FAILED_EVICTION
}

/// Whether a victim is of the key that room is made for. Another thread has put it in since the key was looked for, and it
/// is what the operation has to replace: to evict it would lose an update that both have made.
#[inline(always)]
pub(super) fn is_of_own_key<K: Eq, V>(own: EntryRef<'_, K, V>, victim: EntryRef<'_, K, V>) -> bool {
    own.hash() == victim.hash() && own.key() == victim.key() && !seeded("room-of-its-own-key")
}

/// What an attempt to evict came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eviction {
    Done,
    /// The victim was used or gone, or the policy found none within its steps.
    Failed,
    /// The victim is of the key that room is made for, and has come since that was looked for.
    OwnKey,
    /// The retired capacity is full.
    Reclaim,
    /// The write is one of a listener that is told of an eviction, and has evicted enough itself.
    Barred,
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Collects `need` in the operation's hand from what is free, and evicts no other entry.
    pub(super) fn find_room(&self, op: &mut WriteOp<'_>, need: u64) -> Attempt<()> {
        if op.reservation.gather(need, self.credits()) {
            return Ok(());
        }
        // Others may need what is not enough here, and shall not evict for it.
        op.reservation.release();
        Err(AttemptError::Garbage)
    }

    /// Collects `need` in the operation's hand, and evicts only where all that is free, and all that garbage
    /// holds, is not enough. What was found stays in the hand in any case. Room is made for `own`, which is an entry
    /// that is inserted or one that is to be replaced: no entry of its key goes for it.
    #[inline(always)]
    pub(super) fn make_room<'g>(
        &'g self,
        view: &View<'g, K, V>,
        op: &mut WriteOp<'_>,
        need: u64,
        own: Option<EntryRef<'_, K, V>>,
    ) -> Attempt<()> {
        let (mut failed, mut paid) = (0, 0);
        loop {
            let before = self.lingering.before();
            if op.reservation.gather(need, self.credits()) {
                return Ok(());
            }
            let lingering = self.lingering.since(before);
            if lingering > 0 && self.waits_for(lingering, need - op.reservation.held(), op) {
                return Err(AttemptError::Garbage);
            }
            match self.evict(view, op, own, failed) {
                // A shrink that readers stopped goes on: the victim's charge pays for that.
                Eviction::Done if paid < MAX_PAID && self.capacity.debt() > 0 => {
                    op.reservation.release();
                    paid += 1;
                }
                Eviction::Done => {}
                Eviction::Reclaim => return Err(AttemptError::Garbage),
                Eviction::Barred => return Err(AttemptError::NoRoom),
                Eviction::OwnKey => {
                    // To replace that takes less: no entry shall be evicted for what was taken for both.
                    op.reservation.release();
                    return Err(AttemptError::Changed);
                }
                Eviction::Failed if failed >= self.max_failures(view, op) || self.len() == 0 => {
                    return Err(AttemptError::NoRoom);
                }
                Eviction::Failed => failed += 1,
            }
        }
    }

    /// Vain attempts after which an operation's search for victims ends.
    #[cold]
    fn max_failures(&self, view: &View<'_, K, V>, op: &WriteOp<'_>) -> usize {
        if op.spares_protected { MAX_FAILED_SPARING } else { max_failed_evictions(view) }
    }

    /// Whether an operation that lacks `lacking` has to wait for garbage. Garbage that is charged to the capacity goes
    /// before an entry does; and if there would be room without it, no entry has to go at all.
    #[cold]
    fn waits_for(&self, lingering: u64, lacking: u64, op: &WriteOp<'_>) -> bool {
        // What pays the debt of a shrink will not be free.
        let owed = lingering.saturating_sub(self.capacity.debt());
        owed >= lacking || owed > 0 && op.reclaims_succeed()
    }

    /// Evicts one entry, but none of the key of `own`. Its charge comes into the hand.
    ///
    /// One that is being renewed goes only after some attempts that were `failed`. Its key was asked for just now,
    /// and the thread that asks next would not find the load that is under way.
    ///
    /// An entry that is larger than the retired capacity can never lie there: the capacity bears it until it
    /// is freed, and there is only one such at a time, or inserts would empty the cache while a
    /// reader sleeps.
    #[inline(never)]
    pub(super) fn evict<'g>(
        &'g self,
        view: &View<'g, K, V>,
        op: &mut WriteOp<'_>,
        own: Option<EntryRef<'_, K, V>>,
        failed: usize,
    ) -> Eviction {
        if !op.local.notifying.may_evict() {
            return Eviction::Barred;
        }
        if self.retired.limit() == 0 && self.lingering.charge() > 0 {
            return Eviction::Reclaim;
        }
        if op.kept.charge > 0 {
            return self.evict_kept(view, op, own, failed);
        }
        let overdue =
            self.rules.expiration.as_ref().and_then(|it| self.find_overdue(*view, it, own));
        let named = || self.victim(*view, op, own, failed).map(|seen| view.occupied(seen));
        let Some(occupied) = overdue.or_else(named) else {
            // Those who could go may be in buckets that another thread has begun to migrate, and sleeps.
            view.migrate(1);
            return Eviction::Failed;
        };
        self.evict_occupied(view, op, own, occupied)
    }

    /// Evicts this entry, if no thread has used it since it was found.
    #[inline(always)]
    fn evict_occupied<'g>(
        &'g self,
        view: &View<'g, K, V>,
        op: &mut WriteOp<'_>,
        own: Option<EntryRef<'_, K, V>>,
        occupied: Occupied<'g, K, V>,
    ) -> Eviction {
        let (entry, charge) = (occupied.entry(), occupied.entry().charge());
        if own.is_some_and(|own| is_of_own_key(own, entry)) {
            return Eviction::OwnKey;
        }
        // Before it is unlinked: garbage that no ledger has room for would break the bound of both.
        let Some(garbage_charge) = self.garbage_charge_of_victim(op, charge) else {
            op.keep_victim(entry.hash(), occupied.meta(), charge);
            return Eviction::Reclaim;
        };
        // Decided before the exchange, once: statistics and listener are told the same cause.
        let live = self.is_live(entry);
        let Some((unlinked, meta)) = view.unlink(occupied) else {
            view.help_migrate(occupied);
            return Eviction::Failed;
        };
        let cause = if live { RemovalCause::Evicted } else { self.cause_of_end(entry) };
        op.local.tally.count_out(cause, charge);
        self.count_out(&op.delta, entry, meta);
        if live {
            let (cursor, history) = (&op.local.cursor, view.extension());
            let recent_uses = RecentUses::from_bits(entry.recent_uses());
            self.policy.evicted(history, cursor, entry.hash(), (meta, recent_uses));
        } else {
            self.note_removed(*view, entry.hash(), cause);
        }
        let charged_to = self.commit_garbage(garbage_charge, charge);
        let outcome = if charged_to == ChargedTo::Retired {
            op.reservation.add(charge);
            Eviction::Done
        } else {
            Eviction::Reclaim
        };
        view.retire(unlinked, charged_to);
        if self.rules.listener.is_some() {
            op.local.notifying.of_eviction(|| op.report(&self.rules, entry, cause));
        }
        outcome
    }

    /// Evicts the victim that an operation has waited with, once there is room for it. The policy is not asked a second
    /// time: it would compare with others, promote another candidate, and name another one.
    #[cold]
    #[inline(never)]
    fn evict_kept<'g>(
        &'g self,
        view: &View<'g, K, V>,
        op: &mut WriteOp<'_>,
        own: Option<EntryRef<'_, K, V>>,
        failed: usize,
    ) -> Eviction {
        if self.garbage_charge_of_victim(op, op.kept.charge).is_none() {
            op.kept.attempts += 1;
            if op.kept.attempts < MAX_KEPT || !op.passes_kept_by() {
                return Eviction::Reclaim;
            }
        }
        let Some(kept) = op.take_kept() else { return Eviction::Failed };
        let entries = self.evictable(*view, own, failed);
        let region = kept.meta.region();
        let seen = region.and_then(|it| entries.find_by_fingerprint(it, kept.hash, u64::MAX));
        match seen.filter(|seen| seen.meta() == kept.meta && !seeded("policy-asked-again")) {
            Some(seen) => {
                op.step_from(&kept);
                self.evict_occupied(view, op, own, view.occupied(seen))
            }
            // A thread has used it.
            None => Eviction::Failed,
        }
    }

    /// The slot of the entry that the policy names.
    #[inline(always)]
    fn victim<'g>(
        &'g self,
        view: View<'g, K, V>,
        op: &WriteOp<'_>,
        own: Option<EntryRef<'g, K, V>>,
        failed: usize,
    ) -> Option<SlotSnapshot<'g, K, V>> {
        let entries = self.evictable(view, own, failed);
        let at = (&op.local.cursor, view.extension());
        let eviction = self.policy.eviction(&entries, at, &op.delta);
        if !op.spares_protected {
            return eviction.victim(self.fill());
        }
        #[cfg(feature = "predict")]
        self.policy.note_displaced(&op.delta, self.fill());
        eviction.probation_victim()
    }

    /// The entries of which one may go.
    #[inline(always)]
    pub(super) fn evictable<'g>(
        &'g self,
        view: View<'g, K, V>,
        own: Option<EntryRef<'g, K, V>>,
        failed: usize,
    ) -> TableEntries<'g, K, V, S> {
        TableEntries::new(self, view)
            .excluding(own)
            .excluding_renewing(failed < EVICTIONS_SPARING_RENEWING)
    }

    /// An entry that has expired, if there is one that is known of: it makes room before any live one does.
    #[inline]
    fn find_overdue<'g>(
        &self,
        view: View<'g, K, V>,
        expiration: &Expiration<K, V>,
        excluded: Option<EntryRef<'_, K, V>>,
    ) -> Option<Occupied<'g, K, V>> {
        let before = expiration.collected_before();
        for look in 0..MAX_DUE_BUCKETS {
            let overdue = self.find_due(view, before, look)?;
            let expired = self.scan_due_bucket(view, expiration, overdue, excluded);
            if expired.is_some() {
                return expired;
            }
        }
        None
    }

    /// A bucket where an entry may have expired `before`, another one at each `look`.
    #[inline(always)]
    pub(super) fn find_due<'g>(
        &self,
        view: View<'g, K, V>,
        before: Moment,
        look: usize,
    ) -> Option<Due<'g, K, V>> {
        let seed = view.local().place(|| self.table.domain().participant_count());
        view.find_due(before.to_word(), seed.wrapping_add(look))
    }

    /// An entry that has expired in a bucket where one may be; if there is none, it is noted when the first one will
    /// be.
    pub(super) fn scan_due_bucket<'g>(
        &self,
        view: View<'g, K, V>,
        expiration: &Expiration<K, V>,
        due: Due<'g, K, V>,
        excluded: Option<EntryRef<'_, K, V>>,
    ) -> Option<Occupied<'g, K, V>> {
        let look = || self.find_expired(view, expiration, due.positions(), excluded);
        let (expired, end) = look();
        if expired.is_none() && view.set_earliest(due, end.to_word()) {
            let (_, end) = look();
            view.note_due(due.positions().start, end.to_word());
        }
        expired
    }

    /// An entry that has expired, in these places, and its end; else the end of the one that comes first.
    fn find_expired<'g>(
        &self,
        view: View<'g, K, V>,
        expiration: &Expiration<K, V>,
        positions: Range<u64>,
        excluded: Option<EntryRef<'_, K, V>>,
    ) -> (Option<Occupied<'g, K, V>>, Deadline) {
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
                } else if !excluded.is_some_and(|excluded| excluded.is(entry))
                    && !self.is_kept(entry)
                {
                    return (Some(occupied), end);
                }
                // One that is overdue and has to stay goes with the load or the write that it waits for.
            }
        }
        (None, earliest)
    }

    /// What a victim is charged to: the retired capacity, or for one that is larger than that, the capacity, if
    /// nothing lingers.
    #[inline(always)]
    fn garbage_charge_of_victim<'a, 'w: 'a>(
        &'a self,
        op: &mut WriteOp<'w>,
        charge: u64,
    ) -> Option<GarbageCharge<'a>> {
        let room = self.retired_room_for(op, charge).map(GarbageCharge::Retired);
        if room.is_some() || retired_charge(charge) <= self.retired.capacity() {
            return room;
        }
        self.lingering.begin_alone(retired_charge(charge)).map(GarbageCharge::Capacity)
    }

    /// Takes charge for what is not an entry.
    pub(crate) fn reserve_charge(&self, charge: u64) -> Result<(), InsertErrorKind> {
        self.check_weight(charge)?;
        let mut pin = self.pin();
        let mut op = self.op(pin.local());
        let taken = self.retry(&mut pin, &mut op, |pin, op| {
            self.make_room(&self.table.view(pin.guard_ref()), op, charge, None)?;
            op.spend(charge);
            Ok(())
        });
        drop(op);
        self.finish_write(pin);
        taken
    }

    /// Gives back what was set aside.
    pub(crate) fn return_charge(&self, charge: u64) {
        self.capacity.give(&self.pin().local().credit, charge);
    }

    /// How full the cache is, for the policy.
    pub(super) fn fill(&self) -> Fill {
        let capacity = self.capacity.capacity();
        Fill { capacity, free: self.capacity.free_in_pool() }
    }
}

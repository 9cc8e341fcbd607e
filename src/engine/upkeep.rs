//! Freeing what was retired, removing what has expired, resizing.

use std::cell::Cell;
use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use super::garbage_charge::retired_charge;
use super::room::{Eviction, max_failed_evictions};
use super::scan::EVERYWHERE;
use super::types::{Due, View};
use super::{Engine, Garbage, Local, Pin};
use crate::accounting::Reservation;
use crate::expiry::Expiration;
use crate::latency::Operation;
use crate::narrow::in_memory;
use crate::reclaim::{ChargedTo, GRACE};
use crate::settings::{PRESSURE_SHARE, default_retired_capacity};
use crate::stats::Maintained;
use crate::sync::{Outermost, give_way, seeded, thread_local};
use crate::table::{self, Reclaimer};
use crate::trace::{self, MaintenanceWork};

/// Retired entries that a write frees in passing, at every eighth that is retired.
const FREED_PER_WRITE: usize = 16;
/// Retired entries that a write frees at a time that cannot do without.
const FREED_FOR_ROOM: usize = 16;
/// How often a write does that without getting further: what is freed may be taken by others, or come
/// back, as destructors may write. So a write with one entry to make room for frees no more than
/// `FREED_FOR_ROOM` x `MAX_RECLAIMS` + `FREED_PER_WRITE` entries, 272, writes within their destructors
/// included: those free nothing. The last resort of a replacement is within that.
pub(super) const MAX_RECLAIMS: usize = 16;
/// Retired entries that maintenance frees before it gives back what they were charged with.
const MAX_PORTION: usize = 64;
/// Writes of a thread from one look at the table's size to the next: a look adds up the counts of
/// all threads.
const WRITES_PER_SIZE_CHECK: u64 = 64;
/// Writes of a thread of which one searches the next bucket of the table, whether an entry is known to have expired there or
/// not: some are not known of, as failures that are no longer remembered.
const WRITES_PER_SWEEP: u64 = 8;

thread_local! {
    /// Whether the thread is removing expired entries. That calls the listener, which may write: such a
    /// write does not remove the next ones, or listeners would nest as deep as there are expired entries.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's has no such form")]
    static SWEEPING: Cell<bool> = Cell::new(false);
}

/// From now on the calling thread is sweeping, unless it is already.
fn begin_sweep() -> Option<Outermost> {
    if seeded("upkeep-sweep-inside") {
        SWEEPING.with(|sweeping| sweeping.set(false));
    }
    Outermost::enter(&SWEEPING)
}

/// Frees what no thread looks at any more, and gives back at the end what it was charged with, even if
/// a destructor panics.
struct ReturnOnDrop<'e, 'r, K, V, S> {
    engine: &'e Engine<K, V, S>,
    local: &'e Local,
    retired: u64,
    capacity: u64,
    placeholders: u64,
    uncharged: u64,
    /// Where the retired capacity goes that was freed, if not to the ledger.
    room: Option<&'e mut Reservation<'r>>,
}

impl<'e, K, V, S> ReturnOnDrop<'e, '_, K, V, S> {
    fn new(engine: &'e Engine<K, V, S>, local: &'e Local) -> Self {
        Self { engine, local, retired: 0, capacity: 0, placeholders: 0, uncharged: 0, room: None }
    }

    #[inline(always)]
    fn free(
        &mut self,
        garbage: Garbage<K, V>,
        charged_to: ChargedTo,
        reclaimer: &Reclaimer<'_, K, V, Local>,
    ) {
        if let table::Garbage::Entry(entry) = &garbage {
            let retired_charge = retired_charge(entry.as_ref().charge());
            match charged_to {
                ChargedTo::Nowhere if entry.as_ref().is_placeholder() => self.placeholders += 1,
                ChargedTo::Nowhere => self.uncharged += 1,
                ChargedTo::Retired => self.retired += retired_charge,
                ChargedTo::Capacity => self.capacity += retired_charge,
            }
        }
        reclaimer.free(garbage);
    }
}

impl<K, V, S> Drop for ReturnOnDrop<'_, '_, K, V, S> {
    fn drop(&mut self) {
        let (engine, local) = (self.engine, self.local);
        if self.placeholders > 0 {
            engine.placeholders.sub(self.placeholders);
        }
        match &mut self.room {
            _ if self.retired == 0 => {}
            Some(room) => room.add(self.retired),
            None => engine.retired.give(&local.retired, self.retired),
        }
        if self.uncharged > 0 {
            engine.uncharged.sub(self.uncharged);
        }
        if self.capacity > 0 {
            let give = || engine.capacity.give(&local.credit, self.capacity);
            engine.lingering.end(self.capacity, give);
        }
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Ends a write: unpins, and frees a little if writes are to clean up. Does neither sweep nor free
    /// where the thread is sweeping or freeing already.
    #[inline(never)]
    pub(super) fn finish_write(&self, pin: Pin<'_, K, V>) {
        self.finish_usual_write(pin);
    }

    /// The same, in the place from which it is called.
    #[inline(always)]
    pub(super) fn finish_usual_write(&self, pin: Pin<'_, K, V>) {
        if self.inline {
            self.tidy_up(&pin);
        }
        // Where others clean up, it still sees to it that threads that sleep hold no more than what is there.
        let budget = if self.inline { FREED_PER_WRITE } else { 0 };
        let local = pin.local();
        let pressure = |_| self.is_under_pressure();
        self.table.close(pin, (budget, pressure), || {
            let mut returns = ReturnOnDrop::new(self, local);
            move |garbage, charged_to, reclaimer: &Reclaimer<'_, K, V, Local>| {
                returns.free(garbage, charged_to, reclaimer);
            }
        });
    }

    /// What a write does apart from freeing: begins to shrink, and removes what has expired.
    #[inline(always)]
    fn tidy_up(&self, pin: &Pin<'_, K, V>) {
        let writes = pin.local().count_write();
        if writes.is_multiple_of(WRITES_PER_SIZE_CHECK) {
            self.shrink_if_sparse(self.table.view(pin.guard_ref()));
            if self.rules.weigher.is_some() {
                self.follow_entries();
            }
        }
        if let Some(expiration) = &self.rules.expiration {
            self.sweep_in_passing(self.table.view(pin.guard_ref()), expiration, writes);
        }
    }

    /// Searches a bucket in which an entry has expired, as far as is known; now and then, or where more may have ended than is
    /// known, the next one of the table instead.
    #[inline(always)]
    fn sweep_in_passing(&self, view: View<'_, K, V>, expiration: &Expiration<K, V>, writes: u64) {
        let is_known = !self.rules.tagged && self.has_weightless_ends.get() == 0;
        let due = if is_known && !writes.is_multiple_of(WRITES_PER_SWEEP) {
            match self.find_due(view, expiration.collected_before(), 0) {
                None => return,
                due => due,
            }
        } else {
            None
        };
        self.sweep_unless_sweeping(view, due);
    }

    #[cold]
    #[inline(never)]
    fn sweep_unless_sweeping(&self, view: View<'_, K, V>, due: Option<Due<'_, K, V>>) {
        if let Some(_sweeping) = begin_sweep() {
            match due {
                Some(due) => self.sweep_due(view, due),
                None => self.sweep_next(view),
            };
        }
    }

    /// Whether there is enough garbage to neutralize the threads that keep it from being freed: a 24th of the capacity, or as
    /// much of all placeholders that there may be, of which none need be new; and as many entries were retired since that was done last. So a
    /// thread that pins holds no more of the garbage that was there before than that, and the era does not come to its end soon.
    fn is_under_pressure(&self) -> bool {
        if (self.table.domain().retired_in_era() as u64) < self.entries_in_era() {
            return false;
        }
        let garbage =
            self.retired.charged(self.retired_credits()).saturating_add(self.lingering.charge());
        let bearable = self.retired.limit().min(self.capacity()) / PRESSURE_SHARE;
        garbage > bearable || self.placeholders.get() > self.placeholder_limit() / PRESSURE_SHARE
    }

    /// How many entries are retired from one step of the era to the next, at least: a 24th of all. A few where entries weigh
    /// one, so that the era does not come to its end; with weights four may be half of the cache.
    fn entries_in_era(&self) -> u64 {
        let least = if self.rules.weigher.is_some() { 1 } else { 4 };
        (self.entries_expected() / PRESSURE_SHARE).max(least)
    }

    /// Lets garbage ripen and frees some of it, by any thread; whether it freed any. What it took of the retired
    /// capacity comes into `room`, if there is one. Gets nothing done while another thread, or another guard of this
    /// one, stays pinned: then it lets other threads run, once, as one that is pinned may want a processor;
    /// unless patience with it is over.
    pub(super) fn reclaim_for_room(
        &self,
        pin: &mut Pin<'_, K, V>,
        room: Option<&mut Reservation<'_>>,
    ) -> bool {
        let (local, alone) = (pin.local(), pin.is_alone());
        let mut returns = ReturnOnDrop::new(self, local);
        returns.room = room;
        // Outside, or one that loses its processor here would hold the others up.
        pin.while_unpinned(|| {
            let domain = self.table.domain();
            self.narrow_own_readers();
            let (begun, mut freed) = (domain.epoch(), 0);
            for _ in 0..=GRACE {
                if freed == 0 {
                    // Beside a write that has lost its processor there is nothing to be had, however often that is tried.
                    let pressure = |by_write: bool| !by_write || self.is_under_pressure();
                    let free = |garbage, charged_to| {
                        returns.free(garbage, charged_to, &Reclaimer::plain())
                    };
                    freed = domain.collect((FREED_FOR_ROOM, pressure), free).freed;
                }
            }
            let in_the_way = alone && domain.epoch() - begun < GRACE;
            if freed == 0 && in_the_way && domain.stalled_for() < self.settings.patience {
                give_way();
            }
            freed > 0
        })
    }

    /// Has the readers of the calling thread hold what they have lent, and no more: it is at no operation of theirs that has
    /// not ended, or they know that.
    fn narrow_own_readers(&self) {
        if !seeded("upkeep-own-guards-wide") {
            self.table.domain().narrow_own_guards();
        }
    }

    /// Looks at the entries of the bucket where the last call stopped, and removes those that have expired. Returns how many
    /// entries were looked at, and how many removed.
    fn sweep_next(&self, view: View<'_, K, V>) -> (usize, usize) {
        let Some(expiration) = &self.rules.expiration else { return (0, 0) };
        let from = self.sweep.get();
        let due = view.due_at(from, expiration.collected_before().to_word());
        let (next, swept) = self.remove_outdated(view, from..EVERYWHERE.end);
        self.sweep.set(next.unwrap_or(0));
        if let Some(due) = due {
            self.note_next_end(view, expiration, due);
        }
        swept
    }

    /// The same of a bucket in which an entry has expired.
    fn sweep_due(&self, view: View<'_, K, V>, due: Due<'_, K, V>) -> (usize, usize) {
        let Some(expiration) = &self.rules.expiration else { return (0, 0) };
        let (mut swept, mut expired) = (0, 0);
        let (mut next, end) = (Some(due.positions().start), due.positions().end);
        // While the table grows there may be several buckets in its place.
        while let Some(from) = next.filter(|&from| from < end) {
            let (after, (looked_at, removed)) = self.remove_outdated(view, from..end);
            (swept, expired, next) = (swept + looked_at, expired + removed, after);
        }
        self.note_next_end(view, expiration, due);
        (swept, expired)
    }

    /// Notes when the next entry of a bucket expires that was swept. Or a write that needs room would have to look there, and at
    /// all others that sweeps have emptied, before it comes to the last entry that has expired: more often than it may.
    fn note_next_end(
        &self,
        view: View<'_, K, V>,
        expiration: &Expiration<K, V>,
        due: Due<'_, K, V>,
    ) {
        if !seeded("sweep-leaves-due") {
            self.scan_due_bucket(view, expiration, due, None);
        }
    }

    /// Removes what has expired in the bucket where `positions` begins. Returns where the next one begins, how many entries
    /// were looked at, and how many removed.
    fn remove_outdated(
        &self,
        view: View<'_, K, V>,
        positions: Range<u64>,
    ) -> (Option<u64>, (usize, usize)) {
        let (mut swept, mut expired) = (0, 0);
        // Most buckets have no chain.
        let mut found = Vec::with_capacity(table::SLOTS_PER_GROUP);
        let next = view.collect_entries(positions, &mut found, |a, b| a == b);
        for &occupied in &found {
            let is_placeholder = occupied.entry().is_placeholder();
            swept += usize::from(!is_placeholder);
            let cause = self.cause_of_end(occupied.entry());
            if !self.is_outdated(occupied.entry()) {
                continue;
            }
            if self.remove_occupied(view, occupied, cause) {
                expired += usize::from(!is_placeholder);
            } else {
                // Or the thread would come back to a bucket that another one has frozen, and find it as it is.
                view.help_migrate(occupied);
            }
        }
        (next, (swept, expired))
    }

    /// Begins to make the table smaller if it is far too large for what it holds. Not while garbage is held for those who
    /// sleep: they may hold the generations of before, and would hold one more each time that the cache is emptied and filled.
    #[inline(never)]
    fn shrink_if_sparse(&self, view: View<'_, K, V>) {
        if view.is_grown() && !self.table.domain().keeps_for_pins() {
            let entries = self.len() + in_memory(self.placeholders.get());
            view.shrink(entries, |old, buckets| old.resized(buckets * table::MAX_LOAD_FACTOR));
        }
    }

    /// Makes the table smaller if it is far too large, and goes on with a change of its size: migrates
    /// about `budget` buckets.
    pub(super) fn resize(&self, budget: usize) {
        let (mut pin, mut left) = (self.pin(), budget);
        while left > 0 {
            let view = self.table.view(pin.guard_ref());
            self.shrink_if_sparse(view);
            let migrated = view.migrate(left.min(MAX_PORTION));
            if migrated == 0 {
                break;
            }
            left = left.saturating_sub(migrated);
            pin.repin();
        }
        self.table.view(pin.guard_ref()).trim();
    }

    /// Frees up to `budget` retired entries, looks at about `budget` entries for their deadlines, goes on
    /// with a shrink that readers stopped, and migrates about `budget` buckets if the table's size
    /// changes.
    pub(crate) fn maintain(&self, budget: usize) -> Maintained {
        let begun = self.timer.elapsed();
        let done = trace::maintain(
            self.name(),
            budget,
            || self.clean(budget),
            |&Maintained { swept, expired, freed, backlog }| MaintenanceWork {
                swept,
                expired,
                freed,
                backlog,
            },
        );
        let took = self.timer.elapsed().saturating_sub(begun);
        self.cleanups.note(took);
        if self.sampling.is_on() {
            self.pin().local().timings.record(Operation::Maintain, took);
        }
        done
    }

    fn clean(&self, budget: usize) -> Maintained {
        let mut done = Maintained::default();
        if self.rules.expiration.is_some()
            && let Some(_sweeping) = begin_sweep()
        {
            let mut pin = self.pin();
            let mut spent = 0;
            // Each bucket counts for one at least, and once round the table is enough.
            for _ in 0..self.table.view(pin.guard_ref()).buckets() {
                if spent >= budget {
                    break;
                }
                let (swept, expired) = self.sweep_next(self.table.view(pin.guard_ref()));
                spent += swept.max(1);
                done.swept += swept;
                done.expired += expired;
                pin.repin();
            }
        }
        if self.capacity.debt() > 0 {
            self.shrink(budget);
        }
        self.pay_retired_debt();
        self.follow_entries();
        self.resize(budget);
        done.freed = self.collect(budget);
        done.backlog = self.table.domain().backlog();
        done
    }

    /// Frees up to `budget` retired entries, and no more than there are when it begins: destructors may
    /// write, and what they put in is retired again.
    pub(super) fn collect(&self, budget: usize) -> usize {
        let local = self.pin().local();
        let budget = budget.min(self.table.domain().backlog());
        if budget > 0 {
            self.narrow_own_readers();
        }
        let (mut freed, mut failed) = (0, 0);
        while freed < budget && failed <= GRACE {
            // By portions: writers wait for what is given back.
            let portion = MAX_PORTION.min(budget - freed);
            let mut returns = ReturnOnDrop::new(self, local);
            let free = |garbage, charged_to| returns.free(garbage, charged_to, &Reclaimer::plain());
            let pressure = |_| self.is_under_pressure();
            let done = self.table.domain().collect((portion, pressure), free).freed;
            freed += done;
            failed += u64::from(done == 0);
        }
        freed
    }

    /// Removes every entry that has expired; returns how many.
    pub(crate) fn remove_expired(&self) -> usize {
        if self.rules.expiration.is_none() {
            return 0;
        }
        let mut expired = 0;
        self.walk(|view, occupied| {
            let entry = occupied.entry();
            if !self.is_kept(entry) && self.remove_current(view, occupied, self.cause_of_end(entry))
            {
                expired += 1;
            }
        });
        self.resize(usize::MAX);
        self.collect(FREED_FOR_ROOM);
        expired
    }

    /// Sets the capacity, and evicts until what is charged fits.
    pub(crate) fn set_capacity(&self, capacity: u64) {
        self.capacity.set_capacity(capacity, self.credits());
        // Where that evicts much, the table may be far too large, and the walk over it is as much work.
        let evicted = self.shrink(usize::MAX);
        if self.settings.retired_follows && !seeded("engine-retired-stays") {
            // After that, as what it evicts needs room there.
            self.set_retired_capacity();
        }
        self.follow_entries();
        self.resize(MAX_PORTION + evicted);
    }

    /// Has the retired capacity follow the capacity.
    ///
    /// Ends: in each round except the last another thread has set another capacity. The thread that comes last to the end of a
    /// round has seen the last one.
    fn set_retired_capacity(&self) {
        loop {
            let capacity = self.capacity();
            self.retired.set_capacity(default_retired_capacity(capacity), self.retired_credits());
            self.pay_retired_debt();
            if self.capacity() == capacity {
                return;
            }
        }
    }

    /// Pays what a smaller retired capacity owes, with credit that was left to those who might have been spending it.
    fn pay_retired_debt(&self) {
        if self.retired.debt() > 0 {
            self.retired.pay_debt(&self.pin().local().retired, self.retired_credits());
        }
    }

    /// Evicts until what is charged fits, or up to `most` entries; returns how many. Gives up where readers stand in
    /// the way; inserts and `maintain` go on.
    fn shrink(&self, most: usize) -> usize {
        let mut pin = self.pin();
        let (mut evicted, mut failed, mut reclaims, mut furthest) = (0, 0, 0, 0);
        let debt = self.capacity.debt();
        let max_failed = max_failed_evictions(&self.table.view(pin.guard_ref()));
        while evicted < most && failed < max_failed && self.capacity.debt() > 0 {
            // What lingers will pay for as much, once it is freed.
            let eviction = if self.capacity.debt() > self.lingering.charge() {
                let mut op = self.op(pin.local()).keeps_no_victim();
                self.evict(&self.table.view(pin.guard_ref()), &mut op, None, failed)
            } else {
                Eviction::Reclaim
            };
            match eviction {
                Eviction::Done => (evicted, failed) = (evicted + 1, 0),
                Eviction::Failed | Eviction::OwnKey => failed += 1,
                Eviction::Barred => break,
                Eviction::Reclaim
                    if reclaims < MAX_RECLAIMS && self.reclaim_for_room(&mut pin, None) =>
                {
                    let paid = debt.saturating_sub(self.capacity.debt());
                    let far = paid.saturating_add(self.retired.free(self.retired_credits()));
                    (failed, reclaims) = (0, if far > furthest { 0 } else { reclaims + 1 });
                    furthest = furthest.max(far);
                }
                Eviction::Reclaim => failed += max_failed / 4,
            }
        }
        self.finish_write(pin);
        evicted
    }
}

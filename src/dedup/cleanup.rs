//! Forgetting: ids that have to make room, expired ids, and claims whose holders never came back.
//!
//! Ids that are done are forgotten in the order of their positions, a few by each completion.
//! Claims have no positions: a *walk* over the table finds those whose lease has run out. It begins
//! when a cleanup interval is over, if there are claims in progress. Each completion, and each
//! claim of a new id, does a part of it; the first thread that finds the next interval over does
//! the rest. So a claim is forgotten within two intervals after its lease has run out, provided
//! that in each of them an id is claimed, completed or given back, or a thread cleans up.

use std::hash::Hash;
use std::ops::Range;
use std::time::Instant;

use super::claim_word::{ClaimCell, ClaimEnd, ClaimState};
use super::due_set::{DueEntry, Origin, Sets};
use super::record::{ByPosition, Record};
use super::ring::RingEntry;
use super::store::Store;
use super::tally::Event;
use crate::sync::{AtomicU64, CachePadded, Relaxed};
use crate::time::{Deadline, Moment, nanos};

/// How many cells of the ring a completion checks for expired ids, and how many entries of the due
/// set.
const SWEPT_PER_COMPLETION: usize = 2;
/// How many of them an inline cleanup checks.
const SWEPT_INLINE: usize = 64;
/// About how many records a part of a walk has.
const RECORDS_PER_STEP: u64 = 64;
/// The table position at which a walk ends.
const WALK_END: u64 = u64::MAX;

/// When the next cleanup is due, and how far the walk has come.
#[derive(Debug)]
pub(super) struct CleanupState {
    next: CachePadded<Relaxed<AtomicU64>>,
    /// The table position from which on the walk is still to be done.
    walk: CachePadded<Relaxed<AtomicU64>>,
    /// The position at which the ring has overwritten the last cell whose id a call has forgotten.
    /// Until then a completion may displace a live id although there are fewer than the capacity.
    holes_end: CachePadded<Relaxed<AtomicU64>>,
}

impl CleanupState {
    pub(super) fn new(first: Deadline) -> Self {
        let word = |value| CachePadded::new(Relaxed::<AtomicU64>::new(value));
        Self { next: word(first.to_word()), walk: word(WALK_END), holes_end: word(0) }
    }

    /// Whether a completion at this position may displace a live id although there is room.
    pub(super) fn has_holes(&self, position: u64) -> bool {
        position < self.holes_end.get()
    }

    /// Notes that an id was forgotten by a call, in the round of the ring that ends at `round_end`.
    pub(super) fn add_hole(&self, round_end: u64) {
        self.holes_end.set(round_end);
    }

    /// Takes a part of the walk, if one is under way: one of `parts` parts of the table.
    fn take(&self, parts: impl FnOnce() -> u64) -> Option<Range<u64>> {
        let from = self.walk.get();
        if from == WALK_END {
            return None;
        }
        let to = from.saturating_add(WALK_END / parts().max(1));
        self.walk.try_set(from, to).then_some(from..to)
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Store<Id> {
    /// Forgets the record that was completed at a position, if `wanted` returns true for whether it
    /// has expired.
    pub(super) fn forget(&self, at: RingEntry, now: Moment, wanted: impl Fn(bool) -> bool) {
        let placed = ByPosition { at, cells: self.ring.cells() };
        let forget = |_: &Record<Id>, cell: &ClaimCell| self.forget_word(cell, now, wanted);
        if self.cache.look(&placed, forget) == Some(true) {
            self.cache.remove_if(&placed, ClaimCell::is_tombstone);
        }
    }

    /// Moves the record that was completed at a position to the due set, where it stays while there
    /// are fewer ids than the capacity.
    pub(super) fn displace(&self, at: RingEntry) {
        self.cache.look(&ByPosition { at, cells: self.ring.cells() }, |record, cell| {
            if let ClaimState::Done(due) = cell.read().state() {
                self.due_set.enter(record, due, Origin::Displaced);
            }
        });
    }

    /// Makes a record that is done a tombstone, and counts that.
    fn forget_word(&self, cell: &ClaimCell, now: Moment, wanted: impl Fn(bool) -> bool) -> bool {
        let word = cell.read();
        let ClaimState::Done(due) = word.state() else { return false };
        let expired = due.is_passed(now);
        let forgotten = wanted(expired) && cell.forget(word);
        if forgotten {
            self.tally.count(if expired { Event::Expired } else { Event::ForgottenEarly });
        }
        forgotten
    }

    /// Forgets the entry of the due set that `choose` selects. Returns false if there is none.
    fn forget_due_entry(
        &self,
        now: Moment,
        choose: impl FnOnce(&Sets) -> Option<DueEntry>,
    ) -> bool {
        let forget = |_: &Record<Id>, cell: &ClaimCell| self.forget_word(cell, now, |_| true);
        // Under the lock of the due set, so that two threads do not both make room for the same id.
        // No user code runs there.
        let taken = self.due_set.take(choose, |due_entry| self.cache.look(due_entry, forget));
        if let Some((due_entry, Some(true))) = &taken {
            self.cache.remove_if(due_entry, ClaimCell::is_tombstone);
        }
        taken.is_some()
    }

    /// Forgets ids in the due set while there are more ids than the capacity.
    ///
    /// Ends: every round except the last removes an entry of the due set.
    pub(super) fn make_room(&self, now: Moment) {
        let crowded = || self.tally.done() > self.settings.capacity;
        let to_go = |sets: &Sets| sets.first_to_go().filter(|_| crowded());
        while !self.due_set.is_empty() && self.forget_due_entry(now, to_go) {}
    }

    /// Forgets a few expired ids.
    pub(super) fn sweep(&self, now: Moment) {
        self.sweep_ring(SWEPT_PER_COMPLETION, now);
        self.sweep_due_set(SWEPT_PER_COMPLETION, now);
    }

    /// Forgets expired ids in up to `most` cells, oldest first.
    fn sweep_ring(&self, most: usize, now: Moment) {
        for _ in 0..most {
            let Some(position) = self.ring.next_due(now) else { return };
            self.sweep_position(position, now);
        }
    }

    fn sweep_position(&self, position: u64, now: Moment) {
        if let Some(due) = self.ring.take_due(position, now) {
            self.forget(due, now, |expired| expired);
        }
    }

    fn sweep_due_set(&self, most: usize, now: Moment) {
        for _ in 0..most {
            if !self.forget_due_entry(now, |sets| sets.first_expired(now)) {
                return;
            }
        }
    }

    /// Forgets the claims in a part of the table whose leases have run out.
    fn sweep_claims(&self, positions: Range<u64>, now: Moment) {
        self.cache.look_over(positions, |record, cell| {
            let word = cell.read();
            let lapsed = matches!(word.state(), ClaimState::Claimed(lease) if lease.is_passed(now));
            let Some(ClaimEnd { has_waiters }) = lapsed.then(|| cell.expire(word)).flatten() else {
                return;
            };
            self.tally.count(Event::Leaked);
            if has_waiters {
                self.waiters.wake(record.hash());
            }
            self.remove_tombstone(record.hash(), record.id());
        });
    }

    /// Does a bounded cleanup if one is due, which one thread does; and a part of the walk.
    pub(super) fn clean_inline(&self, now: Moment) {
        if !self.settings.inline {
            return;
        }
        let next = self.cleanup_state.next.get();
        let after = || now.after(self.settings.cleanup_interval).to_word();
        if Deadline::from_word(next).is_passed(now)
            && self.cleanup_state.next.try_set(next, after())
        {
            self.timed(|| {
                self.sweep_ring(SWEPT_INLINE, now);
                self.sweep_due_set(SWEPT_INLINE, now);
                if let Some(left) = self.cleanup_state.take(|| 1) {
                    self.sweep_claims(left, now);
                }
                if self.tally.in_progress() > 0 {
                    self.cleanup_state.walk.set(0);
                }
            });
        }
        if let Some(stretch) = self.cleanup_state.take(|| self.size() / RECORDS_PER_STEP) {
            self.sweep_claims(stretch, now);
        }
    }

    /// Forgets all expired ids, and all claims whose leases have run out. Returns how many.
    pub(super) fn clean(&self) -> u64 {
        let (now, before) = (self.now(), self.tally.cleaned());
        self.timed(|| {
            self.ring.positions().for_each(|position| self.sweep_position(position, now));
            self.sweep_due_set(usize::MAX, now);
            if self.tally.in_progress() > 0 {
                self.sweep_claims(0..WALK_END, now);
            }
        });
        self.tally.cleaned().saturating_sub(before)
    }

    fn timed(&self, work: impl FnOnce()) {
        let begin = Instant::now();
        work();
        // A caller may wait for a claim whose lease has run out.
        self.waiters.wake_all();
        self.tally.count(Event::Cleanup);
        self.tally.add(Event::CleanupNanos, nanos(begin.elapsed()));
    }
}

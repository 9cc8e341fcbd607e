//! Forgetting: what has to make room, what has expired, and claims whose holders never came back.
//!
//! What is done is forgotten in the order of its places, a little by each completion. Claims have no places: a
//! *walk* over the table finds those whose lease has run out. It begins when a cleanup interval is over, if there are
//! claims in progress. Each completion, and each claim of a new id, takes a stretch of it; what is left of it when the next interval is
//! over is walked by the one that finds this out. So a claim is forgotten within two intervals after its lease, if
//! something is claimed, completed or given back in each, or a thread cleans up.

use std::hash::Hash;
use std::ops::Range;
use std::time::Instant;

use super::guests::{Guest, Rooms, Stay};
use super::record::{Placed, Record};
use super::ring::Oldest;
use super::store::Store;
use super::tally::Event;
use super::word::{Ended, Slot, State};
use crate::sync::{AtomicU64, CachePadded, Relaxed};
use crate::time::{Deadline, Moment, nanos};

/// Cells that a completion looks at for what has expired, and guests.
const SWEPT_PER_COMPLETION: usize = 2;
/// Cells that a cleanup in passing looks at.
const SWEPT_IN_PASSING: usize = 64;
/// Records that a stretch of a walk has, about.
const STRETCH: u64 = 64;
/// The place at which a walk ends.
const END: u64 = u64::MAX;

/// When to clean up next, and how far it has come.
#[derive(Debug)]
pub(super) struct Upkeep {
    next: CachePadded<Relaxed<AtomicU64>>,
    /// From where on a walk has to go.
    walk: CachePadded<Relaxed<AtomicU64>>,
    /// The place at which the ring has come round to the last id that `forget` was asked for. Until then it comes to
    /// ids that are live before there are as many as the capacity.
    holes_end: CachePadded<Relaxed<AtomicU64>>,
}

impl Upkeep {
    pub(super) fn new(first: Deadline) -> Self {
        let word = |value| CachePadded::new(Relaxed::<AtomicU64>::new(value));
        Self { next: word(first.to_word()), walk: word(END), holes_end: word(0) }
    }

    /// Whether a completion at this place may find a live id in its cell although there is room.
    pub(super) fn has_holes(&self, place: u64) -> bool {
        place < self.holes_end.get()
    }

    /// An id has gone from the ring before its time, somewhere in the round that ends at this place.
    pub(super) fn add_hole(&self, round_end: u64) {
        self.holes_end.set(round_end);
    }

    /// Takes a stretch of the walk, if one is under way: about so many of the table's `parts`.
    fn take(&self, parts: impl FnOnce() -> u64) -> Option<Range<u64>> {
        let from = self.walk.get();
        if from == END {
            return None;
        }
        let to = from.saturating_add(END / parts().max(1));
        self.walk.try_set(from, to).then_some(from..to)
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Store<Id> {
    /// Forgets the record that was completed at a place, if `wanted` its expiry or the lack of it.
    pub(super) fn forget(&self, at: Oldest, now: Moment, wanted: impl Fn(bool) -> bool) {
        let placed = Placed { at, cells: self.ring.cells() };
        let forget = |_: &Record<Id>, slot: &Slot| self.forget_word(slot, now, wanted);
        if self.cache.look(&placed, forget) == Some(true) {
            self.cache.remove_if(&placed, Slot::is_gone);
        }
    }

    /// Makes a guest of the record that was completed at a place: it stays while there are fewer ids than the
    /// capacity.
    pub(super) fn shelter(&self, at: Oldest) {
        self.cache.look(&Placed { at, cells: self.ring.cells() }, |record, slot| {
            if let State::Done(due) = slot.read().state() {
                self.guests.enter(record, due, Guest::Sheltered);
            }
        });
    }

    /// Makes a record that is done stand for nothing, and counts it.
    fn forget_word(&self, slot: &Slot, now: Moment, wanted: impl Fn(bool) -> bool) -> bool {
        let word = slot.read();
        let State::Done(due) = word.state() else { return false };
        let expired = due.is_passed(now);
        let forgotten = wanted(expired) && slot.forget(word);
        if forgotten {
            self.tally.count(if expired { Event::Expired } else { Event::ForgottenEarly });
        }
        forgotten
    }

    /// Forgets the guest that is chosen. False if there is none.
    fn forget_guest(&self, now: Moment, choose: impl FnOnce(&Rooms) -> Option<Stay>) -> bool {
        let forget = |_: &Record<Id>, slot: &Slot| self.forget_word(slot, now, |_| true);
        // Under the guests' lock, so that no two threads make room for the same id. No user code runs there.
        let taken = self.guests.take(choose, |guest| self.cache.look(guest, forget));
        if let Some((guest, Some(true))) = &taken {
            self.cache.remove_if(guest, Slot::is_gone);
        }
        taken.is_some()
    }

    /// Forgets guests while there are more ids than the capacity.
    ///
    /// Ends: every round but the last takes a guest out.
    pub(super) fn make_room(&self, now: Moment) {
        let crowded = || self.tally.done() > self.rules.capacity;
        let to_go = |rooms: &Rooms| rooms.first_to_go().filter(|_| crowded());
        while !self.guests.is_empty() && self.forget_guest(now, to_go) {}
    }

    /// Forgets a little of what has expired.
    pub(super) fn sweep(&self, now: Moment) {
        self.sweep_ring(SWEPT_PER_COMPLETION, now);
        self.sweep_guests(SWEPT_PER_COMPLETION, now);
    }

    /// In up to `most` cells from the oldest on.
    fn sweep_ring(&self, most: usize, now: Moment) {
        for _ in 0..most {
            let Some(place) = self.ring.next_due(now) else { return };
            self.sweep_place(place, now);
        }
    }

    fn sweep_place(&self, place: u64, now: Moment) {
        if let Some(due) = self.ring.take_due(place, now) {
            self.forget(due, now, |expired| expired);
        }
    }

    fn sweep_guests(&self, most: usize, now: Moment) {
        for _ in 0..most {
            if !self.forget_guest(now, |rooms| rooms.first_expired(now)) {
                return;
            }
        }
    }

    /// Forgets the claims in a stretch of the table whose leases have run out.
    fn sweep_claims(&self, places: Range<u64>, now: Moment) {
        self.cache.look_over(places, |record, slot| {
            let word = slot.read();
            let lapsed = matches!(word.state(), State::Claimed(lease) if lease.is_passed(now));
            let Some(Ended { joined }) = lapsed.then(|| slot.expire(word)).flatten() else {
                return;
            };
            self.tally.count(Event::Leaked);
            if joined {
                self.waiters.wake(record.hash());
            }
            self.remove_gone(record.hash(), record.id());
        });
    }

    /// A bounded cleanup when the last one is long enough ago, which one thread does; or a stretch of a walk.
    pub(super) fn clean_in_passing(&self, now: Moment) {
        if !self.rules.inline {
            return;
        }
        let next = self.upkeep.next.get();
        let after = || now.after(self.rules.cleanup_interval).to_word();
        if Deadline::from_word(next).is_passed(now) && self.upkeep.next.try_set(next, after()) {
            self.timed(|| {
                self.sweep_ring(SWEPT_IN_PASSING, now);
                self.sweep_guests(SWEPT_IN_PASSING, now);
                if let Some(left) = self.upkeep.take(|| 1) {
                    self.sweep_claims(left, now);
                }
                if self.tally.in_progress() > 0 {
                    self.upkeep.walk.set(0);
                }
            });
        }
        if let Some(stretch) = self.upkeep.take(|| self.size() / STRETCH) {
            self.sweep_claims(stretch, now);
        }
    }

    /// Looks everywhere for what has expired, and for claims whose leases have run out; how many ids were forgotten.
    pub(super) fn clean(&self) -> u64 {
        let (now, before) = (self.now(), self.tally.cleaned());
        self.timed(|| {
            self.ring.places().for_each(|place| self.sweep_place(place, now));
            self.sweep_guests(usize::MAX, now);
            if self.tally.in_progress() > 0 {
                self.sweep_claims(0..END, now);
            }
        });
        self.tally.cleaned().saturating_sub(before)
    }

    fn timed(&self, work: impl FnOnce()) {
        let begin = Instant::now();
        work();
        // Somebody may wait for a claim whose lease has run out.
        self.waiters.wake_all();
        self.tally.count(Event::Cleanup);
        self.tally.add(Event::CleanupNanos, nanos(begin.elapsed()));
    }
}

//! The epoch and the list of participants.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bag::{ChargedTo, Collected};
use super::freeing;
use super::handles::{self, AnyDomain};
use super::participant::{Guard, Participant, PinStatus};
use super::stall::{Stall, Timer};
use super::{GRACE, OwnedGuard};
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU64, CachePadded, Holder, Ordering, Relaxed, fence,
    publish_and_fence, seeded, unique,
};

/// One epoch, the participants of the threads that follow it, and what they have retired.
///
/// `T` is what is retired, `L` what the domain's owner keeps for each thread.
pub(crate) struct Domain<T, L> {
    id: u64,
    epoch: CachePadded<AtomicU64>,
    /// Pushed in front, never removed (R5).
    participants: AtomicPtr<Participant<T, L>>,
    closed: AtomicBool,
    /// How often ripe items were put back, and the epoch at which a collection has found all that was
    /// ripe, with the count as it was when that collection began.
    put_back: AtomicU64,
    searched: Relaxed<AtomicU64>,
    /// On a line that advances write to, and pins do not read.
    stall: CachePadded<Stall>,
}

/// A participant that holds the epoch up.
#[derive(Debug)]
pub(crate) struct Laggard {
    /// What its thread is called.
    pub(crate) thread: String,
    /// For how long it is known to do so, in nanoseconds.
    pub(crate) since: u64,
    pub(crate) epochs_behind: u64,
}

impl<T, L> Domain<T, L> {
    pub(crate) fn new() -> Self {
        // From now on the thread can be told after a fork.
        Holder::me();
        Self {
            id: unique(),
            epoch: CachePadded::new(AtomicU64::new(0)),
            participants: AtomicPtr::new(std::ptr::null_mut()),
            closed: AtomicBool::new(false),
            put_back: AtomicU64::new(0),
            searched: Relaxed::<AtomicU64>::new(u64::MAX),
            stall: CachePadded::default(),
        }
    }

    /// Writes the epoch on a participant, before any shared pointer is followed.
    #[inline]
    pub(super) fn pin_participant(&self, state: &AtomicU64) {
        // ORDERING R-e: Acquire: what was unlinked two advances ago and more is seen as unlinked
        // (see "Why three"); pairs with the exchange in `advance`.
        let epoch = self.epoch.load(Ordering::Acquire);
        if seeded("reclaim-pin-unfenced") {
            // ORDERING R-a: Relaxed: the seeded bug.
            return state.store(epoch << 1 | 1, Ordering::Relaxed);
        }
        publish_and_fence(state, epoch << 1 | 1);
    }

    /// Brings a participant that stays pinned up to the present epoch.
    #[inline]
    pub(super) fn refresh_participant(&self, state: &AtomicU64) {
        // ORDERING R-e: Acquire: as in `pin_participant`; this load is all that a renewed participant has instead
        // of a fence.
        let epoch = self.epoch.load(Ordering::Acquire);
        let wanted = epoch << 1 | 1;
        // ORDERING S-o: Relaxed: only the holder writes its state (R1).
        let shown = state.load(Ordering::Relaxed);
        if shown == wanted {
            return;
        }
        if shown == 0 {
            publish_and_fence(state, wanted);
        } else {
            // ORDERING R-d: Release: the reads of the last use end before the new epoch is shown;
            // pairs with the acquire load in `advance`. If it is seen late, the epoch only waits.
            state.store(wanted, Ordering::Release);
        }
    }

    /// Moves the epoch by one if every pinned participant shows the present one.
    ///
    /// # Progress
    ///
    /// Wait-free; one load for each participant that was ever taken at the same time.
    pub(crate) fn advance(&self) -> bool {
        // ORDERING R-f: Acquire: continues the chain of advances; pairs with the exchange below.
        let epoch = self.epoch.load(Ordering::Acquire);
        // ORDERING R-b: SeqCst fence: either a participant that pins now is seen below, or its thread sees
        // all that was unlinked before this fence; pairs with `publish_and_fence`.
        fence(Ordering::SeqCst);
        for participant in self.participants() {
            // ORDERING R-b: Acquire: what the participant's holder read before it moved on or left, it
            // read before the release of anything that this advance lets ripen.
            let state = participant.state.load(Ordering::Acquire);
            if state & 1 == 1 && state >> 1 != epoch && !seeded("reclaim-ignore-laggard") {
                self.stall.note(epoch);
                return false;
            }
        }
        // ORDERING R-f: AcqRel: publishes what was acquired from the participants to the thread that reads the
        // epoch.
        let moved =
            self.epoch.compare_exchange(epoch, epoch + 1, Ordering::AcqRel, Ordering::Relaxed);
        moved.is_ok()
    }

    /// The tag of a batch that is sealed now (R3).
    pub(super) fn tag(&self) -> u64 {
        // ORDERING R-g: SeqCst fence: a reader whose fence comes later sees the batch's items as
        // unlinked; one whose fence came earlier read an epoch no later than the tag.
        fence(Ordering::SeqCst);
        // ORDERING R-g: Relaxed: ordered by the fence.
        let epoch = self.epoch.load(Ordering::Relaxed);
        if seeded("reclaim-tag-old") { epoch.saturating_sub(1) } else { epoch }
    }

    /// Whether a batch with this tag may be freed.
    pub(super) fn is_ripe(&self, tag: u64) -> bool {
        // ORDERING R-h: Acquire: the reads of all who could reach the items are over; pairs with
        // the exchange in `advance`.
        let epoch = self.epoch.load(Ordering::Acquire);
        epoch >= tag + if seeded("reclaim-grace-two") { 2 } else { GRACE }
    }

    /// Moves the epoch if it can be moved, and frees up to `budget` ripe items, of any thread that retired
    /// them. To be called unpinned, or three calls free nothing; inside `sink`, of whatever domain, none
    /// frees anything (R6).
    ///
    /// Each item goes to `sink`, which drops it. A panic in `sink` loses nothing: the other items
    /// stay for the next call.
    pub(crate) fn collect(&self, budget: usize, mut sink: impl FnMut(T, ChargedTo)) -> Collected {
        let Some(_freeing) = freeing::begin() else { return Collected { freed: 0 } };
        let moved = self.advance();
        // ORDERING R-m: Relaxed: only compared; what is ripe is decided by `is_ripe`.
        let epoch = self.epoch.load(Ordering::Relaxed);
        // ORDERING R-m: SeqCst fence: what was put back by a thread that does not see this epoch is
        // found; pairs with the fence in `Bag::put_back_unripe`.
        fence(Ordering::SeqCst);
        // ORDERING R-m: Acquire: what was put back before is found; pairs with `note_put_back`.
        let search = epoch << 32 | self.put_back.load(Ordering::Acquire) & 0xffff_ffff;
        if !moved && self.searched.get() == search {
            // Another thread is in the way, and what was ripe is gone.
            return Collected { freed: 0 };
        }
        let mut left = budget;
        for participant in self.participants() {
            participant.bag.seal_open(self);
            participant.bag.collect(self, &mut left, &mut sink);
        }
        if left > 0 {
            self.searched.set(search);
        }
        Collected { freed: budget - left }
    }

    /// Ripe items were put back after a collection had taken them out, so one that ran meanwhile has
    /// not seen all.
    pub(super) fn note_put_back(&self) {
        // ORDERING R-m: Release: after the push; pairs with the load in `collect`.
        self.put_back.fetch_add(1, Ordering::Release);
    }

    /// Frees everything, ripe or not.
    ///
    /// # Safety
    ///
    /// No thread is pinned in the domain, and no thread will be.
    pub(crate) unsafe fn clear(&self, mut sink: impl FnMut(T, ChargedTo)) {
        for participant in self.participants() {
            // SAFETY: the caller's promise.
            unsafe { participant.bag.clear(&mut sink) };
        }
    }

    /// How many items are retired and not yet freed.
    pub(crate) fn backlog(&self) -> usize {
        // Freed first: an item that is freed in between is counted rather than missed.
        let freed: usize = self.participants().map(|participant| participant.bag.freed()).sum();
        let retired: usize = self.participants().map(|participant| participant.bag.retired()).sum();
        retired.saturating_sub(freed)
    }

    /// All participants that were ever taken, with what the owner keeps on them.
    pub(crate) fn locals(&self) -> impl Iterator<Item = &L> {
        self.participants().map(|participant| &participant.local)
    }

    /// The same, with whether those that sit there are pinned.
    pub(crate) fn pin_statuses(&self) -> impl Iterator<Item = (&L, PinStatus<'_>)> {
        self.participants().map(|participant| (&participant.local, PinStatus(&participant.state)))
    }

    /// How many participants there are: the most threads and owned guards that were here at one time.
    pub(crate) fn participant_count(&self) -> usize {
        self.participants().count()
    }

    /// How many epochs the most backward pinned participant is behind.
    pub(crate) fn reclamation_lag(&self) -> u64 {
        // ORDERING R-n: Acquire, both: a report, ordered only so that the difference is not
        // negative without cause.
        let epoch = self.epoch.load(Ordering::Acquire);
        self.participants()
            .map(|participant| participant.state.load(Ordering::Acquire))
            .filter(|state| state & 1 == 1)
            .map(|state| epoch.saturating_sub(state >> 1))
            .max()
            .unwrap_or(0)
    }

    /// How often the epoch was moved.
    pub(crate) fn epoch(&self) -> u64 {
        // ORDERING R-n: Acquire: a report, as in `reclamation_lag`.
        self.epoch.load(Ordering::Acquire)
    }

    /// How much was ever retired and freed: it changes while others do either.
    pub(crate) fn activity(&self) -> usize {
        let each = self
            .participants()
            .map(|participant| participant.bag.retired().wrapping_add(participant.bag.freed()));
        each.fold(0, usize::wrapping_add)
    }

    /// For how long it is known that the epoch cannot be moved, by the system's clock.
    pub(crate) fn stalled_for(&self) -> Duration {
        self.stall.lasted(self.epoch())
    }

    /// Has it measured by `timer` for how long the epoch could not be moved.
    pub(crate) fn time_by(&self, timer: Timer) {
        self.stall.time_by(timer);
    }

    /// The participants that hold the epoch up.
    pub(crate) fn laggards(&self) -> Vec<Laggard> {
        // ORDERING R-n: Acquire, both: a report, as in `reclamation_lag`.
        let epoch = self.epoch.load(Ordering::Acquire);
        let laggard = |participant: &Participant<T, L>| {
            let state = participant.state.load(Ordering::Acquire);
            let epochs_behind = epoch.saturating_sub(state >> 1);
            let behind = state & 1 == 1 && epochs_behind > 0;
            let (thread, since) = (participant.name().filter(|_| behind)?, self.stall.since(epoch));
            Some(Laggard { thread, since, epochs_behind })
        };
        self.participants().filter_map(laggard).collect()
    }

    pub(super) fn participants(&self) -> impl Iterator<Item = &Participant<T, L>> {
        // ORDERING R-k: Acquire: pairs with the exchange in `acquire_participant`, which publishes the participant.
        let mut next = self.participants.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: by R5 a published participant lives as long as the domain.
            let participant = unsafe { next.as_ref() }?;
            // ORDERING S-o: Relaxed: written before the participant was published.
            next = participant.next.load(Ordering::Relaxed);
            Some(participant)
        })
    }
}

impl<T, L: Default> Domain<T, L> {
    /// Takes a free participant, or adds one.
    pub(super) fn acquire_participant(&self) -> &Participant<T, L> {
        if let Some(participant) = self.participants().find(|participant| participant.try_acquire())
        {
            return participant;
        }
        self.add_participant()
    }

    fn add_participant(&self) -> &Participant<T, L> {
        let new = Box::into_raw(Box::new(Participant::new(L::default())));
        // SAFETY: just made from a box, and freed with the domain only (R5).
        let participant = unsafe { &*new };
        // ORDERING S-h: Relaxed: the exchange below checks it.
        let mut head = self.participants.load(Ordering::Relaxed);
        loop {
            // ORDERING S-o: Relaxed: published by the exchange.
            participant.next.store(head, Ordering::Relaxed);
            // ORDERING R-k: Release: publishes the participant; pairs with the acquire load in `participants`. On
            // failure another participant was added; take the new head and try again.
            match self.participants.compare_exchange(
                head,
                new,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return participant,
                Err(now) => head = now,
            }
        }
    }
}

#[cfg(all(test, clockhand_loom))]
impl<T, L: Default> Domain<T, L> {
    /// A guard on a participant that is taken for it alone: the model checker's threads have no handle lists.
    pub(crate) fn pin_transient(&self) -> Guard<'_, T, L> {
        Guard::new(self, self.acquire_participant(), true)
    }

    /// Retires an item with a tag of its own, without a pin, in the bag of the participant that was added last.
    pub(super) fn retire_unpinned(&self, item: super::Retired<T>) {
        let participant = self.participants().next().expect("a seat was added");
        participant.bag.put(self, item, ChargedTo::Nowhere);
        participant.bag.seal_open(self);
    }

    pub(super) fn seal_all(&self) {
        self.participants().for_each(|participant| participant.bag.seal_open(self));
    }

    pub(super) fn collect_ripe(&self) {
        self.participants().for_each(|participant| {
            participant.bag.collect(self, &mut usize::MAX.clone(), &mut |item, _| drop(item));
        });
    }
}

impl<T: Send + 'static, L: Default + Send + Sync + 'static> Domain<T, L> {
    /// Pins the calling thread.
    ///
    /// # Progress
    ///
    /// Wait-free: one locked instruction, and none if the thread is pinned already. The first call
    /// of a thread takes a participant, which is lock-free and may allocate.
    #[inline]
    pub(crate) fn pin(self: &Arc<Self>) -> Guard<'_, T, L> {
        let (participant, transient) = handles::participant(self);
        Guard::new(self, participant, transient)
    }

    /// A participant of its own for a reader.
    pub(crate) fn owned_guard(self: &Arc<Self>) -> OwnedGuard<T, L> {
        OwnedGuard::new(Arc::clone(self))
    }
}

impl<T, L> Domain<T, L> {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Takes their participants from the threads that a fork has left behind; how many. To be called in the child,
    /// by the thread that called `fork`; called by another, or elsewhere, it does nothing.
    ///
    /// What such a thread had in its hands is lost: a batch that it filled or freed.
    pub(crate) fn reset_after_fork(&self) -> usize {
        let me = Holder::me();
        if !me.is_from_elsewhere() {
            return 0;
        }
        // This is the one thread that was not left behind, and no other calls this: what these holders
        // had belongs to no thread (R1, R5).
        self.participants().for_each(|participant| participant.bag.forget_taker());
        let left = self.participants().filter(|participant| participant.was_left_by_fork(me));
        left.map(Participant::release).count()
    }

    /// Lets the threads that still have a participant here forget it.
    pub(crate) fn close(&self) {
        // ORDERING S-h: Relaxed: a hint to the handle lists.
        self.closed.store(true, Ordering::Relaxed);
    }
}

impl<T: Send, L: Send + Sync> AnyDomain for Domain<T, L> {
    unsafe fn release(&self, participant: *const ()) {
        // SAFETY: the caller passes a participant of this domain, which lives as long as it (R5).
        let participant = unsafe { &*participant.cast::<Participant<T, L>>() };
        participant.abandon();
    }

    fn closed(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint.
        self.closed.load(Ordering::Relaxed)
    }
}

impl<T, L> Drop for Domain<T, L> {
    fn drop(&mut self) {
        // ORDERING R-l: Acquire: as in `participants`; no other thread is here any more.
        let mut next = self.participants.load(Ordering::Acquire);
        while !next.is_null() {
            // SAFETY: every participant was made by `add_participant` from a box, and is freed here once.
            let participant = unsafe { Box::from_raw(next) };
            // ORDERING S-o: Relaxed: written before the participant was published.
            next = participant.next.load(Ordering::Relaxed);
        }
    }
}

// SAFETY: a domain hands out shared participants, whose words are atomics and whose local part is `Sync`;
// retired items are taken and freed on any thread, hence `T: Send`.
unsafe impl<T: Send, L: Send + Sync> Sync for Domain<T, L> {}
// SAFETY: as above; dropping the domain drops participants and items on the last thread.
unsafe impl<T: Send, L: Send + Sync> Send for Domain<T, L> {}

impl<T, L> fmt::Debug for Domain<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain")
            .field("id", &self.id)
            .field("seats", &self.participant_count())
            .field("lag", &self.reclamation_lag())
            .finish_non_exhaustive()
    }
}

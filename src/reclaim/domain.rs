//! The epoch and the list of participants.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bag::{BatchPool, ChargedTo, Collected};
use super::epoch::{Epoch, Stamp};
use super::freeing::{self, CollectionCounter, CollectionKind};
use super::handles::{self, AnyDomain};
use super::open_batch::BATCH;
use super::participant::{Guard, Participant, PinStatus};
use super::participant_scan::{self, ParticipantScan};
#[cfg(all(test, clockhand_loom))]
use super::pin_state::NeutralizeRequest;
use super::pin_state::{PinState, State};
use super::queue::{Queue, Seal};
use super::stall::{Stall, Timer};
use super::validate::{Mode, Reads};
use super::{OwnedGuard, Reclaim};
use crate::sync::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, CachePadded, Holder, Ordering,
    Relaxed, fence, relaxed_if_seeded, seeded, unique,
};

/// Retirements from one look for ripe items to the next, unless the owner wants more looks.
const LOOK_STEP: usize = if cfg!(any(clockhand_loom, clockhand_seeds)) { 1 } else { 8 };

/// How often a thread looks whether those in the way have gone on, before they are neutralized: a read that is on its way
/// is over by then. Models have no use for it.
const SPINS_BEFORE_NEUTRALIZING: usize = if cfg!(clockhand_loom) { 0 } else { 32 };

/// One epoch, the participants of the threads that follow it, and what they have retired.
///
/// `T` is what is retired, `L` what the domain's owner keeps for each thread.
pub(crate) struct Domain<T, L> {
    id: u64,
    /// How often another thread was neutralized, and one more. An item is born in the era that its creator has read.
    era: AtomicU32,
    /// How many items were ever retired when the era began.
    retired_before: Relaxed<AtomicUsize>,
    /// Retirements from one look of a thread for ripe items to its next, and from one batch to the next, at most.
    look_step: Relaxed<AtomicUsize>,
    seal_step: Relaxed<AtomicUsize>,
    epoch: Epoch,
    /// Pushed in front, never removed (R5).
    participants: AtomicPtr<Participant<T, L>>,
    closed: AtomicBool,
    /// What was kept for those who have gone on since.
    pub(super) back: BatchPool<T>,
    /// How often ripe items were put back, and the epoch at which a collection has found all that was
    /// ripe, with the count as it was when that collection began.
    put_back: AtomicU64,
    /// How many collections for all participants are under way.
    collections: CollectionCounter,
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
            era: AtomicU32::new(1),
            retired_before: Relaxed::<AtomicUsize>::new(0),
            look_step: Relaxed::<AtomicUsize>::new(LOOK_STEP),
            seal_step: Relaxed::<AtomicUsize>::new(BATCH),
            epoch: Epoch::default(),
            participants: AtomicPtr::new(std::ptr::null_mut()),
            closed: AtomicBool::new(false),
            back: BatchPool::default(),
            put_back: AtomicU64::new(0),
            collections: CollectionCounter::default(),
            searched: Relaxed::<AtomicU64>::new(u64::MAX),
            stall: CachePadded::default(),
        }
    }

    /// Writes the epoch on a participant, before any shared pointer is followed.
    #[inline]
    pub(super) fn pin_participant<M: Mode>(&self, pin_state: &PinState) {
        // ORDERING R-e: Acquire: what was unlinked two advances ago and more is seen as unlinked
        // (see "Why three"); pairs with the exchange in `Epoch::advance`.
        let stamp = self.epoch.stamp(Ordering::Acquire);
        // ORDERING R-x: Relaxed: read before the fence of the pin, so what was sealed in an older era is seen as unlinked.
        pin_state.pin(stamp, self.era.load(Ordering::Relaxed), M::WRITES);
    }

    /// Brings a participant that stays pinned up to the present epoch.
    #[inline]
    pub(super) fn refresh_participant(&self, pin_state: &PinState) {
        // ORDERING R-e: Acquire: as in `pin_participant`; this load is all that a renewed participant has instead
        // of a fence.
        let stamp = self.epoch.stamp(Ordering::Acquire);
        // ORDERING R-x: Relaxed: as in `pin_participant`.
        pin_state.renew(stamp, || self.era.load(Ordering::Relaxed));
    }

    /// When an item is born that is made now: read before the item is published.
    #[inline(always)]
    pub(crate) fn birth(&self) -> u32 {
        // ORDERING R-u: Acquire: who was neutralized before the era began that is read here, is seen as neutralized by who
        // follows what is published later; pairs with the step of the era in `next_era`.
        self.era.load(relaxed_if_seeded("reclaim-birth-relaxed", Ordering::Acquire))
    }

    /// Moves the epoch by one if every pinned participant shows the present one, or was neutralized, and says who holds what is ripe. Items
    /// that were kept for a thread that has gone on are back.
    ///
    /// # Progress
    ///
    /// Wait-free; one load for each participant that was ever taken at the same time.
    fn scan_and_advance(&self) -> ParticipantScan<'_, T> {
        let (mut scan, stamp) = self.scan_participants();
        if scan.is_blocked {
            self.stall.note(stamp.epoch());
            return scan;
        }
        if self.epoch.advance(stamp) {
            scan.has_moved();
        }
        scan
    }

    /// Looks at all participants; and the epoch before that.
    fn scan_participants(&self) -> (ParticipantScan<'_, T>, Stamp) {
        // ORDERING R-f: Acquire: continues the chain of advances; pairs with the exchange in `Epoch::advance`.
        let stamp = self.epoch.stamp(Ordering::Acquire);
        let mut scan = ParticipantScan::at(stamp.epoch());
        // ORDERING R-b: SeqCst fence: either a participant that pins now is seen below, or its thread sees
        // all that was unlinked before this fence; pairs with `publish_and_fence`.
        fence(Ordering::SeqCst);
        for participant in self.participants() {
            // The era before the state: one that is too old only keeps more.
            let pin_era = participant.pin_state.pin_era();
            let state = participant.pin_state.state();
            if participant.pin_state.gives_up(state) {
                participant.bag.give_back(&self.back);
                self.note_put_back();
            }
            scan.visit(participant, state, pin_era);
        }
        (scan, stamp)
    }

    /// The same; and those that keep the epoch from moving are neutralized, if `pressure` says so, which is told whether a
    /// write is among them.
    pub(super) fn scan_or_neutralize(
        &self,
        pressure: impl FnOnce(bool) -> bool,
    ) -> ParticipantScan<'_, T> {
        let scan = self.scan_and_advance();
        let waits = !scan.is_blocked || !pressure(scan.is_blocked_by_write);
        if waits || seeded("reclaim-neutralize-nobody") {
            return scan;
        }
        if scan.is_blocked_by_write {
            // A writer that has lost its processor is waited for, and garbage gathers meanwhile. Threads that pin from now on
            // shall not hold what was retired before; and those that read hold no more than what is there now.
            self.neutralize(|_| true);
        } else if self.has_sleeper() {
            // ORDERING R-n: Relaxed: who shows another epoch than this one is neutralized, whatever the present one is.
            let epoch = self.epoch.load(Ordering::Relaxed);
            self.neutralize(|state| state.epoch() != epoch);
        }
        self.scan_and_advance()
    }

    /// Whether a thread that reads has kept the epoch from moving for a while. A step of the era is not for one
    /// that is on its way: writes in a small cache take one each if there is always another thread that reads, and the era would come
    /// to its end in hours.
    fn has_sleeper(&self) -> bool {
        // ORDERING R-n: Relaxed: as in `neutralize`.
        let epoch = self.epoch.load(Ordering::Relaxed);
        let stays = |pin_state: &PinState| {
            (0..SPINS_BEFORE_NEUTRALIZING).all(|_| {
                std::hint::spin_loop();
                pin_state.is_blocking(epoch)
            })
        };
        let mut pin_states = self.participants().map(|participant| &participant.pin_state);
        pin_states.any(|pin_state| pin_state.is_blocking(epoch) && stays(pin_state))
    }

    /// Whether a thread that writes shows another epoch than the present one, as far as is known.
    pub(crate) fn is_held_up_by_write(&self) -> bool {
        // ORDERING R-n: Relaxed: as in `neutralize`.
        let epoch = self.epoch.load(Ordering::Relaxed);
        let mut states = self.participants().map(|participant| participant.pin_state.state());
        states.any(|state| state.is_pinned() && state.writes() && state.epoch() != epoch)
    }

    /// Neutralizes all who read and show such a state, with one step of the era for all of them. What was retired before is
    /// sealed before that step, so that no thread holds it that pins after it.
    #[cold]
    fn neutralize(&self, is_meant: impl Fn(State) -> bool) {
        self.participants().for_each(|participant| participant.bag.seal_open(self));
        self.retired_before.set(self.ever_retired());
        let early = seeded("reclaim-era-first").then(|| self.next_era());
        let request = |participant| {
            let participant: &Participant<T, L> = participant;
            Some((participant, participant.pin_state.request(&is_meant)?))
        };
        let all: Vec<_> = self.participants().filter_map(request).collect();
        let bound = early.unwrap_or_else(|| self.next_era());
        let times = self.stall.began(self.epoch());
        for (participant, request) in all {
            participant.pin_state.complete(request, bound, times);
        }
        self.epoch.count_neutralized();
        self.note_put_back();
    }

    /// How many items were retired since the era began.
    pub(crate) fn retired_in_era(&self) -> usize {
        self.ever_retired().wrapping_sub(self.retired_before.get())
    }

    fn ever_retired(&self) -> usize {
        self.participants()
            .map(|participant| participant.bag.retired())
            .fold(0, usize::wrapping_add)
    }

    fn ever_freed(&self) -> usize {
        let freed = self.participants().map(|participant| participant.bag.freed());
        freed.fold(0, usize::wrapping_add)
    }

    /// Moves the era; the one before. The last one is moved no more: the thread that is neutralized holds everything then.
    fn next_era(&self) -> u32 {
        let next = |era: u32| era.checked_add(1);
        // ORDERING R-u: AcqRel: Release: for which threads that was requested; pairs with the load in `birth`. Acquire:
        // continues the chain of those that neutralize.
        let moved = self.era.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        moved.unwrap_or_else(|last| last)
    }

    /// Moves the epoch by one if it can be moved.
    #[cfg(test)]
    pub(crate) fn advance(&self) -> bool {
        self.scan_and_advance().moved
    }

    /// The seal of a batch that is sealed now (R3).
    pub(super) fn seal(&self) -> Seal {
        // ORDERING R-g: SeqCst fence: a reader whose fence comes later sees the batch's items as
        // unlinked; one whose fence came earlier read an epoch, and an era, no later than these.
        fence(Ordering::SeqCst);
        // ORDERING R-g: Relaxed: ordered by the fence.
        let epoch = self.epoch.load(Ordering::Relaxed);
        // ORDERING R-x: Relaxed: ordered by the fence.
        let era = self.era.load(Ordering::Relaxed);
        let tag = if seeded("reclaim-tag-old") { epoch.saturating_sub(1) } else { epoch };
        Seal { tag, era: if seeded("reclaim-seal-era-old") { era - 1 } else { era } }
    }

    /// Whether a batch with this tag may be freed.
    pub(super) fn is_ripe(&self, tag: u64) -> bool {
        // ORDERING R-h: Acquire: the reads of all who could reach the items are over; pairs with
        // the exchange in `advance`.
        participant_scan::is_ripe(tag, self.epoch.load(Ordering::Acquire))
    }

    /// Moves the epoch if it can be moved, and frees up to `budget` ripe items, of any thread that retired
    /// them. To be called unpinned, or three calls free nothing; inside `sink`, of whatever domain, none
    /// frees anything (R6).
    ///
    /// Each item goes to `sink`, which drops it. A panic in `sink` loses nothing: the other items
    /// stay for the next call.
    ///
    /// If others keep the epoch from moving, they are neutralized if `pressure` says so, which is told whether a write is among them.
    pub(crate) fn collect(
        &self,
        (budget, pressure): (usize, impl FnOnce(bool) -> bool),
        mut sink: impl FnMut(T, ChargedTo),
    ) -> Collected
    where
        T: Reclaim,
    {
        let Some(_freeing) = freeing::begin() else { return Collected { freed: 0 } };
        let scan = self.scan_or_neutralize(pressure);
        // ORDERING R-m: Relaxed: only compared; what is ripe is decided by `is_ripe`.
        let epoch = self.epoch.load(Ordering::Relaxed);
        // ORDERING R-m: SeqCst fence: what was put back by a thread that does not see this epoch is
        // found; pairs with the fence in `Bag::put_back_unripe`.
        fence(Ordering::SeqCst);
        // ORDERING R-m: Acquire: what was put back before is found; pairs with `note_put_back`.
        let search = epoch << 32 | self.put_back.load(Ordering::Acquire) & 0xffff_ffff;
        if !scan.moved && self.searched.get() == search {
            // Another thread is in the way, and what was ripe is gone.
            return Collected { freed: 0 };
        }
        let mut left = budget;
        let _collecting = self.collections.begin(CollectionKind::ByAll);
        for participant in self.participants() {
            participant.bag.seal_open(self);
            participant.bag.collect(self, &scan, &mut left, &mut sink);
        }
        if left > 0 {
            self.searched.set(search);
        }
        Collected { freed: budget - left }
    }

    /// Has `charge` say anew what all that is charged to which is kept for those who sleep. It is looked at again by the
    /// collections that follow.
    pub(crate) fn recharge_kept(&self, mut charge: impl FnMut(&T, ChargedTo) -> ChargedTo) {
        let (mut kept, mut back) = (self.back.take(), Queue::default());
        self.participants().for_each(|participant| kept.append(participant.bag.take_kept()));
        while let Some(mut batch) = kept.pop() {
            batch.items.iter_mut().for_each(|(item, charged_to)| {
                *charged_to = charge(item, *charged_to);
            });
            back.push(batch);
        }
        if self.back.put(back) {
            self.note_put_back();
        }
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
            participant.bag.take_over(&self.back);
            // SAFETY: the caller's promise.
            unsafe { participant.bag.clear(&mut sink) };
        }
    }

    /// How many items are retired and not yet freed.
    pub(crate) fn backlog(&self) -> usize {
        // Freed first: an item that is freed in between is counted rather than missed.
        let freed = self.ever_freed();
        self.ever_retired().saturating_sub(freed)
    }

    /// All participants that were ever taken, with what the owner keeps on them.
    pub(crate) fn locals(&self) -> impl Iterator<Item = &L> {
        self.participants().map(|participant| &participant.local)
    }

    /// The same, with whether those that sit there are pinned.
    pub(crate) fn pin_statuses(&self) -> impl Iterator<Item = (&L, PinStatus<'_>)> {
        self.participants()
            .map(|participant| (&participant.local, PinStatus(&participant.pin_state)))
    }

    /// How many participants there are: the most threads and owned guards that were here at one time.
    pub(crate) fn participant_count(&self) -> usize {
        self.participants().count()
    }

    /// How many epochs the most backward pinned participant is behind.
    pub(crate) fn reclamation_lag(&self) -> u64 {
        // ORDERING R-n: Acquire: a report, ordered only so that the difference is not
        // negative without cause.
        let epoch = self.epoch.load(Ordering::Acquire);
        self.participants()
            .map(|participant| participant.pin_state.state())
            .filter(|state| state.is_pinned())
            .map(|state| epoch.saturating_sub(state.epoch()))
            .max()
            .unwrap_or(0)
    }

    /// Whether a participant that shows an older epoch than the present one may hold an item that was born then, or one has
    /// lent it alone.
    pub(super) fn is_held_by_laggard(&self, birth: u32, address: usize) -> bool {
        // ORDERING R-n: Acquire: a hint, as in `reclamation_lag`: what is retired for it is freed by `ParticipantScan` alone.
        let epoch = self.epoch.load(Ordering::Acquire);
        self.participants().any(|participant| {
            let state = participant.pin_state.state();
            let pin_state = &participant.pin_state;
            let lags = state.is_pinned() && state.epoch() < epoch;
            lags && pin_state.bound(state).is_none_or(|bound| birth <= bound)
                || state.holds_item() && pin_state.lent.hazard() == address
        })
    }

    /// How often the epoch was moved.
    pub(crate) fn epoch(&self) -> u64 {
        // ORDERING R-n: Acquire: a report, as in `reclamation_lag`.
        self.epoch.load(Ordering::Acquire)
    }

    /// How much was ever retired and freed: it changes while others do either.
    pub(crate) fn activity(&self) -> usize {
        self.ever_retired().wrapping_add(self.ever_freed())
    }

    /// For how long it is known that the epoch cannot be moved, by the system's clock.
    pub(crate) fn stalled_for(&self) -> Duration {
        self.stall.lasted(self.epoch())
    }

    /// Whether garbage is kept for a thread that was neutralized, or has lent an item.
    pub(crate) fn keeps(&self) -> bool {
        self.participants().any(|participant| participant.pin_state.keeps())
    }

    /// Whether garbage is kept for a thread that was neutralized: of any kind, and much of it.
    pub(crate) fn keeps_for_pins(&self) -> bool {
        self.participants().any(|participant| participant.pin_state.keeps_for_pin())
    }

    /// Has the owned guards of the calling thread hold no more than what they have lent, as far as that is known.
    pub(crate) fn narrow_own_guards(&self) {
        let own = self.participants().filter(|participant| participant.is_mine());
        own.for_each(|participant| participant.pin_state.narrow());
    }

    /// Whether a thread has garbage in its hand that it frees, or may put back.
    pub(crate) fn is_collecting(&self) -> bool {
        self.collections.any()
            || self.participants().any(|participant| participant.collections.any())
    }

    /// Whether no other thread is pinned who was neutralized a shorter time ago than this: what such a thread has in its hand
    /// may be given back yet. An owned guard of the calling thread stays as it is while that looks.
    pub(crate) fn sleepers_slept_for(&self, patience: Duration) -> bool {
        let others = self.participants().filter(|participant| !participant.is_mine());
        let since = others.filter_map(|participant| {
            participant.pin_state.asleep_since_or(|| self.stall.began(self.epoch()))
        });
        since.map(|[_, since]| self.stall.lasted_since(since)).all(|lasted| lasted >= patience)
    }

    /// Whether threads seal what they retire after a few items, as these are a lot, and look for ripe ones after each.
    pub(crate) fn seal_often(&self, after_few: bool, look_always: bool) {
        self.seal_step.set(if after_few { BATCH.min(4) } else { BATCH });
        self.look_step.set(if after_few && look_always { 1 } else { LOOK_STEP });
    }

    #[inline]
    pub(super) fn seal_step(&self) -> usize {
        self.seal_step.get()
    }

    #[inline]
    pub(super) fn look_step(&self) -> usize {
        self.look_step.get()
    }

    /// Has it measured by `timer` for how long the epoch could not be moved.
    pub(crate) fn time_by(&self, timer: Timer) {
        self.stall.time_by(timer);
    }

    /// The participants that hold the epoch up.
    pub(crate) fn laggards(&self) -> Vec<Laggard> {
        // ORDERING R-n: Acquire: a report, as in `reclamation_lag`.
        let epoch = self.epoch.load(Ordering::Acquire);
        let laggard = |participant: &Participant<T, L>| {
            let state = participant.pin_state.state();
            let epochs_behind = epoch.saturating_sub(state.epoch());
            let behind = state.is_pinned() && epochs_behind > 0;
            let thread = participant.name().filter(|_| behind)?;
            let asleep = participant.pin_state.asleep_since(state);
            let since =
                asleep.map_or_else(|| self.stall.since(epoch), |[at, _]| self.stall.elapsed(at));
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

#[cfg(test)]
impl<T, L> Domain<T, L> {
    /// Neutralizes all who are pinned, whatever they show.
    pub(crate) fn neutralize_all(&self) {
        self.neutralize(|_| true);
    }

    /// A step of the era for which no thread is neutralized that is here.
    #[cfg(clockhand_loom)]
    pub(crate) fn neutralize_none(&self) {
        self.neutralize(|_| false);
    }
}

#[cfg(all(test, clockhand_loom))]
impl<T: Reclaim, L: Default> Domain<T, L> {
    /// A guard on a participant that is taken for it alone: the model checker's threads have no handle lists.
    pub(crate) fn pin_transient(&self) -> Guard<'_, T, L> {
        Guard::new(self, self.acquire_participant(), true)
    }

    /// The same, to read.
    pub(crate) fn pin_transient_to_read(&self) -> Guard<'_, T, L, Reads> {
        Guard::new(self, self.acquire_participant(), true)
    }

    /// Retires an item with a tag of its own, without a pin, in the bag of the participant that was added last.
    pub(super) fn retire_unpinned(&self, item: super::Retired<T>) {
        let participant = self.participants().next().expect("a seat was added");
        participant.bag.put(self, item, ChargedTo::Nowhere);
        participant.bag.seal_open(self);
    }

    /// The first half of neutralizing, for the participant that was added last; the request and the bound.
    pub(super) fn request_first(&self) -> (NeutralizeRequest, u32) {
        let participant = self.participants().next().expect("a participant was added");
        let request = participant.pin_state.request(|_| true).expect("it is pinned");
        (request, self.next_era())
    }

    /// The second half.
    pub(super) fn complete_first(&self, request: NeutralizeRequest, bound: u32) {
        let participant = self.participants().next().expect("a participant was added");
        participant.pin_state.complete(request, bound, [0; 2]);
    }

    pub(super) fn seal_all(&self) {
        self.participants().for_each(|participant| participant.bag.seal_open(self));
    }

    pub(super) fn collect_ripe(&self) {
        self.participants().for_each(|participant| {
            let (scan, _) = self.scan_participants();
            participant
                .bag
                .collect(self, &scan, &mut usize::MAX.clone(), &mut |item, _| drop(item));
        });
    }
}

impl<T: Send + 'static, L: Default + Send + Sync + 'static> Domain<T, L> {
    /// Pins the calling thread to write: it is not neutralized.
    ///
    /// # Progress
    ///
    /// Wait-free: one locked instruction, and none if the thread writes already. The first call
    /// of a thread takes a participant, which is lock-free and may allocate.
    #[inline]
    pub(crate) fn pin(self: &Arc<Self>) -> Guard<'_, T, L> {
        let (participant, transient) = handles::participant(self);
        Guard::new(self, participant, transient)
    }

    /// Pins the calling thread to read: it may be neutralized.
    ///
    /// # Progress
    ///
    /// The same; no locked instruction if the thread is pinned already.
    #[inline]
    pub(crate) fn pin_to_read(self: &Arc<Self>) -> Guard<'_, T, L, Reads> {
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
        self.collections.reset();
        self.participants().for_each(|participant| {
            participant.collections.reset();
            participant.bag.forget_taker();
        });
        let left = self.participants().filter(|participant| participant.was_left_by_fork(me));
        left.map(Participant::release).count()
    }

    /// What the owner keeps for threads of the process that this one was forked from. Before `reset_after_fork`.
    pub(crate) fn locals_left_by_fork(&self) -> impl Iterator<Item = &L> {
        let me = Holder::me();
        let left = self.participants().filter(move |participant| participant.was_left_by_fork(me));
        left.map(|participant| &participant.local)
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
        if let Some(participant) = self.participants().next() {
            participant.bag.take_over(&self.back);
        }
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

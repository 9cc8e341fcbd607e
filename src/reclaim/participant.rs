//! A thread's part of a domain, and the guards that pin it.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::Reclaim;
use super::bag::{Bag, ChargedTo, Retired};
use super::domain::Domain;
use super::freeing::{self, CollectionCounter, CollectionKind};
use super::lent::Lent;
use super::name::ThreadName;
use super::pin_state::PinState;
use super::validate::{Mode, Outcome, PinnedParticipant, Reads, Writes};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Holder, Ordering, Relaxed};

/// Set in the count of guards when the thread has given up the participant under them.
const ORPHANED: u32 = 1 << 31;

/// Guards that a thread may hold of one domain at a time. Few where the limit is tested.
const MAX_GUARDS: u32 = if cfg!(test) { 1 << 10 } else { 1 << 30 };

/// A thread's part of a domain: what the others must see of it, its bag of retired items, and what the owner of the
/// domain keeps for each thread.
///
/// Participants are never freed before the domain: a thread that ends leaves its participant, with all that was
/// counted there, to the next thread that comes.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Participant<T, L> {
    pub(super) pin_state: PinState,
    /// The thread that holds it; none if it is free.
    holder: AtomicU64,
    name: ThreadName,
    /// How many guards the holder has, and whether its thread has ended under them.
    nested: Relaxed<AtomicU32>,
    /// Whether the holder has garbage from here in its hand.
    pub(super) collections: CollectionCounter,
    pub(super) next: AtomicPtr<Participant<T, L>>,
    pub(super) bag: Bag<T>,
    pub(super) local: L,
}

impl<T, L> Participant<T, L> {
    pub(super) fn new(local: L) -> Self {
        let (me, name) = (Holder::me(), ThreadName::default());
        name.write(me);
        Self {
            pin_state: PinState::new(),
            holder: AtomicU64::new(me.into_raw()),
            name,
            nested: Relaxed::<AtomicU32>::new(0),
            collections: CollectionCounter::default(),
            next: AtomicPtr::new(std::ptr::null_mut()),
            bag: Bag::new(),
            local,
        }
    }

    /// Leaves the participant to the next thread. Its bag and its local part stay as they are.
    pub(super) fn release(&self) {
        self.nested.set(0);
        self.pin_state.release();
        // ORDERING R-j: Release: hands the participant's local part to the next holder; pairs with the exchange in
        // `try_acquire`.
        self.holder.store(Holder::NONE, Ordering::Release);
    }

    /// Takes the participant for the calling thread if no thread has it.
    pub(super) fn try_acquire(&self) -> bool {
        let me = Holder::me();
        let (from, to) = (Holder::NONE, me.into_raw());
        // ORDERING R-j: Acquire: what the last holder left on the participant; pairs with the release in `release`.
        let taken = self.holder.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_ok() {
            self.name.write(me);
        }
        taken.is_ok()
    }

    /// What the thread that has it is called, if any thread does.
    pub(super) fn name(&self) -> Option<String> {
        // ORDERING R-j: Relaxed: only compared with whose name it is.
        let holder = Holder::from_raw(self.holder.load(Ordering::Relaxed))?;
        self.name.read(holder)
    }

    /// Whether the calling thread has it.
    pub(super) fn is_mine(&self) -> bool {
        // ORDERING R-j: Relaxed: what the calling thread has written itself, or another's, which differs.
        self.holder.load(Ordering::Relaxed) == Holder::me().into_raw()
    }

    /// Whether the participant's holder is a thread of the process that this one was forked from, and not `me`.
    pub(super) fn was_left_by_fork(&self, me: Holder) -> bool {
        // ORDERING R-j: Relaxed: what a thread that is not here has written was copied with everything else.
        let holder = Holder::from_raw(self.holder.load(Ordering::Relaxed));
        holder.is_some_and(|holder| holder.was_left_by_fork(me))
    }

    /// Leaves the participant when the holder's last guard is gone, which may be later than the handle list of
    /// its thread: destructors of thread-locals run in any order.
    pub(super) fn abandon(&self) {
        match self.nested.get() {
            0 => self.release(),
            guards => self.nested.set(guards | ORPHANED),
        }
    }

    /// Frees up to `budget` of the items that were retired here, if any are sealed and the thread is not
    /// freeing already.
    #[inline(never)]
    fn try_collect<F>(
        &self,
        domain: &Domain<T, L>,
        (mut budget, pressure): (usize, impl FnOnce(bool) -> bool),
        sink: impl FnOnce() -> F,
    ) where
        T: Reclaim,
        F: FnMut(T, ChargedTo),
    {
        let Some(_freeing) = freeing::begin() else { return };
        let any = self.bag.begin_collection(domain);
        // Also where nothing is sealed yet: who sleeps holds what is in the cache when it is neutralized.
        let scan = domain.scan_or_neutralize(pressure);
        if any && budget > 0 {
            let _collecting = self.collections.begin(CollectionKind::ByOne);
            self.bag.collect(domain, &scan, &mut budget, &mut sink());
        }
    }

    /// Pins the thread; whether it was not writing before, and does now.
    #[inline]
    fn enter<M: Mode>(&self, domain: &Domain<T, L>) -> bool {
        let depth = self.nested.get();
        let begins = if depth == 0 {
            domain.pin_participant::<M>(&self.pin_state);
            M::WRITES
        } else if depth & !ORPHANED == MAX_GUARDS {
            // One more would look like a participant that was given up, under guards that lend.
            panic!("a thread holds more than 2^30 guards of one cache: let go of some");
        } else {
            M::WRITES && self.pin_state.begin_writing()
        };
        self.nested.set(depth + 1);
        begins
    }

    /// Ends a pin, and with it the write that has begun with it, if one has.
    #[inline]
    fn unpin(&self, ends: bool) {
        let depth = self.nested.get() - 1;
        self.nested.set(depth);
        if depth == 0 {
            self.pin_state.unpin();
        } else if depth == ORPHANED {
            self.release();
        } else if ends {
            self.pin_state.end_writing();
        }
    }
}

/// Whether a thread that has a participant is pinned, as others see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PinStatus<'d>(pub(super) &'d PinState);

impl PinStatus<'_> {
    /// Whether it is pinned. Where it is not, what its holder did when it was is seen.
    pub(crate) fn is_pinned(self) -> bool {
        self.0.state().is_pinned()
    }
}

/// Evidence that the calling thread is pinned for `'g`, in a mode; what a guard lends to the thread that reads or writes.
#[derive(Debug)]
pub(crate) struct GuardRef<'g, T, L, M = Writes> {
    pub(super) domain: &'g Domain<T, L>,
    pub(super) participant: &'g Participant<T, L>,
    /// It is tied to the thread that is pinned.
    _here: PhantomData<(*mut (), M)>,
}

impl<T, L, M> Clone for GuardRef<'_, T, L, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, L, M> Copy for GuardRef<'_, T, L, M> {}

/// The same without the domain, for callers that have it anyway: one pointer, so that a value which has it is passed in
/// registers.
#[derive(Debug)]
pub(crate) struct Pinned<'g, T, L, M = Writes>(&'g Participant<T, L>, PhantomData<(*mut (), M)>);

impl<T, L, M> Clone for Pinned<'_, T, L, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, L, M> Copy for Pinned<'_, T, L, M> {}

impl<'g, T, L, M> Pinned<'g, T, L, M> {
    /// The whole evidence again.
    ///
    /// # Safety
    ///
    /// The domain is the one of the guard that this is from.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(crate) unsafe fn of(self, domain: &'g Domain<T, L>) -> GuardRef<'g, T, L, M> {
        GuardRef { domain, participant: self.0, _here: PhantomData }
    }
}

impl<'g, T, L, M> GuardRef<'g, T, L, M> {
    /// The part of the evidence that is the thread's.
    #[inline(always)]
    pub(crate) fn pinned(self) -> Pinned<'g, T, L, M> {
        Pinned(self.participant, PhantomData)
    }

    /// What the owner of the domain keeps for this thread.
    pub(crate) fn local(&self) -> &'g L {
        &self.participant.local
    }

    /// Whether it is of a guard of `domain`.
    pub(crate) fn is_of(&self, domain: &Domain<T, L>) -> bool {
        std::ptr::eq(self.domain, domain)
    }
}

impl<'g, T, L, M: Mode> GuardRef<'g, T, L, M> {
    /// An operation from its root: see [`Mode::run`].
    #[inline(always)]
    pub(crate) fn run<R>(&self, op: impl FnMut(M::Validate<'g>) -> Outcome<'g, R, M>) -> R {
        M::run(PinnedParticipant(&self.participant.pin_state), op)
    }

    /// The first attempt at one; none if the thread was neutralized.
    #[inline(always)]
    pub(crate) fn attempt<R>(
        &self,
        op: impl FnOnce(M::Validate<'g>) -> Outcome<'g, R, M>,
    ) -> Option<R> {
        M::attempt(PinnedParticipant(&self.participant.pin_state), op)
    }
}

impl<'g, T, L> GuardRef<'g, T, L> {
    /// When an item is born that is made now.
    #[inline(always)]
    pub(crate) fn birth(&self) -> u32 {
        self.domain.birth()
    }

    /// Whether a thread that shows an older epoch than the present one may hold an item that was born then, or one has lent
    /// it alone.
    pub(crate) fn is_held_by_laggard(&self, birth: u32, address: usize) -> bool {
        self.domain.is_held_by_laggard(birth, address)
    }

    /// Hands over an item that was unlinked under this guard (R2).
    pub(crate) fn retire(&self, item: Retired<T>, charged_to: ChargedTo) {
        self.participant.bag.put(self.domain, item, charged_to);
    }
}

/// Keeps the thread pinned while it lives.
#[derive(Debug)]
pub(crate) struct Guard<'d, T, L, M: Mode = Writes> {
    domain: &'d Domain<T, L>,
    participant: &'d Participant<T, L>,
    /// The participant was taken for this guard alone, as the thread has no handle list any more.
    transient: bool,
    /// The thread did not write before.
    begins: bool,
    _here: PhantomData<(*mut (), M)>,
}

impl<'d, T, L, M: Mode> Guard<'d, T, L, M> {
    #[inline]
    pub(super) fn new(
        domain: &'d Domain<T, L>,
        participant: &'d Participant<T, L>,
        transient: bool,
    ) -> Self {
        let begins = participant.enter::<M>(domain);
        Self { domain, participant, transient, begins, _here: PhantomData }
    }

    /// What the owner of the domain keeps for this thread.
    pub(crate) fn local(&self) -> &'d L {
        &self.participant.local
    }

    /// Whether what is kept for this thread is its own beyond this guard.
    pub(crate) fn keeps_local(&self) -> bool {
        !self.transient
    }

    /// The evidence, for as long as the guard is borrowed.
    pub(crate) fn guard_ref(&self) -> GuardRef<'_, T, L, M> {
        GuardRef { domain: self.domain, participant: self.participant, _here: PhantomData }
    }

    /// Whether the thread holds no other guard.
    pub(crate) fn is_alone(&self) -> bool {
        self.participant.nested.get() == 1
    }

    /// Whether garbage stays where it is for as long as the thread does not go on: it holds another guard here, with
    /// which it cannot leave; or it is in the middle of something elsewhere for which it is not neutralized. An owned
    /// guard that it has only read through is.
    pub(crate) fn blocks_own_garbage(&self) -> bool {
        let blocks = |participant: &Participant<T, L>| {
            let is_other = !std::ptr::eq(participant, self.participant);
            is_other && participant.is_mine() && participant.pin_state.keeps_from_neutralizing()
        };
        !self.is_alone() || self.domain.participants().any(blocks)
    }

    /// Runs `f` unpinned, and then pins anew, also after a panic; but pinned while the thread holds another guard.
    pub(crate) fn while_unpinned<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let _outside = self.is_alone().then(|| RepinOnDrop::unpin(self));
        f()
    }

    /// Unpins and pins anew, so that what this thread has retired can ripen. Does nothing while the
    /// thread holds another guard.
    pub(crate) fn repin(&mut self) {
        self.while_unpinned(|| ());
    }

    /// Unpins, and then frees up to `budget` of the items that were retired on this participant, if any
    /// wait there, the thread holds no other guard, and it is not freeing already (R6). Looks only after
    /// some retirements, as each look has to move the epoch.
    ///
    /// If others keep the epoch from moving, they are neutralized if `pressure` says so.
    ///
    /// The sink is made only if there is a look, and then gets the participant's local part if the thread keeps the
    /// participant.
    #[inline(always)]
    pub(crate) fn close<F>(
        self,
        (budget, pressure): (usize, impl FnOnce(bool) -> bool),
        sink: impl FnOnce(Option<&'d L>) -> F,
    ) where
        T: Reclaim,
        F: FnMut(T, ChargedTo),
    {
        let (domain, participant, transient) = (self.domain, self.participant, self.transient);
        drop(self);
        if participant.nested.get() == 0 && participant.bag.is_collection_due(domain.look_step()) {
            let local = (!transient).then_some(&participant.local);
            participant.try_collect(domain, (budget, pressure), || sink(local));
        }
    }
}

impl<T, L> Guard<'_, T, L> {
    /// Runs code of the user's, which may take long, as one that may be neutralized. It is not to use this pin. What was found
    /// under it stays valid; what a header word or a slot said may be so no more, which an exchange of it notices. Does
    /// nothing where the thread writes elsewhere, too.
    #[inline]
    pub(crate) fn while_suspended<R>(&self, f: impl FnOnce() -> R) -> R {
        let _passable = self.begins.then(|| Suspension::begin(&self.participant.pin_state));
        f()
    }
}

#[cfg(all(test, clockhand_loom))]
impl<T, L> Guard<'_, T, L, Reads> {
    /// Runs `f` as a write that is nested in what the thread reads.
    pub(crate) fn write<R>(&self, f: impl FnOnce(&Guard<'_, T, L>) -> R) -> R {
        f(&Guard::new(self.domain, self.participant, false))
    }
}

#[cfg(all(test, clockhand_loom))]
impl<T, L> GuardRef<'_, T, L, Reads> {
    /// Takes the next number.
    pub(super) fn go_on(&self) {
        drop(self.participant.pin_state.exempt());
    }
}

/// A write has stopped for code of the user's, and goes on after it, also after a panic.
struct Suspension<'g>(&'g PinState);

impl<'g> Suspension<'g> {
    fn begin(pin_state: &'g PinState) -> Self {
        pin_state.suspend_writing();
        Self(pin_state)
    }
}

impl Drop for Suspension<'_> {
    fn drop(&mut self) {
        self.0.begin_writing();
    }
}

/// The thread has left its participant for a while.
struct RepinOnDrop<'g, T, L, M: Mode> {
    domain: &'g Domain<T, L>,
    participant: &'g Participant<T, L>,
    _mode: PhantomData<M>,
}

impl<'g, T, L, M: Mode> RepinOnDrop<'g, T, L, M> {
    fn unpin(guard: &'g Guard<'_, T, L, M>) -> Self {
        guard.participant.unpin(false);
        Self { domain: guard.domain, participant: guard.participant, _mode: PhantomData }
    }
}

impl<T, L, M: Mode> Drop for RepinOnDrop<'_, T, L, M> {
    fn drop(&mut self) {
        // Alone, as before: so it is this pin that begins to write, if it does.
        self.participant.enter::<M>(self.domain);
    }
}

impl<T, L, M: Mode> Drop for Guard<'_, T, L, M> {
    fn drop(&mut self) {
        self.participant.unpin(M::WRITES && self.begins);
        if self.transient {
            self.participant.release();
        }
    }
}

/// A participant held by a value instead of a thread, and pinned from one use to the next: what a
/// latency-critical reader has.
#[derive(Debug)]
pub(crate) struct OwnedGuard<T, L> {
    domain: Arc<Domain<T, L>>,
    participant: NonNull<Participant<T, L>>,
    /// An owned guard stays with its thread, so that a stalled one can be told by thread.
    _here: PhantomData<*mut ()>,
}

impl<T, L: Default> OwnedGuard<T, L> {
    /// Takes a participant of its own; not pinned yet.
    pub(crate) fn new(domain: Arc<Domain<T, L>>) -> Self {
        let participant = NonNull::from(domain.acquire_participant());
        Self { domain, participant, _here: PhantomData }
    }
}

impl<T, L> OwnedGuard<T, L> {
    fn participant(&self) -> &Participant<T, L> {
        // SAFETY: by R5 the participant lives as long as the domain, which `self` keeps alive.
        unsafe { self.participant.as_ref() }
    }

    /// Ends the borrows of the last guard reference and lends a new one.
    ///
    /// # Progress
    ///
    /// Wait-free. No fence and no locked instruction while the owned guard stays pinned; one after
    /// [`park`](Self::park).
    #[inline]
    pub(crate) fn guard_ref(&mut self) -> GuardRef<'_, T, L, Reads> {
        self.begin_use()
    }

    #[inline(always)]
    fn begin_use(&self) -> GuardRef<'_, T, L, Reads> {
        let participant = self.participant();
        participant.pin_state.lent.note_unknown();
        self.domain.refresh_participant(&participant.pin_state);
        GuardRef { domain: &self.domain, participant, _here: PhantomData }
    }

    /// Ends the borrows of the last guard reference, and lends no more than one item, or nothing: `read` returns nothing
    /// else that it has found, as it is for any lifetime. What it reads is passed to it for the same reason.
    ///
    /// # Progress
    ///
    /// As [`guard_ref`](Self::guard_ref).
    #[inline(always)]
    pub(crate) fn lend_one<'s, C, R: ?Sized>(
        &'s mut self,
        from: &'s C,
        read: impl for<'g> FnOnce(&'g C, GuardRef<'g, T, L, Reads>) -> Option<Lent<'g, R>>,
    ) -> Option<&'s R> {
        let lent = read(from, self.begin_use());
        // Not before: the thread is at an operation until then, which holds all that it comes by.
        self.participant().pin_state.lent.note(lent.as_ref());
        lent.map(Lent::part)
    }

    /// Ends the borrow of what was lent last.
    #[inline]
    pub(crate) fn lend_nothing(&mut self) {
        self.participant().pin_state.lent.note::<()>(None);
    }

    /// Holds no more than it has lent, as when its thread wants room.
    #[cfg(all(test, clockhand_loom))]
    pub(super) fn narrow(&self) {
        self.participant().pin_state.narrow();
    }

    /// The guard reference that was lent last.
    #[cfg(test)]
    pub(crate) fn here(&self) -> GuardRef<'_, T, L, Reads> {
        GuardRef { domain: &self.domain, participant: self.participant(), _here: PhantomData }
    }

    /// Unpins until the next use.
    pub(crate) fn park(&mut self) {
        self.participant().pin_state.unpin();
    }
}

impl<T, L> Drop for OwnedGuard<T, L> {
    fn drop(&mut self) {
        self.participant().release();
    }
}

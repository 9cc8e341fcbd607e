//! A thread's part of a domain, and the guards that pin it.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::bag::{Bag, ChargedTo, Retired};
use super::domain::Domain;
use super::freeing;
use super::name::Name;
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
    /// Zero, or `epoch << 1 | 1` (R1).
    pub(super) state: AtomicU64,
    /// The thread that holds it; none if it is free.
    holder: AtomicU64,
    name: Name,
    /// How many guards the holder has, and whether its thread has ended under them.
    nested: Relaxed<AtomicU32>,
    pub(super) next: AtomicPtr<Participant<T, L>>,
    pub(super) bag: Bag<T>,
    pub(super) local: L,
}

impl<T, L> Participant<T, L> {
    pub(super) fn new(local: L) -> Self {
        let (me, name) = (Holder::me(), Name::default());
        name.write(me);
        Self {
            state: AtomicU64::new(0),
            holder: AtomicU64::new(me.into_raw()),
            name,
            nested: Relaxed::<AtomicU32>::new(0),
            next: AtomicPtr::new(std::ptr::null_mut()),
            bag: Bag::new(),
            local,
        }
    }

    /// Leaves the participant to the next thread. Its bag and its local part stay as they are.
    pub(super) fn release(&self) {
        self.nested.set(0);
        // ORDERING R-c: Release: the holder's reads of shared memory end before the participant is
        // quiescent; pairs with the acquire load in `Domain::advance`.
        self.state.store(0, Ordering::Release);
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

    /// Whether the calling thread has it and is pinned.
    fn is_mine_and_pinned(&self) -> bool {
        // ORDERING R-j: Relaxed: what the calling thread has written itself, or another's, which differs.
        let holder = self.holder.load(Ordering::Relaxed);
        // ORDERING S-o: Relaxed: if it is the calling thread's, no other thread writes it (R1).
        holder == Holder::me().into_raw() && self.state.load(Ordering::Relaxed) & 1 == 1
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
    fn try_collect<F>(&self, domain: &Domain<T, L>, mut budget: usize, sink: impl FnOnce() -> F)
    where
        F: FnMut(T, ChargedTo),
    {
        let Some(_freeing) = freeing::begin() else { return };
        if self.bag.begin_collection() {
            domain.advance();
            self.bag.collect(domain, &mut budget, &mut sink());
        }
    }

    fn pin(&self, domain: &Domain<T, L>) {
        let depth = self.nested.get();
        if depth == 0 {
            domain.pin_participant(&self.state);
        } else if depth & !ORPHANED == MAX_GUARDS {
            // One more would look like a participant that was given up, under guards that lend.
            panic!("a thread holds more than 2^30 guards of one cache: let go of some");
        }
        self.nested.set(depth + 1);
    }

    fn unpin(&self) {
        let depth = self.nested.get() - 1;
        self.nested.set(depth);
        if depth == 0 {
            // ORDERING R-c: Release: what was read under the guard was read before; pairs with the
            // acquire load in `Domain::advance`.
            self.state.store(0, Ordering::Release);
        } else if depth == ORPHANED {
            self.release();
        }
    }
}

/// Whether a thread that has a participant is pinned, as others see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PinStatus<'d>(pub(super) &'d AtomicU64);

impl PinStatus<'_> {
    /// Whether it is pinned. Where it is not, what its holder did when it was is seen.
    pub(crate) fn is_pinned(self) -> bool {
        // ORDERING R-c: Acquire: what was done under the last pin; pairs with the store in `Participant::unpin`.
        self.0.load(Ordering::Acquire) & 1 == 1
    }
}

/// Evidence that the calling thread is pinned for `'g`; what a guard lends to the thread that reads.
#[derive(Debug)]
pub(crate) struct GuardRef<'g, T, L> {
    pub(super) domain: &'g Domain<T, L>,
    pub(super) participant: &'g Participant<T, L>,
    /// A pass is tied to the thread that is pinned.
    _here: PhantomData<*mut ()>,
}

impl<T, L> Clone for GuardRef<'_, T, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, L> Copy for GuardRef<'_, T, L> {}

impl<'g, T, L> GuardRef<'g, T, L> {
    /// What the owner of the domain keeps for this thread.
    pub(crate) fn local(&self) -> &'g L {
        &self.participant.local
    }

    /// Whether this pass was issued by `domain`.
    pub(crate) fn is_of(&self, domain: &Domain<T, L>) -> bool {
        std::ptr::eq(self.domain, domain)
    }

    /// Hands over an item that was unlinked under this pass (R2).
    pub(crate) fn retire(&self, item: Retired<T>, charged_to: ChargedTo) {
        self.participant.bag.put(self.domain, item, charged_to);
    }
}

/// Keeps the thread pinned while it lives.
#[derive(Debug)]
pub(crate) struct Guard<'d, T, L> {
    domain: &'d Domain<T, L>,
    participant: &'d Participant<T, L>,
    /// The participant was taken for this guard alone, as the thread has no handle list any more.
    transient: bool,
    _here: PhantomData<*mut ()>,
}

impl<'d, T, L> Guard<'d, T, L> {
    pub(super) fn new(
        domain: &'d Domain<T, L>,
        participant: &'d Participant<T, L>,
        transient: bool,
    ) -> Self {
        participant.pin(domain);
        Self { domain, participant, transient, _here: PhantomData }
    }

    /// What the owner of the domain keeps for this thread.
    pub(crate) fn local(&self) -> &'d L {
        &self.participant.local
    }

    /// The evidence, for as long as the guard is borrowed.
    pub(crate) fn guard_ref(&self) -> GuardRef<'_, T, L> {
        GuardRef { domain: self.domain, participant: self.participant, _here: PhantomData }
    }

    /// Whether the thread holds no other guard.
    pub(crate) fn is_alone(&self) -> bool {
        self.participant.nested.get() == 1
    }

    /// Whether the thread keeps its own garbage from being freed: by another guard, or by an owned guard that is
    /// pinned.
    pub(crate) fn blocks_own_garbage(&self) -> bool {
        let other =
            |participant: &&Participant<T, L>| !std::ptr::eq(*participant, self.participant);
        !self.is_alone()
            || self.domain.participants().filter(other).any(Participant::is_mine_and_pinned)
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
    /// The sink gets the participant's local part with each item if the thread keeps the participant; it is made only
    /// if there is a look.
    #[inline]
    pub(crate) fn close<F>(self, budget: usize, sink: impl FnOnce() -> F)
    where
        F: FnMut(T, ChargedTo, Option<&L>),
    {
        let (domain, participant, transient) = (self.domain, self.participant, self.transient);
        drop(self);
        if participant.nested.get() == 0 && participant.bag.is_collection_due() {
            let local = (!transient).then_some(&participant.local);
            participant.try_collect(domain, budget, || {
                let mut sink = sink();
                move |item, charged_to| sink(item, charged_to, local)
            });
        }
    }
}

/// The thread has left its participant for a while.
struct RepinOnDrop<'g, T, L> {
    domain: &'g Domain<T, L>,
    participant: &'g Participant<T, L>,
}

impl<'g, T, L> RepinOnDrop<'g, T, L> {
    fn unpin(guard: &'g Guard<'_, T, L>) -> Self {
        guard.participant.unpin();
        Self { domain: guard.domain, participant: guard.participant }
    }
}

impl<T, L> Drop for RepinOnDrop<'_, T, L> {
    fn drop(&mut self) {
        self.participant.pin(self.domain);
    }
}

impl<T, L> Drop for Guard<'_, T, L> {
    fn drop(&mut self) {
        self.participant.unpin();
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

    /// Ends the borrows of the last pass and issues a new one.
    ///
    /// # Progress
    ///
    /// Wait-free. No fence and no locked instruction while the owned guard stays pinned; one after
    /// [`park`](Self::park).
    #[inline]
    pub(crate) fn guard_ref(&mut self) -> GuardRef<'_, T, L> {
        let participant = self.participant();
        self.domain.refresh_participant(&participant.state);
        GuardRef { domain: &self.domain, participant, _here: PhantomData }
    }

    /// Unpins until the next use.
    pub(crate) fn park(&mut self) {
        // ORDERING R-c: Release: as in `Participant::unpin`.
        self.participant().state.store(0, Ordering::Release);
    }
}

impl<T, L> Drop for OwnedGuard<T, L> {
    fn drop(&mut self) {
        self.participant().release();
    }
}

//! What one participant has retired: an open part, and sealed batches that wait until they are ripe.
//!
//! ```text
//!   retire --> open --full--> sealed (a stack) --take all--> queue, oldest first --> freed
//!                                                                        |  ripe, but held
//!                                         back <-- that pin is over -- kept, with the participant that holds it
//! ```
//!
//! What is ripe, and held by a thread that was neutralized, lies in the bag of that participant, so that no thread looks at it
//! while it cannot be freed. When the participant shows another state, all that is kept there is *back*, in one step, with the
//! domain, and the thread that looks next begins with it: each item may be free now, or be held by another.
//!
//! The thread that collects takes the queue and the stack as a whole, so no batch is ever looked at by two threads
//! (R4), frees from the front what is ripe, and puts the rest back. The stack is turned round once, when it joins the
//! queue: what a collection costs depends on what it frees and on what was sealed since the last one, not
//! on how much waits for a reader that sleeps.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

use super::Reclaim;
use super::domain::Domain;
use super::open_batch::{BATCH, OpenBatch};
use super::participant_scan::ParticipantScan;
use super::queue::{Batch, Queue};
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, Relaxed, fence, seeded};

/// Items that a collection looks at, to see who holds them, for each one that it is to free.
const LOOKED_AT: usize = 8;

/// Something that was unlinked, and that readers may still be looking at.
///
/// Must be handed to [`GuardRef::retire`](super::GuardRef::retire): one that is dropped is never freed.
#[must_use = "an unlinked item that is not retired is leaked"]
#[derive(Debug)]
pub(crate) struct Retired<T>(ManuallyDrop<T>);

impl<T> Retired<T> {
    /// Takes charge of an item that was unlinked.
    ///
    /// # Safety
    ///
    /// No reader that comes later can reach the item, and the caller is the one who unlinked it and
    /// is pinned since before (R2).
    #[allow(unsafe_code)]
    pub(crate) unsafe fn new(item: T) -> Self {
        Self(ManuallyDrop::new(item))
    }

    /// The same item under another type, for instance as a case of an enumeration.
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Retired<U> {
        Retired(ManuallyDrop::new(f(ManuallyDrop::into_inner(self.0))))
    }
}

impl<T> Deref for Retired<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Which ledger a retired item is charged to until it is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargedTo {
    /// To none.
    Nowhere,
    /// To the retired capacity.
    Retired,
    /// Still to the capacity, as the retired capacity had no room.
    Capacity,
}

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Items that were freed.
    pub(crate) freed: usize,
}

/// The retired items of one participant.
///
/// The holder of the participant puts items in; any thread may take a whole batch out.
#[derive(Debug)]
pub(super) struct Bag<T> {
    open: OpenBatch<T>,
    /// The batches that were sealed last, pushed one by one.
    sealed: AtomicPtr<Batch<T>>,
    /// Those that a collection has put back.
    queue: AtomicPtr<Batch<T>>,
    /// Those that are ripe and that the holder of the participant holds. In no order.
    kept: BatchPool<T>,
    /// An empty batch for what is sealed next, so that a steady write calls no allocator.
    spare: AtomicPtr<Batch<T>>,
    retired: Relaxed<AtomicUsize>,
    /// How many were retired when the holder last looked for ripe ones.
    collected_at: Relaxed<AtomicUsize>,
    freed: Relaxed<AtomicUsize>,
}

impl<T> Bag<T> {
    pub(super) fn new() -> Self {
        Self {
            open: OpenBatch::new(),
            sealed: AtomicPtr::new(ptr::null_mut()),
            queue: AtomicPtr::new(ptr::null_mut()),
            kept: BatchPool::default(),
            spare: AtomicPtr::new(ptr::null_mut()),
            retired: Relaxed::<AtomicUsize>::new(0),
            collected_at: Relaxed::<AtomicUsize>::new(0),
            freed: Relaxed::<AtomicUsize>::new(0),
        }
    }

    /// Adds an item, and seals the batch when it is full. Called by the participant's holder only.
    #[inline(always)]
    pub(super) fn put<L>(&self, domain: &Domain<T, L>, item: Retired<T>, charged_to: ChargedTo) {
        self.retired.set(self.retired.get().wrapping_add(1));
        match self.open.put((item, charged_to)) {
            Ok(open) if open < domain.seal_step() => {}
            Ok(_) => self.seal_open(domain),
            Err(item) => self.seal_alone(domain, item),
        }
    }

    /// Seals an item for which there is no room: a thread that takes the others out sleeps.
    #[cold]
    #[inline(never)]
    fn seal_alone<L>(&self, domain: &Domain<T, L>, item: (Retired<T>, ChargedTo)) {
        let mut alone = Batch::new(1);
        alone.items.push(item);
        self.seal(domain, alone);
    }

    /// Whether it is time to look for ripe batches: enough items were retired since the last look. Called
    /// by the participant's holder only.
    #[inline]
    pub(super) fn is_collection_due(&self, step: usize) -> bool {
        self.retired().wrapping_sub(self.collected_at.get()) >= step
    }

    /// Notes that a look is taken; whether there is anything to look at. Called by the participant's holder only.
    pub(super) fn begin_collection<L>(&self, domain: &Domain<T, L>) -> bool {
        self.collected_at.set(self.retired());
        // ORDERING S-h: Relaxed: a hint.
        let any = |word: &AtomicPtr<Batch<T>>| !word.load(Ordering::Relaxed).is_null();
        any(&self.queue) || any(&self.sealed) || domain.back.is_any()
    }

    /// Seals what is open, put there by any thread.
    #[inline(never)]
    pub(super) fn seal_open<L>(&self, domain: &Domain<T, L>) {
        if let Some(batch) = self.open.take(|| self.empty_batch()) {
            self.seal(domain, batch);
        }
    }

    /// An empty batch: the spare one, if there is one.
    fn empty_batch(&self) -> Box<Batch<T>> {
        self.take_spare().unwrap_or_else(|| Batch::new(BATCH))
    }

    fn take_spare(&self) -> Option<Box<Batch<T>>> {
        let spare = take(&self.spare);
        // SAFETY: the word holds what `recycle` has put there, and it is ours now (R4).
        (!spare.is_null()).then(|| unsafe { Box::from_raw(spare) })
    }

    /// Leaves a batch that is empty now for what is sealed next, unless it is small.
    fn recycle(&self, batch: Box<Batch<T>>) {
        if batch.items.capacity() < BATCH {
            return;
        }
        // ORDERING R-i: AcqRel: Release: hands the batch over; pairs with `take`. Acquire: the one that lay here is ours.
        let before = self.spare.swap(Box::into_raw(batch), Ordering::AcqRel);
        if !before.is_null() {
            // SAFETY: as in `take_spare`.
            drop(unsafe { Box::from_raw(before) });
        }
    }

    fn seal<L>(&self, domain: &Domain<T, L>, mut batch: Box<Batch<T>>) {
        batch.seal = domain.seal();
        self.push(batch);
    }

    fn push(&self, batch: Box<Batch<T>>) {
        let batch = Box::into_raw(batch);
        // ORDERING S-h: Relaxed: the exchange below checks it.
        let mut head = self.sealed.load(Ordering::Relaxed);
        loop {
            // SAFETY: not published yet, so it is ours alone (R4).
            unsafe { (*batch).next = head };
            // ORDERING R-i: Release: hands the batch over; pairs with `take`. On failure another thread
            // pushed or took all; link to what is there now.
            match self.sealed.compare_exchange(head, batch, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Passes ripe items that no thread holds to `sink`, oldest first, until `left` is used up; the rest stays.
    ///
    /// Only what is going to be freed, and what was sealed together with that, is out of reach of other
    /// collections while user code runs.
    pub(super) fn collect<L>(
        &self,
        domain: &Domain<T, L>,
        scan: &ParticipantScan<'_, T>,
        left: &mut usize,
        sink: &mut impl FnMut(T, ChargedTo),
    ) where
        T: Reclaim,
    {
        // Goes last: after everything was put back.
        let note = NoteOnDrop { domain, ripe: Cell::new(false) };
        let mut taken = PutBackOnDrop::new(self);
        self.gather(domain, scan, *left, &mut taken.batches);
        while *left > 0 && taken.batches.first().is_some() {
            *left -= usize::from(taken.free(sink));
        }
        note.ripe.set(taken.batches.first().is_some());
        drop(taken);
    }

    /// Collects ripe batches that no thread holds, with about `wanted` items.
    fn gather<L>(
        &self,
        domain: &Domain<T, L>,
        scan: &ParticipantScan<'_, T>,
        wanted: usize,
        free: &mut Queue<T>,
    ) where
        T: Reclaim,
    {
        let mut budget = CollectBudget { wanted, looks: wanted.saturating_mul(LOOKED_AT) };
        if domain.back.is_any() {
            self.gather_back(domain, scan, &mut budget, free);
        }
        let mut rest = self.take_queue();
        rest.join(self.take_sealed());
        while budget.is_short()
            && rest.first().is_some_and(|batch| scan.is_ripe(batch.seal.tag))
            && let Some(batch) = rest.pop()
        {
            self.free_or_keep(domain, scan, batch, &mut budget, free);
        }
        self.put_back_unripe(domain, rest);
    }

    /// Does it with what was kept for those who have gone on.
    #[cold]
    #[inline(never)]
    fn gather_back<L>(
        &self,
        domain: &Domain<T, L>,
        scan: &ParticipantScan<'_, T>,
        budget: &mut CollectBudget,
        free: &mut Queue<T>,
    ) where
        T: Reclaim,
    {
        let (mut back, mut delayed) = (domain.back.take(), Queue::default());
        // The other half is for what was retired since: all that is here may be held by another thread that sleeps.
        let looks_left = budget.looks / 2;
        while budget.is_short()
            && budget.looks > looks_left
            && let Some(batch) = back.pop()
        {
            // Ripe by the epoch; but a thread that was neutralized before may have taken another number since.
            if scan.is_ripe(batch.seal.tag) || seeded("reclaim-back-unchecked") {
                self.free_or_keep(domain, scan, batch, budget, free);
            } else {
                budget.looks -= 1;
                delayed.append(Queue::of_one(batch));
            }
        }
        back.append(delayed);
        // Ripe, so the next collection has to come by.
        if domain.back.put(back) {
            domain.note_put_back();
        }
    }

    /// Divides a ripe batch into what no thread holds, and what is kept.
    #[inline]
    fn free_or_keep<L>(
        &self,
        domain: &Domain<T, L>,
        scan: &ParticipantScan<'_, T>,
        mut batch: Box<Batch<T>>,
        budget: &mut CollectBudget,
        free: &mut Queue<T>,
    ) where
        T: Reclaim,
    {
        if !scan.is_free() {
            budget.looks = budget.looks.saturating_sub(batch.items.len());
            self.keep(domain, scan, &mut batch);
        }
        if !batch.items.is_empty() {
            budget.wanted = budget.wanted.saturating_sub(batch.items.len());
            free.push(batch);
        }
    }

    /// Takes out of a batch what is held, and leaves it with the first who holds it. By item: a batch that is kept for its
    /// oldest item would keep many that are young.
    #[cold]
    #[inline(never)]
    fn keep<L>(&self, domain: &Domain<T, L>, scan: &ParticipantScan<'_, T>, batch: &mut Batch<T>)
    where
        T: Reclaim,
    {
        let seal = batch.seal;
        let mut held: Vec<(usize, (Retired<T>, ChargedTo))> = Vec::new();
        let holder = |item: &(Retired<T>, ChargedTo)| scan.holder(seal, &*item.0);
        let mut nth = 0;
        while let Some(item) = batch.items.get(nth) {
            match holder(item) {
                Some(holder) => held.push((holder, batch.items.swap_remove(nth))),
                None => nth += 1,
            }
        }
        held.sort_by_key(|&(holder, _)| holder);
        let mut held = held.into_iter().peekable();
        while let Some(&(holder, _)) = held.peek() {
            let mut kept = Batch::new(0);
            kept.seal = seal;
            while let Some((_, item)) = held.next_if(|&(other, _)| other == holder) {
                kept.items.push(item);
            }
            let hold = &scan.neutralized()[holder];
            hold.bag().kept.put(Queue::of_one(kept));
            if hold.note_kept() {
                hold.bag().give_back(&domain.back);
                domain.note_put_back();
            }
        }
    }

    /// Gives back what was kept here: the participant has gone on.
    pub(super) fn give_back(&self, to: &BatchPool<T>) {
        to.put(self.kept.take());
    }

    /// Takes out what is kept here, to be put with what is back.
    pub(super) fn take_kept(&self) -> Queue<T> {
        self.kept.take()
    }

    /// Takes charge of what lies on a shelf, before everything is dropped.
    pub(super) fn take_over(&self, from: &BatchPool<T>) {
        self.kept.put(from.take());
    }

    /// Leaves batches to the next collection, and sees to it that there is one if they have ripened while
    /// they could not be found.
    fn put_back_unripe<L>(&self, domain: &Domain<T, L>, batches: Queue<T>) {
        let Some(oldest) = self.put_back(batches) else { return };
        // ORDERING R-m: SeqCst fence: either a collection that knows a later epoch finds the
        // batches, or this thread sees that epoch; pairs with the fence in `Domain::collect`.
        fence(Ordering::SeqCst);
        if domain.is_ripe(oldest) && !seeded("reclaim-put-back-unnoticed") {
            domain.note_put_back();
        }
    }

    /// Leaves batches to the next collection; the tag of the oldest of them, and of those that were put
    /// back together with them.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails only where another collection has put batches back.
    fn put_back(&self, mut batches: Queue<T>) -> Option<u64> {
        loop {
            let oldest = batches.first()?.seal.tag;
            let first = batches.into_first();
            if seeded("reclaim-put-back-over") {
                // ORDERING R-i: Release: the seeded bug.
                self.queue.store(first, Ordering::Release);
                return Some(oldest);
            }
            // ORDERING R-i: Release: hands the batches over; pairs with `take`. On failure others
            // were put back here: both are put back together.
            let (none, put) = (ptr::null_mut(), Ordering::Release);
            if self.queue.compare_exchange(none, first, put, Ordering::Relaxed).is_ok() {
                return Some(oldest);
            }
            // SAFETY: given up above, and not handed over.
            batches = unsafe { Queue::of_queue(first) };
            batches.join(self.take_queue());
        }
    }

    fn take_queue(&self) -> Queue<T> {
        // SAFETY: the word holds what `put_back` has put there, and it is ours now (R4).
        unsafe { Queue::of_queue(take(&self.queue)) }
    }

    fn take_sealed(&self) -> Queue<T> {
        // SAFETY: the word holds what `push` has put there, and it is ours now (R4).
        unsafe { Queue::of_stack(take(&self.sealed)) }
    }

    /// Forgets who was taking items out of the open part, where no thread is.
    pub(super) fn forget_taker(&self) {
        self.open.forget_taker();
    }

    pub(super) fn retired(&self) -> usize {
        self.retired.get()
    }

    pub(super) fn freed(&self) -> usize {
        self.freed.get()
    }

    /// Drops everything, ripe or not.
    ///
    /// # Safety
    ///
    /// No thread is pinned in the domain, and no thread will be.
    pub(super) unsafe fn clear(&self, sink: &mut impl FnMut(T, ChargedTo)) {
        self.forget_taker();
        if let Some(batch) = self.open.take(|| Batch::new(BATCH)) {
            self.push(batch);
        }
        let mut taken = PutBackOnDrop::new(self);
        taken.batches = self.take_queue();
        taken.batches.join(self.take_sealed());
        taken.batches.append(self.kept.take());
        while taken.batches.first().is_some() {
            taken.free(sink);
        }
    }
}

impl<T> Drop for Bag<T> {
    fn drop(&mut self) {
        drop(self.take_spare());
        // SAFETY: the participant goes with its domain, and with it all guards.
        unsafe { self.clear(&mut |item, _| drop(item)) };
    }
}

/// Takes a batch, a stack of them, or a queue, out of a word (R4); null if there is none.
fn take<T>(word: &AtomicPtr<Batch<T>>) -> *mut Batch<T> {
    // ORDERING S-h: Relaxed: saves the exchange when there is nothing.
    if word.load(Ordering::Relaxed).is_null() {
        return ptr::null_mut();
    }
    // ORDERING R-i: Acquire: the batch as it was put; pairs with the release in `push` and
    // `put_back`.
    word.swap(ptr::null_mut(), Ordering::Acquire)
}

/// Batches in no order, which are put and taken all at once.
#[derive(Debug)]
pub(super) struct BatchPool<T>(AtomicPtr<Batch<T>>);

impl<T> Default for BatchPool<T> {
    fn default() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl<T> BatchPool<T> {
    fn is_any(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint.
        !self.0.load(Ordering::Relaxed).is_null()
    }

    pub(super) fn take(&self) -> Queue<T> {
        // SAFETY: the word holds what `put` has put there, and it is ours now (R4).
        unsafe { Queue::of_queue(take(&self.0)) }
    }

    /// Puts batches here; whether there were any.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails only where others put batches here.
    pub(super) fn put(&self, mut batches: Queue<T>) -> bool {
        if batches.first().is_none() {
            return false;
        }
        loop {
            let first = batches.into_first();
            // ORDERING R-i: Release: hands the batches over; pairs with `take`. On failure others are here: both are
            // put here together.
            let (none, put) = (ptr::null_mut(), Ordering::Release);
            if self.0.compare_exchange(none, first, put, Ordering::Relaxed).is_ok() {
                return true;
            }
            // SAFETY: given up above, and not handed over.
            batches = unsafe { Queue::of_queue(first) };
            batches.append(self.take());
        }
    }
}

/// How many items a collection still wants, and may look at for that.
struct CollectBudget {
    wanted: usize,
    looks: usize,
}

impl CollectBudget {
    #[inline]
    fn is_short(&self) -> bool {
        self.wanted > 0 && self.looks > 0
    }
}

/// Tells the domain when ripe items were put back, also by a panic.
struct NoteOnDrop<'d, T, L> {
    domain: &'d Domain<T, L>,
    ripe: Cell<bool>,
}

impl<T, L> Drop for NoteOnDrop<'_, T, L> {
    fn drop(&mut self) {
        if self.ripe.get() || std::thread::panicking() {
            self.domain.note_put_back();
        }
    }
}

/// Batches that were taken; what is left of them at the end, also by a panic, is put back.
struct PutBackOnDrop<'b, T> {
    bag: &'b Bag<T>,
    batches: Queue<T>,
    freed: usize,
}

impl<'b, T> PutBackOnDrop<'b, T> {
    fn new(bag: &'b Bag<T>) -> Self {
        Self { bag, batches: Queue::default(), freed: 0 }
    }

    /// Passes one item of the first batch on; false, and the batch is gone, if there was none.
    fn free(&mut self, sink: &mut impl FnMut(T, ChargedTo)) -> bool {
        let item = self.batches.first().and_then(|batch| batch.items.pop());
        let Some((item, charged_to)) = item else {
            if let Some(batch) = self.batches.pop() {
                self.bag.recycle(batch);
            }
            return false;
        };
        self.freed += 1;
        sink(ManuallyDrop::into_inner(item.0), charged_to);
        true
    }
}

impl<T> Drop for PutBackOnDrop<'_, T> {
    fn drop(&mut self) {
        self.bag.put_back(std::mem::take(&mut self.batches));
        if self.freed > 0 {
            self.bag.freed.add(self.freed);
        }
    }
}

//! What one participant has retired: an open part, and sealed batches that wait until they are ripe.
//!
//! ```text
//!   retire --> open --full--> sealed (a stack) --take all--> queue, oldest first --> freed
//! ```
//!
//! The thread that collects takes the queue and the stack as a whole, so no batch is ever looked at by two threads
//! (R4), frees from the front what is ripe, and puts the rest back. The stack is turned round once, when it joins the
//! queue: what a collection costs depends on what it frees and on what was sealed since the last one, not
//! on how much waits for a reader that sleeps.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

use super::domain::Domain;
use super::open_batch::OpenBatch;
use super::queue::{Batch, Queue};
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, Relaxed, fence, seeded};

/// Retirements from one look for ripe batches to the next.
const RETIRED_PER_COLLECTION: usize =
    if cfg!(any(clockhand_loom, clockhand_seeds)) { 1 } else { 8 };

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
            retired: Relaxed::<AtomicUsize>::new(0),
            collected_at: Relaxed::<AtomicUsize>::new(0),
            freed: Relaxed::<AtomicUsize>::new(0),
        }
    }

    /// Adds an item, and seals the batch when it is full. Called by the participant's holder only.
    #[inline]
    pub(super) fn put<L>(&self, domain: &Domain<T, L>, item: Retired<T>, charged_to: ChargedTo) {
        self.retired.set(self.retired.get().wrapping_add(1));
        if self.open.is_full() {
            // A thread that takes the others out sleeps.
            let mut alone = Batch::new(1);
            alone.items.push((item, charged_to));
            return self.seal(domain, alone);
        }
        if self.open.put((item, charged_to)) {
            self.seal_open(domain);
        }
    }

    /// Whether it is time to look for ripe batches: a few items were retired since the last look. Called
    /// by the participant's holder only.
    pub(super) fn is_collection_due(&self) -> bool {
        self.retired().wrapping_sub(self.collected_at.get()) >= RETIRED_PER_COLLECTION
    }

    /// Notes that a look is taken; whether there is anything to look at. Called by the participant's holder only.
    pub(super) fn begin_collection(&self) -> bool {
        self.collected_at.set(self.retired());
        // ORDERING S-h: Relaxed: a hint.
        let any = |word: &AtomicPtr<Batch<T>>| !word.load(Ordering::Relaxed).is_null();
        any(&self.queue) || any(&self.sealed)
    }

    /// Seals what is open, put there by any thread.
    pub(super) fn seal_open<L>(&self, domain: &Domain<T, L>) {
        if let Some(batch) = self.open.take() {
            self.seal(domain, batch);
        }
    }

    fn seal<L>(&self, domain: &Domain<T, L>, mut batch: Box<Batch<T>>) {
        batch.tag = domain.tag();
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

    /// Passes ripe items to `sink`, oldest first, until `left` is used up; the rest stays.
    ///
    /// Only what is going to be freed, and what was sealed together with that, is out of reach of other
    /// collections while user code runs.
    pub(super) fn collect<L>(
        &self,
        domain: &Domain<T, L>,
        left: &mut usize,
        sink: &mut impl FnMut(T, ChargedTo),
    ) {
        // Goes last: after everything was put back.
        let note = NoteOnDrop { domain, ripe: Cell::new(false) };
        let (mut taken, mut items) = (PutBackOnDrop::new(self), 0);
        let mut rest = self.take_queue();
        rest.join(self.take_sealed());
        while items < *left
            && rest.first().is_some_and(|batch| domain.is_ripe(batch.tag))
            && let Some(batch) = rest.pop()
        {
            items += batch.items.len();
            taken.batches.push(batch);
        }
        self.put_back_unripe(domain, rest);
        while *left > 0 && taken.batches.first().is_some() {
            *left -= usize::from(taken.free(sink));
        }
        note.ripe.set(taken.batches.first().is_some());
        drop(taken);
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
            let oldest = batches.first()?.tag;
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
        if let Some(batch) = self.open.take() {
            self.push(batch);
        }
        let mut taken = PutBackOnDrop::new(self);
        taken.batches = self.take_queue();
        taken.batches.join(self.take_sealed());
        while taken.batches.first().is_some() {
            taken.free(sink);
        }
    }
}

impl<T> Drop for Bag<T> {
    fn drop(&mut self) {
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
            drop(self.batches.pop());
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

//! What one seat has retired: an open batch, and sealed ones that wait until they are ripe.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

use super::domain::Domain;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, Relaxed};

/// Items in a batch. Small where races are looked for.
const BATCH: usize = if cfg!(any(clockhand_loom, clockhand_seeds)) { 2 } else { 32 };

/// Retirements from one look for ripe batches to the next.
const LOOK: usize = if cfg!(any(clockhand_loom, clockhand_seeds)) { 1 } else { 8 };

/// Something that was unlinked, and that readers may still be looking at.
///
/// Must be handed to [`Pass::retire`](super::Pass::retire): one that is dropped is never freed.
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
pub(crate) enum Ledgered {
    /// To none.
    Nowhere,
    /// To the limbo.
    Limbo,
    /// Still to the capacity, as the limbo had no room.
    Capacity,
}

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Items that were freed.
    pub(crate) freed: usize,
}

pub(super) struct Batch<T> {
    /// The epoch when the batch was sealed (R3).
    tag: u64,
    next: *mut Batch<T>,
    items: Vec<(Retired<T>, Ledgered)>,
}

/// The retired items of one seat.
///
/// The holder of the seat puts items in; anybody may take a whole batch out.
#[derive(Debug)]
pub(super) struct Bag<T> {
    open: AtomicPtr<Batch<T>>,
    /// A stack of sealed batches, pushed one by one and taken as a whole, so that no batch is ever
    /// looked at by two threads (R4).
    sealed: AtomicPtr<Batch<T>>,
    retired: Relaxed<AtomicUsize>,
    freed: Relaxed<AtomicUsize>,
}

impl<T> Bag<T> {
    pub(super) fn new() -> Self {
        Self {
            open: AtomicPtr::new(ptr::null_mut()),
            sealed: AtomicPtr::new(ptr::null_mut()),
            retired: Relaxed::<AtomicUsize>::new(0),
            freed: Relaxed::<AtomicUsize>::new(0),
        }
    }

    /// Adds an item, and seals the batch when it is full. Called by the seat's holder only.
    pub(super) fn put<L>(&self, domain: &Domain<T, L>, item: Retired<T>, account: Ledgered) {
        self.retired.set(self.retired.get().wrapping_add(1));
        let mut batch = take(&self.open).unwrap_or_else(Batch::new);
        batch.items.push((item, account));
        if batch.items.len() == BATCH {
            self.seal(domain, batch);
        } else {
            // ORDERING: Release: hands the batch to whoever takes it; pairs with `take`. The word
            // is null here, as only the holder fills it.
            self.open.store(Box::into_raw(batch), Ordering::Release);
        }
    }

    /// Whether it is time to see if sealed batches are ripe: they are there, and a few items were
    /// retired since the last time.
    pub(super) fn is_due(&self) -> bool {
        // ORDERING: Relaxed: a hint.
        self.retired().is_multiple_of(LOOK) && !self.sealed.load(Ordering::Relaxed).is_null()
    }

    /// Seals the batch that is being filled, whoever fills it.
    pub(super) fn seal_open<L>(&self, domain: &Domain<T, L>) {
        if let Some(batch) = take(&self.open) {
            self.seal(domain, batch);
        }
    }

    fn seal<L>(&self, domain: &Domain<T, L>, mut batch: Box<Batch<T>>) {
        batch.tag = domain.tag();
        self.push(batch);
    }

    fn push(&self, batch: Box<Batch<T>>) {
        let batch = Box::into_raw(batch);
        // ORDERING: Relaxed: the exchange below checks it.
        let mut head = self.sealed.load(Ordering::Relaxed);
        loop {
            // SAFETY: not published yet, so it is ours alone (R4).
            unsafe { (*batch).next = head };
            // ORDERING: Release: hands the batch over; pairs with `take`. On failure somebody
            // pushed or took all; link to what is there now.
            match self.sealed.compare_exchange(head, batch, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Passes ripe items to `sink` until `left` is used up; the rest stays.
    pub(super) fn collect<L>(
        &self,
        domain: &Domain<T, L>,
        left: &mut usize,
        sink: &mut impl FnMut(T, Ledgered),
    ) {
        // Goes last: after everything was put back.
        let put_back = PutBack { domain, ripe: Cell::new(false) };
        let mut chain = Chain { bag: self, rest: take(&self.sealed), freed: 0 };
        while let Some(mut batch) = chain.pop() {
            let tag = batch.tag;
            if !domain.is_ripe(tag) {
                self.push(batch);
                // It may have ripened while it could not be found.
                put_back.ripe.set(put_back.ripe.get() || domain.is_ripe(tag));
                continue;
            }
            while *left > 0 {
                let Some((item, account)) = batch.items.pop() else { break };
                *left -= 1;
                chain.freed += 1;
                let guard = Remainder { bag: self, batch: Some(batch) };
                sink(ManuallyDrop::into_inner(item.0), account);
                batch = guard.defuse();
            }
            if !batch.items.is_empty() {
                self.push(batch);
                put_back.ripe.set(true);
            }
        }
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
    /// Nobody is pinned in the domain, and nobody will be.
    pub(super) unsafe fn clear(&self, sink: &mut impl FnMut(T, Ledgered)) {
        for word in [&self.open, &self.sealed] {
            let mut chain = Chain { bag: self, rest: take(word), freed: 0 };
            while let Some(mut batch) = chain.pop() {
                while let Some((item, account)) = batch.items.pop() {
                    chain.freed += 1;
                    let guard = Remainder { bag: self, batch: Some(batch) };
                    sink(ManuallyDrop::into_inner(item.0), account);
                    batch = guard.defuse();
                }
            }
        }
    }
}

impl<T> Drop for Bag<T> {
    fn drop(&mut self) {
        // SAFETY: the seat goes with its domain, and with it all guards.
        unsafe { self.clear(&mut |item, _| drop(item)) };
    }
}

impl<T> Batch<T> {
    fn new() -> Box<Self> {
        Box::new(Self { tag: 0, next: ptr::null_mut(), items: Vec::with_capacity(BATCH) })
    }
}

/// Takes a batch, or a whole stack of them, out of a word (R4).
fn take<T>(word: &AtomicPtr<Batch<T>>) -> Option<Box<Batch<T>>> {
    // ORDERING: Relaxed: saves the exchange when there is nothing.
    if word.load(Ordering::Relaxed).is_null() {
        return None;
    }
    // ORDERING: Acquire: the batch as it was put; pairs with the release in `put` and `push`.
    let batch = word.swap(ptr::null_mut(), Ordering::Acquire);
    // SAFETY: by R4 the word held a batch that came from a box, and it is ours now.
    (!batch.is_null()).then(|| unsafe { Box::from_raw(batch) })
}

/// Tells the domain when ripe items were put back, also by a panic.
struct PutBack<'d, T, L> {
    domain: &'d Domain<T, L>,
    ripe: Cell<bool>,
}

impl<T, L> Drop for PutBack<'_, T, L> {
    fn drop(&mut self) {
        if self.ripe.get() || std::thread::panicking() {
            self.domain.note_put_back();
        }
    }
}

/// Batches that were taken and not looked at yet; a panic puts them back.
struct Chain<'b, T> {
    bag: &'b Bag<T>,
    rest: Option<Box<Batch<T>>>,
    freed: usize,
}

impl<T> Chain<'_, T> {
    fn pop(&mut self) -> Option<Box<Batch<T>>> {
        let mut batch = self.rest.take()?;
        let next = std::mem::replace(&mut batch.next, ptr::null_mut());
        // SAFETY: the stack was taken as a whole (R4), and each batch in it came from a box.
        self.rest = (!next.is_null()).then(|| unsafe { Box::from_raw(next) });
        Some(batch)
    }
}

impl<T> Drop for Chain<'_, T> {
    fn drop(&mut self) {
        while let Some(batch) = self.pop() {
            self.bag.push(batch);
        }
        if self.freed > 0 {
            self.bag.freed.add(self.freed);
        }
    }
}

/// A batch whose item is being dropped; a panic puts the others back.
struct Remainder<'b, T> {
    bag: &'b Bag<T>,
    batch: Option<Box<Batch<T>>>,
}

impl<T> Remainder<'_, T> {
    fn defuse(mut self) -> Box<Batch<T>> {
        self.batch.take().expect("the batch is there until the guard is gone")
    }
}

impl<T> Drop for Remainder<'_, T> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.bag.push(batch);
        }
    }
}

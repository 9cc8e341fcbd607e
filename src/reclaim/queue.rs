//! Batches of retired items in the order in which they ripen.

use std::ptr;

use super::bag::{Ledgered, Retired};

/// Items that were sealed together.
pub(super) struct Batch<T> {
    /// The epoch when the batch was sealed (R3).
    pub(super) tag: u64,
    /// The batch below, in a stack; the batch behind, in a queue.
    pub(super) next: *mut Batch<T>,
    /// The last batch of the queue of which this one is the first.
    last: *mut Batch<T>,
    pub(super) items: Vec<(Retired<T>, Ledgered)>,
}

impl<T> Batch<T> {
    pub(super) fn new(items: usize) -> Box<Self> {
        let items = Vec::with_capacity(items);
        Box::new(Self { tag: 0, next: ptr::null_mut(), last: ptr::null_mut(), items })
    }
}

#[cfg(all(test, not(clockhand_loom)))]
thread_local! {
    /// How many batches this thread has looked at to put them in order.
    pub(super) static TURNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Batches in one hand (R4), oldest first.
pub(super) struct Queue<T> {
    first: *mut Batch<T>,
    last: *mut Batch<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut() }
    }
}

impl<T> Queue<T> {
    /// The batches of a queue that was given up, by its first, if any.
    ///
    /// # Safety
    ///
    /// The pointer came from [`into_first`](Self::into_first), and the batches are the caller's (R4).
    pub(super) unsafe fn of_queue(first: *mut Batch<T>) -> Self {
        // SAFETY: the caller's promise.
        let last = unsafe { first.as_ref() }.map_or(ptr::null_mut(), |first| first.last);
        Self { first, last }
    }

    /// The batches of a stack, if any, the lowest first.
    ///
    /// # Safety
    ///
    /// The batches came from boxes and are the caller's (R4).
    pub(super) unsafe fn of_stack(top: *mut Batch<T>) -> Self {
        let mut queue = Self { first: ptr::null_mut(), last: top };
        let mut next = top;
        while !next.is_null() {
            #[cfg(all(test, not(clockhand_loom)))]
            TURNED.set(TURNED.get() + 1);
            let batch = next;
            // SAFETY: the caller's promise.
            next = unsafe { std::mem::replace(&mut (*batch).next, queue.first) };
            queue.first = batch;
        }
        queue
    }

    /// Gives the batches up: a pointer to the first, which tells of all; null if there are none.
    pub(super) fn into_first(mut self) -> *mut Batch<T> {
        let last = self.last;
        if let Some(first) = self.first() {
            first.last = last;
        }
        self.first
    }

    pub(super) fn first(&mut self) -> Option<&mut Batch<T>> {
        // SAFETY: the batches of a queue came from boxes and are one hand's (R4).
        unsafe { self.first.as_mut() }
    }

    /// Takes the first batch out.
    pub(super) fn pop(&mut self) -> Option<Box<Batch<T>>> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: as in `first`, and nothing else leads to it any more.
        let batch = unsafe { Box::from_raw(self.first) };
        self.first = batch.next;
        Some(batch)
    }

    /// Puts others behind these.
    pub(super) fn append(&mut self, others: Self) {
        if self.first.is_null() {
            *self = others;
        } else if !others.first.is_null() {
            // SAFETY: as in `first`; where one is there, the last one is.
            unsafe { (*self.last).next = others.first };
            self.last = others.last;
        }
    }

    /// Puts others behind these or in front, as the first batches tell. Two hands that meet had
    /// batches of nearly the same time: what is out of order then waits a little longer.
    pub(super) fn join(&mut self, mut others: Self) {
        let older = |queue: &mut Self| queue.first().map_or(u64::MAX, |batch| batch.tag);
        if older(&mut others) < older(self) {
            std::mem::swap(self, &mut others);
        }
        self.append(others);
    }
}

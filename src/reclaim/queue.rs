//! Batches of retired items in the order in which they ripen.

use std::ptr;

use super::bag::{ChargedTo, Retired};

/// When a batch was sealed (R3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seal {
    /// The epoch.
    pub(super) tag: u64,
    pub(super) era: u32,
}

/// Items that were sealed together.
pub(super) struct Batch<T> {
    pub(super) seal: Seal,
    /// The batch below, in a stack; the batch behind, in a queue.
    pub(super) next: *mut Batch<T>,
    /// The last batch of the queue of which this one is the first.
    last: *mut Batch<T>,
    pub(super) items: Vec<(Retired<T>, ChargedTo)>,
}

impl<T> Batch<T> {
    pub(super) fn new(items: usize) -> Box<Self> {
        let items = Vec::with_capacity(items);
        Box::new(Self {
            seal: Seal::default(),
            next: ptr::null_mut(),
            last: ptr::null_mut(),
            items,
        })
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
        let (mut queue, mut next) = (Self::default(), top);
        while !next.is_null() {
            // SAFETY: the caller's promise; each is taken once.
            let batch = unsafe { Box::from_raw(next) };
            next = batch.next;
            count_turned();
            let mut older = Self::of_one(batch);
            older.join(queue);
            queue = older;
        }
        queue
    }

    pub(super) fn of_one(mut batch: Box<Batch<T>>) -> Self {
        batch.next = ptr::null_mut();
        let batch = Box::into_raw(batch);
        Self { first: batch, last: batch }
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

    /// The tag of the first batch; none is later than anything.
    fn oldest(&mut self) -> u64 {
        self.first().map_or(u64::MAX, |batch| batch.seal.tag)
    }

    /// The tag of the last batch; none is earlier than anything.
    fn youngest(&mut self) -> u64 {
        if self.first.is_null() {
            return 0;
        }
        // SAFETY: as in `first`; where one is there, the last one is.
        unsafe { (*self.last).seal.tag }
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

    /// Puts a batch behind the others.
    pub(super) fn push(&mut self, batch: Box<Batch<T>>) {
        self.append(Self::of_one(batch));
    }

    /// Puts others behind these.
    pub(super) fn append(&mut self, others: Self) {
        if self.first.is_null() {
            *self = others;
        } else if !others.first.is_null() {
            // SAFETY: as in `youngest`.
            unsafe { (*self.last).next = others.first };
            self.last = others.last;
        }
    }

    /// Puts others among these, by their tags. That is one step if these are older than those or the
    /// other way round, as they are unless two collections meet, or a thread was descheduled while
    /// it sealed.
    pub(super) fn join(&mut self, mut others: Self) {
        let mut early = std::mem::take(self);
        if others.oldest() < early.oldest() {
            std::mem::swap(&mut early, &mut others);
        }
        // `early` begins no later than `others`, each time.
        while early.youngest() > others.oldest() {
            while early.oldest() <= others.oldest() {
                count_turned();
                self.append(early.pop().map_or_else(Self::default, Self::of_one));
            }
            std::mem::swap(&mut early, &mut others);
        }
        self.append(early);
        self.append(others);
    }
}

#[cfg(all(test, not(clockhand_loom)))]
fn count_turned() {
    TURNED.set(TURNED.get() + 1);
}

#[cfg(not(all(test, not(clockhand_loom))))]
fn count_turned() {}

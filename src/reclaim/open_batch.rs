//! What a participant's holder has retired last, one by one, without an exchange for each.
//!
//! ```text
//!   item:     taken            put             taken + BATCH
//!   ----------+----------------+---------------+------------
//!    gone     |  filled        |  empty        |  the same places as those that are gone
//! ```
//!
//! The holder alone fills places, and moves `put` on. The thread that takes the filled ones out, holder or not,
//! excludes others who take by the word `taker`, and moves `taken` on after it has emptied them. No thread waits for
//! it: another who wants to take gets nothing, and a holder who finds no empty place seals its item alone.
//!
//! # Invariants
//!
//! - **O1** Places from `taken` to `put` are filled, the others are empty. Only the holder moves `put`, and only who
//!   has set `taker` moves `taken`.
//! - **O2** The holder writes empty places only, and who takes reads filled ones only.

use std::fmt;
use std::mem::MaybeUninit;

use super::bag::{ChargedTo, Retired};
use super::queue::Batch;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, Place, seeded};

/// Items in a batch. Small where races are looked for.
pub(super) const BATCH: usize = if cfg!(any(clockhand_loom, clockhand_seeds)) { 2 } else { 32 };

type Item<T> = (Retired<T>, ChargedTo);

/// The places of one participant's newest items.
pub(super) struct OpenBatch<T> {
    put: AtomicUsize,
    taken: AtomicUsize,
    taker: AtomicBool,
    cells: [Place<MaybeUninit<Item<T>>>; BATCH],
}

impl<T> OpenBatch<T> {
    pub(super) fn new() -> Self {
        Self {
            put: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            taker: AtomicBool::new(false),
            cells: std::array::from_fn(|_| Place::new(MaybeUninit::uninit())),
        }
    }

    /// Whether there is nothing in it, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint.
        self.put.load(Ordering::Relaxed) == self.taken.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn filled(&self) -> usize {
        // ORDERING S-o: Relaxed: only the holder writes it.
        let put = self.put.load(Ordering::Relaxed);
        // ORDERING R-q: Acquire: the other places were emptied before; pairs with the store in `take`.
        put.wrapping_sub(self.taken.load(Ordering::Acquire))
    }

    /// Puts an item in; how many there are then. Called by the participant's holder only.
    ///
    /// # Errors
    ///
    /// The item, if it is full.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn put(&self, item: Item<T>) -> Result<usize, Item<T>> {
        let filled = self.filled();
        if filled >= BATCH {
            return Err(item);
        }
        // ORDERING S-o: Relaxed: only the holder writes it.
        let put = self.put.load(Ordering::Relaxed);
        self.cells[put % BATCH].with_mut(|cell| {
            // SAFETY: by O1 the place is empty, and by O2 no other thread touches it.
            unsafe { cell.write(MaybeUninit::new(item)) };
        });
        // ORDERING R-q: Release: the item; pairs with the load in `take`.
        self.put.store(put.wrapping_add(1), Ordering::Release);
        Ok(filled + 1)
    }

    /// Takes all items out, into an empty batch, if there are any and no other thread is at it. It asks for the batch
    /// only when it is known to need it: one that is left over would be lost to the next who seals.
    pub(super) fn take(&self, empty: impl FnOnce() -> Box<Batch<T>>) -> Option<Box<Batch<T>>> {
        if self.is_empty() {
            return None;
        }
        // ORDERING R-r: Acquire: what the last one took is gone; pairs with the store below.
        let (alone, busy) = (Ordering::Acquire, Ordering::Relaxed);
        if self.taker.compare_exchange(false, true, alone, busy).is_err()
            && !seeded("reclaim-take-together")
        {
            return None;
        }
        let batch = self.take_alone(empty);
        // ORDERING R-r: Release: the places that were emptied; pairs with the exchange.
        self.taker.store(false, Ordering::Release);
        batch
    }

    /// The same for the thread that has set `taker`.
    #[allow(unsafe_code)]
    fn take_alone(&self, empty: impl FnOnce() -> Box<Batch<T>>) -> Option<Box<Batch<T>>> {
        // ORDERING R-r: Relaxed: ordered by the exchange.
        let taken = self.taken.load(Ordering::Relaxed);
        // ORDERING R-q: Acquire: the items; pairs with the store in `put`.
        let put = self.put.load(Ordering::Acquire);
        if taken == put {
            return None;
        }
        let (mut batch, mut next) = (empty(), taken);
        if seeded("reclaim-take-early") {
            // ORDERING R-q: Release: the seeded bug.
            self.taken.store(put, Ordering::Release);
        }
        while next != put {
            let item = self.cells[next % BATCH].with_mut(|cell| {
                // SAFETY: by O2 no other thread touches the place; it counts as empty from the store below on.
                let item = unsafe { cell.read() };
                // SAFETY: by O1 it is filled.
                unsafe { item.assume_init() }
            });
            batch.items.push(item);
            next = next.wrapping_add(1);
        }
        // ORDERING R-q: Release: the places are empty; pairs with the load in `put`.
        self.taken.store(put, Ordering::Release);
        Some(batch)
    }

    /// Forgets who is taking items out: no thread is any more. What was in its hands, and not yet counted as taken,
    /// is still here.
    pub(super) fn forget_taker(&self) {
        // ORDERING R-r: Relaxed: called where no other thread is.
        self.taker.store(false, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for OpenBatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("put", &self.put)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

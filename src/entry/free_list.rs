//! The records of freed entries, kept for the next ones.

use std::cell::UnsafeCell;

use super::{RawEntry, Slab};

/// Records that a thread keeps at most.
const MAX_FREE: usize = 32;

/// The numbers that a thread keeps of the entries that it freed. So a thread that inserts as much as it evicts
/// meets no thread.
#[derive(Default)]
pub(crate) struct FreeList(UnsafeCell<Numbers>);

/// Some numbers of records. A number counts once it is written, and counts no more before it is used: if a fork
/// leaves the thread behind at any step, the numbers that count are no other thread's.
#[derive(Default)]
pub(super) struct Numbers {
    len: usize,
    numbers: [u32; MAX_FREE],
}

impl Numbers {
    #[inline]
    fn pop(&mut self) -> Option<u32> {
        let last = self.len.checked_sub(1)?;
        self.len = last;
        Some(self.numbers[last])
    }

    /// Adds a number where there is room.
    #[inline]
    pub(super) fn push(&mut self, number: u32) {
        self.numbers[self.len] = number;
        self.len += 1;
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len == MAX_FREE
    }

    /// Takes the later half out.
    pub(super) fn take_half(&mut self) -> &[u32] {
        let (half, len) = (self.len / 2, self.len);
        self.len = half;
        &self.numbers[half..len]
    }
}

impl FreeList {
    /// A record for an entry, in a slab that outlives it.
    ///
    /// # Safety
    ///
    /// No other thread uses these spares meanwhile, and they are always used with the same slab.
    #[inline]
    pub(crate) unsafe fn take<K, V>(&self, slab: &Slab<K, V>) -> RawEntry<K, V> {
        // SAFETY: the caller's promise; nothing is called meanwhile that could come back here.
        let kept = unsafe { &mut *self.0.get() };
        let number = kept.pop().unwrap_or_else(|| slab.take_some(kept));
        // SAFETY: handed out by the slab, and in no list any more.
        unsafe { RawEntry::of(slab, number) }
    }

    /// Keeps the record, or gives it back if it is another's size.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[inline]
    pub(crate) unsafe fn keep<K, V>(&self, slab: &Slab<K, V>, raw_entry: RawEntry<K, V>) {
        let Some(number) = raw_entry.into_plain() else { return };
        // SAFETY: as in `take`.
        let kept = unsafe { &mut *self.0.get() };
        if kept.is_full() {
            slab.give_some(kept);
        }
        kept.push(number);
    }
}

// SAFETY: used by one thread at a time, as every method demands; numbers belong to no thread.
unsafe impl Sync for FreeList {}
// SAFETY: as above.
unsafe impl Send for FreeList {}

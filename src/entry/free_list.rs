//! The records of freed entries, kept for the next ones.

use std::cell::UnsafeCell;

use super::{Kind, RawEntry, Slab, is_plain};

/// Records that a thread keeps at most, and of those with a token: loads of a thread are mostly one after another.
const MAX_FREE: usize = 32;
const MAX_FREE_WITH_TOKEN: usize = 8;

/// The numbers that a thread keeps of the entries that it freed. So a thread that inserts as much as it evicts
/// meets no thread.
#[derive(Default)]
pub(crate) struct FreeList {
    plain: UnsafeCell<FreeNumbers<MAX_FREE>>,
    with_token: UnsafeCell<FreeNumbers<MAX_FREE_WITH_TOKEN>>,
}

/// Some numbers of records. A number counts once it is written, and counts no more before it is used: if a fork
/// leaves the thread behind at any step, the numbers that count are no other thread's.
pub(super) struct FreeNumbers<const LIMIT: usize> {
    len: usize,
    numbers: [u32; LIMIT],
}

impl<const LIMIT: usize> Default for FreeNumbers<LIMIT> {
    fn default() -> Self {
        Self { len: 0, numbers: [0; LIMIT] }
    }
}

impl<const LIMIT: usize> FreeNumbers<LIMIT> {
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
        self.len == LIMIT
    }

    /// For how many numbers there is room.
    pub(super) fn room(&self) -> usize {
        LIMIT - self.len
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
    /// No other thread uses this list meanwhile, and it is always used with the same slab.
    #[inline]
    pub(crate) unsafe fn take<K, V>(&self, slab: &Slab<K, V>) -> RawEntry<K, V> {
        // SAFETY: the caller's promise; nothing is called meanwhile that could come back here.
        let kept = unsafe { &mut *self.plain.get() };
        let number = kept.pop().unwrap_or_else(|| slab.take_some(kept));
        // SAFETY: handed out by the slab, and in no list any more.
        unsafe { RawEntry::of(slab, number) }
    }

    /// A record for an entry with a token, of this kind.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[inline]
    pub(crate) unsafe fn take_with_token<K, V>(
        &self,
        slab: &Slab<K, V>,
        kind: Kind,
    ) -> RawEntry<K, V> {
        // SAFETY: as in `take`.
        let kept = unsafe { &mut *self.with_token.get() };
        let number = kept.pop().unwrap_or_else(|| slab.take_some_with_token(kept));
        // SAFETY: handed out by the slab, and in no list any more.
        unsafe { RawEntry::with_token(slab, number, kind) }
    }

    /// Keeps the record.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[inline]
    pub(crate) unsafe fn keep<K, V>(&self, slab: &Slab<K, V>, raw_entry: RawEntry<K, V>) {
        let number = raw_entry.into_number();
        if !is_plain(number) {
            // SAFETY: the caller's promise.
            return unsafe { self.keep_with_token(slab, number) };
        }
        // SAFETY: as in `take`.
        let kept = unsafe { &mut *self.plain.get() };
        if kept.is_full() {
            slab.give_some(kept);
        }
        kept.push(number);
    }

    /// The same for one with a token. Apart, as most have none.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[cold]
    #[inline(never)]
    unsafe fn keep_with_token<K, V>(&self, slab: &Slab<K, V>, number: u32) {
        // SAFETY: as in `take`.
        let kept = unsafe { &mut *self.with_token.get() };
        if kept.is_full() {
            slab.give_some_with_token(kept);
        }
        kept.push(number);
    }
}

// SAFETY: used by one thread at a time, as every method demands; numbers belong to no thread.
unsafe impl Sync for FreeList {}
// SAFETY: as above.
unsafe impl Send for FreeList {}

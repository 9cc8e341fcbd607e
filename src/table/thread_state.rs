//! What the table and its owner keep for each thread.

use std::marker::PhantomData;
use std::ops::Deref;

use super::Garbage;
use crate::entry::{Entry, EntryCosts, FreeList, Kind, RawEntry, Slab};

/// A thread's part: records for entries, and what the table's owner keeps.
pub(crate) struct ThreadState<K, V, L> {
    free_list: FreeList,
    owner: L,
    _of: PhantomData<fn(K, V)>,
}

impl<K, V, L: Default> Default for ThreadState<K, V, L> {
    fn default() -> Self {
        Self { free_list: FreeList::default(), owner: L::default(), _of: PhantomData }
    }
}

impl<K, V, L> Deref for ThreadState<K, V, L> {
    type Target = L;
    #[inline]
    fn deref(&self) -> &L {
        &self.owner
    }
}

impl<K, V, L> ThreadState<K, V, L> {
    /// Makes an entry.
    ///
    /// # Safety
    ///
    /// The calling thread holds the participant that this state belongs to.
    #[inline]
    pub(super) unsafe fn entry(
        &self,
        slab: &Slab<K, V>,
        hash: u64,
        key: K,
        value: V,
        costs: EntryCosts,
    ) -> Entry<K, V> {
        // SAFETY: a participant has one holder at a time (R1), the calling thread; a thread state is one table's.
        let raw_entry = unsafe { self.free_list.take(slab) };
        raw_entry.fill(hash, key, value, costs)
    }

    /// A record for an entry with a token, of this kind.
    ///
    /// # Safety
    ///
    /// As for [`entry`](Self::entry).
    #[inline]
    pub(super) unsafe fn record_with_token(&self, slab: &Slab<K, V>, kind: Kind) -> RawEntry<K, V> {
        // SAFETY: as in `entry`.
        unsafe { self.free_list.take_with_token(slab, kind) }
    }
}

/// Frees garbage; the memory goes to the free list of the thread that does it, if it has one.
pub(crate) struct Reclaimer<'d, K, V, L>(Option<Place<'d, K, V, L>>);

/// A thread's state, and the slab that its records are of.
type Place<'d, K, V, L> = (&'d ThreadState<K, V, L>, &'d Slab<K, V>);

impl<'d, K, V, L> Reclaimer<'d, K, V, L> {
    /// Keeps no memory.
    pub(crate) fn plain() -> Self {
        Self(None)
    }

    /// Keeps memory on the thread's free list.
    ///
    /// # Safety
    ///
    /// While it lives, the calling thread holds the participant that the state belongs to, in a table with this slab.
    pub(super) unsafe fn at(thread_state: &'d ThreadState<K, V, L>, slab: &'d Slab<K, V>) -> Self {
        Self(Some((thread_state, slab)))
    }

    /// Drops what was retired.
    #[inline]
    pub(crate) fn free<X>(&self, garbage: Garbage<K, V, X>) {
        let Garbage::Entry(entry) = garbage else { return drop_other(garbage) };
        let raw_entry = entry.clear();
        if let Some((thread_state, slab)) = self.0 {
            // SAFETY: a participant has one holder at a time (R1), the calling thread.
            unsafe { thread_state.free_list.keep(slab, raw_entry) };
        }
    }
}

#[cold]
#[inline(never)]
fn drop_other<K, V, X>(garbage: Garbage<K, V, X>) {
    drop(garbage);
}

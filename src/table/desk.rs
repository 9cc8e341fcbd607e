//! What the table and its owner keep for each thread.

use std::marker::PhantomData;
use std::ops::Deref;

use super::Junk;
use crate::entry::{Entry, Slab, Spares, Toll};

/// A thread's part: records for entries, and what the table's owner keeps.
pub(crate) struct Desk<K, V, L> {
    spares: Spares,
    owner: L,
    _of: PhantomData<fn(K, V)>,
}

impl<K, V, L: Default> Default for Desk<K, V, L> {
    fn default() -> Self {
        Self { spares: Spares::default(), owner: L::default(), _of: PhantomData }
    }
}

impl<K, V, L> Deref for Desk<K, V, L> {
    type Target = L;
    #[inline]
    fn deref(&self) -> &L {
        &self.owner
    }
}

impl<K, V, L> Desk<K, V, L> {
    /// Makes an entry.
    ///
    /// # Safety
    ///
    /// The calling thread holds the seat that this desk belongs to.
    #[inline]
    pub(super) unsafe fn entry(
        &self,
        slab: &Slab<K, V>,
        hash: u64,
        key: K,
        value: V,
        toll: Toll,
    ) -> Entry<K, V> {
        // SAFETY: a seat has one holder at a time (R1), the calling thread; a desk is one table's.
        let hull = unsafe { self.spares.take(slab) };
        hull.fill(hash, key, value, toll)
    }
}

/// Frees junk, on the desk of the thread that does it if it has one.
pub(crate) struct Shredder<'d, K, V, L>(Option<Place<'d, K, V, L>>);

/// A desk, and the slab that its records are of.
type Place<'d, K, V, L> = (&'d Desk<K, V, L>, &'d Slab<K, V>);

impl<'d, K, V, L> Shredder<'d, K, V, L> {
    /// Keeps no memory.
    pub(crate) fn plain() -> Self {
        Self(None)
    }

    /// Keeps memory on the desk.
    ///
    /// # Safety
    ///
    /// While it lives, the calling thread holds the seat that the desk belongs to, in a table with this slab.
    pub(super) unsafe fn at(desk: &'d Desk<K, V, L>, slab: &'d Slab<K, V>) -> Self {
        Self(Some((desk, slab)))
    }

    /// Drops what was retired.
    #[inline]
    pub(crate) fn free<X>(&self, junk: Junk<K, V, X>) {
        if let (Junk::Entry(entry), Some((desk, slab))) = (junk, self.0) {
            let hull = entry.clear();
            // SAFETY: a seat has one holder at a time (R1), the calling thread.
            unsafe { desk.spares.keep(slab, hull) };
        }
    }
}

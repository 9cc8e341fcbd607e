//! What the table and its owner keep for each thread.

use std::ops::Deref;

use super::Junk;
use crate::entry::{Entry, Hull, Kind, Shape, Spares};

/// A thread's part: memory for entries, and what the table's owner keeps.
pub(crate) struct Desk<K, V, L> {
    spares: Spares<K, V>,
    owner: L,
}

impl<K, V, L: Default> Default for Desk<K, V, L> {
    fn default() -> Self {
        Self { spares: Spares::default(), owner: L::default() }
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
        shape: Shape,
        hash: u64,
        key: K,
        value: V,
        charge: u64,
    ) -> Entry<K, V> {
        // SAFETY: a seat has one holder at a time (R1), the calling thread.
        let spare = unsafe { self.spares.take() };
        spare.unwrap_or_else(|| Hull::new(shape, Kind::Plain)).fill(hash, key, value, charge)
    }
}

/// Frees junk, on the desk of the thread that does it if it has one.
pub(crate) struct Shredder<'d, K, V, L>(Option<&'d Desk<K, V, L>>);

impl<'d, K, V, L> Shredder<'d, K, V, L> {
    /// Keeps no memory.
    pub(crate) fn plain() -> Self {
        Self(None)
    }

    /// Keeps memory on the desk.
    ///
    /// # Safety
    ///
    /// While it lives, the calling thread holds the seat that the desk belongs to.
    pub(super) unsafe fn at(desk: &'d Desk<K, V, L>) -> Self {
        Self(Some(desk))
    }

    /// Drops what was retired.
    #[inline]
    pub(crate) fn free<X>(&self, junk: Junk<K, V, X>) {
        if let (Junk::Entry(entry), Some(desk)) = (junk, self.0) {
            let hull = entry.clear();
            // SAFETY: a seat has one holder at a time (R1), the calling thread.
            unsafe { desk.spares.keep(hull) };
        }
    }
}

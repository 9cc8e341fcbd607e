//! The memory of freed entries, kept for the next ones.

use std::cell::UnsafeCell;

use super::Hull;

/// Memory that a thread keeps at most.
const KEPT: usize = 32;

/// What a thread keeps of the memory of the entries that it freed. So a thread that inserts as much as
/// it evicts leaves the allocator alone, whose free memory it would share with other threads.
pub(crate) struct Spares<K, V>(UnsafeCell<Vec<Hull<K, V>>>);

impl<K, V> Default for Spares<K, V> {
    fn default() -> Self {
        Self(UnsafeCell::new(Vec::new()))
    }
}

impl<K, V> Spares<K, V> {
    /// Memory for an entry, if there is any.
    ///
    /// # Safety
    ///
    /// No other thread uses these spares meanwhile.
    #[inline]
    pub(crate) unsafe fn take(&self) -> Option<Hull<K, V>> {
        // SAFETY: the caller's promise; nothing is called meanwhile that could come back here.
        unsafe { &mut *self.0.get() }.pop()
    }

    /// Keeps the memory, or frees it if there is enough.
    ///
    /// # Safety
    ///
    /// No other thread uses these spares meanwhile.
    #[inline]
    pub(crate) unsafe fn keep(&self, hull: Hull<K, V>) {
        // SAFETY: as in `take`; allocating and freeing calls nothing that could come back here.
        let kept = unsafe { &mut *self.0.get() };
        if kept.len() < KEPT && hull.is_spare() {
            if kept.capacity() == 0 {
                kept.reserve_exact(KEPT);
            }
            kept.push(hull);
        }
    }
}

// SAFETY: used by one thread at a time, as every method demands; memory belongs to no thread.
unsafe impl<K, V> Sync for Spares<K, V> {}
// SAFETY: as above.
unsafe impl<K, V> Send for Spares<K, V> {}

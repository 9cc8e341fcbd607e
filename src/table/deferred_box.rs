//! What was taken out of reach while others may still be looking at it.

use std::ptr::NonNull;

/// A box that is not touched, not even moved as a box, before it is dropped.
#[derive(Debug)]
pub(crate) struct DeferredBox<T>(NonNull<T>);

impl<T> DeferredBox<T> {
    /// Takes charge of it.
    ///
    /// # Safety
    ///
    /// The pointer came from a box and is the caller's, and the thread that looks at what it leads to has done
    /// so when this is dropped.
    pub(super) unsafe fn new(boxed: *mut T) -> Self {
        // SAFETY: a pointer that came from a box is not null.
        Self(unsafe { NonNull::new_unchecked(boxed) })
    }

    /// Looks at it, as others may.
    pub(super) fn get(&self) -> &T {
        // SAFETY: the box is there until this is dropped, and no thread has it for itself before.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for DeferredBox<T> {
    fn drop(&mut self) {
        // SAFETY: by the promise made to `new`.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

// SAFETY: it owns what a box would own.
unsafe impl<T: Send> Send for DeferredBox<T> {}

//! Slices of atomics that start as zeros.

#[cfg(not(clockhand_loom))]
use std::alloc::{self, Layout};

use super::{AtomicPtr, AtomicU64, Relaxed};

/// A type of atomics for which memory full of zeros is the initial value.
///
/// # Safety
///
/// All-zero bytes are a valid value, and the type takes up memory.
#[allow(unsafe_code)]
pub(crate) unsafe trait Zeroed {}
// SAFETY: null.
#[allow(unsafe_code)]
unsafe impl<N> Zeroed for AtomicPtr<N> {}
// SAFETY: zero.
#[allow(unsafe_code)]
unsafe impl Zeroed for Relaxed<AtomicU64> {}

/// A slice of zeros, which must not be empty. Fresh pages from the operating system are used as
/// they are, so a large slice takes memory only as it is written.
#[cfg(not(clockhand_loom))]
#[allow(unsafe_code)]
pub(crate) fn zeroed<T: Zeroed>(len: usize, _one: impl Fn() -> T) -> Box<[T]> {
    assert!(len > 0, "nothing to allocate");
    let layout = Layout::array::<T>(len).expect("the builder bounds what a table is made for");
    // SAFETY: neither `len` nor the size of the type is zero.
    let memory = unsafe { alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        alloc::handle_alloc_error(layout);
    }
    let slice = std::ptr::slice_from_raw_parts_mut(memory.cast::<T>(), len);
    // SAFETY: allocated with the layout of the slice, and valid as zeros.
    unsafe { Box::from_raw(slice) }
}

/// Under the model checker an atomic is more than its bytes.
#[cfg(clockhand_loom)]
pub(crate) fn zeroed<T: Zeroed>(len: usize, one: impl Fn() -> T) -> Box<[T]> {
    (0..len).map(|_| one()).collect()
}

//! Slices of atomics that start as zeros.

#[cfg(not(clockhand_loom))]
use std::alloc::{self, Layout};

use super::array::Bucket;
use crate::sync::{AtomicPtr, AtomicU64, Relaxed};

/// A type of atomics for which memory full of zeros is the initial value.
///
/// # Safety
///
/// All-zero bytes are a valid value.
pub(super) unsafe trait Zeroed {}
// SAFETY: made of integers and null pointers in atomics.
unsafe impl<K, V> Zeroed for Bucket<K, V> {}
// SAFETY: null.
unsafe impl<N> Zeroed for AtomicPtr<N> {}
// SAFETY: zero.
unsafe impl Zeroed for Relaxed<AtomicU64> {}

/// A slice of zeros. Fresh pages from the operating system are used as they come: a large table
/// takes memory as it fills.
#[cfg(not(clockhand_loom))]
pub(super) fn zeroed<T: Zeroed>(len: usize, _one: impl Fn() -> T) -> Box<[T]> {
    let layout = Layout::array::<T>(len).expect("the builder bounds the number of buckets");
    // SAFETY: `len` is not zero, nor is any of the types.
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
pub(super) fn zeroed<T: Zeroed>(len: usize, one: impl Fn() -> T) -> Box<[T]> {
    (0..len).map(|_| one()).collect()
}

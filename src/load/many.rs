//! Whether a loader has a `load_many` of its own.
//!
//! If it has, many keys are loaded by one query, which succeeds or fails as a whole. If it has not,
//! each key is loaded by itself, and fails by itself. Rust cannot tell whether a trait's method was
//! overridden, so the default method tells: called by the cache, it declines and loads nothing.

use std::cell::Cell;

/// The address and the length of a slice of keys.
type SliceAddress = (*const (), usize);

thread_local! {
    /// The keys for which the cache is calling `load_many` on this thread.
    static CALLED_FOR: Cell<Option<SliceAddress>> = const { Cell::new(None) };
}

/// Calls a loader's `load_many` for `keys` by `call`. Returns `None` if that is the default.
pub(super) fn call<K, R>(keys: &[K], call: impl FnOnce() -> R) -> Option<R> {
    /// Restores what an outer call has set, even on a panic.
    struct RestoreOnDrop(Option<SliceAddress>);
    impl Drop for RestoreOnDrop {
        fn drop(&mut self) {
            CALLED_FOR.set(self.0);
        }
    }
    let _restore = RestoreOnDrop(CALLED_FOR.replace(Some(address(keys))));
    let answer = call();
    CALLED_FOR.get().is_some().then_some(answer)
}

/// Called by the default `load_many`. Whether the cache calls that, and it has to decline.
pub(super) fn declines<K>(keys: &[K]) -> bool {
    let is_called = CALLED_FOR.get() == Some(address(keys));
    if is_called {
        CALLED_FOR.set(None);
    }
    is_called
}

fn address<K>(keys: &[K]) -> SliceAddress {
    (keys.as_ptr().cast(), keys.len())
}

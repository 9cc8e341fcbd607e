//! Whether a loader has a `load_many` of its own.
//!
//! Where it has, many keys are one query, which succeeds or fails as a whole. Where it has not, each key
//! is loaded by itself, and fails by itself. Rust does not tell whether a trait's method was
//! overridden, so the default one says it: asked by the cache, it declines and loads nothing.

use std::cell::Cell;

/// The place of some keys in memory.
type Place = (*const (), usize);

thread_local! {
    /// The keys for which the cache is calling `load_many` on this thread.
    static ASKED: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Calls a loader's `load_many` for these keys by `call`; nothing if that is the default.
pub(super) fn ask<K, R>(keys: &[K], call: impl FnOnce() -> R) -> Option<R> {
    /// Puts back what an outer call has asked, whatever happens.
    struct Back(Option<Place>);
    impl Drop for Back {
        fn drop(&mut self) {
            ASKED.set(self.0);
        }
    }
    let _back = Back(ASKED.replace(Some(place(keys))));
    let answer = call();
    ASKED.get().is_some().then_some(answer)
}

/// Called by the default `load_many`: whether it is the cache that calls it.
pub(super) fn declines<K>(keys: &[K]) -> bool {
    let is_asked = ASKED.get() == Some(place(keys));
    if is_asked {
        ASKED.set(None);
    }
    is_asked
}

fn place<K>(keys: &[K]) -> Place {
    (keys.as_ptr().cast(), keys.len())
}

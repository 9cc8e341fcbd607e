//! The terms of a value that a loader's default `reload` has loaded.
//!
//! A loader that says how long its values live implements `load_fresh`, and may have no `reload` of its own. The default
//! of that calls `load_fresh`, but can return the value alone. It leaves the terms here, and the default `reload_fresh`,
//! which has called it, takes them.

use std::cell::Cell;

use super::fresh::{Fresh, Terms};

/// The addresses of the key and of the older value: terms are those of one call.
type Call = [usize; 2];

thread_local! {
    static LEFT: Cell<Option<(Call, Terms)>> = const { Cell::new(None) };
}

/// What a call of `reload` for these is known by.
pub(super) fn call<K, V>(key: &K, old: &V) -> Call {
    [std::ptr::from_ref(key).addr(), std::ptr::from_ref(old).addr()]
}

/// Returns the value, and leaves its terms.
pub(super) fn leave<V>(fresh: Fresh<V>, call: Call) -> V {
    let (value, terms) = fresh.into_parts();
    LEFT.set(Some((call, terms)));
    value
}

/// Calls `reload`, or polls its future, and gives the value the terms that were left meanwhile.
pub(super) fn take<T>(call: Call, reload: impl FnOnce() -> T) -> (T, Terms) {
    // What is left of another call that was not taken.
    LEFT.take();
    let loaded = reload();
    let left = LEFT.take().filter(|(other, _)| *other == call);
    (loaded, left.map_or_else(Terms::default, |(_, terms)| terms))
}

//! Parts that the test files share.
#![allow(dead_code, unused_imports, reason = "every test file uses its own part of this")]

pub(crate) mod broker;
pub(crate) mod heap;
pub(crate) mod history;
#[cfg(feature = "predict")]
pub(crate) mod market;
mod random;
pub(crate) mod strict;
mod threads;
mod values;

pub(crate) use random::Random;
pub(crate) use threads::{eventually, in_time, oblivious, together, watched};
pub(crate) use values::{
    Census, Constant, Identity, Person, Weighty, on_reading_thread, read_only,
};

use std::hash::{BuildHasher, Hash};

use clockhand::Cache;

/// Stress tests run at `small`; at `full` size with `CLOCKHAND_STRESS=full`, and at a fifth of
/// `small` with `CLOCKHAND_STRESS=tiny`, for a run under a sanitizer.
pub(crate) fn size(small: usize, full: usize) -> usize {
    match stress().as_deref() {
        Ok("full") => full,
        Ok("tiny") => small.div_ceil(5),
        _ => small,
    }
}

/// Whether the full size was asked for.
pub(crate) fn is_full() -> bool {
    stress().is_ok_and(|stress| stress == "full")
}

fn stress() -> Result<String, std::env::VarError> {
    std::env::var("CLOCKHAND_STRESS")
}

/// For answers that a test does not care about.
pub(crate) fn ignore<T>(_: T) {}

/// What must hold in every answer of `usage`, at any instant.
pub(crate) fn assert_bounds<K, V, S>(cache: &Cache<K, V, S>) {
    let usage = cache.usage();
    assert!(usage.charged <= usage.capacity, "the bound: {usage:?}");
    assert!(usage.retired <= usage.retired_capacity, "the retired capacity's bound: {usage:?}");
}

/// The same for a cache whose entries weigh one.
pub(crate) fn assert_unit_bounds<K, V, S>(cache: &Cache<K, V, S>) {
    assert_bounds(cache);
    let usage = cache.usage();
    assert!(usage.entries as u64 <= usage.capacity, "more entries than capacity: {usage:?}");
}

/// What must hold between the counters when nothing runs.
pub(crate) fn assert_balanced<K, V, S>(cache: &Cache<K, V, S>) {
    let stats = cache.stats();
    let gone = stats.evictions + stats.expirations + stats.invalidations;
    assert_eq!(stats.insertions, cache.len() as u64 + gone, "entries come and go: {stats:?}");
}

/// Recomputes every count from the contents, and panics where one is off. Does nothing where the
/// library was built without it, as under a `RUSTFLAGS` of one's own.
pub(crate) fn validate<K, V, S>(cache: &Cache<K, V, S>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    #[cfg(any(fuzzing, clockhand_fuzz))]
    cache.validate();
    #[cfg(not(any(fuzzing, clockhand_fuzz)))]
    ignore(cache);
}

//! The cache that most of the lab's parts use: words to words. They share it, so that it is compiled
//! once.

use clockhand::{BuildError, Builder};

use crate::failure::Failure;

/// Words to words.
pub(crate) type Words = clockhand::Cache<u64, u64, ahash::RandomState>;

/// What builds one.
pub(crate) type WordsBuilder = Builder<u64, u64, ahash::RandomState>;

/// Begins one of this capacity.
pub(crate) fn words(capacity: u64) -> WordsBuilder {
    clockhand::Cache::builder().capacity(capacity).hasher(ahash::RandomState::new())
}

/// For `map_err`: what the user ordered makes no cache.
pub(crate) fn unusable(error: BuildError) -> Failure {
    Failure::Input(format!("the cache cannot be built: {error}"))
}

//! How long maintenance takes, where it is asked for.

use std::time::Duration;

use crate::sync::{AtomicU64, Relaxed};
use crate::time::nanos;

/// Calls of `maintain`, and what they took together.
#[derive(Debug, Default)]
pub(super) struct Cleanups {
    count: Relaxed<AtomicU64>,
    nanos: Relaxed<AtomicU64>,
}

impl Cleanups {
    /// Notes what a call took.
    pub(super) fn note(&self, took: Duration) {
        self.nanos.add(nanos(took));
        self.count.add(1);
    }

    pub(super) fn get(&self) -> (u64, Duration) {
        // The count first: a call that ends in between is no time without a call.
        let count = self.count.get();
        (count, Duration::from_nanos(self.nanos.get()))
    }
}

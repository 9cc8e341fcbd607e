//! Whether the first tier may answer.
//!
//! One word, which every read looks at. It is *open* while the first tier has nothing that could be outdated without this
//! instance being told: while the connection that carries invalidations is up, and when the connection is down and the
//! first tier was emptied. In between it has the moment until which outdated entries may be served.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const OPEN: u64 = u64::MAX;

pub(crate) struct Gate(AtomicU64);

impl Gate {
    /// Closed: nothing is served.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether a read may be answered by the first tier. Without a look at the clock as long as the gate is open.
    #[inline]
    pub(crate) fn serves(&self) -> bool {
        // ORDERING: Acquire: a read that finds the gate open finds the first tier as it was emptied before; partner is the
        // store in `open`.
        let until = self.0.load(Ordering::Acquire);
        until == OPEN || Self::is_before(until)
    }

    #[cold]
    fn is_before(until: u64) -> bool {
        until != 0 && nanos(Instant::now()) < until
    }

    /// The first tier has been emptied, or the connection is up and it was emptied since.
    pub(crate) fn open(&self) {
        // ORDERING: Release: publishes that the first tier was emptied; partner is the load in `serves`.
        self.0.store(OPEN, Ordering::Release);
    }

    /// From now on entries may be outdated: they are served until `until` at most.
    pub(crate) fn close_at(&self, until: Option<Instant>) {
        let until = until.map_or(0, |until| nanos(until).min(OPEN - 1));
        // ORDERING: Release: a read that was told of the loss by this thread finds the gate closed.
        self.0.store(until, Ordering::Release);
    }
}

/// Nanoseconds since some moment of this process, never zero.
fn nanos(at: Instant) -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    u64::try_from(at.saturating_duration_since(origin).as_nanos()).unwrap_or(OPEN - 2) + 1
}

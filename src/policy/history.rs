//! What the policy remembers of keys.

use super::causes::Causes;
use super::ghosts::Ghosts;
use super::probation_fifo::ProbationFifo;
use super::recent_uses::Periods;
use super::tuning::{MAX_BYTES_PER_ENTRY, MAX_UNREPORTED, UNREPORTED_PART};

/// What the policy remembers of keys, including those that are not in the cache. Made for a number
/// of entries; a table whose size changes gets a new one.
#[derive(Debug)]
pub(crate) struct History {
    pub(super) periods: Periods,
    pub(super) ghosts: Ghosts,
    pub(super) causes: Causes,
    pub(super) fifo: ProbationFifo,
    /// Misses that a thread counts before it reports them.
    pub(super) report_interval: u64,
}

impl History {
    /// A history for a cache of `entries` entries: about fifteen bytes for each, and two more once one was
    /// removed or has expired.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            periods: Periods::new(entries),
            ghosts: Ghosts::new(entries),
            causes: Causes::new(entries),
            fifo: ProbationFifo::new(entries),
            report_interval: (entries as u64 / UNREPORTED_PART).clamp(1, MAX_UNREPORTED),
        }
    }

    /// One for a table that is going to have another size. It knows which entries came on probation last, and nothing
    /// else.
    pub(crate) fn resized(&self, entries: usize) -> Self {
        Self { fifo: self.fifo.resized(entries), ..Self::new(entries) }
    }

    /// Prefetches what it keeps of a key, to write it.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.ghosts.prefetch(hash);
    }

    /// What it takes for `entries` entries, at most.
    pub(crate) fn bytes_for(entries: usize) -> u128 {
        entries as u128 * MAX_BYTES_PER_ENTRY
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.ghosts.bytes() + self.causes.bytes() + self.fifo.bytes()
    }
}

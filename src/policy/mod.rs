//! Who stays: CLOCK with adaptive probation.
//!
//! | file | idea |
//! |---|---|
//! | `entries` | the table as the hands see it |
//! | `probation_fifo` | the order in which entries came on probation |
//! | `hand` | a position that walks round the table, and how long a round takes |
//! | `cursor` | one thread's part in the rounds of the hands |
//! | `recent_uses` | how often a key was heard of lately |
//! | `ghosts` | who was evicted lately, when, and how often it had been heard of |
//! | `causes` | who left for another reason, or never came in |
//! | `departure` | what became of a key |
//! | `scale` | time in steps |
//! | `probation_delta` | how much of the cache is on probation |
//! | `eviction` | the rules |
//! | `worth` | the rules where entries differ in weight or a miss in cost |
//!
//! A hit only adds to an entry's count. Everything else is done by writers that need room, and every
//! change is one attempt: if it fails, somebody used the entry, and it stays. Nothing here decides
//! about correctness. All words are hints: a lost update costs a little precision.
//!
//! The rules combine known parts: a small probationary region before a protected one (T. Johnson and
//! D. Shasha, *2Q*, VLDB 1994), ghosts that move the border between them (N. Megiddo and D. S. Modha,
//! *ARC*, FAST 2003), admission by frequency (G. Einziger, R. Friedman and B. Manes,
//! *TinyLFU*, ACM TOS 2017), hands over a clock (F. J. Corbató, 1968). `docs/design.md` tells them.

mod causes;
mod cursor;
mod departure;
mod entries;
mod eviction;
mod ghosts;
mod hand;
mod probation_delta;
mod probation_fifo;
mod recent_uses;
mod scale;
mod worth;

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub(crate) use causes::Cause;
pub(crate) use cursor::EvictionCursor;
pub(crate) use departure::Departure;
pub(crate) use entries::{Entries, ScanPosition};
pub(crate) use eviction::{Admission, Fill, Policy};
pub(crate) use probation_delta::ProbationDelta;
pub(crate) use recent_uses::RecentUses;
pub(crate) use worth::Worth;

use causes::Causes;
use ghosts::Ghosts;
use probation_fifo::ProbationFifo;
use recent_uses::Periods;

/// What the policy remembers of keys, those included that are not in the cache. Made for a number
/// of entries; a table whose size changes gets a new one.
#[derive(Debug)]
pub(crate) struct History {
    periods: Periods,
    ghosts: Ghosts,
    causes: Causes,
    fifo: ProbationFifo,
    /// Misses that a thread counts before it reports them.
    report_interval: u64,
}

/// The most misses that a thread counts for itself, and the part of the capacity that they are at
/// most: so little that no age is noticeably wrong.
const MAX_UNREPORTED: u64 = 16;
/// Of a large memory.
const MAX_BYTES_PER_ENTRY: u128 = 24;
const UNREPORTED_PART: u64 = 256;

impl History {
    /// A memory for a cache of so many entries: about fifteen bytes for each, and two more once one was
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

    /// One for a table that is going to have another size. It knows who came on probation last, and nothing
    /// else.
    pub(crate) fn resized(&self, entries: usize) -> Self {
        Self { fifo: self.fifo.resized(entries), ..Self::new(entries) }
    }

    /// Asks for what it keeps of a key, which is going to be written.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.ghosts.prefetch(hash);
    }

    /// What it takes for so many entries, at most.
    pub(crate) fn bytes_for(entries: usize) -> u128 {
        entries as u128 * MAX_BYTES_PER_ENTRY
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.ghosts.bytes() + self.causes.bytes() + self.fifo.bytes()
    }
}

//! Who stays: CLOCK with adaptive probation.
//!
//! | file | idea |
//! |---|---|
//! | `marks` | what the policy knows of an entry, in four bits |
//! | `face` | the table as the hands see it |
//! | `arrivals` | the order in which entries came on probation |
//! | `hand` | a position that walks round the table, and how long a round takes |
//! | `rounds` | one thread's part in the rounds of the hands |
//! | `heard` | how often a key was heard of lately |
//! | `ghosts` | who was evicted lately, when, and how often it had been heard of |
//! | `fates` | who left for another reason, or never came in |
//! | `past` | what became of a key |
//! | `scale` | time in steps |
//! | `share` | how much of the cache is on probation |
//! | `verdict` | the rules |
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

mod arrivals;
mod face;
mod fates;
mod ghosts;
mod hand;
mod heard;
mod marks;
mod past;
mod rounds;
mod scale;
mod share;
mod verdict;
mod worth;

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub(crate) use face::{Face, Noted, Place};
pub(crate) use fates::Fate;
pub(crate) use heard::Heard;
pub(crate) use marks::{Marks, Region};
pub(crate) use past::Past;
pub(crate) use rounds::Rounds;
pub(crate) use share::Shift;
pub(crate) use verdict::{Load, Policy, Start};
pub(crate) use worth::Worth;

use arrivals::Arrivals;
use fates::Fates;
use ghosts::Ghosts;
use heard::Periods;

/// What the policy remembers of keys, those included that are not in the cache. Made for a number
/// of entries; a table whose size changes gets a new one.
#[derive(Debug)]
pub(crate) struct Memory {
    periods: Periods,
    ghosts: Ghosts,
    fates: Fates,
    arrivals: Arrivals,
    /// Misses that a thread counts before it reports them.
    pace: u64,
}

/// The most misses that a thread counts for itself, and the part of the capacity that they are at
/// most: so little that no age is noticeably wrong.
const PACE: u64 = 16;
/// Of a large memory.
const BYTES_PER_ENTRY: u128 = 24;
const PACE_PART: u64 = 256;

impl Memory {
    /// A memory for a cache of so many entries: about fifteen bytes for each, and two more once one was
    /// removed or has expired.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            periods: Periods::new(entries),
            ghosts: Ghosts::new(entries),
            fates: Fates::new(entries),
            arrivals: Arrivals::new(entries),
            pace: (entries as u64 / PACE_PART).clamp(1, PACE),
        }
    }

    /// One for a table that is going to have another size. It knows who came on probation last, and nothing
    /// else.
    pub(crate) fn resized(&self, entries: usize) -> Self {
        Self { arrivals: self.arrivals.resized(entries), ..Self::new(entries) }
    }

    /// Asks for what it keeps of a key, which is going to be written.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.ghosts.prefetch(hash);
    }

    /// What it takes for so many entries, at most.
    pub(crate) fn bytes_for(entries: usize) -> u128 {
        entries as u128 * BYTES_PER_ENTRY
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.ghosts.bytes() + self.fates.bytes() + self.arrivals.bytes()
    }
}

//! Which entries stay: CLOCK with adaptive probation.
//!
//! | file | idea |
//! |---|---|
//! | `tuning` | every number, and where it comes from |
//! | `entries` | the table as the hands see it |
//! | `probation_fifo` | the order in which entries were put on probation |
//! | `fingerprint` | the bits of a hash that this order keeps |
//! | `hand` | a position that goes round the table, and how long a round takes |
//! | `cursor` | where one thread is in the rounds of the hands |
//! | `incumbent` | what a thread saw of the entry at the protected hand |
//! | `recent_uses` | how often a key was used lately |
//! | `light_returns` | the light keys that a thread has lately brought back |
//! | `ghosts` | which keys were evicted lately, when, and how often they had been used |
//! | `causes` | why other keys left, or were not inserted |
//! | `history` | all that is remembered of keys |
//! | `departure` | what became of a key |
//! | `scale` | time in steps |
//! | `probation_delta` | what one operation changes of probation's charge |
//! | `saved` | what a snapshot has of it |
//! | `state` | what all threads share, and what is learned of keys that come and go |
//! | `eviction` | the rules |
//! | `prefetched` | room for entries that were prefetched (feature `predict`) |
//! | `worth` | what an entry saves for its weight |
//! | `worth_rules` | the rules where entries differ in weight or a miss in cost |
//!
//! A hit only adds to an entry's count. Everything else is done by writers that need room, and every
//! change is one attempt: if it fails, another thread used the entry, and it stays. Nothing here decides
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
mod fingerprint;
mod ghosts;
mod hand;
mod history;
mod incumbent;
mod light_returns;
#[cfg(feature = "predict")]
mod prefetched;
mod probation_delta;
mod probation_fifo;
mod recent_uses;
#[cfg(feature = "persist")]
mod saved;
mod scale;
mod state;
mod tuning;
mod worth;
mod worth_rules;

#[cfg(all(test, not(clockhand_loom)))]
mod ghost_tests;
#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub(crate) use causes::Cause;
pub(crate) use cursor::EvictionCursor;
pub(crate) use departure::Departure;
pub(crate) use entries::{Entries, ScanPosition};
pub(crate) use history::History;
#[cfg(feature = "predict")]
pub(crate) use prefetched::MAX_EXTRA_VICTIMS;
pub(crate) use probation_delta::{ProbationChange, ProbationDelta};
pub(crate) use recent_uses::RecentUses;
pub(crate) use state::{Admission, Fill, Policy};
pub(crate) use worth::Worth;
#[cfg(feature = "persist")]
pub(crate) use {ghosts::SavedGhost, hand::SavedHand, saved::SavedPolicy};

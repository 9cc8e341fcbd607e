//! Policies simulated, one access after the other: what the caches' hit ratios are held against.
//!
//! Each was written for the lab, and tested against a slower form of itself.

mod belady;
mod gdsf;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroUsize;

pub(crate) use self::belady::belady;
pub(crate) use self::gdsf::gdsf;

/// The hits that a policy has with a number of entries.
pub(crate) type Simulation = fn(&Dense, usize) -> u64;

/// The policies, by the names that the known figures have for them; the last is the optimum. Of those without a simulation
/// the known figures are taken.
pub(crate) const POLICIES: [(&str, Option<Simulation>); 4] =
    [("LRU", Some(lru)), ("CLOCK-1bit", None), ("S3-FIFO", None), ("Belady", Some(belady))];

/// How many accesses hit a cache of this many entries that evicts the least recently used.
pub(crate) fn lru(trace: &Dense, entries: usize) -> u64 {
    let entries = NonZeroUsize::new(entries).expect("a capacity is at least one");
    let mut cache = lru::LruCache::with_hasher(entries, ahash::RandomState::new());
    trace.accesses.iter().filter(|key| cache.put(**key, ()).is_some()).count() as u64
}

/// A trace whose keys are the numbers from 0 on, in order of first occurrence.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    /// The accesses.
    pub accesses: Vec<u32>,
    /// How many different keys there are.
    pub unique: usize,
}

impl Dense {
    /// Numbers the keys of a trace.
    pub(crate) fn of(keys: &[u64]) -> Self {
        assert!(u32::try_from(keys.len()).is_ok(), "a trace is decoded up to half a billion keys");
        let mut numbers = HashMap::<u64, u32, ahash::RandomState>::default();
        let number = |key: &u64| {
            let next = numbers.len() as u32;
            *numbers.entry(*key).or_insert(next)
        };
        Self { accesses: keys.iter().map(number).collect(), unique: numbers.len() }
    }
}

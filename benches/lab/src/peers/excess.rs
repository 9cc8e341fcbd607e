//! How far a cache exceeds its bound while many threads insert values of random sizes.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::{Chosen, Hashers, Peer, Peers, Visit, Weigh, Weight, each};
use crate::compare::keys::scatter;
use crate::failure::Failure;
use crate::heap::{self, BLOCK, Block};
use crate::team;

/// Threads that insert.
pub(crate) const THREADS: usize = 8;

/// Values have from one block to so many, all of them as likely; then every peer can count them.
pub(crate) const MOST_BLOCKS: usize = 255;

/// How often the cache's contents are replaced, about.
const TURNOVERS: u64 = 8;

/// The most that the values of a cache took, beside what it was told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Excess {
    /// The capacity that was configured, in bytes.
    pub capacity: u64,
    /// What evicted values may take besides, where that is configured too.
    pub retired_capacity: u64,
    /// What the threads may have had in their hands, a value each.
    pub in_hand: u64,
    /// The most that values took at any instant.
    pub peak: u64,
    /// Insertions that were refused.
    pub refusals: u64,
}

impl Excess {
    /// How far the peak was beyond the capacity.
    pub(crate) fn over_capacity(&self) -> u64 {
        self.peak.saturating_sub(self.capacity)
    }

    /// How far the peak was beyond all that was configured, and what was in the threads' hands.
    pub(crate) fn over_bound(&self) -> u64 {
        self.peak.saturating_sub(self.capacity + self.retired_capacity + self.in_hand)
    }
}

/// A value of some blocks, which weighs what they take.
#[derive(Debug, Clone)]
struct Blocks(Arc<Box<[Block]>>);

impl Blocks {
    fn new(blocks: usize) -> Self {
        Self(Arc::new(vec![Block::EMPTY; blocks].into_boxed_slice()))
    }
}

impl Weight for Blocks {
    fn weight(&self) -> u32 {
        size_of_val(&**self.0) as u32
    }
}

/// Fills the peer of this name from many threads, in this process, whose allocator counts blocks.
/// Nothing if it does not weigh its entries.
pub(crate) fn excess(
    hashers: Hashers,
    peer: &str,
    capacity: u64,
) -> Result<Option<Excess>, Failure> {
    let mut churn = Churn { peer, capacity, found: None };
    each(Peers { chosen: Chosen::ALL, hashers }, &mut churn);
    churn.found.unwrap_or_else(|| Err(Failure::Input(format!("there is no peer `{peer}`"))))
}

struct Churn<'a> {
    peer: &'a str,
    capacity: u64,
    found: Option<Result<Option<Excess>, Failure>>,
}

impl Visit for Churn<'_> {
    fn visit<P: Peer>(&mut self) {
        if P::NAME == self.peer {
            let mean = (BLOCK * (1 + MOST_BLOCKS) / 2) as u64;
            let entries = (self.capacity / mean).max(1);
            let cache = P::Weighing::<Blocks>::with_bound(self.capacity, entries);
            self.found = Some(cache.map(|cache| churn(&cache, self.capacity, entries)).transpose());
        }
    }
}

fn churn(cache: &impl Weigh<Blocks>, capacity: u64, entries: u64) -> Result<Excess, Failure> {
    let each = entries * TURNOVERS / THREADS as u64;
    let work = |id: usize| {
        let mut random = SmallRng::seed_from_u64(id as u64);
        for at in 0..each {
            let key = scatter(id as u64 * each + at);
            cache.insert(key, Blocks::new(random.random_range(1..=MOST_BLOCKS)));
        }
    };
    team::run(THREADS, work, || ()).map_err(Failure::machine("cannot start a thread"))?;
    let in_hand = (THREADS * MOST_BLOCKS * BLOCK) as u64;
    let (retired_capacity, refusals) = (cache.retired_capacity(), cache.refusals());
    Ok(Excess { capacity, retired_capacity, in_hand, peak: heap::peak(), refusals })
}

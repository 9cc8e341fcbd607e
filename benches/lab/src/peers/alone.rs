//! What one peer is measured for in a process that does nothing else: how much memory it takes, and how far it exceeds its
//! bound while many threads insert values of random sizes.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::{Chosen, Hashers, Peer, Peers, Store, Value, Visit, each};
use crate::compare::keys::scatter;
use crate::failure::Failure;
use crate::heap::{self, BLOCK, Block};
use crate::{machine, team};

/// How large the entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Size {
    /// 8 bytes of key, 8 of value.
    Narrow,
    /// 16 bytes of key, 100 of value.
    Wide,
}

impl Size {
    /// The name that the command line has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Wide => "wide",
        }
    }
}

/// What a full cache takes: how much the process has grown, in bytes, and the entries that the cache holds for it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Resident {
    pub bytes: u64,
    pub entries: u64,
}

/// The most that the values of a cache took, beside what it was told; all but the refusals in bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Excess {
    pub capacity: u64,
    /// What evicted values may take besides, where that is configured too.
    pub retired_capacity: u64,
    /// What the threads may have had in their hands, a value each.
    pub in_hand: u64,
    /// The most that values took at any instant.
    pub peak: u64,
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

/// Fills the peer of this name.
pub(crate) fn resident(
    hashers: Hashers,
    peer: &str,
    size: Size,
    entries: u64,
) -> Result<Resident, Failure> {
    let mut fill = Fill { peer, size, entries, found: None };
    each(Peers { chosen: Chosen::ALL, hashers }, &mut fill);
    fill.found.unwrap_or_else(|| nobody(peer))
}

/// Fills the peer of this name from many threads; the process's allocator counts blocks. Nothing if it does not weigh its
/// entries.
pub(crate) fn excess(
    hashers: Hashers,
    peer: &str,
    capacity: u64,
) -> Result<Option<Excess>, Failure> {
    let mut churn = Churn { peer, capacity, found: None };
    each(Peers { chosen: Chosen::ALL, hashers }, &mut churn);
    churn.found.unwrap_or_else(|| nobody(peer))
}

fn nobody<T>(peer: &str) -> Result<T, Failure> {
    Err(Failure::Input(format!("there is no peer `{peer}`")))
}

struct Fill<'a> {
    peer: &'a str,
    size: Size,
    entries: u64,
    found: Option<Result<Resident, Failure>>,
}

impl Visit for Fill<'_> {
    fn visit<P: Peer>(&mut self) {
        if P::NAME == self.peer {
            self.found = Some(match self.size {
                Size::Narrow => fill(
                    self.entries,
                    || Some(P::with_capacity(self.entries)),
                    |at| (scatter(at), at),
                ),
                Size::Wide => fill(
                    self.entries,
                    || P::wide(self.entries),
                    |at| {
                        let mut key = [0; 16];
                        key[..8].copy_from_slice(&scatter(at).to_le_bytes());
                        (key, [at as u8; 100])
                    },
                ),
            });
        }
    }
}

fn fill<K, V, S: Store<K, V>>(
    entries: u64,
    make: impl FnOnce() -> Option<S>,
    entry: impl Fn(u64) -> (K, V),
) -> Result<Resident, Failure> {
    let unknown = || Failure::Input("this system does not tell the resident memory".into());
    let resident = || machine::resident_bytes().ok_or_else(unknown);
    let before = resident()?;
    let cache =
        make().ok_or_else(|| Failure::Input("this peer does not hold larger entries".into()))?;
    for at in 0..entries {
        let (key, value) = entry(at);
        cache.insert(key, value);
    }
    let bytes = resident()?.saturating_sub(before);
    Ok(Resident { bytes, entries: cache.entries() })
}

/// Threads that insert.
pub(crate) const EXCESS_THREADS: usize = 8;

/// Values have from one block to this many, all of them as likely; then every peer can count them.
pub(crate) const MOST_BLOCKS: usize = 255;

/// How often the cache's contents are replaced, about.
const TURNOVERS: u64 = 8;

/// A value of some blocks, which weighs what they take.
#[derive(Debug, Clone)]
struct Blocks(Arc<Box<[Block]>>);

impl Value for Blocks {
    fn weight(&self) -> u32 {
        size_of_val(&**self.0) as u32
    }
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
            let cache = P::weighing::<Blocks>(self.capacity, entries);
            self.found = Some(cache.map(|cache| churn(&cache, self.capacity, entries)).transpose());
        }
    }
}

fn churn(cache: &impl Store<u64, Blocks>, capacity: u64, entries: u64) -> Result<Excess, Failure> {
    let each = entries * TURNOVERS / EXCESS_THREADS as u64;
    let work = |id: usize| {
        let mut random = SmallRng::seed_from_u64(id as u64);
        for at in 0..each {
            let blocks = vec![Block::EMPTY; random.random_range(1..=MOST_BLOCKS)];
            cache.insert(scatter(id as u64 * each + at), Blocks(Arc::new(blocks.into())));
        }
    };
    team::run(EXCESS_THREADS, work, || ()).map_err(Failure::machine("cannot start a thread"))?;
    let in_hand = (EXCESS_THREADS * MOST_BLOCKS * BLOCK) as u64;
    let (retired_capacity, refusals) = (cache.retired_capacity(), cache.refusals());
    Ok(Excess { capacity, retired_capacity, in_hand, peak: heap::peak(), refusals })
}

//! The caches that are compared, each behind the same small face.
//!
//! A peer is one file here (a map is one item of `maps`), one name in [`IDS`], and one line in each of `same` and `own`.
//! Everything is generic over the peer, so that its calls are inlined as they are for its users.

mod chosen;
mod clockhand;
mod excess;
mod foyer;
mod loads;
mod lru;
mod maps;
mod moka;
mod quick_cache;
mod resident;
mod scc;
mod tinyufo;
mod weigh;
mod wide;

#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

use serde::Serialize;

pub(crate) use self::chosen::Chosen;
#[cfg(test)]
use self::chosen::IDS;
pub(crate) use self::clockhand::{ClockhandGet, ClockhandReader};
pub(crate) use self::excess::{Excess, MOST_BLOCKS, THREADS as EXCESS_THREADS, excess};
pub(crate) use self::foyer::{Foyer, Lru, S3Fifo};
pub(crate) use self::loads::Loads;
pub(crate) use self::lru::LockedLru;
pub(crate) use self::maps::{Dash, Flurry, Papaya};
pub(crate) use self::moka::Moka;
pub(crate) use self::quick_cache::QuickCache;
pub(crate) use self::resident::{Resident, Size, resident};
pub(crate) use self::scc::Scc;
pub(crate) use self::tinyufo::TinyUfoFast;
pub(crate) use self::weigh::{Nobody, Weigh, Weight};
pub(crate) use self::wide::{Wide, WideKey, WideValue};

/// A cache of `u64` keys and values that can be shared between threads.
pub(crate) trait Peer: Send + Sync + Sized + 'static {
    /// What tables call it.
    const NAME: &'static str;

    /// What users call it; one of [`IDS`].
    const ID: &'static str;

    /// Whether it makes room for new entries; a map does not, and answers read questions only.
    const EVICTS: bool = true;

    /// Whether its writes are worth measuring; not for a second way to read the same cache.
    const WRITES: bool = true;

    /// What one thread reads through.
    type Lookup<'a>: Lookup;

    /// The same cache with weights, or [`Nobody`].
    type Weighing<V: Weight>: Weigh<V>;

    /// The same cache with larger entries, or [`Nobody`].
    type Wide: Wide;

    /// A cache that holds this many entries.
    fn with_capacity(entries: u64) -> Self;

    /// How the cache was configured.
    fn configuration() -> String;

    /// This thread's way to read.
    fn lookup(&self) -> Self::Lookup<'_>;

    /// Puts an entry in.
    fn insert(&self, key: u64, value: u64);

    /// Number of entries held.
    fn entries(&self) -> u64;

    /// Number of insertions refused, where the cache may refuse.
    fn refusals(&self) -> u64 {
        0
    }
}

/// One thread's way to read a cache.
pub(crate) trait Lookup {
    /// The value of a key.
    fn get(&mut self, key: &u64) -> Option<u64>;

    /// The values of some keys, each handed over; one by one, where the cache has no better way.
    #[inline]
    fn get_many(&mut self, keys: &[u64], mut found: impl FnMut(u64)) {
        keys.iter().filter_map(|key| self.get(key)).for_each(&mut found);
    }
}

/// Which hashers the caches use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hashers {
    /// The same `ahash` in all of them.
    Same,
    /// Each its own default.
    Own,
}

impl fmt::Display for Hashers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Own => "own",
        })
    }
}

/// Something to do with every peer.
pub(crate) trait Visit {
    /// Does it with one.
    fn visit<P: Peer>(&mut self);
}

/// The peers that take part, and how they hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peers {
    /// Which take part.
    pub chosen: Chosen,
    /// Their hashers.
    pub hashers: Hashers,
}

/// Visits every peer that takes part, in turn.
pub(crate) fn each(peers: Peers, visit: &mut impl Visit) {
    let mut visit = Only { chosen: peers.chosen, visit };
    visit.visit::<ClockhandGet>();
    visit.visit::<ClockhandReader>();
    match peers.hashers {
        Hashers::Same => same::<ahash::RandomState>(&mut visit),
        Hashers::Own => own(&mut visit),
    }
}

fn same<B>(visit: &mut impl Visit)
where
    B: BuildHasher + Clone + Default + fmt::Debug + Send + Sync + 'static,
{
    visit.visit::<QuickCache<B>>();
    visit.visit::<Moka<B>>();
    visit.visit::<Foyer<S3Fifo, B>>();
    visit.visit::<Foyer<Lru, B>>();
    visit.visit::<TinyUfoFast>();
    visit.visit::<Scc<B>>();
    visit.visit::<LockedLru<B>>();
    visit.visit::<Papaya<B>>();
    visit.visit::<Flurry<B>>();
    visit.visit::<Dash<B>>();
    visit.visit::<Loads<B>>();
}

fn own(visit: &mut impl Visit) {
    visit.visit::<QuickCache<::quick_cache::DefaultHashBuilder>>();
    visit.visit::<Moka<RandomState>>();
    visit.visit::<Foyer<S3Fifo, foyer::OwnHasher>>();
    visit.visit::<Foyer<Lru, foyer::OwnHasher>>();
    visit.visit::<TinyUfoFast>();
    visit.visit::<Scc<RandomState>>();
    visit.visit::<LockedLru<::lru::DefaultHasher>>();
    visit.visit::<Papaya<RandomState>>();
    visit.visit::<Flurry<::flurry::DefaultHashBuilder>>();
    visit.visit::<Dash<RandomState>>();
    visit.visit::<Loads<RandomState>>();
}

/// Lets through the peers that take part.
struct Only<'a, V> {
    chosen: Chosen,
    visit: &'a mut V,
}

impl<V: Visit> Visit for Only<'_, V> {
    fn visit<P: Peer>(&mut self) {
        if self.chosen.has(P::ID) {
            self.visit.visit::<P>();
        }
    }
}

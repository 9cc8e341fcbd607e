//! The caches that are compared, each behind the same small interface.
//!
//! A peer is an `impl` of [`Peer`] and one of [`Store`], a name in [`IDS`], and a line in each of `same` and `own`.
//! Everything is generic over the peer, so that its calls are inlined as they are for its users.

mod alone;
mod caches;
mod loads;
mod maps;

#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;

use quick_cache::UnitWeighter;
use serde::Serialize;

pub(crate) use self::alone::{
    EXCESS_THREADS, Excess, MOST_BLOCKS, Resident, Size, excess, resident,
};
pub(crate) use self::caches::{ClockhandGet, ClockhandReader};
use self::caches::{Foyer, FoyersHasher, LockedLru, Lru, Moka, QuickCache, S3Fifo, TinyUfoFast};
use self::loads::Loads;

/// A key of a cache.
pub(crate) trait Key: Hash + Eq + Clone + Send + Sync + 'static {}
impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// What a cache hashes with.
pub(crate) trait Hasher:
    BuildHasher + Clone + Default + fmt::Debug + Send + Sync + 'static
{
}
impl<B: BuildHasher + Clone + Default + fmt::Debug + Send + Sync + 'static> Hasher for B {}

/// A value, which says what its entry weighs.
pub(crate) trait Value: Clone + Send + Sync + 'static {
    /// More than zero: of some peers, an entry that weighs nothing stays forever.
    #[inline]
    fn weight(&self) -> u32 {
        1
    }
}

impl Value for u64 {}

/// A number that weighs itself.
impl Value for u32 {
    #[inline]
    fn weight(&self) -> u32 {
        *self
    }
}

/// Key and value of larger entries, for the question how much memory these take.
pub(crate) type WideKey = [u8; 16];
pub(crate) type WideValue = [u8; 100];

impl Value for WideValue {}

/// A cache, or a map, that can be shared between threads.
pub(crate) trait Store<K, V>: Send + Sync + Sized + 'static {
    /// The value of a key.
    fn get(&self, key: &K) -> Option<V>;

    /// The values of some keys, each handed over; one by one, where the cache has no better way.
    #[inline]
    fn get_many(&self, keys: &[K], found: impl FnMut(V)) {
        keys.iter().filter_map(|key| self.get(key)).for_each(found);
    }

    /// Puts an entry in.
    fn insert(&self, key: K, value: V);

    /// Number of entries held.
    fn entries(&self) -> u64;

    /// Number of insertions refused, where the cache may refuse.
    fn refusals(&self) -> u64 {
        0
    }

    /// What its entries weigh now, where it tells.
    fn charge(&self) -> Option<u64> {
        None
    }

    /// What was evicted and not freed yet may weigh this much in addition to the bound, as configured.
    fn retired_capacity(&self) -> u64 {
        0
    }
}

/// A cache of `u64` keys and values that is compared.
pub(crate) trait Peer: Store<u64, u64> {
    /// What tables call it.
    const NAME: &'static str;

    /// What users call it; one of [`IDS`].
    const ID: &'static str;

    /// Whether it makes room for new entries; a map does not, and answers read questions only.
    const EVICTS: bool = true;

    /// Whether its writes are worth measuring; not for a second way to read the same cache.
    const WRITES: bool = true;

    /// The heaviest entry that it can count; zero if it does not weigh its entries.
    const HEAVIEST: u32 = 0;

    /// What one thread reads through.
    type Lookup<'a>: Lookup;

    /// The same cache with weights, or [`Nobody`].
    type Weighing<V: Value>: Store<u64, V>;

    /// The same cache with larger entries, or [`Nobody`].
    type Wide: Store<WideKey, WideValue>;

    /// How the cache was configured.
    fn configuration() -> String;

    /// A cache that holds this many entries.
    fn with_capacity(entries: u64) -> Self;

    /// A cache of this weight, which is expected to hold this many entries; none if it does not weigh.
    fn weighing<V: Value>(weight: u64, entries: u64) -> Option<Self::Weighing<V>> {
        let _ = (weight, entries);
        None
    }

    /// A cache that holds this many larger entries; none if it is not asked for it.
    fn wide(entries: u64) -> Option<Self::Wide> {
        let _ = entries;
        None
    }

    /// This thread's way to read.
    fn lookup(&self) -> Self::Lookup<'_>;
}

/// In the place of a cache that cannot do what is asked.
#[derive(Debug)]
pub(crate) enum Nobody {}

impl<K, V> Store<K, V> for Nobody {
    fn get(&self, _: &K) -> Option<V> {
        match *self {}
    }

    fn insert(&self, _: K, _: V) {
        match *self {}
    }

    fn entries(&self) -> u64 {
        match *self {}
    }
}

/// One thread's way to read a cache.
pub(crate) trait Lookup {
    /// The value of a key.
    fn get(&mut self, key: &u64) -> Option<u64>;

    /// The values of some keys, each handed over.
    #[inline]
    fn get_many(&mut self, keys: &[u64], found: impl FnMut(u64)) {
        keys.iter().filter_map(|key| self.get(key)).for_each(found);
    }
}

impl<S: Store<u64, u64>> Lookup for &S {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        S::get(self, key)
    }

    #[inline]
    fn get_many(&mut self, keys: &[u64], found: impl FnMut(u64)) {
        S::get_many(self, keys, found);
    }
}

/// What users call the peers.
pub(crate) const IDS: [&str; 12] = [
    "clockhand",
    "quick_cache",
    "moka",
    "foyer-s3fifo",
    "foyer-lru",
    "tinyufo",
    "scc",
    "lru",
    "papaya",
    "flurry",
    "dashmap",
    "loads",
];

/// A choice of peers: one bit for each of [`IDS`]. clockhand, which is measured, and `quick_cache`, which the others are held
/// against, are always among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen(u16);

impl Chosen {
    /// Every peer.
    pub(crate) const ALL: Self = Self((1 << IDS.len()) - 1);

    /// Whether the peer of this short name takes part.
    pub(crate) fn has(self, id: &str) -> bool {
        bit(id).is_some_and(|bit| self.0 & bit != 0)
    }
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(names: &str) -> Result<Self, String> {
        if names == "all" {
            return Ok(Self::ALL);
        }
        let unknown =
            |name| format!("there is no peer `{name}`; give `all`, or some of {}", IDS.join(","));
        let mut bits = names.split(',').map(|name| bit(name).ok_or_else(|| unknown(name)));
        bits.try_fold(0b11, |bits, bit| Ok(bits | bit?)).map(Self)
    }
}

fn bit(id: &str) -> Option<u16> {
    IDS.iter().position(|known| *known == id).map(|at| 1 << at)
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

fn same<B: Hasher>(visit: &mut impl Visit) {
    visit.visit::<QuickCache<u64, u64, UnitWeighter, B>>();
    visit.visit::<Moka<u64, u64, B>>();
    visit.visit::<Foyer<S3Fifo, u64, u64, B>>();
    visit.visit::<Foyer<Lru, u64, u64, B>>();
    visit.visit::<TinyUfoFast<u64, u64>>();
    visit.visit::<scc::HashCache<u64, u64, B>>();
    visit.visit::<LockedLru<u64, u64, B>>();
    visit.visit::<papaya::HashMap<u64, u64, B>>();
    visit.visit::<flurry::HashMap<u64, u64, B>>();
    visit.visit::<dashmap::DashMap<u64, u64, B>>();
    visit.visit::<Loads<B>>();
}

fn own(visit: &mut impl Visit) {
    visit.visit::<QuickCache<u64, u64, UnitWeighter, quick_cache::DefaultHashBuilder>>();
    visit.visit::<Moka<u64, u64, RandomState>>();
    visit.visit::<Foyer<S3Fifo, u64, u64, FoyersHasher>>();
    visit.visit::<Foyer<Lru, u64, u64, FoyersHasher>>();
    visit.visit::<TinyUfoFast<u64, u64>>();
    visit.visit::<scc::HashCache<u64, u64, RandomState>>();
    visit.visit::<LockedLru<u64, u64, lru::DefaultHasher>>();
    visit.visit::<papaya::HashMap<u64, u64, RandomState>>();
    visit.visit::<flurry::HashMap<u64, u64, flurry::DefaultHashBuilder>>();
    visit.visit::<dashmap::DashMap<u64, u64, RandomState>>();
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

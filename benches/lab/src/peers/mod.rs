//! The caches that are compared, each behind the same small face.
//!
//! A peer is one file here and one line in [`each`]. Everything is generic over the peer, so that
//! its calls are inlined as they are for its users.

mod clockhand;
mod quick_cache;
mod resident;

use std::fmt;

use serde::Serialize;

pub use self::clockhand::{ClockhandGet, ClockhandReader};
pub use self::quick_cache::QuickCache;
pub use self::resident::{Resident, resident};

/// A cache of `u64` keys and values that can be shared between threads.
pub trait Peer: Send + Sync + Sized + 'static {
    /// What tables call it.
    const NAME: &'static str;

    /// Whether its writes are worth measuring; not for a second way to read the same cache.
    const WRITES: bool = true;

    /// What one thread reads through.
    type Lookup<'a>: Lookup;

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
pub trait Lookup {
    /// The value of a key.
    fn get(&mut self, key: &u64) -> Option<u64>;
}

/// Which hashers the caches use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hashers {
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
pub trait Visit {
    /// Does it with one.
    fn visit<P: Peer>(&mut self);
}

/// Visits every peer in turn.
pub fn each(hashers: Hashers, visit: &mut impl Visit) {
    visit.visit::<ClockhandGet>();
    visit.visit::<ClockhandReader>();
    match hashers {
        Hashers::Same => visit.visit::<QuickCache<ahash::RandomState>>(),
        Hashers::Own => visit.visit::<QuickCache<::quick_cache::DefaultHashBuilder>>(),
    }
}

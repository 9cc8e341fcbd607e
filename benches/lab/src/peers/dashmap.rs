//! `DashMap`, a yardstick of reads: it never evicts.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;

use dashmap::DashMap;

use super::{Lookup, Nobody, Peer, Weight};

type Shards<B> = DashMap<u64, u64, B>;

/// `DashMap` with a hasher of choice.
pub struct Dash<B>(Shards<B>);

impl<B> Peer for Dash<B>
where
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "dashmap map";

    const ID: &'static str = "dashmap";

    const EVICTS: bool = false;

    type Lookup<'a> = &'a Shards<B>;

    type Weighing<V: Weight> = Nobody;

    type Wide = Nobody;

    fn with_capacity(entries: u64) -> Self {
        Self(DashMap::with_capacity_and_hasher(entries as usize, B::default()))
    }

    fn configuration() -> String {
        format!("6, a map, default options (4 shards per core), {}", type_name::<B>())
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.0
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<B: BuildHasher + Clone> Lookup for &Shards<B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        DashMap::get(self, key).map(|entry| *entry)
    }
}

impl<B> fmt::Debug for Dash<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dashmap map")
    }
}

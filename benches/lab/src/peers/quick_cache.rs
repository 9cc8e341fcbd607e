//! quick_cache, the sharded S3-FIFO-like cache with a lock per shard.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::{Lookup, Peer};

type Shards<B> = Cache<u64, u64, UnitWeighter, B>;

/// quick_cache with its documented defaults and a hasher of choice.
pub struct QuickCache<B>(Shards<B>);

impl<B> Peer for QuickCache<B>
where
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "quick_cache";

    const ID: &'static str = "quick_cache";

    type Lookup<'a> = &'a Shards<B>;

    fn with_capacity(entries: u64) -> Self {
        let lifecycle = DefaultLifecycle::default();
        Self(Cache::with(entries as usize, entries, UnitWeighter, B::default(), lifecycle))
    }

    fn configuration() -> String {
        format!("0.7, default options (4 shards per core, parking_lot), {}", type_name::<B>())
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
        Cache::get(self, key)
    }
}

impl<B> fmt::Debug for QuickCache<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("quick_cache")
    }
}

//! foyer's memory cache: shards with a lock each, and a policy to choose.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;

use foyer_memory::{Cache, CacheBuilder, EvictionConfig, LruConfig, S3FifoConfig};

use super::{Lookup, Peer};

type Shards<B> = Cache<u64, u64, B>;

/// The hasher that foyer takes by default; it has no public name.
pub(super) type OwnHasher = <Cache<u64, u64> as Hashes>::With;

/// What a cache hashes with.
pub(super) trait Hashes {
    type With;
}

impl<B: BuildHasher + Send + Sync + 'static> Hashes for Shards<B> {
    type With = B;
}

/// One of foyer's policies.
pub trait Policy: Send + Sync + 'static {
    /// What tables call the cache with it.
    const NAME: &'static str;

    /// What users call it.
    const ID: &'static str;

    /// Its default configuration.
    fn eviction() -> EvictionConfig;
}

/// S3-FIFO.
#[derive(Debug)]
pub struct S3Fifo;

/// Least recently used.
#[derive(Debug)]
pub struct Lru;

impl Policy for S3Fifo {
    const NAME: &'static str = "foyer S3-FIFO";

    const ID: &'static str = "foyer-s3fifo";

    fn eviction() -> EvictionConfig {
        S3FifoConfig::default().into()
    }
}

impl Policy for Lru {
    const NAME: &'static str = "foyer LRU";

    const ID: &'static str = "foyer-lru";

    fn eviction() -> EvictionConfig {
        LruConfig::default().into()
    }
}

/// foyer with a policy and a hasher of choice, and its defaults besides.
pub struct Foyer<P, B>(Shards<B>, PhantomData<P>)
where
    B: BuildHasher + Send + Sync + 'static;

impl<P, B> Peer for Foyer<P, B>
where
    P: Policy,
    B: BuildHasher + Default + fmt::Debug + Send + Sync + 'static,
{
    const NAME: &'static str = P::NAME;

    const ID: &'static str = P::ID;

    type Lookup<'a> = &'a Shards<B>;

    fn with_capacity(entries: u64) -> Self {
        let builder = CacheBuilder::new(entries as usize).with_eviction_config(P::eviction());
        Self(builder.with_hash_builder(B::default()).build(), PhantomData)
    }

    fn configuration() -> String {
        format!(
            "foyer-memory 0.22, default options (8 shards), {:?}, {}",
            P::eviction(),
            type_name::<B>()
        )
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.0
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.entries() as u64
    }
}

impl<B: BuildHasher + Send + Sync + 'static> Lookup for &Shards<B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        Cache::get(self, key).map(|entry| *entry.value())
    }
}

impl<P, B: BuildHasher + Send + Sync + 'static> fmt::Debug for Foyer<P, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("foyer")
    }
}

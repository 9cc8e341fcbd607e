//! foyer's memory cache: shards with a lock each, and a policy to choose.

use std::any::type_name;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use foyer_memory::{Cache, CacheBuilder, EvictionConfig, LruConfig, S3FifoConfig};

use super::{Lookup, Peer, Weigh, Weight, Wide, WideKey, WideValue};

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
pub(crate) trait Policy: Send + Sync + 'static {
    /// What tables call the cache with it.
    const NAME: &'static str;

    /// What users call it.
    const ID: &'static str;

    /// Its default configuration.
    fn eviction() -> EvictionConfig;
}

/// S3-FIFO.
#[derive(Debug)]
pub(crate) struct S3Fifo;

/// Least recently used.
#[derive(Debug)]
pub(crate) struct Lru;

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
pub(crate) struct Foyer<P, B>(Shards<B>, PhantomData<P>)
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

    type Weighing<V: Weight> = Other<P, u64, V, B>;

    type Wide = Other<P, WideKey, WideValue, B>;

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

/// foyer with other keys and values.
pub(crate) struct Other<P, K, V, B>(Cache<K, V, B>, PhantomData<P>)
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    B: BuildHasher + Send + Sync + 'static;

impl<P, V, B> Weigh<V> for Other<P, u64, V, B>
where
    P: Policy,
    V: Weight,
    B: BuildHasher + Default + fmt::Debug + Send + Sync + 'static,
{
    fn with_bound(weight: u64, _: u64) -> Option<Self> {
        let builder = CacheBuilder::new(weight as usize).with_eviction_config(P::eviction());
        let builder = builder.with_weighter(|_: &u64, value: &V| value.weight() as usize);
        Some(Self(builder.with_hash_builder(B::default()).build(), PhantomData))
    }

    #[inline]
    fn get(&self, key: &u64) -> Option<V> {
        self.0.get(key).map(|entry| entry.value().clone())
    }

    #[inline]
    fn insert(&self, key: u64, value: V) {
        self.0.insert(key, value);
    }

    fn charge(&self) -> Option<u64> {
        Some(self.0.usage() as u64)
    }
}

impl<P, B> Wide for Other<P, WideKey, WideValue, B>
where
    P: Policy,
    B: BuildHasher + Default + fmt::Debug + Send + Sync + 'static,
{
    fn with_capacity(entries: u64) -> Option<Self> {
        let builder = CacheBuilder::new(entries as usize).with_eviction_config(P::eviction());
        Some(Self(builder.with_hash_builder(B::default()).build(), PhantomData))
    }

    fn insert(&self, key: WideKey, value: WideValue) {
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

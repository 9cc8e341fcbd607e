//! quick_cache, the sharded S3-FIFO-like cache with a lock per shard.

use std::any::type_name;
use std::hash::BuildHasher;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{UnitWeighter, Weighter};

use super::{Lookup, Peer, Weigh, Weight, Wide, WideKey, WideValue};

type Shards<B> = Cache<u64, u64, UnitWeighter, B>;

/// quick_cache with its documented defaults and a hasher of choice.
pub(crate) struct QuickCache<B>(Shards<B>);

impl<B> Peer for QuickCache<B>
where
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "quick_cache";

    const ID: &'static str = "quick_cache";

    type Lookup<'a> = &'a Shards<B>;

    type Weighing<V: Weight> = Cache<u64, V, ByWeight, B>;

    type Wide = Cache<WideKey, WideValue, UnitWeighter, B>;

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

/// Asks the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByWeight;

impl<K, V: Weight> Weighter<K, V> for ByWeight {
    #[inline]
    fn weight(&self, _: &K, value: &V) -> u64 {
        u64::from(value.weight())
    }
}

impl<V, B> Weigh<V> for Cache<u64, V, ByWeight, B>
where
    V: Weight,
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    fn with_bound(weight: u64, entries: u64) -> Option<Self> {
        let lifecycle = DefaultLifecycle::default();
        Some(Cache::with(entries as usize, weight, ByWeight, B::default(), lifecycle))
    }

    #[inline]
    fn get(&self, key: &u64) -> Option<V> {
        Cache::get(self, key)
    }

    #[inline]
    fn insert(&self, key: u64, value: V) {
        Cache::insert(self, key, value);
    }

    fn charge(&self) -> Option<u64> {
        Some(self.weight())
    }
}

impl<B> Wide for Cache<WideKey, WideValue, UnitWeighter, B>
where
    B: BuildHasher + Clone + Default + 'static,
{
    fn with_capacity(entries: u64) -> Option<Self> {
        let lifecycle = DefaultLifecycle::default();
        Some(Cache::with(entries as usize, entries, UnitWeighter, B::default(), lifecycle))
    }

    fn insert(&self, key: WideKey, value: WideValue) {
        Cache::insert(self, key, value);
    }

    fn entries(&self) -> u64 {
        self.len() as u64
    }
}

impl<B: BuildHasher + Clone> Lookup for &Shards<B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        Cache::get(self, key)
    }
}

//! moka, the W-TinyLFU cache with a read and a write buffer.

use std::any::type_name;
use std::hash::BuildHasher;

use moka::sync::Cache;

use super::{Lookup, Peer, Weigh, Weight, Wide, WideKey, WideValue};

type Buffered<B> = Cache<u64, u64, B>;

/// moka with its documented defaults and a hasher of choice.
pub(crate) struct Moka<B>(Buffered<B>);

impl<B> Peer for Moka<B>
where
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "moka";

    const ID: &'static str = "moka";

    type Lookup<'a> = &'a Buffered<B>;

    type Weighing<V: Weight> = Cache<u64, V, B>;

    type Wide = Cache<WideKey, WideValue, B>;

    fn with_capacity(entries: u64) -> Self {
        Self(Cache::builder().max_capacity(entries).build_with_hasher(B::default()))
    }

    fn configuration() -> String {
        format!("0.12, sync::Cache, default options (TinyLFU), {}", type_name::<B>())
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.0
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    /// Before its pending tasks have run, so with what it holds beyond its capacity.
    fn entries(&self) -> u64 {
        self.0.iter().count() as u64
    }
}

impl<V, B> Weigh<V> for Cache<u64, V, B>
where
    V: Weight,
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    fn with_bound(weight: u64, _: u64) -> Option<Self> {
        let builder = Cache::builder().max_capacity(weight);
        let builder = builder.weigher(|_: &u64, value: &V| value.weight());
        Some(builder.build_with_hasher(B::default()))
    }

    #[inline]
    fn get(&self, key: &u64) -> Option<V> {
        Cache::get(self, key)
    }

    #[inline]
    fn insert(&self, key: u64, value: V) {
        Cache::insert(self, key, value);
    }

    /// Before its pending tasks have run.
    fn charge(&self) -> Option<u64> {
        Some(self.iter().map(|(_, value)| u64::from(value.weight())).sum())
    }
}

impl<B> Wide for Cache<WideKey, WideValue, B>
where
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    fn with_capacity(entries: u64) -> Option<Self> {
        Some(Cache::builder().max_capacity(entries).build_with_hasher(B::default()))
    }

    fn insert(&self, key: WideKey, value: WideValue) {
        Cache::insert(self, key, value);
    }

    fn entries(&self) -> u64 {
        self.iter().count() as u64
    }
}

impl<B> Lookup for &Buffered<B>
where
    B: BuildHasher + Clone + Send + Sync + 'static,
{
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        Cache::get(self, key)
    }
}

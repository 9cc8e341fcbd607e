//! The caches of the field, each with its documented defaults and, where it takes one, a hasher of choice.

use std::any::type_name;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Mutex;

use foyer_memory::{CacheBuilder, EvictionConfig, LruConfig, S3FifoConfig};
use lru::LruCache;
use quick_cache::sync::DefaultLifecycle;
use quick_cache::{UnitWeighter, Weighter};
use scc::HashCache;
use scc::hash_cache::Entry;
use tinyufo::TinyUfo;

use super::{Hasher, Key, Lookup, Nobody, Peer, Store, Value, WideKey, WideValue};
use crate::races::step;

// clockhand, through `Cache::get` and through `Reader`.

pub(crate) type ClockhandGet = clockhand::Cache<u64, u64>;

impl Peer for ClockhandGet {
    const NAME: &'static str = "clockhand get";
    const ID: &'static str = "clockhand";
    const HEAVIEST: u32 = u32::MAX;

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = clockhand::Cache<u64, V>;
    type Wide = clockhand::Cache<WideKey, WideValue>;

    fn configuration() -> String {
        "Cache::new(capacity): ahash, unit weights".into()
    }

    fn with_capacity(entries: u64) -> Self {
        Self::new(entries)
    }

    fn weighing<V: Value>(weight: u64, entries: u64) -> Option<clockhand::Cache<u64, V>> {
        let builder = clockhand::Cache::builder().capacity(weight);
        let builder = builder.expected_entries(entries as usize);
        builder.weigher(|_: &u64, value: &V| u64::from(value.weight())).build().ok()
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        Some(clockhand::Cache::new(entries))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<K: Key, V: Value> Store<K, V> for clockhand::Cache<K, V> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    #[inline]
    fn get_many(&self, keys: &[K], found: impl FnMut(V)) {
        self.pin().get_many(keys).flatten().cloned().for_each(found);
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        Self::insert(self, key, value);
    }

    fn entries(&self) -> u64 {
        self.usage().entries as u64
    }

    fn refusals(&self) -> u64 {
        self.stats().refusals
    }

    fn charge(&self) -> Option<u64> {
        Some(self.usage().charged)
    }

    fn retired_capacity(&self) -> u64 {
        self.usage().retired_capacity
    }
}

/// Read through a [`clockhand::Reader`] per thread.
pub(crate) struct ClockhandReader(ClockhandGet);

impl Peer for ClockhandReader {
    const NAME: &'static str = "clockhand Reader";
    const ID: &'static str = "clockhand";
    const WRITES: bool = false;

    type Lookup<'a> = clockhand::Reader<u64, u64>;
    type Weighing<V: Value> = Nobody;
    type Wide = Nobody;

    fn configuration() -> String {
        "the same, one Reader per thread".into()
    }

    fn with_capacity(entries: u64) -> Self {
        Self(clockhand::Cache::new(entries))
    }

    fn lookup(&self) -> clockhand::Reader<u64, u64> {
        self.0.reader()
    }
}

impl Store<u64, u64> for ClockhandReader {
    fn get(&self, key: &u64) -> Option<u64> {
        self.0.get(key)
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.entries()
    }

    fn refusals(&self) -> u64 {
        self.0.refusals()
    }
}

impl Lookup for clockhand::Reader<u64, u64> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        Self::get(self, key).copied()
    }

    #[inline]
    fn get_many(&mut self, keys: &[u64], found: impl FnMut(u64)) {
        Self::get_many(self, keys).flatten().copied().for_each(found);
    }
}

// quick_cache, the sharded S3-FIFO-like cache with a lock per shard.

pub(crate) type QuickCache<K, V, W, B> = quick_cache::sync::Cache<K, V, W, B>;

fn quick_cache<K, V, W, B>(entries: u64, weight: u64, weighter: W) -> QuickCache<K, V, W, B>
where
    K: Key,
    V: Value,
    W: Weighter<K, V> + Clone,
    B: Hasher,
{
    QuickCache::with(entries as usize, weight, weighter, B::default(), DefaultLifecycle::default())
}

/// Asks the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByWeight;

impl<K, V: Value> Weighter<K, V> for ByWeight {
    #[inline]
    fn weight(&self, _: &K, value: &V) -> u64 {
        u64::from(value.weight())
    }
}

impl<B: Hasher> Peer for QuickCache<u64, u64, UnitWeighter, B> {
    const NAME: &'static str = "quick_cache";
    const ID: &'static str = "quick_cache";
    const HEAVIEST: u32 = u32::MAX;

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = QuickCache<u64, V, ByWeight, B>;
    type Wide = QuickCache<WideKey, WideValue, UnitWeighter, B>;

    fn configuration() -> String {
        format!("0.7, default options (4 shards per core, parking_lot), {}", type_name::<B>())
    }

    fn with_capacity(entries: u64) -> Self {
        quick_cache(entries, entries, UnitWeighter)
    }

    fn weighing<V: Value>(weight: u64, entries: u64) -> Option<Self::Weighing<V>> {
        Some(quick_cache(entries, weight, ByWeight))
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        Some(quick_cache(entries, entries, UnitWeighter))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<K, V, W, B> Store<K, V> for QuickCache<K, V, W, B>
where
    K: Key,
    V: Value,
    W: Weighter<K, V> + Clone + Send + Sync + 'static,
    B: Hasher,
{
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        Self::insert(self, key, value);
    }

    fn entries(&self) -> u64 {
        self.len() as u64
    }

    fn charge(&self) -> Option<u64> {
        Some(self.weight())
    }
}

// moka, the W-TinyLFU cache with a read and a write buffer.

pub(crate) type Moka<K, V, B> = moka::sync::Cache<K, V, B>;

impl<B: Hasher> Peer for Moka<u64, u64, B> {
    const NAME: &'static str = "moka";
    const ID: &'static str = "moka";
    const HEAVIEST: u32 = u32::MAX;

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = Moka<u64, V, B>;
    type Wide = Moka<WideKey, WideValue, B>;

    fn configuration() -> String {
        format!("0.12, sync::Cache, default options (TinyLFU), {}", type_name::<B>())
    }

    fn with_capacity(entries: u64) -> Self {
        Moka::builder().max_capacity(entries).build_with_hasher(B::default())
    }

    fn weighing<V: Value>(weight: u64, _: u64) -> Option<Moka<u64, V, B>> {
        let builder = Moka::builder().max_capacity(weight);
        let builder = builder.weigher(|_: &u64, value: &V| value.weight());
        Some(builder.build_with_hasher(B::default()))
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        Some(Moka::builder().max_capacity(entries).build_with_hasher(B::default()))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<K: Key, V: Value, B: Hasher> Store<K, V> for Moka<K, V, B> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        Self::get(self, key)
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        Self::insert(self, key, value);
    }

    /// Before its pending tasks have run, so with what it holds beyond its capacity.
    fn entries(&self) -> u64 {
        self.iter().count() as u64
    }

    /// The same.
    fn charge(&self) -> Option<u64> {
        Some(self.iter().map(|(_, value)| u64::from(value.weight())).sum())
    }
}

// foyer's memory cache: shards with a lock each, and a policy to choose.

/// The hasher that foyer takes by default; it has no public name.
pub(super) type FoyersHasher = <foyer_memory::Cache<u64, u64> as Hashes>::With;

/// What a cache hashes with.
pub(super) trait Hashes {
    type With;
}

impl<B: Hasher> Hashes for foyer_memory::Cache<u64, u64, B> {
    type With = B;
}

/// One of foyer's policies, in its default configuration.
pub(crate) trait Policy: Send + Sync + 'static {
    const NAME: &'static str;
    const ID: &'static str;

    fn eviction() -> EvictionConfig;
}

#[derive(Debug)]
pub(crate) struct S3Fifo;

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

pub(crate) struct Foyer<P, K: Key, V: Value, B: Hasher>(
    foyer_memory::Cache<K, V, B>,
    PhantomData<P>,
);

impl<P: Policy, K: Key, V: Value, B: Hasher> Foyer<P, K, V, B> {
    /// Its weigher is called through a pointer, the default one, which says 1, as well.
    fn new(weight: u64) -> Self {
        let builder = CacheBuilder::new(weight as usize).with_eviction_config(P::eviction());
        let builder = builder.with_weighter(|_: &K, value: &V| value.weight() as usize);
        Self(builder.with_hash_builder(B::default()).build(), PhantomData)
    }
}

impl<P: Policy, B: Hasher> Peer for Foyer<P, u64, u64, B> {
    const NAME: &'static str = P::NAME;
    const ID: &'static str = P::ID;
    const HEAVIEST: u32 = u32::MAX;

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = Foyer<P, u64, V, B>;
    type Wide = Foyer<P, WideKey, WideValue, B>;

    fn configuration() -> String {
        let (eviction, hasher) = (P::eviction(), type_name::<B>());
        format!("foyer-memory 0.22, default options (8 shards), {eviction:?}, {hasher}")
    }

    fn with_capacity(entries: u64) -> Self {
        Self::new(entries)
    }

    fn weighing<V: Value>(weight: u64, _: u64) -> Option<Foyer<P, u64, V, B>> {
        Some(Foyer::new(weight))
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        Some(Foyer::new(entries))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<P: Policy, K: Key, V: Value, B: Hasher> Store<K, V> for Foyer<P, K, V, B> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).map(|entry| entry.value().clone())
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.entries() as u64
    }

    fn charge(&self) -> Option<u64> {
        Some(self.0.usage() as u64)
    }
}

// TinyUFO, S3-FIFO with TinyLFU's admission, lock-free: in its fast form, with a hasher of its own only.

pub(crate) struct TinyUfoFast<K: Key, V: Value> {
    cache: TinyUfo<K, V>,
    entries: u64,
}

impl<K: Key, V: Value> TinyUfoFast<K, V> {
    fn new(weight: u64, entries: u64) -> Self {
        Self { cache: TinyUfo::new(weight as usize, entries as usize), entries }
    }
}

impl Peer for TinyUfoFast<u64, u64> {
    const NAME: &'static str = "TinyUFO";
    const ID: &'static str = "tinyufo";
    /// Its weights have 16 bits.
    const HEAVIEST: u32 = u16::MAX as u32;

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = TinyUfoFast<u64, V>;
    type Wide = TinyUfoFast<WideKey, WideValue>;

    fn configuration() -> String {
        "0.9, TinyUfo::new(capacity, capacity), its own ahash; does not tell its entries".into()
    }

    fn with_capacity(entries: u64) -> Self {
        Self::new(entries, entries)
    }

    fn weighing<V: Value>(weight: u64, entries: u64) -> Option<TinyUfoFast<u64, V>> {
        Some(TinyUfoFast::new(weight, entries))
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        Some(TinyUfoFast::new(entries, entries))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<K: Key, V: Value> Store<K, V> for TinyUfoFast<K, V> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        let weight = value.weight().min(TinyUfoFast::<u64, u64>::HEAVIEST) as u16;
        drop(self.cache.put(key, value, weight));
    }

    /// As many as fit: it evicts nothing before it is full.
    fn entries(&self) -> u64 {
        self.entries
    }
}

// scc's `HashCache`: 32-way associative, least recently used of a bucket. At its full size at once: while it grows, it
// evicts from buckets that are full.

impl<B: Hasher> Peer for HashCache<u64, u64, B> {
    const NAME: &'static str = "scc";
    const ID: &'static str = "scc";

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = Nobody;
    type Wide = HashCache<WideKey, WideValue, B>;

    fn configuration() -> String {
        let hasher = type_name::<B>();
        format!(
            "3, HashCache at its full size from the start, a power of two from the capacity up, {hasher}"
        )
    }

    fn with_capacity(entries: u64) -> Self {
        Self::with_capacity_and_hasher(entries as usize, entries as usize, B::default())
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        let entries = entries as usize;
        Some(HashCache::with_capacity_and_hasher(entries, entries, B::default()))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<K: Key, V: Value, B: Hasher> Store<K, V> for HashCache<K, V, B> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        self.get_sync(key).map(|entry| entry.get().clone())
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        match self.entry_sync(key) {
            Entry::Occupied(mut entry) => _ = entry.put(value),
            Entry::Vacant(entry) => drop(entry.put_entry(value)),
        }
    }

    fn entries(&self) -> u64 {
        self.len() as u64
    }
}

// The `lru` crate behind one mutex: what a program has that did not look further.

pub(crate) type LockedLru<K, V, B> = Mutex<LruCache<K, V, B>>;

fn locked_lru<K: Key, V: Value, B: Hasher>(entries: u64) -> LockedLru<K, V, B> {
    let entries = NonZeroUsize::new(entries as usize).unwrap_or(NonZeroUsize::MIN);
    Mutex::new(LruCache::with_hasher(entries, B::default()))
}

impl<B: Hasher> Peer for LockedLru<u64, u64, B> {
    const NAME: &'static str = "Mutex<lru>";
    const ID: &'static str = "lru";

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = Nobody;
    type Wide = LockedLru<WideKey, WideValue, B>;

    fn configuration() -> String {
        format!("0.19, LruCache in one std Mutex, {}", type_name::<B>())
    }

    fn with_capacity(entries: u64) -> Self {
        locked_lru(entries)
    }

    fn wide(entries: u64) -> Option<Self::Wide> {
        Some(locked_lru(entries))
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<K: Key, V: Value, B: Hasher> Store<K, V> for LockedLru<K, V, B> {
    #[inline]
    fn get(&self, key: &K) -> Option<V> {
        step(self).get(key).cloned()
    }

    #[inline]
    fn insert(&self, key: K, value: V) {
        step(self).put(key, value);
    }

    fn entries(&self) -> u64 {
        step(self).len() as u64
    }
}

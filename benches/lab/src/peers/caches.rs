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

/// Caches that are compared, each with: its type; what tables and users call it; the heaviest entry that it counts; how it is
/// configured; how one is made of this many entries, of a weight, and of larger entries; and, for all keys and values,
/// what a read, a write, the number of its entries and their weight are.
macro_rules! caches {
    ($(
        [$($peer_of:tt)*] $peer:ty: $name:expr, $id:expr, heaviest $heaviest:expr,
        configuration $configuration:expr,
        entries |$entries:ident| $make:expr,
        weighing $weighing:ty: |$weight:ident, $expected:ident| $weigh:expr,
        wide $wide:ty: |$many:ident| $widen:expr,
        store [$($store_of:tt)*] $store:ty where [$($bounds:tt)*]: |$own:ident|
        get |$key:ident| $get:expr, insert |$new:ident, $value:ident| $insert:expr,
        len $len:expr, charge $charge:expr;
    )*) => {$(
        impl<$($peer_of)*> Peer for $peer {
            const NAME: &'static str = $name;
            const ID: &'static str = $id;
            const HEAVIEST: u32 = $heaviest;

            type Lookup<'a> = &'a Self;
            type Weighing<V: Value> = $weighing;
            type Wide = $wide;

            fn configuration() -> String {
                $configuration.into()
            }

            fn with_capacity($entries: u64) -> Self {
                $make
            }

            fn weighing<V: Value>($weight: u64, $expected: u64) -> Option<Self::Weighing<V>> {
                $weigh
            }

            fn wide($many: u64) -> Option<Self::Wide> {
                Some($widen)
            }

            fn lookup(&self) -> &Self {
                self
            }
        }

        impl<$($store_of)*> Store<K, V> for $store
        where
            $($bounds)*
        {
            #[inline]
            fn get(&self, $key: &K) -> Option<V> {
                let $own = self;
                $get
            }

            #[inline]
            fn insert(&self, $new: K, $value: V) {
                let $own = self;
                $insert;
            }

            fn entries(&self) -> u64 {
                let $own = self;
                $len as u64
            }

            fn charge(&self) -> Option<u64> {
                let $own = self;
                let charge: Option<u64> = $charge;
                let _ = $own;
                charge
            }
        }
    )*};
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

// moka, the W-TinyLFU cache with a read and a write buffer.

pub(crate) type Moka<K, V, B> = moka::sync::Cache<K, V, B>;

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

/// Its weights have 16 bits.
const MAX_TINY_UFO: u32 = u16::MAX as u32;

// scc's `HashCache`: 32-way associative, least recently used of a bucket. At its full size at once: while it grows, it
// evicts from buckets that are full.

fn scc_cache<K: Key, V: Value, B: Hasher>(entries: u64) -> HashCache<K, V, B> {
    HashCache::with_capacity_and_hasher(entries as usize, entries as usize, B::default())
}

// The `lru` crate behind one mutex: what a program has that did not look further.

pub(crate) type LockedLru<K, V, B> = Mutex<LruCache<K, V, B>>;

fn locked_lru<K: Key, V: Value, B: Hasher>(entries: u64) -> LockedLru<K, V, B> {
    let entries = NonZeroUsize::new(entries as usize).unwrap_or(NonZeroUsize::MIN);
    Mutex::new(LruCache::with_hasher(entries, B::default()))
}

caches! {
    [B: Hasher] QuickCache<u64, u64, UnitWeighter, B>: "quick_cache", "quick_cache", heaviest u32::MAX,
    configuration format!("0.7, default options (4 shards per core, parking_lot), {}", type_name::<B>()),
    entries |entries| quick_cache(entries, entries, UnitWeighter),
    weighing QuickCache<u64, V, ByWeight, B>: |weight, entries| Some(quick_cache(entries, weight, ByWeight)),
    wide QuickCache<WideKey, WideValue, UnitWeighter, B>: |entries| quick_cache(entries, entries, UnitWeighter),
    store [K, V, W, B] QuickCache<K, V, W, B>
    where [K: Key, V: Value, W: Weighter<K, V> + Clone + Send + Sync + 'static, B: Hasher]: |cache|
    get |key| cache.get(key), insert |key, value| cache.insert(key, value),
    len cache.len(), charge Some(cache.weight());

    [B: Hasher] Moka<u64, u64, B>: "moka", "moka", heaviest u32::MAX,
    configuration format!("0.12, sync::Cache, default options (TinyLFU), {}", type_name::<B>()),
    entries |entries| Moka::builder().max_capacity(entries).build_with_hasher(B::default()),
    weighing Moka<u64, V, B>: |weight, _entries| {
        let builder = Moka::builder().max_capacity(weight);
        let builder = builder.weigher(|_: &u64, value: &V| value.weight());
        Some(builder.build_with_hasher(B::default()))
    },
    wide Moka<WideKey, WideValue, B>: |entries| Moka::builder().max_capacity(entries).build_with_hasher(B::default()),
    store [K, V, B] Moka<K, V, B> where [K: Key, V: Value, B: Hasher]: |cache|
    get |key| cache.get(key), insert |key, value| cache.insert(key, value),
    // Before its pending tasks have run, so with what it holds beyond its capacity.
    len cache.iter().count(), charge Some(cache.iter().map(|(_, value)| u64::from(value.weight())).sum());

    [P: Policy, B: Hasher] Foyer<P, u64, u64, B>: P::NAME, P::ID, heaviest u32::MAX,
    configuration format!(
        "foyer-memory 0.22, default options (8 shards), {:?}, {}", P::eviction(), type_name::<B>()
    ),
    entries |entries| Self::new(entries),
    weighing Foyer<P, u64, V, B>: |weight, _entries| Some(Foyer::new(weight)),
    wide Foyer<P, WideKey, WideValue, B>: |entries| Foyer::new(entries),
    store [P, K, V, B] Foyer<P, K, V, B> where [P: Policy, K: Key, V: Value, B: Hasher]: |cache|
    get |key| cache.0.get(key).map(|entry| entry.value().clone()),
    insert |key, value| cache.0.insert(key, value),
    len cache.0.entries(), charge Some(cache.0.usage() as u64);

    [] TinyUfoFast<u64, u64>: "TinyUFO", "tinyufo", heaviest MAX_TINY_UFO,
    configuration "0.9, TinyUfo::new(capacity, capacity), its own ahash; does not tell its entries",
    entries |entries| Self::new(entries, entries),
    weighing TinyUfoFast<u64, V>: |weight, entries| Some(TinyUfoFast::new(weight, entries)),
    wide TinyUfoFast<WideKey, WideValue>: |entries| TinyUfoFast::new(entries, entries),
    store [K, V] TinyUfoFast<K, V> where [K: Key, V: Value]: |cache|
    get |key| cache.cache.get(key),
    insert |key, value| {
        let weight = value.weight().min(MAX_TINY_UFO) as u16;
        drop(cache.cache.put(key, value, weight))
    },
    // As many as fit: it evicts nothing before it is full.
    len cache.entries, charge None;

    [B: Hasher] HashCache<u64, u64, B>: "scc", "scc", heaviest 0,
    configuration format!(
        "3, HashCache at its full size from the start, a power of two from the capacity up, {}", type_name::<B>()
    ),
    entries |entries| scc_cache(entries),
    weighing Nobody: |_weight, _entries| None,
    wide HashCache<WideKey, WideValue, B>: |entries| scc_cache(entries),
    store [K, V, B] HashCache<K, V, B> where [K: Key, V: Value, B: Hasher]: |cache|
    get |key| cache.get_sync(key).map(|entry| entry.get().clone()),
    insert |key, value| match cache.entry_sync(key) {
        Entry::Occupied(mut entry) => _ = entry.put(value),
        Entry::Vacant(entry) => drop(entry.put_entry(value)),
    },
    len cache.len(), charge None;

    [B: Hasher] LockedLru<u64, u64, B>: "Mutex<lru>", "lru", heaviest 0,
    configuration format!("0.19, LruCache in one std Mutex, {}", type_name::<B>()),
    entries |entries| locked_lru(entries),
    weighing Nobody: |_weight, _entries| None,
    wide LockedLru<WideKey, WideValue, B>: |entries| locked_lru(entries),
    store [K, V, B] LockedLru<K, V, B> where [K: Key, V: Value, B: Hasher]: |cache|
    get |key| step(cache).get(key).cloned(), insert |key, value| step(cache).put(key, value),
    len step(cache).len(), charge None;
}

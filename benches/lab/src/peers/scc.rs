//! scc's `HashCache`: 32-way associative, least recently used of a bucket.

use std::any::type_name;
use std::hash::{BuildHasher, Hash};

use scc::HashCache;
use scc::hash_cache::Entry;

use super::{Lookup, Nobody, Peer, Weight, Wide, WideKey, WideValue};

type Buckets<B> = HashCache<u64, u64, B>;

/// scc's cache with a hasher of choice.
pub(crate) struct Scc<B: BuildHasher>(Buckets<B>);

impl<B> Peer for Scc<B>
where
    B: BuildHasher + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "scc";

    const ID: &'static str = "scc";

    type Lookup<'a> = &'a Buckets<B>;

    type Weighing<V: Weight> = Nobody;

    type Wide = HashCache<WideKey, WideValue, B>;

    fn with_capacity(entries: u64) -> Self {
        Self(of_full_size(entries))
    }

    fn configuration() -> String {
        format!(
            "3, HashCache at its full size from the start, a power of two from the capacity up, {}",
            type_name::<B>()
        )
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.0
    }

    fn insert(&self, key: u64, value: u64) {
        put(&self.0, key, value);
    }

    fn entries(&self) -> u64 {
        self.0.len() as u64
    }
}

/// At its full size at once: while it grows, it evicts from buckets that are full.
fn of_full_size<K, V, B>(entries: u64) -> HashCache<K, V, B>
where
    K: Eq + Hash,
    B: BuildHasher + Default,
{
    HashCache::with_capacity_and_hasher(entries as usize, entries as usize, B::default())
}

#[inline]
fn put<K: Eq + Hash, V, B: BuildHasher>(cache: &HashCache<K, V, B>, key: K, value: V) {
    match cache.entry_sync(key) {
        Entry::Occupied(mut entry) => {
            entry.put(value);
        }
        Entry::Vacant(entry) => {
            entry.put_entry(value);
        }
    }
}

impl<B> Wide for HashCache<WideKey, WideValue, B>
where
    B: BuildHasher + Default + 'static,
{
    fn with_capacity(entries: u64) -> Option<Self> {
        Some(of_full_size(entries))
    }

    fn insert(&self, key: WideKey, value: WideValue) {
        put(self, key, value);
    }

    fn entries(&self) -> u64 {
        self.len() as u64
    }
}

impl<B: BuildHasher> Lookup for &Buckets<B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        self.get_sync(key).map(|entry| *entry.get())
    }
}

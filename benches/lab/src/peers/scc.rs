//! scc's `HashCache`: 32-way associative, least recently used of a bucket.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;

use scc::HashCache;
use scc::hash_cache::Entry;

use super::{Lookup, Peer};

type Buckets<B> = HashCache<u64, u64, B>;

/// scc's cache with a hasher of choice.
pub struct Scc<B: BuildHasher>(Buckets<B>);

impl<B> Peer for Scc<B>
where
    B: BuildHasher + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "scc";

    const ID: &'static str = "scc";

    type Lookup<'a> = &'a Buckets<B>;

    fn with_capacity(entries: u64) -> Self {
        // At its full size at once: while it grows, it evicts from buckets that are full.
        let entries = entries as usize;
        Self(HashCache::with_capacity_and_hasher(entries, entries, B::default()))
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
        match self.0.entry_sync(key) {
            Entry::Occupied(mut entry) => {
                entry.put(value);
            }
            Entry::Vacant(entry) => {
                entry.put_entry(value);
            }
        }
    }

    fn entries(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<B: BuildHasher> Lookup for &Buckets<B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        self.get_sync(key).map(|entry| *entry.get())
    }
}

impl<B: BuildHasher> fmt::Debug for Scc<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scc")
    }
}

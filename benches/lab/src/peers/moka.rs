//! moka, the W-TinyLFU cache with a read and a write buffer.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;

use moka::sync::Cache;

use super::{Lookup, Peer};

type Buffered<B> = Cache<u64, u64, B>;

/// moka with its documented defaults and a hasher of choice.
pub struct Moka<B>(Buffered<B>);

impl<B> Peer for Moka<B>
where
    B: BuildHasher + Clone + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "moka";

    const ID: &'static str = "moka";

    type Lookup<'a> = &'a Buffered<B>;

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

    fn entries(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
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

impl<B> fmt::Debug for Moka<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("moka")
    }
}

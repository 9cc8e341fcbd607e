//! The `lru` crate behind one mutex: what a program has that did not look further.

use std::any::type_name;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::{Lookup, Nobody, Peer, Weight, Wide, WideKey, WideValue};

type List<B> = LruCache<u64, u64, B>;

/// A least-recently-used list behind a mutex, with a hasher of choice.
pub(crate) struct LockedLru<B>(Mutex<List<B>>);

impl<B> Peer for LockedLru<B>
where
    B: BuildHasher + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "Mutex<lru>";

    const ID: &'static str = "lru";

    type Lookup<'a> = &'a Mutex<List<B>>;

    type Weighing<V: Weight> = Nobody;

    type Wide = Mutex<LruCache<WideKey, WideValue, B>>;

    fn with_capacity(entries: u64) -> Self {
        Self(locked(entries))
    }

    fn configuration() -> String {
        format!("0.19, LruCache in one std Mutex, {}", type_name::<B>())
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.0
    }

    fn insert(&self, key: u64, value: u64) {
        lock(&self.0).put(key, value);
    }

    fn entries(&self) -> u64 {
        lock(&self.0).len() as u64
    }
}

fn locked<K, V, B>(entries: u64) -> Mutex<LruCache<K, V, B>>
where
    K: Eq + Hash,
    B: BuildHasher + Default,
{
    let entries = NonZeroUsize::new(entries as usize).unwrap_or(NonZeroUsize::MIN);
    Mutex::new(LruCache::with_hasher(entries, B::default()))
}

impl<B> Wide for Mutex<LruCache<WideKey, WideValue, B>>
where
    B: BuildHasher + Default + 'static,
{
    fn with_capacity(entries: u64) -> Option<Self> {
        Some(locked(entries))
    }

    fn insert(&self, key: WideKey, value: WideValue) {
        lock(self).put(key, value);
    }

    fn entries(&self) -> u64 {
        lock(self).len() as u64
    }
}

impl<B: BuildHasher> Lookup for &Mutex<List<B>> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        lock(self).get(key).copied()
    }
}

/// Nothing panics with the lock held: no code of the lab's runs under it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

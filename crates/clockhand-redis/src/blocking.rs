//! A cache with a second tier, for threads.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use clockhand::tier::Tier;

use crate::codec::CodecError;
use crate::error::TierError;
use crate::flow::TieredError;
use crate::key::TierKey;
use crate::tier::RedisTier;
use crate::tiered::Tiered;

/// The methods of [`Tiered`] for threads: each waits until it is done. Made by [`Tiered::blocking`].
///
/// The connection is carried by the tier's own thread, so no runtime is needed. A thread and a task may wait for the same
/// load. Do not use it in tasks: the thread that it blocks may be the one that has to go on.
///
/// # Examples
///
/// ```no_run
/// use clockhand::Cache;
/// use clockhand_redis::{RedisTier, Tiered};
///
/// let tier = RedisTier::builder("redis://127.0.0.1:6379").build()?;
/// let cache = Cache::builder().capacity(10_000).per_entry_ttl().build()?;
/// let texts: Tiered<u64, String> = Tiered::new(cache, &tier)?;
///
/// let texts = texts.blocking();
/// let text = texts.get_or_load(&7, || std::fs::read_to_string("7.txt"))?;
/// texts.insert(7, "seven".to_string())?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Blocking<'t, K, V, S, T = RedisTier> {
    tiered: &'t Tiered<K, V, S, T>,
}

impl<K, V, S, T> Tiered<K, V, S, T> {
    /// The same for threads.
    pub fn blocking(&self) -> Blocking<'_, K, V, S, T> {
        Blocking { tiered: self }
    }
}

impl<K, V, S, T> Blocking<'_, K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier<Error: From<CodecError>>,
{
    /// As [`Tiered::get`].
    pub fn get(&self, key: &K) -> Option<V> {
        match self.tiered.get_cached(key) {
            Some(value) => Some(value),
            None => block_on(self.tiered.get(key)),
        }
    }

    /// As [`Tiered::get_or_load`]; `load` runs on this thread.
    ///
    /// # Errors
    ///
    /// As [`Tiered::get_or_load`].
    pub fn get_or_load<E>(
        &self,
        key: &K,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        match self.tiered.get_cached(key) {
            Some(value) => Ok(value),
            None => block_on(self.tiered.get_or_load(key, async { load() })),
        }
    }

    /// As [`Tiered::get_many`].
    pub fn get_many(&self, keys: &[K]) -> Vec<Option<V>> {
        block_on(self.tiered.get_many(keys))
    }

    /// As [`Tiered::insert`].
    ///
    /// # Errors
    ///
    /// As [`Tiered::insert`].
    pub fn insert(&self, key: K, value: V) -> Result<(), T::Error> {
        block_on(self.tiered.insert(key, value))
    }

    /// As [`Tiered::insert_with_ttl`].
    ///
    /// # Errors
    ///
    /// As [`Tiered::insert`].
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Result<(), T::Error> {
        block_on(self.tiered.insert_with_ttl(key, value, ttl))
    }

    /// As [`Tiered::invalidate`].
    ///
    /// # Errors
    ///
    /// As [`Tiered::insert`].
    pub fn invalidate(&self, key: &K) -> Result<(), T::Error> {
        block_on(self.tiered.invalidate(key))
    }

    /// As [`Tiered::insert_tagged`].
    ///
    /// # Errors
    ///
    /// As [`Tiered::insert`].
    pub fn insert_tagged<N: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = N>,
    ) -> Result<(), T::Error> {
        block_on(self.tiered.insert_tagged(key, value, tags))
    }

    /// As [`Tiered::get_or_load_tagged`]; `load` runs on this thread.
    ///
    /// # Errors
    ///
    /// As [`Tiered::get_or_load`].
    pub fn get_or_load_tagged<N: AsRef<str>, E>(
        &self,
        key: &K,
        tags: impl IntoIterator<Item = N>,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        block_on(self.tiered.get_or_load_tagged(key, tags, async { load() }))
    }

    /// As [`Tiered::invalidate_tag`].
    ///
    /// # Errors
    ///
    /// As [`Tiered::invalidate_tag`].
    pub fn invalidate_tag(&self, tag: &str) -> Result<(), T::Error> {
        block_on(self.tiered.invalidate_tag(tag))
    }

    /// As [`Tiered::invalidate_all`].
    ///
    /// # Errors
    ///
    /// As [`Tiered::insert`].
    pub fn invalidate_all(&self) -> Result<(), T::Error> {
        block_on(self.tiered.invalidate_all())
    }
}

impl<K, V, S> Blocking<'_, K, V, S> {
    /// As [`RedisTier::sync`].
    ///
    /// # Errors
    ///
    /// As [`RedisTier::sync`].
    pub fn sync(&self) -> Result<(), TierError> {
        block_on(self.tiered.tier().sync())
    }
}

impl<K, V, S, T: fmt::Debug> fmt::Debug for Blocking<'_, K, V, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("tiered", self.tiered).finish()
    }
}

/// Wakes a thread that has parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on this thread, which sleeps in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // Woken in between, it returns at once; for no reason, it polls once more.
        thread::park();
    }
}

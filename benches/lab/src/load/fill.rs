//! The caches that load what is missing: as threads, and as tasks.

use std::convert::Infallible;
use std::future::Future;

use ahash::RandomState;
use clockhand::Cache;
use quick_cache::UnitWeighter;
use quick_cache::sync::DefaultLifecycle;

/// A cache whose callers are threads.
pub(super) trait Fill: Send + Sync + 'static {
    const NAME: &'static str;
    /// What is called.
    const CALL: &'static str;

    fn with_capacity(entries: u64) -> Self;

    /// The value of a key, loaded if it is not there.
    fn fill(&self, key: u64, load: impl FnOnce() -> u64) -> u64;
}

/// A cache whose callers are tasks.
pub(super) trait FillAsync: Send + Sync + 'static {
    const NAME: &'static str;
    /// What is called.
    const CALL: &'static str;

    fn with_capacity(entries: u64) -> Self;

    /// The value of a key, loaded by a future if it is not there.
    fn fill(&self, key: u64, load: impl Future<Output = u64>) -> impl Future<Output = u64>;
}

impl Fill for Cache<u64, u64> {
    const NAME: &'static str = super::CLOCKHAND;
    const CALL: &'static str = "get_or_load";

    fn with_capacity(entries: u64) -> Self {
        Self::new(entries)
    }

    #[inline]
    fn fill(&self, key: u64, load: impl FnOnce() -> u64) -> u64 {
        self.get_or_load(key, |_| load())
    }
}

impl FillAsync for Cache<u64, u64> {
    const NAME: &'static str = super::CLOCKHAND;
    const CALL: &'static str = "get_or_load_async";

    fn with_capacity(entries: u64) -> Self {
        Self::new(entries)
    }

    #[inline]
    fn fill(&self, key: u64, load: impl Future<Output = u64>) -> impl Future<Output = u64> {
        self.get_or_load_async(key, |_| load)
    }
}

/// clockhand without loading: what coalescing costs is the difference.
pub(super) struct GetThenInsert(Cache<u64, u64>);

impl Fill for GetThenInsert {
    const NAME: &'static str = "clockhand, no loading";
    const CALL: &'static str = "get, then insert";

    fn with_capacity(entries: u64) -> Self {
        Self(Cache::new(entries))
    }

    #[inline]
    fn fill(&self, key: u64, load: impl FnOnce() -> u64) -> u64 {
        self.0.get(&key).unwrap_or_else(|| {
            let value = load();
            self.0.insert(key, value);
            value
        })
    }
}

pub(super) type Moka = moka::sync::Cache<u64, u64, RandomState>;

impl Fill for Moka {
    const NAME: &'static str = "moka";
    const CALL: &'static str = "sync::Cache::get_with";

    fn with_capacity(entries: u64) -> Self {
        moka::sync::Cache::builder().max_capacity(entries).build_with_hasher(RandomState::default())
    }

    #[inline]
    fn fill(&self, key: u64, load: impl FnOnce() -> u64) -> u64 {
        self.get_with(key, load)
    }
}

pub(super) type MokaFuture = moka::future::Cache<u64, u64, RandomState>;

impl FillAsync for MokaFuture {
    const NAME: &'static str = "moka";
    const CALL: &'static str = "future::Cache::get_with";

    fn with_capacity(entries: u64) -> Self {
        moka::future::Cache::builder()
            .max_capacity(entries)
            .build_with_hasher(RandomState::default())
    }

    #[inline]
    fn fill(&self, key: u64, load: impl Future<Output = u64>) -> impl Future<Output = u64> {
        self.get_with(key, load)
    }
}

pub(super) type QuickCache = quick_cache::sync::Cache<u64, u64, UnitWeighter, RandomState>;

fn quick_cache(entries: u64) -> QuickCache {
    let (weighter, lifecycle) = (UnitWeighter, DefaultLifecycle::default());
    QuickCache::with(entries as usize, entries, weighter, RandomState::default(), lifecycle)
}

impl Fill for QuickCache {
    const NAME: &'static str = "quick_cache";
    const CALL: &'static str = "get_or_insert_with";

    fn with_capacity(entries: u64) -> Self {
        quick_cache(entries)
    }

    #[inline]
    fn fill(&self, key: u64, load: impl FnOnce() -> u64) -> u64 {
        let Ok(value) = self.get_or_insert_with(&key, || Ok::<_, Infallible>(load()));
        value
    }
}

impl FillAsync for QuickCache {
    const NAME: &'static str = "quick_cache";
    const CALL: &'static str = "get_or_insert_async";

    fn with_capacity(entries: u64) -> Self {
        quick_cache(entries)
    }

    #[inline]
    async fn fill(&self, key: u64, load: impl Future<Output = u64>) -> u64 {
        let load = async { Ok::<_, Infallible>(load.await) };
        let Ok(value) = self.get_or_insert_async(&key, load).await;
        value
    }
}

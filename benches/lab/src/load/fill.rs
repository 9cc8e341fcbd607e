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

/// Caches with the name and the call that tables have for them, how one is made, and what a call is.
macro_rules! fills {
    ($($fill:ident for $cache:ty: $name:expr, $call:literal, |$entries:ident| $make:expr,
       |$own:ident, $key:ident, $load:ident: $loader:ty| -> $value:ty { $fills:expr })*) => {$(
        impl $fill for $cache {
            const NAME: &'static str = $name;
            const CALL: &'static str = $call;

            fn with_capacity($entries: u64) -> Self {
                $make
            }

            #[inline]
            fn fill(&self, $key: u64, $load: $loader) -> $value {
                let $own = self;
                $fills
            }
        }
    )*};
}

/// clockhand without loading: what coalescing costs is the difference.
pub(super) struct GetThenInsert(Cache<u64, u64>);

pub(super) type Moka = moka::sync::Cache<u64, u64, RandomState>;

pub(super) type MokaFuture = moka::future::Cache<u64, u64, RandomState>;

pub(super) type QuickCache = quick_cache::sync::Cache<u64, u64, UnitWeighter, RandomState>;

fn quick_cache(entries: u64) -> QuickCache {
    let (weighter, lifecycle) = (UnitWeighter, DefaultLifecycle::default());
    QuickCache::with(entries as usize, entries, weighter, RandomState::default(), lifecycle)
}

fills! {
    Fill for Cache<u64, u64>: super::CLOCKHAND, "get_or_load", |entries| Self::new(entries),
    |cache, key, load: impl FnOnce() -> u64| -> u64 { cache.get_or_load(key, |_| load()) }

    Fill for GetThenInsert: "clockhand, no loading", "get, then insert",
    |entries| Self(Cache::new(entries)),
    |cache, key, load: impl FnOnce() -> u64| -> u64 {
        cache.0.get(&key).unwrap_or_else(|| {
            let value = load();
            cache.0.insert(key, value);
            value
        })
    }

    Fill for Moka: "moka", "sync::Cache::get_with",
    |entries| moka::sync::Cache::builder().max_capacity(entries).build_with_hasher(RandomState::default()),
    |cache, key, load: impl FnOnce() -> u64| -> u64 { cache.get_with(key, load) }

    Fill for QuickCache: "quick_cache", "get_or_insert_with", |entries| quick_cache(entries),
    |cache, key, load: impl FnOnce() -> u64| -> u64 {
        match cache.get_or_insert_with(&key, || Ok::<_, Infallible>(load())) {
            Ok(value) => value,
        }
    }

    FillAsync for Cache<u64, u64>: super::CLOCKHAND, "get_or_load_async",
    |entries| Self::new(entries),
    |cache, key, load: impl Future<Output = u64>| -> impl Future<Output = u64> {
        cache.get_or_load_async(key, |_| load)
    }

    FillAsync for MokaFuture: "moka", "future::Cache::get_with",
    |entries| moka::future::Cache::builder().max_capacity(entries).build_with_hasher(RandomState::default()),
    |cache, key, load: impl Future<Output = u64>| -> impl Future<Output = u64> {
        cache.get_with(key, load)
    }

    FillAsync for QuickCache: "quick_cache", "get_or_insert_async", |entries| quick_cache(entries),
    |cache, key, load: impl Future<Output = u64>| -> impl Future<Output = u64> {
        async move {
            let load = async { Ok::<_, Infallible>(load.await) };
            match cache.get_or_insert_async(&key, load).await {
                Ok(value) => value,
            }
        }
    }
}

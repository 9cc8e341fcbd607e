//! A cache with a second tier and a loader of its own: values that are renewed ahead of their end, and old ones that stand
//! in while that takes its time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use clockhand::load::BoxFuture;
use clockhand::tier::Tier;
use clockhand::{AsyncLoader, Fresh, LoadError, LoadSource, LoadingCache};

use tokio::sync::Notify;

use crate::flow::{Flown, JOINED, TieredError};
use crate::key::TierKey;
use crate::tier::RedisTier;
use crate::tiered::Tiered;

/// A [`Tiered`] cache with a loader. Made by [`Tiered::loading`].
///
/// What is loaded goes the same way as by [`Tiered::get_or_load`]. In addition a value may be renewed before it ends
/// ([`refresh_after`](Self::refresh_after)), and one that has ended may be served while it is being renewed
/// ([`stale_while_revalidate`](Self::stale_while_revalidate)) or if that fails ([`stale_if_error`](Self::stale_if_error)). A
/// value that any instance has replaced or invalidated never stands in.
///
/// The server keeps values for as long after their end as [`stale_for`](crate::RedisTierBuilder::stale_for) says, and five
/// seconds; when it removes one, it is gone from all caches, and does not stand in any more.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use clockhand::Cache;
/// use clockhand_redis::{RedisTier, Tiered};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let minute = Duration::from_secs(60);
/// let tier = RedisTier::builder("redis://127.0.0.1:6379").stale_for(minute).build()?;
/// let cache = Cache::builder().capacity(10_000).per_entry_ttl().build()?;
/// let prices = Tiered::new(cache, &tier)?
///     .loading(|key: &String| {
///         let key = key.clone();
///         async move { key.parse::<f64>() } // from the source
///     })
///     .stale_while_revalidate(minute)
///     .stale_if_error(minute);
/// let price = prices.get(&"1.0842".to_string()).await?;
/// # Ok(())
/// # }
/// ```
pub struct TieredLoading<K, V, S, L, T = RedisTier> {
    tiered: Tiered<K, V, S, T>,
    loading: LoadingCache<K, V, Through<K, V, S, L, T>, S>,
    /// As `Through` has it.
    renewed_after: Arc<AtomicU64>,
    loader: Arc<L>,
    /// Ends when an old value is to stand in for one that is being renewed; none: at once.
    soft: Option<Arc<dyn Fn() -> BoxFuture + Send + Sync>>,
    /// Told of each renewal that has ended, if they are spawned.
    renewals: Option<Arc<Notify>>,
}

/// A loader that asks Redis first.
struct Through<K, V, S, L, T> {
    tiered: Tiered<K, V, S, T>,
    loader: Arc<L>,
    /// The age in milliseconds from which on a value on the server is not young enough for a renewal; zero: none is.
    renewed_after: Arc<AtomicU64>,
}

impl<K, V, S, L, T> AsyncLoader<K, V> for Through<K, V, S, L, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    L: AsyncLoader<K, V>,
    T: Tier,
{
    type Error = Flown<L::Error>;

    async fn load(&self, key: &K) -> Result<V, Self::Error> {
        self.load_fresh(key).await.map(Fresh::into_value)
    }

    async fn load_fresh(&self, key: &K) -> Result<Fresh<V>, Self::Error> {
        self.through(key, Duration::ZERO, self.loader.load(key)).await
    }

    async fn reload_fresh(&self, key: &K, old: &V) -> Result<Fresh<V>, Self::Error> {
        // ORDERING: Relaxed: a setting, which is made before the handle is shared.
        let after = Duration::from_millis(self.renewed_after.load(Ordering::Relaxed));
        // Another instance may have renewed it. If not, what the server has is what is to be renewed.
        let least = self.tiered.tier.time_to_live().saturating_sub(after);
        self.through(key, least, self.loader.reload(key, old)).await
    }
}

impl<K, V, S, L, T> Through<K, V, S, L, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    L: AsyncLoader<K, V>,
    T: Tier,
{
    async fn through(
        &self,
        key: &K,
        least: Duration,
        load: impl Future<Output = Result<V, L::Error>> + Send,
    ) -> Result<Fresh<V>, Flown<L::Error>> {
        let mut own = None;
        let flown = self.tiered.fly(key, (&[], least), load, &mut own).await;
        if matches!(flown, Err(Flown::Overtaken)) {
            // That is nothing to be remembered of the key.
            self.tiered.cache.invalidate(key);
        }
        flown
    }
}

impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    /// The same cache and tier, with a loader.
    pub fn loading<L>(&self, loader: L) -> TieredLoading<K, V, S, L, T>
    where
        L: AsyncLoader<K, V> + 'static,
    {
        let (loader, renewed_after) = (Arc::new(loader), Arc::new(AtomicU64::new(0)));
        let through = Through {
            tiered: self.clone(),
            loader: Arc::clone(&loader),
            renewed_after: Arc::clone(&renewed_after),
        };
        let loading = self.cache.clone().loading(through);
        TieredLoading {
            tiered: self.clone(),
            loading,
            renewed_after,
            loader,
            soft: None,
            renewals: None,
        }
    }
}

impl<K, V, S, L, T> TieredLoading<K, V, S, L, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    T: Tier,
{
    fn with(
        self,
        set: impl FnOnce(
            LoadingCache<K, V, Through<K, V, S, L, T>, S>,
        ) -> LoadingCache<K, V, Through<K, V, S, L, T>, S>,
    ) -> Self {
        Self { loading: set(self.loading), ..self }
    }

    /// Values that are read and older than this are renewed in the background: see
    /// [`LoadingCache::refresh_after`]. If another instance has renewed one already, its value is taken.
    pub fn refresh_after(self, age: Duration) -> Self {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
        // ORDERING: Relaxed: a setting, which is made before the handle is shared.
        self.renewed_after.store(millis, Ordering::Relaxed);
        self.with(|loading| loading.refresh_after(age))
    }

    /// Values that have ended are served for so long while they are renewed in the background: see
    /// [`LoadingCache::stale_while_revalidate`].
    pub fn stale_while_revalidate(self, stale: Duration) -> Self {
        self.with(|loading| loading.stale_while_revalidate(stale))
    }

    /// Values that have ended stand in for so long if they cannot be renewed: see [`LoadingCache::stale_if_error`].
    pub fn stale_if_error(self, stale: Duration) -> Self {
        self.with(|loading| loading.stale_if_error(stale))
    }

    /// Errors of the loader are remembered for so long: see [`LoadingCache::negative_ttl`].
    pub fn negative_ttl(self, ttl: Duration) -> Self {
        self.with(|loading| loading.negative_ttl(ttl))
    }

    /// Renewals run as tasks of the caller's runtime: see [`LoadingCache::spawner`]. Without it, reads poll them.
    pub fn spawner(self, spawn: impl Fn(BoxFuture) + Send + Sync + 'static) -> Self {
        let renewals = Arc::new(Notify::new());
        let told = Arc::clone(&renewals);
        let spawn = move |renewal: BoxFuture| {
            let told = Arc::clone(&told);
            spawn(Box::pin(async move {
                renewal.await;
                told.notify_waiters();
            }));
        };
        Self { renewals: Some(renewals), ..self }.with(|loading| loading.spawner(spawn))
    }

    /// The value of a key, from the cache, from Redis, or by the loader.
    ///
    /// # Errors
    ///
    /// As [`Tiered::get_or_load`].
    ///
    /// # Cancel safety
    ///
    /// As [`Tiered::get_or_load`].
    ///
    /// # Progress
    ///
    /// A hit in the cache is wait-free, and so is an old value that stands in. Otherwise as [`Tiered::get_or_load`].
    pub async fn get(&self, key: &K) -> Result<V, TieredError<L::Error>> {
        for _ in 0..JOINED {
            self.tiered.open_for(key);
            let mut found = pin!(self.loading.get_with_source_async(key));
            let at_once = poll_fn(|context| Poll::Ready(found.as_mut().poll(context))).await;
            let found = match at_once {
                // A load asks the second tier and cannot be done at once: it is being renewed.
                Poll::Ready(Ok(old)) if old.source == LoadSource::Stale => {
                    return Ok(self.renewed_in_time(key).await.unwrap_or(old.value));
                }
                Poll::Ready(found) => found,
                Poll::Pending => found.await,
            };
            match found {
                Ok(loaded) => return Ok(loaded.value),
                Err(LoadError::Failed(error)) => match &*error {
                    Flown::Failed(error) => return Err(TieredError::Failed(Arc::clone(error))),
                    // It was loaded before something was written to the key, and this caller may have come after that.
                    Flown::Overtaken | Flown::Absent => {}
                },
                Err(LoadError::Cycle) => return Err(TieredError::Cycle),
                Err(_) => {}
            }
        }
        let loaded = self.loader.load(key).await;
        loaded.map_err(|error| TieredError::Failed(Arc::new(error)))
    }

    /// The value that comes of the renewal that is under way, if that is soon enough. The renewal goes on if it is not.
    async fn renewed_in_time(&self, key: &K) -> Option<V> {
        let (soft, renewals) = (self.soft.as_ref()?, self.renewals.as_ref()?);
        let mut limit = soft();
        loop {
            let mut renewed = pin!(renewals.notified());
            // From here on it hears of ends: before it looks.
            renewed.as_mut().enable();
            if let Some(value) = self.tiered.get_cached(key) {
                return Some(value);
            }
            let is_over = poll_fn(|context| match renewed.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(false),
                Poll::Pending => limit.as_mut().poll(context).map(|()| true),
            });
            if is_over.await {
                return None;
            }
        }
    }

    /// The cache and its tier, to write and to invalidate.
    pub fn tiered(&self) -> &Tiered<K, V, S, T> {
        &self.tiered
    }
}

impl<K, V, S, L> TieredLoading<K, V, S, L> {
    /// How long a value that is being renewed is waited for where an old one may stand in
    /// ([`stale_while_revalidate`](Self::stale_while_revalidate)): the old one is served when that is over, and the renewal
    /// goes on. By default it is not waited for. Needs a [`spawner`](Self::spawner), and does nothing without.
    ///
    /// This is the soft timeout of Redis and the loader together; the hard one, where there is no old value, is
    /// [`operation_timeout`](crate::RedisTierBuilder::operation_timeout) for Redis.
    pub fn soft_timeout(self, limit: Duration) -> Self {
        let handle = self.tiered.tier.link.handle.clone();
        let soft = move || -> BoxFuture {
            let sleeps = handle.spawn(async move { tokio::time::sleep(limit).await });
            Box::pin(async move { drop(sleeps.await) })
        };
        Self { soft: Some(Arc::new(soft)), ..self }
    }
}

impl<K, V, S, L, T: fmt::Debug> fmt::Debug for TieredLoading<K, V, S, L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredLoading").field("tiered", &self.tiered).finish_non_exhaustive()
    }
}

//! A cache with a second tier.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use clockhand::tier::{CacheUpdate, FirstTier, PutTerms, Tier, TierItem};
use clockhand::{Cache, RandomState, Stats};

use crate::codec::{Codec, CodecError, Postcard};
use crate::error::TierBuildError;
use crate::key::TierKey;
use crate::tier::RedisTier;

/// A [`Cache`] in front of a [`RedisTier`], coherent with the caches of other instances before the same server.
///
/// Reads look into the cache, then into Redis, then call the loader; of any number of callers of an instance that miss at
/// once, one does that. What one instance inserts or invalidates, the server tells all others.
///
/// # Consistency
///
/// When [`insert`](Self::insert) or [`invalidate`](Self::invalidate) has returned `Ok`, this instance does not return an
/// older value of the key any more, and neither does another one that the server's message has reached. See the guide.
///
/// # Cost
///
/// A hit in the cache costs what [`Cache::get`] costs, and one look at a word that says whether the cache may answer.
///
/// # Examples
///
/// ```no_run
/// use clockhand::Cache;
/// use clockhand_redis::{RedisTier, Tiered};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tier = RedisTier::builder("redis://127.0.0.1:6379").key_prefix("prices").build()?;
/// let cache = Cache::builder().capacity(10_000).per_entry_ttl().build()?;
/// let prices: Tiered<String, f64> = Tiered::new(cache, &tier)?;
///
/// let key = "EURUSD".to_string();
/// let price = prices.get_or_load(&key, async { Ok::<_, std::io::Error>(1.0842) }).await?;
/// prices.insert(key.clone(), 1.09).await?;
/// prices.invalidate(&key).await?;
/// # Ok(())
/// # }
/// ```
pub struct Tiered<K, V, S = RandomState, T = RedisTier> {
    /// These two are all that a hit looks at.
    pub(crate) tier: T,
    pub(crate) cache: Cache<K, V, S>,
    pub(crate) shared: Arc<Shared<K, V, S>>,
}

pub(crate) struct Shared<K, V, S> {
    pub(crate) codec: Box<dyn Codec<V>>,
    /// What the second tier calls: it has a weak handle of this.
    _first: Arc<First<K, V, S>>,
}

struct First<K, V, S> {
    cache: Cache<K, V, S>,
}

impl<K, V, S> FirstTier for First<K, V, S>
where
    K: TierKey + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn invalidate(&self, key: &[u8]) -> bool {
        let Some(key) = quietly(|| K::from_bytes(key)) else {
            // Some key was invalidated, and it is not known which.
            self.invalidate_all();
            return false;
        };
        // An entry is out of the table before a listener or a destructor can panic.
        key.map(|key| quietly(|| self.cache.invalidate(&key))).is_some()
    }

    fn invalidate_tag(&self, tag: &[u8]) {
        // This calls no one.
        match std::str::from_utf8(tag) {
            Ok(tag) => self.cache.invalidate_tag(tag),
            Err(_) => self.invalidate_all(),
        }
    }

    fn invalidate_all(&self) {
        empty(&self.cache);
    }
}

/// Removes everything, whatever the user's code does.
pub(crate) fn empty<K, V, S>(cache: &Cache<K, V, S>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    // Each panic is that of an entry which is out of the table by then: this ends.
    while quietly(|| cache.invalidate_all()).is_none() {}
}

/// Calls what may run the user's code; `None` if that panicked. The panic was told by its hook.
pub(crate) fn quietly<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl<K, V, S, T: Clone> Clone for Tiered<K, V, S, T> {
    fn clone(&self) -> Self {
        Self {
            tier: self.tier.clone(),
            cache: self.cache.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    /// Puts a cache in front of a second tier, and empties it. Values are written with [`Postcard`].
    ///
    /// Afterwards the cache belongs to the tier: other handles of the cache may read it, look at its statistics and set its
    /// capacity; what is written to it directly is not known to the tier.
    ///
    /// # Errors
    ///
    /// If the cache keeps no time, or another one stands before this tier.
    pub fn new(cache: Cache<K, V, S>, tier: &T) -> Result<Self, TierBuildError>
    where
        Postcard: Codec<V>,
    {
        Self::with_codec(cache, tier, Postcard)
    }

    /// As [`new`](Self::new), with another codec.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_codec(
        cache: Cache<K, V, S>,
        tier: &T,
        codec: impl Codec<V>,
    ) -> Result<Self, TierBuildError> {
        if !cache.policy().keeps_time {
            return Err(TierBuildError::Untimed);
        }
        let first = Arc::new(First { cache: cache.clone() });
        let told: Weak<First<K, V, S>> = Arc::downgrade(&first);
        empty(&cache);
        if !tier.attach(told) {
            return Err(TierBuildError::Taken);
        }
        let shared = Shared { codec: Box::new(codec), _first: first };
        Ok(Self { tier: tier.clone(), cache, shared: Arc::new(shared) })
    }

    /// A clone of the value of a key, from the cache only.
    ///
    /// # Progress
    ///
    /// Wait-free, as [`Cache::get`].
    #[inline]
    pub fn get_cached(&self, key: &K) -> Option<V> {
        if self.tier.serves() { self.cache.get(key) } else { None }
    }

    /// Removes a key from the second tier and from the cache of every instance, and stops loads of it that are under way.
    ///
    /// Write the source first. The removal goes on to its end if the returned future is dropped.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn invalidate(&self, key: &K) -> Result<(), T::Error> {
        let (cache, of_key) = (self.cache.clone(), key.clone());
        // Also if this future is dropped.
        let _removes = CacheUpdate::new(move |_| {
            if quietly(|| cache.invalidate(&of_key)).is_none() {
                empty(&cache);
            }
        });
        self.tier.remove(&key.to_bytes()).await
    }

    /// Removes every key from the second tier, as far as any instance can read it, and from the cache of every instance. Redis
    /// itself removes them when they have expired, or they are written anew.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), for all keys.
    pub async fn invalidate_all(&self) -> Result<(), T::Error> {
        let cache = self.cache.clone();
        let _removes = CacheUpdate::new(move |_| empty(&cache));
        self.tier.remove_all().await
    }
}

impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier<Error: From<CodecError>>,
{
    /// Writes a value to the second tier and, if it is there, to the cache; all other instances are told. It lives as long as
    /// [`time_to_live`](crate::RedisTierBuilder::time_to_live) says.
    ///
    /// Write the source first. The write goes on to its end if the returned future is dropped.
    ///
    /// # Errors
    ///
    /// Why it is not in the second tier. The key is gone from this instance's cache then, and is removed from Redis as soon as
    /// that is possible; until then this instance does not read it there. Other instances may return an older value until
    /// then.
    pub async fn insert(&self, key: K, value: V) -> Result<(), T::Error> {
        self.insert_with_ttl(key, value, self.tier.time_to_live()).await
    }

    /// As [`insert`](Self::insert), with a time to live of its own; zero removes the key.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Result<(), T::Error> {
        self.write(key, value, &[], ttl).await
    }

    /// As [`insert`](Self::insert), for several values, side by side. Returns what has become of each, in their order. Of a
    /// key that is there twice, either value may be the later one.
    pub async fn insert_many(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Vec<Result<(), T::Error>> {
        let writes = entries.into_iter().map(|(key, value)| self.insert(key, value));
        crate::join::join_all(writes).await
    }

    pub(crate) async fn write(
        &self,
        key: K,
        value: V,
        tags: &[String],
        ttl: Duration,
    ) -> Result<(), T::Error> {
        let (bytes, codec) = (key.to_bytes(), &self.shared.codec);
        if ttl.is_zero() {
            return self.invalidate(&key).await;
        }
        match codec.encode(&value) {
            Ok(encoded) => {
                let update = self.keeping(key, value, tags);
                let item = TierItem::new(&encoded, codec.id(), ttl).tags(tags);
                self.tier.put(&bytes, item, PutTerms::Always, update).await.map(drop)
            }
            Err(error) => {
                self.tier.record_lookup(clockhand::tier::LookupOutcome::Undecodable);
                // What cannot be stored must not leave an older value behind.
                self.invalidate(&key).await?;
                Err(error.into())
            }
        }
    }
}

impl<K, V, S, T> Tiered<K, V, S, T> {
    /// The cache: its statistics, health and explanations are those of the first tier.
    pub fn cache(&self) -> &Cache<K, V, S> {
        &self.cache
    }

    /// The second tier.
    pub fn tier(&self) -> &T {
        &self.tier
    }
}

impl<K, V, S> Tiered<K, V, S> {
    /// What the two tiers have done.
    pub fn stats(&self) -> (Stats, crate::TierStats) {
        (self.cache.stats(), self.tier.stats())
    }
}

impl<K, V, S, T: fmt::Debug> fmt::Debug for Tiered<K, V, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered")
            .field("cache", &self.cache)
            .field("tier", &self.tier)
            .finish_non_exhaustive()
    }
}

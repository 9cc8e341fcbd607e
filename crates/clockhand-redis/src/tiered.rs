//! A cache with a second tier.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use clockhand::{Cache, RandomState, Stats};

use crate::codec::{Codec, Postcard};
use crate::envelope::{self, Label};
use crate::error::{TierBuildError, TierError};
use crate::gate::Gate;
use crate::key::TierKey;
use crate::link::FirstTier;
use crate::ops::Write;
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
pub struct Tiered<K, V, S = RandomState> {
    /// These two are all that a hit looks at.
    pub(crate) gate: Arc<Gate>,
    pub(crate) cache: Cache<K, V, S>,
    pub(crate) shared: Arc<Shared<K, V, S>>,
}

pub(crate) struct Shared<K, V, S> {
    pub(crate) tier: RedisTier,
    pub(crate) codec: Box<dyn Codec<V>>,
    /// What the connection calls: it has a weak handle of this.
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
            // Some key was invalidated, and no thread knows which.
            self.invalidate_all();
            return false;
        };
        // An entry is out of the table before a listener or a destructor can panic.
        key.map(|key| quietly(|| self.cache.invalidate(&key))).is_some()
    }

    fn invalidate_tag(&self, tag: &[u8]) {
        // Nobody is called by this.
        match std::str::from_utf8(tag) {
            Ok(tag) => self.cache.invalidate_tag(tag),
            Err(_) => self.invalidate_all(),
        }
    }

    fn invalidate_all(&self) {
        // Each panic is that of an entry which is out of the table by then: this ends.
        while quietly(|| self.cache.invalidate_all()).is_none() {}
    }
}

/// Calls what may run the user's code; `None` if that panicked. The panic was told by its hook.
fn quietly<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

impl<K, V, S> Clone for Tiered<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            gate: Arc::clone(&self.gate),
            cache: self.cache.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, V, S> Tiered<K, V, S>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Puts a cache before a tier, with values in the form of [`Postcard`].
    ///
    /// The cache is emptied, and has to keep time ([`per_entry_ttl`](clockhand::Builder::per_entry_ttl)): its entries end with
    /// those of the tier at the latest. Who has a handle of the cache may read it, look at its statistics and set its
    /// capacity; what is written to it directly is not known to the tier.
    ///
    /// # Errors
    ///
    /// If the cache keeps no time, or another one stands before this tier.
    pub fn new(cache: Cache<K, V, S>, tier: &RedisTier) -> Result<Self, TierBuildError>
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
        tier: &RedisTier,
        codec: impl Codec<V>,
    ) -> Result<Self, TierBuildError> {
        if !cache.policy().keeps_time {
            return Err(TierBuildError::Untimed);
        }
        let first = Arc::new(First { cache: cache.clone() });
        let heard: Weak<First<K, V, S>> = Arc::downgrade(&first);
        if !tier.link.attach(heard) {
            return Err(TierBuildError::Taken);
        }
        // Only now: what the server has told before was not heard by this cache.
        cache.invalidate_all();
        tier.link.gate.open();
        let shared = Shared { tier: tier.clone(), codec: Box::new(codec), _first: first };
        Ok(Self { gate: Arc::clone(&tier.link.gate), cache, shared: Arc::new(shared) })
    }

    /// A clone of the value of a key, from the cache only.
    ///
    /// # Progress
    ///
    /// Wait-free, as [`Cache::get`].
    #[inline]
    pub fn get_cached(&self, key: &K) -> Option<V> {
        if self.gate.serves() { self.cache.get(key) } else { None }
    }

    /// Writes a value to Redis and, if it is there, to the cache; all other instances are told. It lives as long as
    /// [`time_to_live`](crate::RedisTierBuilder::time_to_live) says.
    ///
    /// Write the source first. The write goes on to its end if the returned future is dropped.
    ///
    /// # Errors
    ///
    /// Why it is not in Redis. The key is gone from this instance's cache then, and is removed from Redis as soon as that is
    /// possible; until then this instance does not read it there. Other instances may return an older value until then.
    pub async fn insert(&self, key: K, value: V) -> Result<(), TierError> {
        self.insert_with_ttl(key, value, self.shared.tier.link.settings.time_to_live).await
    }

    /// As [`insert`](Self::insert), with a time to live of its own; zero removes the key.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Result<(), TierError> {
        let link = &self.shared.tier.link;
        let bytes = key.to_bytes();
        let sealed = self.seal(&value, &[]).await;
        let write = match &sealed {
            Ok(sealed) if !ttl.is_zero() => {
                let cache = self.cache.clone();
                let fill = move |left: Duration| cache.insert_with_ttl(key, value, left);
                Write::Insert(sealed.clone(), ttl, Box::new(fill))
            }
            // What cannot be stored must not leave an older value behind.
            _ => Write::Remove,
        };
        let until = link.until();
        let own = Arc::clone(link);
        let written = self.run_write(bytes, move |bytes| own.write(bytes, write, until)).await;
        sealed.map(drop).and(written)?;
        link.counts.inserts.add();
        Ok(())
    }

    /// Removes a key from Redis and from the cache of every instance, and stops loads of it that are under way.
    ///
    /// Write the source first. The removal goes on to its end if the returned future is dropped.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn invalidate(&self, key: &K) -> Result<(), TierError> {
        let link = &self.shared.tier.link;
        let (until, own) = (link.until(), Arc::clone(link));
        let write = move |bytes| own.write(bytes, Write::Remove, until);
        self.run_write(key.to_bytes(), write).await?;
        link.counts.removals.add();
        Ok(())
    }

    /// Runs a write; if it cannot even begin, it has failed.
    pub(crate) async fn run_write<F>(
        &self,
        bytes: Vec<u8>,
        write: impl FnOnce(Vec<u8>) -> F,
    ) -> Result<(), TierError>
    where
        F: Future<Output = Result<(), TierError>> + Send + 'static,
    {
        let link = &self.shared.tier.link;
        match link.run(write(bytes.clone())).await {
            Ok(written) => written,
            Err(error) => {
                link.failed_write(&bytes);
                Err(error)
            }
        }
    }

    /// Removes every key from Redis, as far as any thread can read it, and from the cache of every instance. Redis itself
    /// removes them when their time is over, or they are written anew.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), for all keys.
    pub async fn invalidate_all(&self) -> Result<(), TierError> {
        let link = Arc::clone(&self.shared.tier.link);
        let own = Arc::clone(&link);
        let until = link.until();
        match link.run(async move { own.advance_for_user(until).await }).await {
            Ok(advanced) => advanced,
            Err(error) => {
                link.failed_advance();
                self.cache.invalidate_all();
                Err(error)
            }
        }
    }

    /// The value in its envelope, with a block of tags.
    pub(crate) async fn seal(&self, value: &V, tags: &[u8]) -> Result<Vec<u8>, TierError> {
        let link = &self.shared.tier.link;
        let encoded = self.shared.codec.encode(value).map_err(|_| {
            link.counts.undecodable.add();
            TierError::Codec
        })?;
        let too_large = || {
            link.counts.too_large.add();
            TierError::TooLarge
        };
        if encoded.len() > link.settings.max_value_bytes {
            return Err(too_large());
        }
        let version = link.clock.least(std::time::Instant::now()).unwrap_or(0);
        let generation = match link.generation() {
            Some(generation) => generation,
            None => {
                let own = Arc::clone(link);
                let asking = async move { own.known_generation(own.until()).await };
                // Without a generation no thread reads it: the write is to fail by itself.
                link.run(asking).await.and_then(|known| known).unwrap_or_default()
            }
        };
        let label = Label::new(self.shared.codec.id(), generation, version);
        envelope::seal(&label, tags, &encoded, link.settings.compress).map_err(|_| too_large())
    }
}

impl<K, V, S> Tiered<K, V, S> {
    /// The cache: its statistics, health and explanations are those of the first tier.
    pub fn cache(&self) -> &Cache<K, V, S> {
        &self.cache
    }

    /// The second tier.
    pub fn tier(&self) -> &RedisTier {
        &self.shared.tier
    }

    /// What the two tiers have done.
    pub fn stats(&self) -> (Stats, crate::TierStats) {
        (self.cache.stats(), self.shared.tier.stats())
    }
}

impl<K, V, S> fmt::Debug for Tiered<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered")
            .field("cache", &self.cache)
            .field("tier", &self.shared.tier)
            .finish_non_exhaustive()
    }
}

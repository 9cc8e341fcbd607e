//! How a value is found: in the cache, in Redis, at its source.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use clockhand::LoadError;

use crate::envelope::{self, EnvelopeError};
use crate::error::TierError;
use crate::join::join_all;
use crate::key::TierKey;
use crate::ops::{Found, Look, Put};
use crate::tiered::Tiered;

/// Flights of others that are joined before a caller loads for itself.
const JOINED: u32 = 4;

/// Keys that Redis is asked for in one round trip.
const ASKED_AT_ONCE: usize = 256;

/// Why there is no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum TieredError<E> {
    /// The loader's error, which all callers get that waited for it.
    Failed(Arc<E>),
    /// The caller would wait for itself: see [`clockhand::LoadError::Cycle`].
    Cycle,
}

impl<E> Clone for TieredError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::Cycle => Self::Cycle,
        }
    }
}

impl<E: fmt::Display> fmt::Display for TieredError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Cycle => f.write_str("the load would wait for itself"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for TieredError<E> {}

/// Why a flight has no value for those that joined it.
enum Flown<E> {
    /// The loader has failed.
    Failed(Arc<E>),
    /// Something was written to the key since the load began: a caller that came after that must not get its value.
    Overtaken,
    /// There is no value in Redis, and no thread was to load it.
    Absent,
}

/// What Redis has for a key.
enum Fetched<V> {
    Value(V, Instant),
    /// Nothing; the token under which a value may be stored.
    Miss(Vec<u8>),
    /// It cannot be asked, or not for this key.
    Unavailable,
}

impl<K, V, S> Tiered<K, V, S>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The value of a key, from the cache or from Redis; `None` if neither has it, or Redis cannot be asked.
    ///
    /// # Progress
    ///
    /// A hit in the cache is wait-free. Otherwise it waits for Redis, an
    /// [`operation_timeout`](crate::RedisTierBuilder::operation_timeout) at most, or joins a load of the key.
    pub async fn get(&self, key: &K) -> Option<V> {
        if let Some(value) = self.get_cached(key) {
            return Some(value);
        }
        self.open_for(key);
        let mut end = None;
        let flight = async {
            match self.fetch(key, false).await {
                Fetched::Value(value, until) => {
                    end = Some(until);
                    Ok(value)
                }
                Fetched::Miss(_) | Fetched::Unavailable => {
                    Err(Flown::<std::convert::Infallible>::Absent)
                }
            }
        };
        let flown = self.cache.try_get_or_load_async(key.clone(), flight).await;
        self.end_at(key, end);
        flown.ok()
    }

    /// The value of a key, from the cache, from Redis, or by `load`.
    ///
    /// Of any number of callers of this instance that miss at once, one asks Redis and loads. What is loaded comes into
    /// Redis and the cache if nothing was written to the key meanwhile by any instance; a caller that comes after such a
    /// write does not get it. Where Redis cannot be reached, the value goes to its callers, and into no tier.
    ///
    /// # Errors
    ///
    /// That of `load`. What is wrong with Redis is no error here: it is counted, and shows in the health.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`](clockhand::Cache::get_or_load_async).
    ///
    /// # Progress
    ///
    /// A hit in the cache is wait-free. Otherwise as long as `load` takes, and two
    /// [timeouts](crate::RedisTierBuilder::operation_timeout) at most for Redis, or joins a load; with a
    /// [lease](crate::RedisTierBuilder::lease) its wait as well.
    pub async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        match self.get_cached(key) {
            Some(value) => Ok(value),
            None => self.load_missing(key, load).await,
        }
    }

    async fn load_missing<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        let mut load = pin!(load);
        for _ in 0..JOINED {
            self.open_for(key);
            // The value of a load of our own that was overtaken: our caller came before that.
            let (mut own, mut end) = (None, None);
            let flight = self.fly(key, load.as_mut(), (&mut own, &mut end));
            let flown = self.cache.try_get_or_load_async(key.clone(), flight).await;
            self.end_at(key, end);
            match (flown, own) {
                (Ok(value), _) | (Err(_), Some(value)) => return Ok(value),
                (Err(LoadError::Failed(error)), None) => match &*error {
                    Flown::Failed(error) => return Err(TieredError::Failed(Arc::clone(error))),
                    Flown::Overtaken | Flown::Absent => {}
                },
                (Err(LoadError::Cycle), None) => return Err(TieredError::Cycle),
                (Err(_), None) => {}
            }
        }
        // Others have been overtaken again and again.
        load.await.map_err(|error| TieredError::Failed(Arc::new(error)))
    }

    /// The one flight of a key over both tiers.
    async fn fly<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
        (own, end): (&mut Option<V>, &mut Option<Instant>),
    ) -> Result<V, Flown<E>> {
        let token = match self.fetch(key, true).await {
            Fetched::Value(value, until) => {
                *end = Some(until);
                return Ok(value);
            }
            Fetched::Miss(token) => token,
            Fetched::Unavailable => Vec::new(),
        };
        let loaded = load.await;
        let value = match loaded {
            Ok(value) => value,
            Err(error) => {
                self.give_up(key, token).await;
                return Err(Flown::Failed(Arc::new(error)));
            }
        };
        if token.is_empty() {
            self.cache.invalidate(key);
            return Ok(value);
        }
        match self.store(key, &value, token).await {
            Ok(Put::Stored(until)) => {
                *end = Some(until);
                Ok(value)
            }
            Ok(Put::Fenced) => {
                *own = Some(value);
                Err(Flown::Overtaken)
            }
            // It is in no tier. Detached from the table, the flight still serves those that wait.
            Err(_) => {
                self.cache.invalidate(key);
                Ok(value)
            }
        }
    }

    /// The values of some keys, each as [`get`](Self::get) finds it. Redis is asked for 256 of those that are missing at a
    /// time, in one round trip.
    pub async fn get_many(&self, keys: &[K]) -> Vec<Option<V>> {
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(ASKED_AT_ONCE) {
            values.extend(join_all(some.iter().map(|key| self.get(key))).await);
        }
        values
    }

    /// While the cache may not answer, it must not do so through its own loads either.
    fn open_for(&self, key: &K) {
        if !self.gate.serves() {
            self.cache.invalidate(key);
        }
    }

    /// The flight of this caller has put a value into the cache, which ends at this moment.
    fn end_at(&self, key: &K, until: Option<Instant>) {
        if let Some(until) = until {
            self.cache.set_ttl(key, until.saturating_duration_since(Instant::now()));
        }
    }

    /// Asks Redis for a key.
    async fn fetch(&self, key: &K, loads: bool) -> Fetched<V> {
        let link = &self.shared.tier.link;
        let token = if loads { link.tokens.next() } else { Vec::new() };
        let mut disregard = false;
        loop {
            let (bytes, own) = (key.to_bytes(), Arc::clone(link));
            let look = Look { token: token.clone(), disregard };
            let looking = async move {
                let until = own.until();
                own.look_up_leased(&bytes, look, until).await
            };
            match link.run(looking).await.and_then(|found| found) {
                Ok(Found::Value(sealed, until)) => match self.open(&sealed) {
                    Some(value) => {
                        link.counts.hits.add();
                        return Fetched::Value(value, until);
                    }
                    // Looked up once more, for a token.
                    None if !disregard && loads => disregard = true,
                    None => {
                        link.counts.misses.add();
                        return Fetched::Miss(Vec::new());
                    }
                },
                Ok(Found::Miss { token, .. }) => {
                    link.counts.misses.add();
                    return Fetched::Miss(token);
                }
                Err(_) => {
                    link.counts.errors.add();
                    return Fetched::Unavailable;
                }
            }
        }
    }

    /// Takes a value out of its envelope; counts why that is not possible.
    fn open(&self, sealed: &[u8]) -> Option<V> {
        let (shared, link) = (&self.shared, &self.shared.tier.link);
        let limit = link.settings.max_value_bytes;
        let payload = match envelope::open(sealed, shared.codec.id(), limit) {
            Ok((_, payload)) => payload,
            Err(error) => {
                let count = match error {
                    EnvelopeError::Newer
                    | EnvelopeError::OtherCodec
                    | EnvelopeError::Compressed => &link.counts.other_format,
                    EnvelopeError::TooLarge => &link.counts.too_large,
                    _ => &link.counts.corrupt,
                };
                count.add();
                return None;
            }
        };
        let value = shared.codec.decode(&payload);
        value.inspect_err(|_| link.counts.undecodable.add()).ok()
    }

    /// Stores a loaded value in Redis.
    async fn store(&self, key: &K, value: &V, token: Vec<u8>) -> Result<Put, TierError> {
        let link = &self.shared.tier.link;
        let sealed = self.seal(value).await?;
        let (bytes, own, ttl) = (key.to_bytes(), Arc::clone(link), link.settings.time_to_live);
        link.run(async move { own.put(&bytes, &sealed, ttl, &token).await }).await?
    }

    /// A load has failed: if it had the lease, another instance may load.
    async fn give_up(&self, key: &K, token: Vec<u8>) {
        let link = &self.shared.tier.link;
        if link.settings.lease.is_some() && !token.is_empty() {
            let (bytes, own) = (key.to_bytes(), Arc::clone(link));
            let _ = link.run(async move { own.release(&bytes, &token).await }).await;
        }
    }
}

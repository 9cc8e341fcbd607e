//! How a value is found: in the cache, in Redis, at its source.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clockhand::tier::{
    CacheUpdate, Found, LookupOutcome, Put, PutTerms, Tier, TierItem, TierLookup, TierValue,
    Version,
};
use clockhand::{Fresh, LoadError};

use crate::batch::Batch;
use crate::join::join_all;
use crate::key::TierKey;
use crate::tiered::{Tiered, empty, quietly};

/// Flights of others that are joined before a caller loads for itself.
pub(crate) const JOINED: u32 = 4;

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
pub(crate) enum Flown<E> {
    /// The loader has failed.
    Failed(Arc<E>),
    /// Something was written to the key since the load began: a caller that came after that must not get its value.
    Overtaken,
    /// There is no value in the second tier, and the caller was not going to load it.
    Absent,
}

/// What the second tier has for a key.
enum Fetched<V> {
    Value(Entry<V>),
    /// Nothing, and the version under which a value may be put; or it cannot be asked, or not for this key.
    Miss(Version),
}

/// A value that both tiers may have.
struct Entry<V> {
    value: V,
    /// Its tags, and its end.
    stored: TierValue,
    /// As of the look-up.
    version: Version,
}

/// The value of a flight that was overtaken, for its own caller, who came before that.
pub(crate) type Own<V> = Option<V>;

impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    /// The value of a key, from the cache or from the second tier; `None` if neither has it, or that cannot be asked.
    ///
    /// # Progress
    ///
    /// A hit in the cache is wait-free. Otherwise it waits for Redis, an
    /// [`operation_timeout`](crate::RedisTierBuilder::operation_timeout) at most, or joins a load of the key.
    pub async fn get(&self, key: &K) -> Option<V> {
        if let Some(value) = self.get_cached(key) {
            return Some(value);
        }
        let look = TierLookup::new(self.shared.codec.id());
        let ask = |bytes: Vec<u8>| async move { self.tier.get(&bytes, look).await.ok() };
        self.find(key, ask).await
    }

    /// Joins a flight of the key, or leads one that asks `ask` for what the second tier has.
    async fn find<F>(&self, key: &K, ask: impl Fn(Vec<u8>) -> F) -> Option<V>
    where
        F: Future<Output = Option<Found>>,
    {
        for _ in 0..JOINED {
            self.open_for(key);
            let mut own: Own<V> = None;
            let flight = async {
                let found = ask(key.to_bytes()).await;
                match self.fetched(found) {
                    (Fetched::Value(entry), _) => self.keep(key, entry, &mut own).await,
                    (Fetched::Miss(_), is_undecodable) => {
                        if is_undecodable {
                            self.tier.record_lookup(LookupOutcome::Miss);
                        }
                        Err(Flown::<std::convert::Infallible>::Absent)
                    }
                }
            };
            let flown = self.cache.load(key).run_async(|_| flight).await;
            match flown {
                Ok(value) => return Some(value),
                Err(LoadError::Failed(error)) if matches!(*error, Flown::Overtaken) => {
                    if own.is_some() {
                        return own;
                    }
                }
                Err(_) => return None,
            }
        }
        None
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
            None => self.load_missing(key, &[], load).await,
        }
    }

    pub(crate) async fn load_missing<E>(
        &self,
        key: &K,
        tags: &[String],
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        let mut load = pin!(load);
        for _ in 0..JOINED {
            self.open_for(key);
            let mut own: Own<V> = None;
            let flight = self.fly(key, (tags, Duration::ZERO), load.as_mut(), &mut own);
            let flown = self.cache.load(key).run_async(|_| flight).await;
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
    pub(crate) async fn fly<E>(
        &self,
        key: &K,
        (tags, least): (&[String], Duration),
        load: impl Future<Output = Result<V, E>>,
        own: &mut Own<V>,
    ) -> Result<Fresh<V>, Flown<E>> {
        let version = match self.fetch(key, tags, least).await {
            Fetched::Value(entry) => return self.keep(key, entry, own).await,
            Fetched::Miss(version) => version,
        };
        let held = Held { tier: &self.tier, key, version: Some(version) };
        let value = load.await.map_err(|error| Flown::Failed(Arc::new(error)))?;
        let version = held.take();
        if !version.allows_put() {
            return Ok(self.serve_only(value));
        }
        match self.store(key, &value, tags, &version).await {
            Some(Put::Stored(until)) => {
                let stored = TierValue::new(Vec::new(), until).tags(tags.to_vec());
                self.keep(key, Entry { value, stored, version }, own).await
            }
            Some(_) => {
                *own = Some(value);
                Err(Flown::Overtaken)
            }
            None => Ok(self.serve_only(value)),
        }
    }

    /// A value that the second tier has not goes to those that wait for it. While there is no connection, it is kept for as long as
    /// entries may be outdated.
    fn serve_only(&self, value: V) -> Fresh<V> {
        Fresh::new(value).ttl(self.tier.kept_alone())
    }

    /// What the second tier has may come into the cache. Without tags the flight puts it there, unless a message for its key
    /// has detached it. With tags, of which the flight knows nothing, the second tier says whether a message has come for one
    /// of them.
    async fn keep<E>(
        &self,
        key: &K,
        Entry { value, stored, version }: Entry<V>,
        own: &mut Own<V>,
    ) -> Result<Fresh<V>, Flown<E>> {
        if stored.tags.is_empty() {
            return Ok(Fresh::new(value).ttl(stored.left()));
        }
        // Either way this flight keeps nothing.
        let keep = self.keeping(key.clone(), value.clone(), &stored.tags);
        if self.tier.keep(&key.to_bytes(), &stored, &version, keep).await {
            return Ok(Fresh::new(value).ttl(Duration::ZERO));
        }
        *own = Some(value);
        Err(Flown::Overtaken)
    }

    /// What puts a value into the cache. If that panics, as the user's code may, no older value stays there.
    pub(crate) fn keeping(&self, key: K, value: V, tags: &[String]) -> CacheUpdate {
        let (cache, tags) = (self.cache.clone(), tags.to_vec());
        let is_kept = tags.is_empty() || cache.policy().has_tags;
        CacheUpdate::new(move |left| {
            let put = || match left.filter(|_| is_kept) {
                Some(left) if tags.is_empty() => cache.insert_with_ttl(key.clone(), value, left),
                Some(left) => cache.insert_tagged_with_ttl(key.clone(), value, &tags, left),
                None => drop(cache.invalidate(&key)),
            };
            if quietly(put).is_none() && quietly(|| cache.invalidate(&key)).is_none() {
                empty(&cache);
            }
        })
    }

    /// The values of some keys, each as [`get`](Self::get) finds it. The second tier is asked for 256 of those that are
    /// missing at a time, in one round trip.
    pub async fn get_many(&self, keys: &[K]) -> Vec<Option<V>> {
        let look = TierLookup::new(self.shared.codec.id());
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(ASKED_AT_ONCE) {
            let batch = Batch::new();
            let reads = some.iter().map(|key| async {
                if let Some(value) = self.get_cached(key) {
                    return Some(value);
                }
                let ask = |bytes| async { batch.answer(bytes).await?.ok() };
                self.find(key, ask).await
            });
            values.extend(batch.drive((&self.tier, look), join_all(reads)).await);
        }
        values
    }

    /// While the cache may not answer, it must not do so through its own loads either.
    pub(crate) fn open_for(&self, key: &K) {
        if !self.tier.serves() {
            self.cache.invalidate(key);
        }
    }

    /// Asks the second tier for a key that is loaded if it has none, with these tags; and how long one that is there has to
    /// live.
    async fn fetch(&self, key: &K, tags: &[String], least: Duration) -> Fetched<V> {
        let look = TierLookup::new(self.shared.codec.id()).before_load(tags);
        let bytes = key.to_bytes();
        let found = self.tier.get(&bytes, look.least(least)).await.ok();
        match self.fetched(found) {
            // Looked up once more, for a version.
            (Fetched::Miss(_), true) => {
                let found = self.tier.get(&bytes, look.least(Duration::MAX)).await.ok();
                self.fetched(found.map(|found| Found::new(None, found.version))).0
            }
            (fetched, _) => fetched,
        }
    }

    /// Decodes what was found; and whether that was not possible.
    fn fetched(&self, found: Option<Found>) -> (Fetched<V>, bool) {
        let Some(found) = found else {
            self.tier.record_lookup(LookupOutcome::Failed);
            return (Fetched::Miss(Version::default()), false);
        };
        let Some(mut stored) = found.value else {
            self.tier.record_lookup(LookupOutcome::Miss);
            return (Fetched::Miss(found.version), false);
        };
        let bytes = std::mem::take(&mut stored.bytes);
        match self.shared.codec.decode(&bytes) {
            Ok(value) => {
                self.tier.record_lookup(LookupOutcome::Hit);
                (Fetched::Value(Entry { value, stored, version: found.version }), false)
            }
            Err(_) => {
                self.tier.record_lookup(LookupOutcome::Undecodable);
                (Fetched::Miss(Version::default()), true)
            }
        }
    }

    /// Stores a loaded value in the second tier, if it can be encoded.
    async fn store(&self, key: &K, value: &V, tags: &[String], version: &Version) -> Option<Put> {
        let codec = &self.shared.codec;
        let Ok(bytes) = codec.encode(value) else {
            self.tier.record_lookup(LookupOutcome::Undecodable);
            return None;
        };
        let item = TierItem::new(&bytes, codec.id(), self.tier.time_to_live()).tags(tags);
        let terms = PutTerms::Unchanged(version);
        self.tier.put(&key.to_bytes(), item, terms, CacheUpdate::nothing()).await.ok()
    }
}

/// A version under which a value is being loaded. Dropped, the load has failed, has panicked, or its caller is gone.
struct Held<'h, K: TierKey, T: Tier> {
    tier: &'h T,
    key: &'h K,
    version: Option<Version>,
}

impl<K: TierKey, T: Tier> Held<'_, K, T> {
    fn take(mut self) -> Version {
        self.version.take().unwrap_or_default()
    }
}

impl<K: TierKey, T: Tier> Drop for Held<'_, K, T> {
    fn drop(&mut self) {
        if let Some(version) = self.version.take() {
            self.tier.give_up(&self.key.to_bytes(), &version);
        }
    }
}

//! How a value is found: in the cache, in Redis, at its source.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clockhand::{Fresh, LoadError};

use crate::envelope::{self, EnvelopeError};
use crate::error::TierError;
use crate::join::join_all;
use crate::key::TierKey;
use crate::link::Mark;
use crate::ops::{Found, Look, Put};
use crate::tiered::Tiered;

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
    /// There is no value in Redis, and no thread was to load it.
    Absent,
}

/// What Redis has for a key.
enum Fetched<V> {
    Value(Entry<V>),
    /// Nothing; the token under which a value may be stored, the stamps of its tags, and the moment before that was asked.
    Miss(Vec<u8>, Vec<[u8; 8]>, Option<Mark>),
    /// It cannot be asked, or not for this key.
    Unavailable,
}

/// A value that both tiers may have.
struct Entry<V> {
    value: V,
    until: Instant,
    tags: Vec<String>,
    /// The moment before the server was asked.
    mark: Mark,
}

/// The value of a flight that was overtaken, for its own caller, who came before that.
pub(crate) type Own<V> = Option<V>;

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
        for _ in 0..JOINED {
            self.open_for(key);
            let mut own: Own<V> = None;
            let flight = async {
                match self.fetch(key, None).await {
                    Fetched::Value(entry) => self.keep(key, entry, &mut own).await,
                    Fetched::Miss(..) | Fetched::Unavailable => {
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
        let (token, stamps, mark) = match self.fetch(key, Some((tags, least))).await {
            Fetched::Value(entry) => return self.keep(key, entry, own).await,
            Fetched::Miss(token, stamps, mark) => (token, stamps, mark),
            Fetched::Unavailable => (Vec::new(), Vec::new(), None),
        };
        let value = match load.await {
            Ok(value) => value,
            Err(error) => {
                self.give_up(key, token).await;
                return Err(Flown::Failed(Arc::new(error)));
            }
        };
        let Some(mark) = mark.filter(|_| !token.is_empty() && stamps.len() == tags.len()) else {
            return Ok(self.serve_only(value));
        };
        let stamps = tags.iter().map(|tag| &tag[..]).zip(stamps);
        match self.store(key, &value, stamps, token).await {
            Ok(Put::Stored(until)) => {
                let entry = Entry { value, until, tags: tags.to_vec(), mark };
                self.keep(key, entry, own).await
            }
            Ok(Put::Fenced) => {
                *own = Some(value);
                Err(Flown::Overtaken)
            }
            Err(_) => Ok(self.serve_only(value)),
        }
    }

    /// A value that Redis has not goes to those that wait for it. While there is no connection, it is kept for as long as
    /// entries may be outdated.
    fn serve_only(&self, value: V) -> Fresh<V> {
        Fresh::new(value).ttl(self.shared.tier.link.kept_alone())
    }

    /// What Redis has may come into the cache. Without tags the flight puts it there, unless a message for its key has
    /// detached it. With tags, of which the flight knows nothing, it is put there on the tier's thread, if no message has
    /// come for one of them.
    async fn keep<E>(
        &self,
        key: &K,
        Entry { value, until, tags, mark }: Entry<V>,
        own: &mut Own<V>,
    ) -> Result<Fresh<V>, Flown<E>> {
        let left = until.saturating_duration_since(Instant::now());
        if tags.is_empty() {
            return Ok(Fresh::new(value).ttl(left));
        }
        let (link, cache, bytes) = (&self.shared.tier.link, self.cache.clone(), key.to_bytes());
        let (at, entry, of_key) = (Arc::clone(link), value.clone(), key.clone());
        let keeping = async move {
            let is_unchanged = at.is_unchanged(mark, &bytes, tags.iter().map(|tag| &tag[..]));
            if is_unchanged && cache.policy().has_tags {
                cache.insert_tagged_with_ttl(of_key, entry, &tags, left);
            } else {
                cache.invalidate(&of_key);
            }
            is_unchanged
        };
        // Either way this flight keeps nothing.
        if link.run(keeping).await == Ok(true) {
            return Ok(Fresh::new(value).ttl(Duration::ZERO));
        }
        *own = Some(value);
        Err(Flown::Overtaken)
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
    pub(crate) fn open_for(&self, key: &K) {
        if !self.gate.serves() {
            self.cache.invalidate(key);
        }
    }

    /// Asks Redis for a key; with the tags of its value if it is to be loaded, and how long one that is there has to live.
    async fn fetch(&self, key: &K, loads: Option<(&[String], Duration)>) -> Fetched<V> {
        let link = &self.shared.tier.link;
        let token = if loads.is_some() { link.tokens.next() } else { Vec::new() };
        let mut disregard = false;
        loop {
            let (bytes, own) = (key.to_bytes(), Arc::clone(link));
            let (tags, least) = loads.unwrap_or_default();
            let look = Look { token: token.clone(), disregard, tags: tags.to_vec(), least };
            let looking = async move {
                let until = own.until();
                own.look_up_leased(&bytes, look, until).await
            };
            match link.run(looking).await.and_then(|found| found) {
                Ok(Found::Value(sealed, until, mark)) => match self.open(&sealed) {
                    Some((value, tags)) => {
                        link.counts.hits.add();
                        return Fetched::Value(Entry { value, until, tags, mark });
                    }
                    // Looked up once more, for a token.
                    None if !disregard && loads.is_some() => disregard = true,
                    None => {
                        link.counts.misses.add();
                        return Fetched::Miss(Vec::new(), Vec::new(), None);
                    }
                },
                Ok(Found::Miss { token, stamps, mark, .. }) => {
                    link.counts.misses.add();
                    return Fetched::Miss(token, stamps, Some(mark));
                }
                Err(_) => {
                    link.counts.errors.add();
                    return Fetched::Unavailable;
                }
            }
        }
    }

    /// Takes a value and its tags out of an envelope; counts why that is not possible.
    fn open(&self, sealed: &[u8]) -> Option<(V, Vec<String>)> {
        let (shared, link) = (&self.shared, &self.shared.tier.link);
        let limit = link.settings.max_value_bytes;
        let opened = envelope::open(sealed, shared.codec.id(), limit);
        let read = opened.and_then(|opened| Ok((envelope::tag_names(opened.tags)?, opened)));
        let (tags, opened) = match read {
            Ok(read) => read,
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
        let value = shared.codec.decode(&opened.payload);
        let value = value.inspect_err(|_| link.counts.undecodable.add()).ok()?;
        Some((value, tags.into_iter().map(str::to_string).collect()))
    }

    /// Stores a loaded value in Redis.
    async fn store<'t>(
        &self,
        key: &K,
        value: &V,
        tags: impl Iterator<Item = (&'t str, [u8; 8])>,
        token: Vec<u8>,
    ) -> Result<Put, TierError> {
        let link = &self.shared.tier.link;
        let block = envelope::tag_block(tags).map_err(|_| TierError::TooLarge)?;
        let sealed = self.seal(value, &block).await?;
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

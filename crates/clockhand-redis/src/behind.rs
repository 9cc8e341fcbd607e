//! Writes that do not wait: a bounded queue in front of the second tier.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clockhand::RandomState;
use clockhand::load::BoxFuture;
use clockhand::tier::{Tier, TierItem};

use crate::flow::TieredError;
use crate::key::TierKey;
use crate::queue::{Ended, Queue, Write};
use crate::tier::RedisTier;
use crate::tiered::{Tiered, quietly};

/// Values that are written at once.
const AT_ONCE: usize = 64;

/// A [`Tiered`] cache whose writes do not wait: [`insert`](Self::insert) leaves a value in a bounded queue, from which it is
/// written to the second tier. Made by [`Tiered::write_behind`].
///
/// # Consistency
///
/// Reads of this handle and its clones return a value from the queue at once. For all others, other handles of the same
/// [`Tiered`] included, it is written when the second tier gets it: until then they return what was there before, and a value
/// that another instance writes meanwhile is replaced by it. A key has one place in the queue: of several values, the last one
/// is written.
///
/// What could not be written is tried again, until it has been written, has outlived its time, or was replaced or
/// invalidated. What this process has not written when it ends is lost: call [`flush`](Self::flush) before.
///
/// # Examples
///
/// ```no_run
/// use clockhand::Cache;
/// use clockhand_redis::{RedisTier, Tiered};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tier = RedisTier::builder("redis://127.0.0.1:6379").build()?;
/// let cache = Cache::builder().capacity(10_000).per_entry_ttl().build()?;
/// let ticks = Tiered::<String, f64>::new(cache, &tier)?.write_behind(1_000);
///
/// ticks.insert("EURUSD".to_string(), 1.0842)?; // does not wait
/// assert_eq!(ticks.get_cached(&"EURUSD".to_string()), Some(1.0842));
/// ticks.flush().await;
/// # Ok(())
/// # }
/// ```
pub struct WriteBehind<K, V, S = RandomState, T = RedisTier> {
    tiered: Tiered<K, V, S, T>,
    queue: Arc<Queue<K, V>>,
    _open: Arc<Open<K, V>>,
}

/// Dropped with the last handle: the writer ends when the queue is empty.
struct Open<K, V>(Arc<Queue<K, V>>);

impl<K, V> Drop for Open<K, V> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why a value was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueError {
    /// The queue is full. What was there before stays: write the value by [`Tiered::insert`], which waits, or invalidate it.
    Full,
    /// The codec cannot encode the value.
    Codec,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue of writes is full",
            Self::Codec => "the value cannot be encoded",
        })
    }
}

impl Error for QueueError {}

/// What a queue of writes has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueStats {
    /// Values that are queued, or being written.
    pub queued: usize,
    /// Values that were written.
    pub written: u64,
    /// Values that were replaced in the queue, and so never written.
    pub replaced: u64,
    /// Values that were not queued, as the queue was full.
    pub refused: u64,
    /// Attempts that have failed.
    pub failed: u64,
    /// Values that were given up: they outlived their time, can never be written, or all handles were gone when a write
    /// failed.
    pub lost: u64,
}

impl<K, V, S> Tiered<K, V, S>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The same cache and tier, with a queue of at most `capacity` keys for writes. It is emptied on the tier's thread.
    ///
    /// Each call makes a queue of its own.
    pub fn write_behind(&self, capacity: usize) -> WriteBehind<K, V, S> {
        let handle = self.tier.link.handle.clone();
        self.write_behind_on(capacity, move |writer| drop(handle.spawn(writer)))
    }
}

impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    /// As `write_behind`, where `spawn` runs what empties the queue, as a task of a tokio runtime.
    pub fn write_behind_on(
        &self,
        capacity: usize,
        spawn: impl FnOnce(BoxFuture),
    ) -> WriteBehind<K, V, S, T> {
        let queue = Arc::new(Queue::new(capacity));
        let open = Arc::new(Open(Arc::clone(&queue)));
        spawn(Box::pin(write_all(self.clone(), Arc::clone(&queue))));
        WriteBehind { tiered: self.clone(), queue, _open: open }
    }
}

impl<K, V, S, T: Clone> Clone for WriteBehind<K, V, S, T> {
    fn clone(&self) -> Self {
        let (queue, _open) = (Arc::clone(&self.queue), Arc::clone(&self._open));
        Self { tiered: self.tiered.clone(), queue, _open }
    }
}

impl<K, V, S, T> WriteBehind<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    /// Queues a value, to be written with the [time to live](crate::RedisTierBuilder::time_to_live) of the tier.
    ///
    /// # Errors
    ///
    /// If the queue is full and has no value of this key, or the codec cannot encode it.
    ///
    /// # Progress
    ///
    /// Takes a lock for some instructions, and encodes the value.
    pub fn insert(&self, key: K, value: V) -> Result<(), QueueError> {
        self.insert_with_ttl(key, value, self.tiered.tier.time_to_live())
    }

    /// As [`insert`](Self::insert), with a time to live of its own, which begins now.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Result<(), QueueError> {
        let encoded = self.tiered.shared.codec.encode(&value).map_err(|_| QueueError::Codec)?;
        let until = Instant::now().checked_add(ttl).unwrap_or_else(Instant::now);
        let (bytes, encoded) = (key.to_bytes(), encoded.into());
        let write = Write { key: Arc::new(key), value: Arc::new(value), encoded, until };
        if self.queue.push(bytes, write) { Ok(()) } else { Err(QueueError::Full) }
    }

    /// The value of a key, from the queue or the cache.
    ///
    /// # Progress
    ///
    /// As [`Tiered::get_cached`] while the queue is empty; otherwise it takes a lock for some instructions.
    pub fn get_cached(&self, key: &K) -> Option<V> {
        self.queued(key).or_else(|| self.tiered.get_cached(key))
    }

    fn queued(&self, key: &K) -> Option<V> {
        if self.queue.is_empty() {
            return None;
        }
        self.queue.get(&key.to_bytes()).map(|value| V::clone(&value))
    }

    /// As [`Tiered::get`]; a value in the queue comes first.
    pub async fn get(&self, key: &K) -> Option<V> {
        match self.queued(key) {
            Some(value) => Some(value),
            None => self.tiered.get(key).await,
        }
    }

    /// As [`Tiered::get_or_load`]; a value in the queue comes first.
    ///
    /// # Errors
    ///
    /// As [`Tiered::get_or_load`].
    pub async fn get_or_load<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        match self.queued(key) {
            Some(value) => Ok(value),
            None => self.tiered.get_or_load(key, load).await,
        }
    }

    /// Removes a key from the queue, and then as [`Tiered::invalidate`] does. A write of it that is under way is waited for.
    ///
    /// # Errors
    ///
    /// As [`Tiered::invalidate`].
    pub async fn invalidate(&self, key: &K) -> Result<(), T::Error> {
        self.queue.remove(&key.to_bytes()).await;
        self.tiered.invalidate(key).await
    }

    /// Removes all keys from the queue, and then as [`Tiered::invalidate_all`] does. Writes that are under way are waited for.
    ///
    /// # Errors
    ///
    /// As [`Tiered::invalidate_all`].
    pub async fn invalidate_all(&self) -> Result<(), T::Error> {
        self.queue.remove_all().await;
        self.tiered.invalidate_all().await
    }

    /// Waits until each value that was queued before this call is written, or given up.
    pub async fn flush(&self) {
        self.queue.flushed().await;
    }
}

impl<K, V, S, T> WriteBehind<K, V, S, T> {
    /// The cache and its tier. What is written through them does not wait for the queue.
    pub fn tiered(&self) -> &Tiered<K, V, S, T> {
        &self.tiered
    }

    /// What the queue has done.
    pub fn queue_stats(&self) -> QueueStats {
        self.queue.stats()
    }
}

impl<K, V, S, T: fmt::Debug> fmt::Debug for WriteBehind<K, V, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("tiered", &self.tiered)
            .field("queue", &self.queue.stats())
            .finish()
    }
}

/// Empties the queue until all handles are gone and it is empty.
async fn write_all<K, V, S, T>(tiered: Tiered<K, V, S, T>, queue: Arc<Queue<K, V>>)
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    let codec = tiered.shared.codec.id();
    while let Some(mut taken) = queue.take(AT_ONCE).await {
        let writes: Vec<Option<Write<K, V>>> = taken
            .writes
            .iter()
            .map(|one| one.as_ref().map(|(_, _, write)| write.clone()))
            .collect();
        let (mut items, mut places) = (Vec::new(), Vec::new());
        for (nth, write) in writes.iter().enumerate() {
            let Some(Write { key, value, encoded, until }) = write else { continue };
            // A panic of the user's code must not be the end of this task.
            let copies = quietly(|| (K::clone(key), V::clone(value), key.to_bytes()));
            let left = until.saturating_duration_since(Instant::now());
            match copies.filter(|_| !left.is_zero()) {
                Some((key, value, bytes)) => {
                    let keep = tiered.keeping(key, value, &[]);
                    items.push((bytes, TierItem::new(encoded, codec, left), keep));
                    places.push(nth);
                }
                None => taken.end(nth, Ended::Hopeless),
            }
        }
        for (put, nth) in tiered.tier.put_many(items).await.into_iter().zip(places) {
            taken.end(
                nth,
                match put {
                    Ok(_) => Ended::Written,
                    Err(error) if tiered.tier.is_final(&error) => Ended::Hopeless,
                    Err(_) => Ended::Failed,
                },
            );
        }
    }
}

//! A place that is kept for a value, to be filled later and from anywhere.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::LoadError;
use super::blocking::join_or_lead;
use super::flight::Runner;
use super::fresh::Fresh;
#[cfg(feature = "async")]
use super::future;
use super::leader::Leader;
use super::next::{LoadOptions, Next};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::random_state::RandomState;
use crate::sync::NoAbort;

/// What [`Cache::placeholder`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub enum Placeholder<K, V, S = RandomState>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The value was there, or another caller has brought it meanwhile.
    Hit(V),
    /// It is the caller's to bring the value: all that ask for the key wait for it.
    Mine(Fill<K, V, S>),
    /// The caller would wait for itself: see [`LoadError::Cycle`].
    Cycle,
}

/// The duty to bring the value of a key. Dropped, it passes to the caller that has waited longest.
///
/// It may be kept for long and sent to another thread: nothing is locked or pinned meanwhile. If something happens to
/// the key before it is filled (an insert, a removal, an invalidation), the value goes to those that wait and is not
/// put in, as that of any load.
#[must_use = "others wait until it is filled or dropped"]
#[doc(alias = "PlaceholderGuard")]
pub struct Fill<K, V, S = RandomState>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    key: NoAbort<K>,
    cache: Cache<K, V, S>,
    /// `None` where there was no room for a placeholder: no caller waits.
    leader: Option<Leader<K, V, S>>,
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Returns the value of `key`, or the duty to bring it: where no closure can do it at once, as the value comes from
    /// another thread, or by a callback. Waits where another caller brings it already.
    ///
    /// A thread that asks for the key again while it has that duty waits for itself, and nothing detects it.
    ///
    /// # Progress
    ///
    /// A hit is wait-free. Otherwise waits for another caller that brings the value, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::thread;
    /// use clockhand::Cache;
    /// use clockhand::load::Placeholder;
    ///
    /// let cache: Cache<String, u64> = Cache::new(100);
    /// let Placeholder::Mine(fill) = cache.placeholder("answer".into()) else { panic!() };
    /// let other = cache.clone();
    /// let waits = thread::spawn(move || other.get_or_load("answer".into(), |_| 0));
    /// # while cache.stats().loads_joined == 0 { thread::yield_now(); }
    /// thread::spawn(move || fill.insert(42));
    /// assert_eq!(waits.join().unwrap(), 42);
    /// assert!(matches!(cache.placeholder("answer".into()), Placeholder::Hit(42)));
    /// ```
    #[doc(alias = "get_value_or_guard")]
    pub fn placeholder(&self, key: K) -> Placeholder<K, V, S> {
        if let Some(value) = self.get(&key) {
            return Placeholder::Hit(value);
        }
        let key = NoAbort::new(key);
        let next =
            join_or_lead::<_, _, _, Infallible>(self, &key, LoadKind::Load, LoadOptions::default());
        Placeholder::of(self, key, next, Runner::Thread)
    }

    /// As [`placeholder`](Self::placeholder), for a task.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Progress
    ///
    /// As [`placeholder`](Self::placeholder).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// use clockhand::Cache;
    /// use clockhand::load::Placeholder;
    ///
    /// let cache = Cache::new(100);
    /// let Placeholder::Mine(fill) = cache.placeholder_async(1).await else { panic!() };
    /// fill.insert("one");
    /// assert_eq!(cache.get(&1), Some("one"));
    /// # });
    /// ```
    #[cfg(feature = "async")]
    #[doc(alias = "get_value_or_guard_async")]
    pub async fn placeholder_async(&self, key: K) -> Placeholder<K, V, S> {
        if let Some(value) = self.get(&key) {
            return Placeholder::Hit(value);
        }
        let key = NoAbort::new(key);
        let options = LoadOptions::default();
        let next = future::join_or_lead::<_, _, _, Infallible>(self, &key, LoadKind::Load, options);
        let next = next.await;
        // It is not polled, so it is not watched as a task is.
        Placeholder::of(self, key, next, Runner::Thread)
    }
}

impl<K, V, S> Placeholder<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn of(
        cache: &Cache<K, V, S>,
        key: NoAbort<K>,
        next: Next<K, V, S, Infallible>,
        runner: Runner,
    ) -> Self {
        let leader = match next {
            Next::Done(Ok(loaded)) => return Self::Hit(loaded.value),
            Next::Done(Err(LoadError::Failed(error))) => match *error {},
            Next::Done(Err(LoadError::Cycle | LoadError::TimedOut)) => return Self::Cycle,
            Next::Lead(leader) => Some(leader),
            Next::LoadAlone | Next::Absent => None,
        };
        leader.iter().for_each(|leader| drop(leader.start_run(runner)));
        Self::Mine(Fill { key, cache: cache.clone(), leader })
    }
}

impl<K, V, S> Fill<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The key whose value is wanted.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Cache::placeholder`].
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Brings the value: it is put in and given to all that wait. Where there was no room for a placeholder, none waits
    /// and it is not put in.
    ///
    /// # Progress
    ///
    /// As [`Cache::insert`].
    ///
    /// # Examples
    ///
    /// See [`Cache::placeholder`].
    pub fn insert(self, value: V) {
        self.complete(Fresh::new(value));
    }

    /// The same for a value with a time to live of its own: see [`Fresh::ttl`].
    ///
    /// # Panics
    ///
    /// If the cache keeps no time: see [`Builder::per_entry_ttl`](crate::Builder::per_entry_ttl). Then it is as if this
    /// had been dropped.
    ///
    /// # Progress
    ///
    /// As [`Cache::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    /// use clockhand::load::Placeholder;
    ///
    /// let cache = Cache::builder().capacity(100).per_entry_ttl().build()?;
    /// let Placeholder::Mine(fill) = cache.placeholder("token") else { panic!() };
    /// fill.insert_with_ttl(7, Duration::from_secs(60));
    /// assert_eq!(cache.get("token"), Some(7));
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn insert_with_ttl(self, value: V, ttl: Duration) {
        self.complete(Fresh::new(value).ttl(ttl));
    }

    fn complete(self, value: Fresh<V>) {
        let Self { cache, leader, .. } = self;
        let (value, options) =
            LoadOptions::default().with_terms(&cache, Ok::<_, Infallible>(value));
        let Ok(value) = value;
        let value = NoAbort::new(value);
        if let Some(leader) = leader {
            leader.complete(&value, options.lifetime_override);
        }
    }
}

impl<K, V, S> fmt::Debug for Fill<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill").field("shared", &self.leader.is_some()).finish_non_exhaustive()
    }
}

//! Calls for many keys that bring a loader of their own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
#[cfg(feature = "async")]
use std::pin::pin;

use equivalent::Equivalent;

use super::blocking::join_or_lead;
use super::bulk::{Batch, BatchKeys, BulkResult, Query, done, only};
use super::flight::Runner;
use super::fresh::Fresh;
#[cfg(feature = "async")]
use super::future::{self, LeaderFuture};
use super::leader::Leader;
use super::next::{LoadOptions, Next};
use super::{LoadError, alone};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::sync::NoAbort;

/// What a loader of many keys has answered, in the terms of the cache.
fn in_terms<V, T: Into<Fresh<V>>, E>(loaded: Result<Vec<Option<T>>, E>) -> BulkResult<V, E> {
    loaded.map(|values| values.into_iter().map(|value| value.map(Into::into)).collect())
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Returns the values of `keys`, in their order. Those that are missing are loaded by one call of `load`, however
    /// many they are; a key for which it has no value is `None`. The keys may be borrowed: `&str`s where keys are
    /// `String`s.
    ///
    /// `load` gets the missing keys, each once, and answers with their values, in their order; a [`Fresh`] says how
    /// long its value lives. Keys that it answers nothing for, as it has answered too few, have no value. A key that
    /// another caller is loading is left to that one, whatever it was loaded by, one by one or with others; and
    /// callers that ask for one of these keys meanwhile wait for `load`. Where another caller's load comes to nothing,
    /// `load` is called again for that key alone, after the others.
    ///
    /// As with [`get_or_load`](Self::get_or_load), a value is put in only if nothing has happened to its key since,
    /// and is returned in any case. That there is no value for a key is not remembered.
    ///
    /// # Panics
    ///
    /// If `load` does: then the next caller that waits for one of the keys loads. If `load` asks for a key that waits
    /// for it: [`try_get_all`](Self::try_get_all) returns an error instead.
    ///
    /// # Progress
    ///
    /// Wait-free for each key if all are hits. Otherwise runs the loader, and waits for other callers that do. It waits
    /// for others only when its own loads are over, so two such calls do not wait for each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let names: Cache<u32, String> = Cache::new(100);
    /// names.insert(7, "seven".to_string());
    /// let found = names.get_all(&[5, 7, 900], |missing| {
    ///     assert_eq!(missing, [5, 900]);
    ///     // One query for all of them.
    ///     missing.iter().map(|id| (*id < 100).then(|| format!("number {id}"))).collect()
    /// });
    /// assert_eq!(found, [Some("number 5".to_string()), Some("seven".to_string()), None]);
    /// assert_eq!(names.get(&5), Some("number 5".to_string()));
    /// ```
    #[doc(alias("getAll", "BulkGet", "get_or_load_many", "load_many"))]
    pub fn get_all<'q, Q, T>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        mut load: impl FnMut(&[K]) -> Vec<Option<T>>,
    ) -> Vec<Option<V>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
        T: Into<Fresh<V>>,
    {
        let loaded = self.try_get_all(keys, |missing| Ok::<_, Infallible>(load(missing)));
        loaded.unwrap_or_else(|error| panic!("get_all: {error}"))
    }

    /// As [`get_all`](Self::get_all), by a loader that may fail.
    ///
    /// # Errors
    ///
    /// The first error there is: of `load`, or of another caller's load that was joined, as
    /// [`try_get_or_load`](Self::try_get_or_load) says. If `load` fails, it does so for all the keys that it was called
    /// for, and callers that wait for one of them get the same error; values that were loaded by others stay in.
    ///
    /// # Panics
    ///
    /// If `load` does, or if a value has a time to live and the cache keeps no time.
    ///
    /// # Progress
    ///
    /// As [`get_all`](Self::get_all).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Fresh};
    ///
    /// let ports: Cache<String, u16> = Cache::builder().capacity(100).per_entry_ttl().build()?;
    /// let minute = Duration::from_secs(60);
    /// let found = ports.try_get_all(["80", "443"], |missing| {
    ///     missing.iter().map(|text| Ok(Some(Fresh::new(text.parse()?).ttl(minute)))).collect::<Result<_, std::num::ParseIntError>>()
    /// });
    /// assert_eq!(found, Ok(vec![Some(80), Some(443)]));
    /// let failed = ports.try_get_all(["80", "http"], |_| Err::<Vec<Option<u16>>, _>("no such port"));
    /// assert!(failed.is_err());
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn try_get_all<'q, Q, T, E>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        mut load: impl FnMut(&[K]) -> Result<Vec<Option<T>>, E>,
    ) -> Result<Vec<Option<V>>, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
        T: Into<Fresh<V>>,
        E: Send + Sync + 'static,
    {
        let found = self.look_for_all(keys);
        let keys = &**found.missing;
        if keys.is_empty() {
            return Ok(found.with(Vec::new()));
        }
        let query = self.query_by_caller();
        let room = self.engine().permits_for_batch(keys.len());
        let mut batch = query.classify_all(keys, Runner::Thread);
        if !batch.to_load.is_empty() {
            let to_load = batch.keys(keys);
            let run = query.begin(keys, &batch, Runner::Thread);
            run.enter(|| {
                query.complete_all(keys, &mut batch, in_terms(load(&to_load)));
            });
        }
        drop(room);
        // This call's own loads are over by now, so no caller waits for this thread while it waits.
        for index in std::mem::take(&mut batch.joined) {
            let key = &keys[index];
            let loaded = match join_or_lead(self, key, LoadKind::Load, query.options) {
                Next::Lead(leader) => query.load_one((key, Some(leader)), &mut load),
                Next::LoadAlone if alone::is_inside(self, key) => Err(LoadError::Cycle),
                Next::LoadAlone => query.load_one((key, None), &mut load),
                next => done(next).unwrap_or(Ok(None)),
            };
            batch.record(index, loaded);
        }
        batch.finish().map(|loaded| found.with(loaded))
    }

    /// As [`get_all`](Self::get_all), by a future: `load` gets the missing keys for its own.
    ///
    /// # Panics
    ///
    /// As [`get_all`](Self::get_all).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async), for each key.
    ///
    /// # Progress
    ///
    /// Ready at once if all keys are hits. Otherwise polls the future of `load`, and waits for other callers.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// use clockhand::Cache;
    ///
    /// async fn query(ids: Vec<u32>) -> Vec<Option<String>> {
    ///     ids.iter().map(|id| (*id < 100).then(|| format!("number {id}"))).collect()
    /// }
    ///
    /// let names: Cache<u32, String> = Cache::new(100);
    /// let found = names.get_all_async(&[5, 900], query).await;
    /// assert_eq!(found, [Some("number 5".to_string()), None]);
    /// # });
    /// ```
    #[cfg(feature = "async")]
    pub async fn get_all_async<'q, Q, T, Fut>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        mut load: impl FnMut(Vec<K>) -> Fut,
    ) -> Vec<Option<V>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
        T: Into<Fresh<V>>,
        Fut: Future<Output = Vec<Option<T>>>,
    {
        let load = |missing: Vec<K>| {
            let loading = load(missing);
            async { Ok::<_, Infallible>(loading.await) }
        };
        let loaded = self.try_get_all_async(keys, load).await;
        loaded.unwrap_or_else(|error| panic!("get_all_async: {error}"))
    }

    /// As [`try_get_all`](Self::try_get_all), by a future: `load` gets the missing keys for its own.
    ///
    /// # Errors
    ///
    /// As [`try_get_all`](Self::try_get_all).
    ///
    /// # Panics
    ///
    /// As [`try_get_all`](Self::try_get_all).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async), for each key.
    ///
    /// # Progress
    ///
    /// As [`get_all_async`](Self::get_all_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let squares: clockhand::Cache<u32, u32> = clockhand::Cache::new(100);
    /// let load = |ids: Vec<u32>| async move {
    ///     ids.iter().map(|id| id.checked_mul(*id).ok_or("too much").map(Some)).collect::<Result<_, _>>()
    /// };
    /// assert_eq!(squares.try_get_all_async(&[3, 4], load).await, Ok(vec![Some(9), Some(16)]));
    /// assert!(squares.try_get_all_async(&[3, u32::MAX], load).await.is_err());
    /// # });
    /// ```
    #[cfg(feature = "async")]
    pub async fn try_get_all_async<'q, Q, T, E, Fut>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
        mut load: impl FnMut(Vec<K>) -> Fut,
    ) -> Result<Vec<Option<V>>, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
        T: Into<Fresh<V>>,
        E: Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Option<T>>, E>>,
    {
        let found = self.look_for_all(keys);
        let keys = &**found.missing;
        if keys.is_empty() {
            return Ok(found.with(Vec::new()));
        }
        let query = self.query_by_caller();
        let room = self.engine().permits_for_batch(keys.len());
        let mut batch = query.classify_all(keys, Runner::Task);
        if !batch.to_load.is_empty() {
            let to_load = batch.keys(keys).into_inner();
            let run = query.begin(keys, &batch, Runner::Task);
            let load = async { load(to_load).await };
            let loaded = LeaderFuture::new(run, pin!(load)).await;
            query.complete_all(keys, &mut batch, in_terms(loaded));
        }
        drop(room);
        for index in std::mem::take(&mut batch.joined) {
            let key = &keys[index];
            let next = future::join_or_lead(self, key, LoadKind::Load, query.options).await;
            let loaded = match next {
                Next::Lead(leader) => query.load_one_async((key, Some(leader)), &mut load).await,
                Next::LoadAlone if alone::is_inside(self, key) => Err(LoadError::Cycle),
                Next::LoadAlone => query.load_one_async((key, None), &mut load).await,
                next => done(next).unwrap_or(Ok(None)),
            };
            batch.record(index, loaded);
        }
        batch.finish().map(|loaded| found.with(loaded))
    }

    fn query_by_caller(&self) -> Query<'_, K, V, S> {
        let options = LoadOptions { accepts_absence: true, ..LoadOptions::default() };
        Query { cache: self, options }
    }

    /// Looks for the keys, and clones those that are not there.
    fn look_for_all<'q, Q>(&self, keys: impl IntoIterator<Item = &'q Q>) -> BatchKeys<K, V>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
    {
        let keys: Vec<&Q> = keys.into_iter().collect();
        let values = self.get_many(keys.iter().copied());
        BatchKeys::among(&keys, values)
    }
}

impl<K, V, S> Query<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Begins to load keys, which were not there just now, unless others do.
    fn classify_all<E>(&self, keys: &[K], runner: Runner) -> Batch<K, V, S, E>
    where
        E: Send + Sync + 'static,
    {
        let (mut batch, mut first) = (Batch::with_capacity(keys.len()), HashMap::new());
        for (index, key) in keys.iter().enumerate() {
            batch.values.push(None);
            match first.entry(key) {
                Entry::Occupied(first) => batch.repeated.push((index, *first.get())),
                Entry::Vacant(vacant) => {
                    vacant.insert(index);
                    self.classify(&mut batch, (index, key), runner);
                }
            }
        }
        batch
    }

    /// Loads a key that another caller has not loaded.
    fn load_one<T, E>(
        &self,
        (key, leader): (&K, Option<Leader<K, V, S>>),
        load: &mut impl FnMut(&[K]) -> Result<Vec<Option<T>>, E>,
    ) -> Result<Option<V>, LoadError<E>>
    where
        T: Into<Fresh<V>>,
        E: Send + Sync + 'static,
    {
        let run = self.begin_one(key, &leader, Runner::Thread);
        let found = NoAbort::new(run.enter(|| {
            let loaded = only(in_terms(load(std::slice::from_ref(key))));
            self.complete_one((key, leader), loaded)
        }));
        drop(run);
        found.into_inner()
    }

    /// As `load_one`, for a task.
    #[cfg(feature = "async")]
    async fn load_one_async<T, E, Fut>(
        &self,
        (key, leader): (&K, Option<Leader<K, V, S>>),
        load: &mut impl FnMut(Vec<K>) -> Fut,
    ) -> Result<Option<V>, LoadError<E>>
    where
        T: Into<Fresh<V>>,
        E: Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Option<T>>, E>>,
    {
        let run = self.begin_one(key, &leader, Runner::Task);
        let load = async { load(vec![key.clone()]).await };
        let loaded = LeaderFuture::new(run, pin!(load)).await;
        self.complete_one((key, leader), only(in_terms(loaded)))
    }
}

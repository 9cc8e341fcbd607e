//! Loads of values that need not exist, and loads that do not take any value.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::blocking::join_or_lead;
use super::failed_load::Failure;
use super::flight::Runner;
use super::fresh::Answer;
#[cfg(feature = "async")]
use super::future;
use super::next::{LoadOptions, Next, finish_load};
use super::{LoadError, LoadSource, Loaded, alone};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::sync::NoAbort;

/// Why a load that no other caller could join has no value.
pub(super) enum NoValue<E> {
    Absent,
    Failed(E),
}

impl<E: Send + Sync + 'static> NoValue<E> {
    /// The answer to the only caller of such a load.
    pub(super) fn answer<V>(
        loaded: Result<Loaded<V>, LoadError<Self>>,
    ) -> Result<Option<Loaded<V>>, LoadError<E>> {
        match loaded {
            Ok(loaded) => Ok(Some(loaded)),
            Err(LoadError::Cycle) => Err(LoadError::Cycle),
            Err(LoadError::TimedOut) => Err(LoadError::TimedOut),
            Err(LoadError::Failed(error)) => match error.into_inner() {
                Ok(Self::Absent) => Ok(None),
                Ok(Self::Failed(error)) => Err(super::next::failed_with(error.into())),
                Err(_) => unreachable!("nobody else has joined the load"),
            },
        }
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Returns the value of `key`, loaded if it is not there, or `None` if the loader has found none.
    ///
    /// As [`get_or_load`](Self::get_or_load). That there is none is told to all callers that have joined the load and
    /// accept it, and is not remembered; [`Load::negative_ttl`](crate::load::Load::negative_ttl) does that.
    ///
    /// # Panics
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let ports = Cache::new(100);
    /// let known = |name: &&str| (*name == "http").then_some(80);
    /// assert_eq!(ports.optionally_get_or_load("http", known), Some(80));
    /// assert_eq!(ports.optionally_get_or_load("gopher", known), None);
    /// assert_eq!(ports.len(), 1);
    /// ```
    #[doc(alias = "optionally_get_with")]
    pub fn optionally_get_or_load(&self, key: K, load: impl FnOnce(&K) -> Option<V>) -> Option<V> {
        match self.load(&key).run_optional(|key| Ok::<_, Infallible>(load(key))) {
            Ok(value) => value,
            Err(error) => panic!("optionally_get_or_load: {error}"),
        }
    }

    /// As [`optionally_get_or_load`](Self::optionally_get_or_load), for a key that is borrowed: it is cloned on a miss
    /// only.
    ///
    /// # Panics
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load); a hit allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let ports = clockhand::Cache::<String, u16>::new(100);
    /// assert_eq!(ports.optionally_get_or_load_by_ref("80", |name| name.parse().ok()), Some(80));
    /// assert_eq!(ports.optionally_get_or_load_by_ref("http", |name| name.parse().ok()), None);
    /// ```
    #[doc(alias = "optionally_get_with_by_ref")]
    pub fn optionally_get_or_load_by_ref<Q>(
        &self,
        key: &Q,
        load: impl FnOnce(&Q) -> Option<V>,
    ) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        match self.load(key).run_optional(|key| Ok::<_, Infallible>(load(key))) {
            Ok(value) => value,
            Err(error) => panic!("optionally_get_or_load_by_ref: {error}"),
        }
    }

    /// As [`optionally_get_or_load`](Self::optionally_get_or_load), by a future.
    ///
    /// # Panics
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Progress
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let ports = clockhand::Cache::new(100);
    /// let known = |name: &&str| std::future::ready((*name == "http").then_some(80));
    /// assert_eq!(ports.optionally_get_or_load_async("http", known).await, Some(80));
    /// assert_eq!(ports.optionally_get_or_load_async("gopher", known).await, None);
    /// # });
    /// ```
    #[cfg(feature = "async")]
    #[doc(alias = "optionally_get_with")]
    pub async fn optionally_get_or_load_async<Fut>(
        &self,
        key: K,
        load: impl FnOnce(&K) -> Fut,
    ) -> Option<V>
    where
        Fut: Future<Output = Option<V>>,
    {
        let key = NoAbort::new(key);
        let load = |key: &K| {
            let loading = load(key);
            async { Ok::<_, Infallible>(loading.await) }
        };
        match self.load(&*key).run_optional_async(load).await {
            Ok(value) => value,
            Err(error) => panic!("optionally_get_or_load_async: {error}"),
        }
    }

    /// Returns the value of `key` if it `pleases`, and otherwise a value that is loaded now.
    ///
    /// As [`get_or_load`](Self::get_or_load) where there is no value. One that does not please stays, for others, until
    /// the new one takes its place. If another caller loads the key already, that load is joined, and its value is
    /// returned if it pleases. What the caller's own loader answers is returned in any case. If there is no room to
    /// renew a value, as too much removed data is not freed yet, the new value is returned and not put in.
    ///
    /// # Panics
    ///
    /// As [`get_or_load`](Self::get_or_load), or if `pleases` does.
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::new(100);
    /// let at_least = |least| cache.get_or_load_if("version", |v| *v >= least, |_| least);
    /// assert_eq!((at_least(3), at_least(2), at_least(5)), (3, 3, 5));
    /// ```
    #[doc(alias = "get_with_if")]
    #[doc(alias = "or_insert_with_if")]
    pub fn get_or_load_if<A, F>(
        &self,
        key: K,
        pleases: impl Fn(&V) -> bool,
        load: impl FnOnce(&K) -> A,
    ) -> V
    where
        A: Answer<V, F, Error = Infallible>,
    {
        self.get_or_load_if_by_ref(&key, pleases, load)
    }

    /// As [`get_or_load_if`](Self::get_or_load_if), for a key that is borrowed: it is cloned only if a value is loaded.
    ///
    /// # Panics
    ///
    /// As [`get_or_load_if`](Self::get_or_load_if).
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load); a hit that pleases allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let versions = clockhand::Cache::<String, u32>::new(100);
    /// let at_least = |least| versions.get_or_load_if_by_ref("app", |v| *v >= least, |_| least);
    /// assert_eq!((at_least(3), at_least(2), at_least(5)), (3, 3, 5));
    /// ```
    #[doc(alias = "or_insert_with_if")]
    pub fn get_or_load_if_by_ref<Q, A, F>(
        &self,
        key: &Q,
        pleases: impl Fn(&V) -> bool,
        load: impl FnOnce(&Q) -> A,
    ) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        A: Answer<V, F, Error = Infallible>,
    {
        let mut own = None;
        let load = |_: &K| load(key).into_fresh();
        let loaded = NoAbort::new(self.load_unless((key, &mut own), pleases, load));
        drop(own);
        match loaded.into_inner() {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("get_or_load_if: {error}"),
        }
    }

    fn load_unless<Q, E>(
        &self,
        (key, own): (&Q, &mut Option<NoAbort<K>>),
        pleases: impl Fn(&V) -> bool,
        load: impl FnOnce(&K) -> Result<super::fresh::Fresh<V>, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
    {
        let (mut load, options) = (Some(load), LoadOptions::default());
        // Ends: each round but the last finds a value that another caller has put in since the one before.
        loop {
            let found = self.get(key).map(NoAbort::new);
            let pleasing = found.as_ref().is_some_and(|value| pleases(value));
            let found = match found {
                Some(value) if pleasing => {
                    return Ok(Loaded::new(value.into_inner(), LoadSource::Hit));
                }
                found => found.is_some(),
            };
            let key = &**own.get_or_insert_with(|| NoAbort::new(key.to_owned()));
            let loaded = match found {
                true => match join_or_lead(self, key, LoadKind::Renew, options) {
                    Next::Done(loaded) => loaded?,
                    Next::Lead(leader) => {
                        let load = load.take().expect("it is called once");
                        leader.start_run(Runner::Thread);
                        let loaded = leader.enter(|| load(&leader.key));
                        let (loaded, options) = options.with_terms(self, loaded);
                        return finish_load(leader, loaded, options);
                    }
                    Next::LoadAlone | Next::Absent if self.contains_key(key) => {
                        let load = load.take().expect("it is called once");
                        return alone::load(self, key, options, load);
                    }
                    // It has gone meanwhile.
                    Next::LoadAlone | Next::Absent => continue,
                },
                false => self.load_missing(key, options, |key| {
                    load.take().expect("it is called once")(key)
                })?,
            };
            if load.is_none() || pleases(&loaded.value) {
                return Ok(loaded);
            }
        }
    }

    /// Loads a value that need not exist.
    pub(super) fn load_optional<E: Send + Sync + 'static>(
        &self,
        key: &K,
        options: LoadOptions,
        load: impl FnOnce(&K) -> Result<Option<V>, E>,
    ) -> Result<Option<Loaded<V>>, LoadError<E>> {
        let options = LoadOptions { accepts_absence: true, ..options };
        match join_or_lead(self, key, LoadKind::Load, options) {
            Next::Done(loaded) => loaded.map(Some),
            Next::Absent => Ok(None),
            Next::LoadAlone => {
                let load = |key: &K| match load(key) {
                    Ok(Some(value)) => Ok(value.into()),
                    Ok(None) => Err(NoValue::Absent),
                    Err(error) => Err(NoValue::Failed(error)),
                };
                NoValue::answer(alone::load(self, key, options, load))
            }
            Next::Lead(leader) => {
                leader.start_run(Runner::Thread);
                let loaded = leader.enter(|| load(&leader.key));
                let Some(loaded) = loaded.transpose() else {
                    leader.fail(&Failure::Absent, &options);
                    return Ok(None);
                };
                let (loaded, options) = options.with_terms(self, loaded.map(Into::into));
                finish_load(leader, loaded, options).map(Some)
            }
        }
    }

    /// As `load_optional`, for a task.
    #[cfg(feature = "async")]
    pub(super) async fn load_optional_async<E: Send + Sync + 'static>(
        &self,
        key: &K,
        options: LoadOptions,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<Loaded<V>>, LoadError<E>> {
        let options = LoadOptions { accepts_absence: true, ..options };
        match future::join_or_lead(self, key, LoadKind::Load, options).await {
            Next::Done(loaded) => loaded.map(Some),
            Next::Absent => Ok(None),
            Next::LoadAlone => {
                let load = async {
                    match load.await {
                        Ok(Some(value)) => Ok(value.into()),
                        Ok(None) => Err(NoValue::Absent),
                        Err(error) => Err(NoValue::Failed(error)),
                    }
                };
                NoValue::answer(future::load_alone(self, key, options, load).await)
            }
            Next::Lead(leader) => {
                let run = leader.start_run(Runner::Task);
                let loaded = future::LeaderFuture::new(run, std::pin::pin!(load)).await;
                let Some(loaded) = loaded.transpose() else {
                    leader.fail(&Failure::Absent, &options);
                    return Ok(None);
                };
                let (loaded, options) = options.with_terms(self, loaded.map(Into::into));
                finish_load(leader, loaded, options).map(Some)
            }
        }
    }
}

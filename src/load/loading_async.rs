//! A cache with a loader, for tasks.

use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use equivalent::Equivalent;

use super::bulk::{Batch, BulkResult, Query, done, each, into_option, keys_of, only};
use super::driven::Driver;
use super::executor::{BoxFuture, Executor};
use super::flight::Runner;
use super::future::{LeaderFuture, join_or_lead, load_alone};
use super::leader::{Leader, begin_jobs, start_run};
use super::next::{LoadOptions, Next, finish_load};
use super::renewal::{RefreshStart, RenewalResult};
use super::run::Run;
use super::{AsyncLoader, LoadError, LoadSource, Loaded, LoadingCache, alone};
use crate::engine::LoadKind;
use crate::sync::{NoAbort, NoAborts, quietly};
use crate::time::nanos;

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Renews values as tasks of the user's runtime: the task that reads calls `spawn` with a
    /// future, which should spawn that.
    ///
    /// Without it, the calls of this handle and its clones poll the renewals: the call that starts
    /// one polls it once and, each time it was woken, the next call does, whichever key that asks
    /// for. No call waits for it, unless it needs that very value and there is no other. Without
    /// reads nothing is renewed; a renewal that is not done within
    /// [`renewal_limit`](crate::LoadPolicy::renewal_limit) is dropped.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Warmer::start_async`](crate::Warmer::start_async).
    pub fn spawner(mut self, spawn: impl Fn(BoxFuture) + Send + Sync + 'static) -> Self {
        self.settings.executor = Executor::Tasks(Arc::new(spawn));
        self
    }

    /// Returns the value of `key`, loaded if it is not there.
    ///
    /// # Errors
    ///
    /// The loader's error, of this call or of the one that it has joined; [`LoadError::Cycle`] if
    /// the caller would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`](crate::Cache::get_or_load_async).
    ///
    /// # Progress
    ///
    /// A hit is ready at once, and costs what [`Cache::get`](crate::Cache::get) costs.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let doubles = clockhand::Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)));
    /// assert_eq!(doubles.get_async(&4).await, Ok(8));
    /// # });
    /// ```
    pub async fn get_async<Q>(&self, key: &Q) -> Result<V, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        self.get_with_source_async(key).await.map(|loaded| loaded.value)
    }

    /// As [`get_async`](Self::get_async), and also returns where the value came from.
    ///
    /// # Errors
    ///
    /// As [`get_async`](Self::get_async).
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`](crate::Cache::get_or_load_async).
    ///
    /// # Progress
    ///
    /// As [`get_async`](Self::get_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let doubles = clockhand::Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)));
    /// let loaded = doubles.get_with_source_async(&4).await;
    /// assert_eq!(loaded.map(|loaded| loaded.source), Ok(clockhand::LoadSource::Loaded));
    /// # });
    /// ```
    pub async fn get_with_source_async<Q>(&self, key: &Q) -> Result<Loaded<V>, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        self.drive();
        if let Some((value, due)) = self.lookup(key) {
            if let Some(kind) = due {
                self.refresh_soon_async(&NoAbort::new(key.to_owned()), kind);
            }
            return Ok(Loaded::new(value, LoadSource::Hit));
        }
        let own = NoAbort::new(key.to_owned());
        let key = &*own;
        if let Some((stale, due)) = self.stale(key) {
            if due {
                let leader = self.begin_reload(key, LoadKind::Load);
                self.renew_soon_async(leader.into_iter().collect());
            }
            return Ok(stale);
        }
        let load = async { self.loader.load_fresh(key).await };
        self.drive_while(self.cache.load_missing_async(key, self.settings.options(), load)).await
    }

    /// Starts a reload in the background, unless one is under way.
    #[cold]
    fn refresh_soon_async(&self, key: &K, kind: LoadKind) {
        self.renew_soon_async(self.begin_reload(key, kind).into_iter().collect());
    }

    /// Renews values in the background, by one query if they are several.
    fn renew_soon_async(&self, leaders: Vec<Leader<K, V, S>>) {
        if leaders.is_empty() {
            return;
        }
        let mut own = self.clone();
        // A renewal must not own the list that owns the renewal.
        own.settings.driven = None;
        let future = self.settings.executor.spawn_future(Box::pin(async move {
            // Waiters have been told of a failure, and the old value stays.
            let [leaders, _] = begin_jobs(leaders, Runner::Task);
            own.renew_async(leaders, |_| ()).await;
        }));
        if let (Some(future), Some(driven)) = (future, &self.settings.driven) {
            let limit = self.cache.engine().load_policy().renewal_limit;
            driven.spawn(future, nanos(limit));
        }
    }

    /// Waits for a load, and polls renewals meanwhile.
    async fn drive_while<T>(&self, load: impl Future<Output = T>) -> T {
        let mut load = pin!(load);
        let driver = self.settings.driven.as_ref().map(Driver::new);
        std::future::poll_fn(|context| {
            driver.as_ref().inspect(|driver| driver.drive());
            let polled = load.as_mut().poll(context);
            if let (Poll::Pending, Some(driver)) = (&polled, &driver) {
                driver.register(context.waker());
            }
            polled
        })
        .await
    }

    fn drive(&self) {
        if let Some(driven) = &self.settings.driven {
            driven.drive();
        }
    }

    /// As `renew`, and tells each result. Returns the keys that other callers have taken over.
    pub(super) async fn renew_async(
        &self,
        leaders: Vec<Leader<K, V, S>>,
        mut tell: impl FnMut(RenewalResult<V, L::Error>),
    ) -> NoAborts<K> {
        let mut taken = NoAborts::new(Vec::new());
        let keys = keys_of(&leaders);
        let loaded = match keys.len() {
            0 | 1 => None,
            _ => self.query_async(&keys, start_run(&leaders, Runner::Task, Run::default)).await,
        };
        let mut loaded = loaded.map(each);
        if loaded.is_none() {
            leaders.iter().skip(1).for_each(Leader::postpone);
        }
        for (leader, key) in leaders.into_iter().zip(&**keys) {
            match &mut loaded {
                Some(loaded) => {
                    let query = self.query_to_renew();
                    tell(quietly(|| query.complete_one((key, Some(leader)), loaded())))
                }
                None if leader.resume(Runner::Task) => {
                    let reloaded = caught(pin!(self.reload_async(leader))).await;
                    tell(reloaded.map(into_option));
                }
                None => taken.push(key.clone()),
            }
        }
        taken
    }

    /// Loads many keys by one call, as the leader of their loads. Returns `None` if the loader has
    /// no `load_many` of its own.
    async fn query_async(&self, keys: &[K], run: Arc<Run>) -> Option<BulkResult<V, L::Error>> {
        // The default declines when it is called, before its future is polled.
        let load =
            pin!(run.enter(|| self.try_load_many(keys, || self.loader.load_many_fresh(keys)))?);
        Some(LeaderFuture::new(run, load).await)
    }

    /// As a round of a warmer, which renews the keys and is told each result. If each is a load of its own, ends when
    /// `tell` returns false.
    pub(super) async fn round_async(
        mut self,
        keys: Vec<K>,
        mut tell: impl FnMut(RenewalResult<V, L::Error>) -> bool,
    ) {
        self.settings.driven = None;
        let room = self.cache.engine().permits_for_batch(keys.len());
        let (mut leaders, mut others) = (Vec::new(), Vec::new());
        for key in keys {
            let single = self.is_single();
            match if single { RefreshStart::Other } else { self.begin_refresh(&key) } {
                RefreshStart::Lead(leader) => leaders.push(leader),
                RefreshStart::Failed(failed) => drop(tell(Some(failed))),
                RefreshStart::Other => others.push(key),
            }
        }
        let [leaders, taken] = begin_jobs(leaders, Runner::Task);
        others.extend(keys_of(&taken).into_inner());
        drop(taken);
        let mut goes_on = true;
        self.renew_async(leaders, |renewed| goes_on = tell(renewed)).await;
        drop(room);
        for key in others {
            if !goes_on {
                return;
            }
            let renewed = async {
                match self.begin_refresh(&key) {
                    RefreshStart::Lead(leader) => into_option(self.reload_async(leader).await),
                    RefreshStart::Failed(failed) => failed,
                    RefreshStart::Other => self.refresh_async(&key).await.map(Some),
                }
            };
            goes_on = tell(caught(pin!(renewed)).await);
        }
    }

    pub(super) async fn reload_async(
        &self,
        leader: Leader<K, V, S>,
    ) -> Result<Loaded<V>, LoadError<L::Error>> {
        let (key, run) = (NoAbort::new(K::clone(&leader.key)), leader.start_run(Runner::Task));
        let old = leader.old.as_ref().map(|old| NoAbort::new(V::clone(old)));
        let loaded = match old {
            Some(old) => LeaderFuture::new(run, pin!(self.loader.reload_fresh(&key, &old))).await,
            None => LeaderFuture::new(run, pin!(self.loader.load_fresh(&key))).await,
        };
        let options = self.settings.fresh_options();
        let (loaded, options) = options.with_terms(&self.cache, loaded);
        finish_load(leader, loaded, options)
    }

    /// Loads the value of `key` again, whether it is there or not, and waits for it. If a load of
    /// the key is under way, the call joins that. The key may be borrowed: a `&str` where keys are `String`s.
    ///
    /// # Errors
    ///
    /// As [`get_async`](Self::get_async); the old value stays in the cache.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`](crate::Cache::get_or_load_async).
    ///
    /// # Progress
    ///
    /// Polls the loader's future, or waits for another caller that does.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let doubles = clockhand::Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)));
    /// assert_eq!(doubles.get_async(&4).await, Ok(8));
    /// assert_eq!(doubles.refresh_async(&4).await, Ok(8)); // loaded anew
    /// # });
    /// ```
    pub async fn refresh_async<Q>(&self, key: &Q) -> Result<V, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let own = NoAbort::new(key.to_owned());
        let key = &*own;
        let next = join_or_lead(&self.cache, key, LoadKind::Renew, self.settings.fresh_options());
        let loaded = match self.drive_while(next).await {
            Next::Done(loaded) => loaded,
            Next::Lead(leader) => self.reload_async(leader).await,
            Next::LoadAlone | Next::Absent => self.load_anew_async(key).await,
        };
        loaded.map(|loaded| loaded.value)
    }

    /// As `load_anew`.
    async fn load_anew_async(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        let load = async { self.loader.load_fresh(key).await };
        let anew = self.cache.load_missing_async(key, self.settings.fresh_options(), load);
        let loaded = self.drive_while(anew).await?;
        if loaded.source == LoadSource::Hit {
            drop(loaded);
            load_alone(&self.cache, key, self.settings.fresh_options(), async {
                self.loader.load_fresh(key).await
            })
            .await
        } else {
            Ok(loaded)
        }
    }

    /// Returns the values of `keys`, in their order: as [`get_many`](LoadingCache::get_many), by
    /// [`AsyncLoader::load_many`].
    ///
    /// # Errors
    ///
    /// The error of the first key that has one, including errors that are remembered. All other
    /// keys are loaded nevertheless: values that were there, or have been loaded, stay in the
    /// cache.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`](crate::Cache::get_or_load_async), for each key.
    ///
    /// # Progress
    ///
    /// Ready at once if all keys are hits. Otherwise polls the loader's future, and waits for other
    /// callers' loads.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let doubles = clockhand::Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)));
    /// assert_eq!(doubles.get_many_async(&[1, 2]).await, Ok(vec![Some(2), Some(4)]));
    /// # });
    /// ```
    pub async fn get_many_async<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Vec<Option<V>>, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
    {
        self.drive();
        let (found, mut due) = self.look_for_all(keys);
        let keys = &**found.missing;
        let room = self.cache.engine().permits_for_batch(keys.len());
        let mut batch = self.classify(keys, Runner::Task);
        due.append(&mut batch.due);
        self.renew_soon_async(due);
        if !batch.to_load.is_empty() {
            self.load_wanted_async(keys, &mut batch).await;
        }
        drop(room);
        let options = self.settings.bulk_options();
        for index in std::mem::take(&mut batch.joined) {
            let loaded = self.drive_while(self.get_one_async(&keys[index], options)).await;
            batch.record(index, loaded);
        }
        batch.finish().map(|loaded| found.with(loaded))
    }

    /// As `load_wanted`.
    async fn load_wanted_async(&self, keys: &[K], batch: &mut Batch<K, V, S, L::Error>) {
        let (to_load, query) = (batch.keys(keys), self.query_for_call());
        let run = query.begin(keys, batch, Runner::Task);
        match self.query_async(&to_load, Arc::clone(&run)).await {
            Some(loaded) => query.complete_all(keys, batch, loaded),
            None => {
                for (index, leader) in batch.postpone() {
                    match leader {
                        Some(leader) if !leader.resume(Runner::Task) => batch.joined.push(index),
                        leader => {
                            let load = self.load_one_async(&keys[index], leader, Arc::clone(&run));
                            let loaded = load.await;
                            batch.record(index, into_option(loaded));
                        }
                    }
                }
            }
        }
    }

    /// Loads a key by itself.
    async fn load_one_async(
        &self,
        key: &K,
        leader: Option<Leader<K, V, S>>,
        run: Arc<Run>,
    ) -> Result<Loaded<V>, LoadError<L::Error>> {
        let begun = self.cache.engine().elapsed();
        let loaded = LeaderFuture::new(run, pin!(self.loader.load_fresh(key))).await;
        let (loaded, options) = self.settings.options().with_terms(&self.cache, loaded);
        match leader {
            Some(leader) => finish_load(leader, loaded, options),
            None => alone::loaded(&self.cache, (key, options), begun, loaded),
        }
    }

    /// As `get_one`.
    async fn get_one_async(
        &self,
        key: &K,
        options: LoadOptions,
    ) -> Result<Option<V>, LoadError<L::Error>> {
        let leader = match join_or_lead(&self.cache, key, LoadKind::Load, options).await {
            Next::Lead(leader) => Some(leader),
            Next::LoadAlone if alone::is_inside(&self.cache, key) => return Err(LoadError::Cycle),
            Next::LoadAlone => None,
            next => return done(next).unwrap_or(Ok(None)),
        };
        let (keys, query) = (std::slice::from_ref(key), Query { cache: &self.cache, options });
        let run = query.begin_one(key, &leader, Runner::Task);
        match self.query_async(keys, Arc::clone(&run)).await {
            Some(loaded) => query.complete_one((key, leader), only(loaded)),
            None => into_option(self.load_one_async(key, leader, run).await),
        }
    }

    /// Loads the keys that are missing, by one call of [`AsyncLoader::load_many`]. Returns how many
    /// were loaded, each key counted once.
    ///
    /// # Errors
    ///
    /// As [`get_many_async`](Self::get_many_async).
    ///
    /// # Cancel safety
    ///
    /// As [`get_many_async`](Self::get_many_async).
    ///
    /// # Progress
    ///
    /// As [`get_many_async`](Self::get_many_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let doubles = clockhand::Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)));
    /// assert_eq!(doubles.warm_async(0..10).await, Ok(10));
    /// # });
    /// ```
    pub async fn warm_async(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<usize, LoadError<L::Error>> {
        let values = self.get_many_async(&self.missing(keys)).await?;
        Ok(values.iter().flatten().count())
    }
}

/// Polls a future until it is done or panics, which was reported by the panic hook.
pub(super) async fn caught<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match quietly(|| future.as_mut().poll(context)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

//! A cache that fills itself, for tasks.

use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use super::bulk::{Batch, each, keys_of, only, some, told};
use super::driven::Attendant;
use super::executor::{BoxFuture, Executor};
use super::flight::Kind;
use super::future::{Leading, load_alone, turn};
use super::lead::{Lead, begin, begin_jobs};
use super::run::Run;
use super::turn::{Turn, Wish, settle};
use super::{AsyncLoader, LoadError, LoadSource, Loaded, LoadingCache, alone};
use crate::engine::LoadKind;
use crate::sync::{NoAbort, quietly};
use crate::time::nanos;

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Renews values as tasks of the user's runtime: the function is called with a future by the task
    /// that reads, and should spawn it.
    ///
    /// Without it, the calls of this handle and its clones carry a renewal on: the one that starts it polls it
    /// once, and whenever it was woken the next call does, whatever key that asks for. None waits for
    /// it, unless it wants that very value and there is no other. Where nobody reads, nothing is renewed; what
    /// is not done within [`renewal_limit`](crate::LoadPolicy::renewal_limit) is given up.
    pub fn spawner(mut self, spawn: impl Fn(BoxFuture) + Send + Sync + 'static) -> Self {
        self.rules.executor = Executor::Tasks(Arc::new(spawn));
        self
    }

    /// The value of a key, loaded if it is not there.
    ///
    /// # Errors
    ///
    /// The loader's, of this call or of the one that it has joined.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`](crate::Cache::get_or_load_async).
    ///
    /// # Progress
    ///
    /// A hit is ready at once, and costs what [`Cache::get`](crate::Cache::get) costs.
    pub async fn get_async(&self, key: &K) -> Result<V, LoadError<L::Error>> {
        self.get_with_source_async(key).await.map(|loaded| loaded.value)
    }

    /// As [`get_async`](Self::get_async), and says where the value came from.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_with_source_async(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        self.drive();
        if let Some((value, due)) = self.glance(key) {
            if due {
                self.refresh_soon_async(key);
            }
            return Ok(Loaded::new(value, LoadSource::Hit));
        }
        if let Some((stale, due)) = self.stale(key) {
            if due {
                let lead = self.begin_reload(key, LoadKind::Load);
                self.renew_soon_async(lead.into_iter().collect());
            }
            return Ok(stale);
        }
        let load = async { self.loader.load(key).await };
        self.attend(self.cache.load_missing_async(key, self.rules.wish(), load)).await
    }

    /// Starts a reload in the background, unless one is under way.
    #[cold]
    fn refresh_soon_async(&self, key: &K) {
        let lead = self.rules.aged().and_then(|aged| self.begin_reload(key, aged));
        self.renew_soon_async(lead.into_iter().collect());
    }

    /// Renews values in the background, by one query if they are several.
    fn renew_soon_async(&self, leads: Vec<Lead<K, V, S>>) {
        if leads.is_empty() {
            return;
        }
        let mut own = self.clone();
        // Or it would keep itself.
        own.rules.driven = None;
        let future = self.rules.executor.spawn_future(Box::pin(async move {
            // A failure has been told to those that wait, and the value stays.
            let [leads, _] = begin_jobs(leads, Kind::Task);
            own.renew_async(leads).await;
        }));
        if let (Some(future), Some(driven)) = (future, &self.rules.driven) {
            let limit = self.cache.engine().load_policy().renewal_limit;
            driven.spawn(future, nanos(limit));
        }
    }

    /// Waits for a load, and carries renewals on meanwhile.
    async fn attend<T>(&self, load: impl Future<Output = T>) -> T {
        let mut load = pin!(load);
        let attendant = self.rules.driven.as_ref().map(Attendant::new);
        std::future::poll_fn(|context| {
            attendant.as_ref().inspect(|attendant| attendant.drive());
            let polled = load.as_mut().poll(context);
            if let (Poll::Pending, Some(attendant)) = (&polled, &attendant) {
                attendant.attend(context.waker());
            }
            polled
        })
        .await
    }

    fn drive(&self) {
        if let Some(driven) = &self.rules.driven {
            driven.drive();
        }
    }

    /// As `renew`.
    async fn renew_async(&self, leads: Vec<Lead<K, V, S>>) {
        let wish = Wish { absent: true, ..self.rules.fresh() };
        let keys = keys_of(&leads);
        let loaded = match keys.len() {
            0 | 1 => None,
            _ => self.query_async(&keys, begin(&leads, Kind::Task, Run::default)).await,
        };
        let mut loaded = loaded.map(each);
        if loaded.is_none() {
            leads.iter().skip(1).for_each(Lead::put_off);
        }
        for (lead, key) in leads.into_iter().zip(&**keys) {
            match &mut loaded {
                Some(loaded) => drop(self.land_one::<L::Error>((key, Some(lead)), loaded(), wish)),
                None if lead.resume(Kind::Task) => {
                    drop(caught(pin!(self.reload_async(lead))).await);
                }
                // Somebody has taken over.
                None => {}
            }
        }
    }

    /// Asks for many keys at once, as the leader of their loads; nothing if the loader cannot do that.
    async fn query_async(
        &self,
        keys: &[K],
        run: Arc<Run>,
    ) -> Option<Result<Vec<Option<V>>, L::Error>> {
        // The default declines when it is called, and any other has not begun.
        let load = pin!(run.enter(|| self.ask_many(keys, || self.loader.load_many(keys)))?);
        Some(Leading::new(run, load).await)
    }

    async fn reload_async(&self, lead: Lead<K, V, S>) -> Result<Loaded<V>, LoadError<L::Error>> {
        let (key, run) = (NoAbort::new(K::clone(&lead.key)), lead.begin(Kind::Task));
        let old = lead.old.as_ref().map(|old| NoAbort::new(V::clone(old)));
        let loaded = match old {
            Some(old) => Leading::new(run, pin!(self.loader.reload(&key, &old))).await,
            None => Leading::new(run, pin!(self.loader.load(&key))).await,
        };
        settle(lead, loaded, self.rules.fresh())
    }

    /// Loads the value of a key anew, whether it is there or not, and waits for it. If a load of the
    /// key is under way, joins that.
    ///
    /// # Errors
    ///
    /// As [`get_async`](Self::get_async); a value that is there stays.
    pub async fn refresh_async(&self, key: &K) -> Result<V, LoadError<L::Error>> {
        let turn = turn(&self.cache, key, LoadKind::Renew, self.rules.fresh());
        let loaded = match self.attend(turn).await {
            Turn::Told(loaded) => loaded,
            Turn::Lead(lead) => self.reload_async(lead).await,
            Turn::Alone | Turn::Absent => self.load_anew_async(key).await,
        };
        loaded.map(|loaded| loaded.value)
    }

    /// As `load_anew`.
    async fn load_anew_async(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        let load = async { self.loader.load(key).await };
        let anew = self.cache.load_missing_async(key, self.rules.fresh(), load);
        let loaded = self.attend(anew).await?;
        if loaded.source == LoadSource::Hit {
            drop(loaded);
            load_alone(&self.cache, key, self.rules.fresh(), async { self.loader.load(key).await })
                .await
        } else {
            Ok(loaded)
        }
    }

    /// The values of several keys, in their order: as
    /// [`get_many`](LoadingCache::get_many), by [`AsyncLoader::load_many`].
    ///
    /// # Errors
    ///
    /// The first key's that has one, also if that is remembered. All others are loaded nevertheless:
    /// what was there, or has been loaded, stays in the cache.
    pub async fn get_many_async(&self, keys: &[K]) -> Result<Vec<Option<V>>, LoadError<L::Error>> {
        self.drive();
        let room = self.cache.engine().permits_for_batch(keys.len());
        let mut batch = self.sort(keys, Kind::Task);
        self.renew_soon_async(std::mem::take(&mut batch.due));
        if !batch.wanted.is_empty() {
            self.load_wanted_async(keys, &mut batch).await;
        }
        drop(room);
        let wish = self.rules.many();
        for place in std::mem::take(&mut batch.joined) {
            let loaded = self.attend(self.get_one_async(&keys[place], wish)).await;
            batch.note(place, loaded);
        }
        batch.finish()
    }

    /// As `load_wanted`.
    async fn load_wanted_async(&self, keys: &[K], batch: &mut Batch<K, V, S, L::Error>) {
        let wanted = batch.keys(keys);
        let run = self.begin_wanted(keys, batch, Kind::Task);
        match self.query_async(&wanted, Arc::clone(&run)).await {
            Some(loaded) => self.land_all(keys, batch, loaded),
            None => {
                for (place, lead) in batch.put_off() {
                    match lead {
                        Some(lead) if !lead.resume(Kind::Task) => batch.joined.push(place),
                        lead => {
                            let load = self.load_one_async(&keys[place], lead, Arc::clone(&run));
                            let loaded = load.await;
                            batch.note(place, some(loaded));
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
        lead: Option<Lead<K, V, S>>,
        run: Arc<Run>,
    ) -> Result<Loaded<V>, LoadError<L::Error>> {
        let begun = self.cache.engine().elapsed();
        let loaded = Leading::new(run, pin!(self.loader.load(key))).await;
        match lead {
            Some(lead) => settle(lead, loaded, self.rules.wish()),
            None => alone::loaded(&self.cache, (key, self.rules.wish()), begun, loaded),
        }
    }

    /// As `get_one`.
    async fn get_one_async(&self, key: &K, wish: Wish) -> Result<Option<V>, LoadError<L::Error>> {
        let lead = match turn(&self.cache, key, LoadKind::Load, wish).await {
            Turn::Lead(lead) => Some(lead),
            Turn::Alone if alone::is_inside(&self.cache, key) => return Err(LoadError::Cycle),
            Turn::Alone => None,
            turn => return told(turn).unwrap_or(Ok(None)),
        };
        let keys = std::slice::from_ref(key);
        let run = self.begin_one(key, &lead, Kind::Task);
        match self.query_async(keys, Arc::clone(&run)).await {
            Some(loaded) => self.land_one((key, lead), only(loaded), wish),
            None => some(self.load_one_async(key, lead, run).await),
        }
    }

    /// Loads the keys that are missing, by one call of [`AsyncLoader::load_many`]; returns how many, each
    /// key counted once.
    ///
    /// # Errors
    ///
    /// As [`get_many_async`](Self::get_many_async).
    pub async fn warm_async(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<usize, LoadError<L::Error>> {
        let values = self.get_many_async(&self.missing(keys)).await?;
        Ok(values.iter().flatten().count())
    }
}

/// Polls a future until it is done or panics, which was reported by the panic hook.
async fn caught<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match quietly(|| future.as_mut().poll(context)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

//! Many keys at a time: those that are not being loaded yet are loaded together.
//!
//! Each key has a result of its own: one that fails affects no other. A caller that loads many keys
//! waits for the loads of other callers only when its own are over, so no two of them wait for each
//! other.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use equivalent::Equivalent;

use super::blocking::join_or_lead;
use super::failed_load::Failure;
use super::flight::Runner;
use super::fresh::Fresh;
use super::leader::{Begin, Leader, begin_load, start_run};
use super::next::{LoadOptions, Next, failed_with, finish_load, stale_loaded};
use super::run::Run;
use super::{LoadError, Loaded, Loader, LoadingCache, alone, many};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::sync::{FirstPanic, NoAbort, NoAborts};

/// The result of each key, and what is still to be done.
pub(super) struct Batch<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) values: NoAborts<Option<V>>,
    /// The first error.
    error: Option<NoAbort<LoadError<E>>>,
    /// The keys to be loaded by this call.
    pub(super) to_load: ToLoad<K, V, S>,
    /// The indices of keys that another caller loads, or that are loaded one after another.
    pub(super) joined: Vec<usize>,
    /// The indices of keys that occur earlier as well, and of their first occurrence.
    pub(super) repeated: Vec<(usize, usize)>,
    /// The loads of keys that are to be renewed.
    pub(super) due: Vec<Leader<K, V, S>>,
}

/// The indices of keys to be loaded, and their leaders; `None` where there was no room for a
/// placeholder.
pub(super) type ToLoad<K, V, S> = Vec<(usize, Option<Leader<K, V, S>>)>;

/// Those of the loads that are to be run by an executor.
type Leaders<K, V, S> = Vec<Leader<K, V, S>>;

/// The result of a query for many keys.
pub(super) type BulkResult<V, E> = Result<Vec<Option<Fresh<V>>>, E>;

impl<K, V, S, E> Batch<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    pub(super) fn with_capacity(keys: usize) -> Self {
        Self {
            values: NoAborts::new(Vec::with_capacity(keys)),
            error: None,
            to_load: Vec::new(),
            joined: Vec::new(),
            repeated: Vec::new(),
            due: Vec::new(),
        }
    }

    /// Returns the keys to be loaded by this call.
    pub(super) fn keys(&self, keys: &[K]) -> NoAborts<K> {
        let mut to_load = NoAborts::new(Vec::with_capacity(self.to_load.len()));
        self.to_load.iter().for_each(|(index, _)| to_load.push(keys[*index].clone()));
        to_load
    }

    /// Takes the keys to be loaded by this call, to load them one after another.
    pub(super) fn postpone(&mut self) -> ToLoad<K, V, S> {
        let to_load = std::mem::take(&mut self.to_load);
        to_load.iter().skip(1).filter_map(|(_, leader)| leader.as_ref()).for_each(Leader::postpone);
        to_load
    }

    pub(super) fn record(&mut self, index: usize, loaded: Result<Option<V>, LoadError<E>>) {
        match loaded {
            Ok(value) => self.values[index] = value,
            Err(error) if self.error.is_none() => self.error = Some(NoAbort::new(error)),
            Err(_) => {}
        }
    }

    /// The result of the call.
    pub(super) fn finish(mut self) -> Result<Vec<Option<V>>, LoadError<E>> {
        if let Some(error) = self.error {
            drop(self.values);
            return Err(error.into_inner());
        }
        for (index, first) in self.repeated {
            self.values[index] = self.values[first].clone();
        }
        Ok(self.values.into_inner())
    }
}

/// The values of some keys, as far as they are there, and the keys that are not.
pub(super) struct BatchKeys<K, V> {
    pub(super) values: NoAborts<Option<V>>,
    pub(super) missing: NoAborts<K>,
    /// For each of them, which of the values it is.
    places: Vec<usize>,
}

impl<K, V> BatchKeys<K, V> {
    /// What was found of `keys`.
    pub(super) fn among<Q>(keys: &[&Q], values: Vec<Option<V>>) -> Self
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        let values = NoAborts::new(values);
        let is_missing = |(_, value): &(usize, &Option<V>)| value.is_none();
        let absent = values.iter().enumerate().filter(is_missing).map(|(place, _)| place);
        let places: Vec<usize> = absent.collect();
        let mut missing = NoAborts::new(Vec::with_capacity(places.len()));
        places.iter().for_each(|place| missing.push(keys[*place].to_owned()));
        Self { values, missing, places }
    }

    /// The values, with those that were missing.
    pub(super) fn with(mut self, loaded: Vec<Option<V>>) -> Vec<Option<V>> {
        loaded.into_iter().zip(self.places).for_each(|(value, place)| self.values[place] = value);
        self.values.into_inner()
    }
}

/// A query for many keys: the cache that it fills, and how its values are put in.
#[derive(Clone, Copy)]
pub(super) struct Query<'c, K, V, S> {
    pub(super) cache: &'c Cache<K, V, S>,
    pub(super) options: LoadOptions,
}

impl<K, V, S> Query<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Begins to load the key at `index`, which is not there.
    pub(super) fn classify<E>(
        &self,
        batch: &mut Batch<K, V, S, E>,
        (index, key): (usize, &K),
        runner: Runner,
    ) where
        E: Send + Sync + 'static,
    {
        let Self { cache, options } = self;
        match begin_load(cache, key, LoadKind::Load, runner, |failed| {
            options.failure::<E>(failed).is_some()
        }) {
            Begin::Live(value) => batch.values[index] = Some(value.into_inner()),
            Begin::Lead(leader) => batch.to_load.push((index, Some(leader))),
            Begin::NotStarted if alone::is_inside(cache, key) => {
                batch.record(index, Err(LoadError::Cycle));
            }
            Begin::NotStarted => batch.to_load.push((index, None)),
            Begin::Join(_) => batch.joined.push(index),
            Begin::Failed(failed) => {
                let failure = options.failure::<E>(&failed);
                match failure.and_then(|failure| options.answer(cache, key, failure)) {
                    Some(next) => batch.record(index, done(next).unwrap_or(Ok(None))),
                    // It is not remembered any more: look again when this call's own loads are
                    // over.
                    None => batch.joined.push(index),
                }
            }
        }
    }

    /// Starts the run of the loader for the keys to be loaded by this call.
    pub(super) fn begin<E>(
        &self,
        keys: &[K],
        batch: &Batch<K, V, S, E>,
        runner: Runner,
    ) -> Arc<Run> {
        let lone = batch.to_load.iter().filter(|(_, leader)| leader.is_none());
        let run = || alone::run(self.cache, lone.map(|(index, _)| &keys[*index]));
        start_run(batch.to_load.iter().filter_map(|(_, leader)| leader.as_ref()), runner, run)
    }

    /// As `begin`, for one key.
    pub(super) fn begin_one(
        &self,
        key: &K,
        leader: &Option<Leader<K, V, S>>,
        runner: Runner,
    ) -> Arc<Run> {
        let lone = leader.is_none().then_some(key);
        start_run(leader, runner, || alone::run(self.cache, lone))
    }

    /// Completes the loads of one query with its result.
    pub(super) fn complete_all<E>(
        &self,
        keys: &[K],
        batch: &mut Batch<K, V, S, E>,
        loaded: BulkResult<V, E>,
    ) where
        E: Send + Sync + 'static,
    {
        let (mut loaded, mut panics) = (each(loaded), FirstPanic::default());
        for (index, leader) in std::mem::take(&mut batch.to_load) {
            // If user code panics for one of them (a weigher, say), the others are still put in.
            panics.catch(|| {
                let landed = self.complete_one((&keys[index], leader), loaded());
                batch.record(index, landed);
            });
        }
        panics.catch(|| drop(loaded));
        panics.pass_on();
    }

    /// Completes the load of one key with the result of a query.
    pub(super) fn complete_one<E>(
        &self,
        (key, leader): (&K, Option<Leader<K, V, S>>),
        loaded: Result<Fresh<V>, Failure>,
    ) -> Result<Option<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let (loaded, options) = self.options.with_terms(self.cache, loaded);
        let failure = match (loaded, leader) {
            (Ok(value), leader) => {
                let value = NoAbort::new(value);
                if let Some(leader) = leader {
                    leader.complete(&value, options.lifetime_override);
                }
                return Ok(Some(value.into_inner()));
            }
            (Err(failure), leader) => {
                let failure = NoAbort::new(failure);
                let old = match leader {
                    Some(leader) => leader.fail(&failure, &options),
                    None => options.stale_for(self.cache, key, &failure),
                };
                (old.map(NoAbort::new), failure)
            }
        };
        match failure {
            (Some(old), failure) => {
                drop(failure);
                Ok(Some(stale_loaded(old.into_inner()).value))
            }
            (None, failure) => match failure.into_inner() {
                Failure::Absent => Ok(None),
                Failure::Error(error) => {
                    Err(failed_with(error.downcast().expect("an error of this query")))
                }
            },
        }
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// A query by a call for many keys, whose time limit begins now.
    pub(super) fn query_for_call(&self) -> Query<'_, K, V, S> {
        Query { cache: &self.cache, options: self.settings.bulk_options() }
    }

    /// One that renews values.
    pub(super) fn query_to_renew(&self) -> Query<'_, K, V, S> {
        let options = LoadOptions { accepts_absence: true, ..self.settings.fresh_options() };
        Query { cache: &self.cache, options }
    }

    /// Looks for keys, and begins the renewals that are due.
    pub(super) fn look_for_all<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> (BatchKeys<K, V>, Leaders<K, V, S>)
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
    {
        let keys: Vec<&Q> = keys.into_iter().collect();
        let (mut values, mut due) = (NoAborts::new(Vec::with_capacity(keys.len())), Vec::new());
        for key in &keys {
            let found = self.lookup(*key);
            due.extend(found.as_ref().and_then(|(_, due)| *due).map(|kind| (*key, kind)));
            values.push(found.map(|(value, _)| value));
        }
        let begin =
            |(key, kind): (&Q, LoadKind)| self.begin_reload(&NoAbort::new(key.to_owned()), kind);
        let due = due.into_iter().filter_map(begin).collect();
        (BatchKeys::among(&keys, values.into_inner()), due)
    }

    /// Begins to load keys, which were not there just now, unless others do.
    pub(super) fn classify<E>(&self, keys: &[K], runner: Runner) -> Batch<K, V, S, E>
    where
        E: Send + Sync + 'static,
    {
        let (mut batch, mut first) = (Batch::with_capacity(keys.len()), HashMap::new());
        let (mut due, query) = (Vec::new(), self.query_for_call());
        for (index, key) in keys.iter().enumerate() {
            batch.values.push(None);
            match first.entry(key) {
                Entry::Occupied(first) => batch.repeated.push((index, *first.get())),
                Entry::Vacant(vacant) => {
                    vacant.insert(index);
                    if let Some((stale, is_due)) = self.stale(key) {
                        batch.values[index] = Some(stale.value);
                        due.extend(is_due.then_some(index));
                    } else if self.is_single() {
                        // Its load begins when it is its turn, so that other callers need not wait
                        // for the keys before it.
                        batch.joined.push(index);
                    } else {
                        query.classify(&mut batch, (index, key), runner);
                    }
                }
            }
        }
        let begin = |index: usize| self.begin_reload(&keys[index], LoadKind::Load);
        batch.due = due.into_iter().filter_map(begin).collect();
        batch
    }

    /// Whether the loader is known to have no `load_many` of its own.
    pub(super) fn is_single(&self) -> bool {
        self.single.get().is_some()
    }

    /// Calls the loader's `load_many` by `call`. Returns `None` if that is the default.
    pub(super) fn try_load_many<R>(&self, keys: &[K], call: impl FnOnce() -> R) -> Option<R> {
        if self.is_single() {
            return None;
        }
        let answer = many::call(keys, call);
        if answer.is_none() {
            let _ = self.single.set(());
        }
        answer
    }

    /// Returns those of the keys that are not there, each once.
    pub(super) fn missing(&self, keys: impl IntoIterator<Item = K>) -> Vec<K> {
        let mut seen = HashSet::new();
        let is_missing = |key: &K| !self.cache.contains_key(key) && seen.insert(key.clone());
        keys.into_iter().filter(is_missing).collect()
    }
}

/// Returns the results of a query one by one, in the order of its keys.
pub(super) fn each<V, E>(loaded: BulkResult<V, E>) -> impl FnMut() -> Result<Fresh<V>, Failure>
where
    E: Send + Sync + 'static,
{
    let (values, error) = match loaded {
        Ok(values) => (values, None),
        Err(error) => (Vec::new(), Some(NoAbort::new(Failure::Error(Arc::new(error))))),
    };
    let mut values = NoAborts::new(values);
    values.reverse();
    move || match &error {
        Some(error) => Err(Failure::clone(error)),
        None => values.pop().flatten().ok_or(Failure::Absent),
    }
}

/// The result of a query for one key.
pub(super) fn only<V, E>(loaded: BulkResult<V, E>) -> Result<Fresh<V>, Failure>
where
    E: Send + Sync + 'static,
{
    let mut loaded = each(loaded);
    let first = NoAbort::new(loaded());
    drop(loaded);
    first.into_inner()
}

/// The keys of `leaders`.
pub(super) fn keys_of<'l, K, V, S>(
    leaders: impl IntoIterator<Item = &'l Leader<K, V, S>>,
) -> NoAborts<K>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + 'l,
{
    let mut keys = NoAborts::new(Vec::new());
    leaders.into_iter().for_each(|leader| keys.push(K::clone(&leader.key)));
    keys
}

/// The result that `next` has for a call for many keys; `None` if there is something to do.
pub(super) fn done<K, V, S, E>(next: Next<K, V, S, E>) -> Option<Result<Option<V>, LoadError<E>>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    match next {
        Next::Done(loaded) => Some(into_option(loaded)),
        Next::Absent => Some(Ok(None)),
        Next::Lead(_) | Next::LoadAlone => None,
    }
}

pub(super) fn into_option<V, E>(
    loaded: Result<Loaded<V>, LoadError<E>>,
) -> Result<Option<V>, LoadError<E>> {
    loaded.map(|loaded| Some(loaded.value))
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Returns the values of `keys`, in their order. The keys may be borrowed: `&str`s where keys are
    /// `String`s. Missing keys that are not being loaded are loaded by one call of [`Loader::load_many`], however many they are; the loads of other
    /// callers are joined. A key for which the loader has no value is `None`. Values that are to be
    /// renewed are renewed in the background, by one call as well.
    ///
    /// A loader without a `load_many` of its own, such as a function, is called for one key after
    /// another, and each of them succeeds or fails by itself.
    ///
    /// # Errors
    ///
    /// The error of the first key that has one, including errors that are remembered. All other
    /// keys are loaded nevertheless: values that were there, or have been loaded, stay in the
    /// cache.
    ///
    /// # Progress
    ///
    /// Wait-free if all keys are hits. Otherwise runs the loader, and waits for other callers'
    /// loads.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::load::Loader;
    ///
    /// struct Table;
    /// impl Loader<u32, String> for Table {
    ///     type Error = String;
    ///     fn load(&self, key: &u32) -> Result<String, String> {
    ///         Ok(key.to_string())
    ///     }
    ///     fn load_many(&self, keys: &[u32]) -> Result<Vec<Option<String>>, String> {
    ///         // One query for all of them.
    ///         Ok(keys.iter().map(|key| (*key < 100).then(|| key.to_string())).collect())
    ///     }
    /// }
    ///
    /// let cache = clockhand::Cache::new(100).loading(Table);
    /// let values = cache.get_many(&[7, 500, 7]).unwrap();
    /// assert_eq!(values, [Some("7".to_string()), None, Some("7".to_string())]);
    /// ```
    #[doc(alias = "getAll")]
    pub fn get_many<'q, Q>(
        &self,
        keys: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Vec<Option<V>>, LoadError<L::Error>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized + 'q,
    {
        let (found, mut due) = self.look_for_all(keys);
        let keys = &**found.missing;
        let room = self.cache.engine().permits_for_batch(keys.len());
        let mut batch = self.classify(keys, Runner::Thread);
        due.append(&mut batch.due);
        self.renew_soon(due);
        if !batch.to_load.is_empty() {
            self.load_wanted(keys, &mut batch);
        }
        drop(room);
        // This call's own loads are over by now, so no caller waits for this thread while it waits.
        // One time limit for all keys.
        let options = self.settings.bulk_options();
        for index in std::mem::take(&mut batch.joined) {
            let loaded = self.get_one(&keys[index], options);
            batch.record(index, loaded);
        }
        batch.finish().map(|loaded| found.with(loaded))
    }

    fn load_wanted(&self, keys: &[K], batch: &mut Batch<K, V, S, L::Error>) {
        let (to_load, query) = (batch.keys(keys), self.query_for_call());
        let run = query.begin(keys, batch, Runner::Thread);
        run.enter(|| match self.query(&to_load) {
            Some(loaded) => query.complete_all(keys, batch, loaded),
            None => {
                for (index, leader) in batch.postpone() {
                    match leader {
                        Some(leader) if !leader.resume(Runner::Thread) => batch.joined.push(index),
                        leader => {
                            batch.record(index, into_option(self.load_one(&keys[index], leader)))
                        }
                    }
                }
            }
        });
    }

    /// Loads many keys by one call. Returns `None` if the loader has no `load_many` of its own.
    pub(super) fn query(&self, keys: &[K]) -> Option<BulkResult<V, L::Error>> {
        self.try_load_many(keys, || self.loader.load_many_fresh(keys))
    }

    /// Loads a key by itself.
    fn load_one(
        &self,
        key: &K,
        leader: Option<Leader<K, V, S>>,
    ) -> Result<Loaded<V>, LoadError<L::Error>> {
        let begun = self.cache.engine().elapsed();
        let loaded = self.loader.load_fresh(key);
        let (loaded, options) = self.settings.options().with_terms(&self.cache, loaded);
        match leader {
            Some(leader) => finish_load(leader, loaded, options),
            None => alone::loaded(&self.cache, (key, options), begun, loaded),
        }
    }

    /// Returns the value of a key that another caller was loading. If that came to nothing, the key
    /// is loaded as one of many.
    fn get_one(&self, key: &K, options: LoadOptions) -> Result<Option<V>, LoadError<L::Error>> {
        let leader = match join_or_lead(&self.cache, key, LoadKind::Load, options) {
            Next::Lead(leader) => Some(leader),
            Next::LoadAlone if alone::is_inside(&self.cache, key) => return Err(LoadError::Cycle),
            Next::LoadAlone => None,
            next => return done(next).unwrap_or(Ok(None)),
        };
        let (keys, query) = (std::slice::from_ref(key), Query { cache: &self.cache, options });
        let run = query.begin_one(key, &leader, Runner::Thread);
        let found = NoAbort::new(run.enter(|| match self.query(keys) {
            Some(loaded) => query.complete_one((key, leader), only(loaded)),
            None => into_option(self.load_one(key, leader)),
        }));
        drop(run);
        found.into_inner()
    }

    /// Loads the keys that are missing, by one call of [`Loader::load_many`]. Returns how many were
    /// loaded, each key counted once.
    ///
    /// # Errors
    ///
    /// As [`get_many`](Self::get_many).
    ///
    /// # Progress
    ///
    /// As [`get_many`](Self::get_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::new(100).loading(|key: &u64| Ok::<_, String>(key * 2));
    /// assert_eq!(cache.warm(1..=10), Ok(10));
    /// assert_eq!(cache.cache().get(&7), Some(14));
    /// assert_eq!(cache.warm(5..=11), Ok(1));
    /// ```
    #[doc(alias = "preload")]
    pub fn warm(&self, keys: impl IntoIterator<Item = K>) -> Result<usize, LoadError<L::Error>> {
        let values = self.get_many(&self.missing(keys))?;
        Ok(values.iter().flatten().count())
    }
}

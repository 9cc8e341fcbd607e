//! Many keys at a time: those that nobody loads yet are loaded together.
//!
//! Every key is answered by itself: one that fails takes no other with it. A query is made with
//! nothing awaited: whoever loads many keys waits for others' loads only when its own are over.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::blocking::turn;
use super::flight::Kind;
use super::lead::{Lead, Start, begin, start};
use super::rest::Failure;
use super::run::Run;
use super::turn::{Turn, Wish, old_or_newer, settle, shared};
use super::{LoadError, Loaded, Loader, LoadingCache, alone, many};
use crate::engine::LoadKind;
use crate::sync::{FirstPanic, NoAbort, NoAborts};

/// What became of each key, and what is still to be done.
pub(super) struct Batch<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) values: NoAborts<Option<V>>,
    /// The first error.
    error: Option<NoAbort<LoadError<E>>>,
    /// Those to be loaded here.
    pub(super) wanted: Wanted<K, V, S>,
    /// The places of keys that somebody else loads, or that are loaded one after the other.
    pub(super) joined: Vec<usize>,
    /// The places of keys that came before, and where.
    repeated: Vec<(usize, usize)>,
    /// The loads of keys that are to be renewed.
    pub(super) due: Vec<Lead<K, V, S>>,
}

/// The places of keys that have to be loaded, and their loads, where there is room for such that others
/// may join.
pub(super) type Wanted<K, V, S> = Vec<(usize, Option<Lead<K, V, S>>)>;

/// What a query for many keys came to.
type Queried<V, E> = Result<Vec<Option<V>>, E>;

impl<K, V, S, E> Batch<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    fn with_capacity(keys: usize) -> Self {
        Self {
            values: NoAborts::new(Vec::with_capacity(keys)),
            error: None,
            wanted: Vec::new(),
            joined: Vec::new(),
            repeated: Vec::new(),
            due: Vec::new(),
        }
    }

    /// The keys to be loaded here.
    pub(super) fn keys(&self, keys: &[K]) -> NoAborts<K> {
        let mut wanted = NoAborts::new(Vec::with_capacity(self.wanted.len()));
        self.wanted.iter().for_each(|(place, _)| wanted.push(keys[*place].clone()));
        wanted
    }

    /// Those to be loaded here, one after the other.
    pub(super) fn put_off(&mut self) -> Wanted<K, V, S> {
        let wanted = std::mem::take(&mut self.wanted);
        wanted.iter().skip(1).filter_map(|(_, lead)| lead.as_ref()).for_each(Lead::put_off);
        wanted
    }

    pub(super) fn note(&mut self, place: usize, loaded: Result<Option<V>, LoadError<E>>) {
        match loaded {
            Ok(value) => self.values[place] = value,
            Err(error) if self.error.is_none() => self.error = Some(NoAbort::new(error)),
            Err(_) => {}
        }
    }

    /// The answer to the caller.
    pub(super) fn finish(mut self) -> Result<Vec<Option<V>>, LoadError<E>> {
        if let Some(error) = self.error {
            drop(self.values);
            return Err(error.into_inner());
        }
        for (place, first) in self.repeated {
            self.values[place] = self.values[first].clone();
        }
        Ok(self.values.into_inner())
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Looks for the keys, and begins to load those that are neither there nor loaded by somebody.
    pub(super) fn sort<E>(&self, keys: &[K], kind: Kind) -> Batch<K, V, S, E>
    where
        E: Send + Sync + 'static,
    {
        let (mut batch, mut first) = (Batch::with_capacity(keys.len()), HashMap::new());
        let mut due = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            if let Some((value, is_due)) = self.glance(key) {
                batch.values.push(Some(value));
                due.extend(self.rules.aged().filter(|_| is_due).map(|fare| (place, fare)));
                continue;
            }
            batch.values.push(None);
            match first.entry(key) {
                Entry::Occupied(first) => batch.repeated.push((place, *first.get())),
                Entry::Vacant(vacant) => {
                    vacant.insert(place);
                    if let Some((stale, is_due)) = self.stale(key) {
                        batch.values[place] = Some(stale.value);
                        due.extend(is_due.then_some((place, LoadKind::Load)));
                    } else if self.is_single() {
                        // Begun when it is its turn, so that others need not wait for that.
                        batch.joined.push(place);
                    } else {
                        self.sort_missing(&mut batch, (place, key), kind);
                    }
                }
            }
        }
        let begin = |(place, fare): (usize, LoadKind)| self.begin_reload(&keys[place], fare);
        batch.due = due.into_iter().filter_map(begin).collect();
        batch
    }

    /// Begins to load a key that is not there.
    fn sort_missing<E>(&self, batch: &mut Batch<K, V, S, E>, (place, key): (usize, &K), kind: Kind)
    where
        E: Send + Sync + 'static,
    {
        let wish = self.rules.many();
        match start(&self.cache, key, LoadKind::Load, kind, |rest| {
            wish.failure::<E>(rest).is_some()
        }) {
            Start::Live(value) => batch.values[place] = Some(value.into_inner()),
            Start::Lead(lead) => batch.wanted.push((place, Some(lead))),
            Start::Nothing if alone::is_inside(&self.cache, key) => {
                batch.note(place, Err(LoadError::Cycle));
            }
            Start::Nothing => batch.wanted.push((place, None)),
            Start::Join(_) => batch.joined.push(place),
            Start::Failed(rest) => {
                let failure = wish.failure::<E>(&rest);
                match failure.and_then(|failure| wish.answer(&self.cache, key, failure)) {
                    Some(turn) => batch.note(place, told(turn).unwrap_or(Ok(None))),
                    // It was remembered until a moment ago.
                    None => batch.joined.push(place),
                }
            }
        }
    }

    /// Lands what was loaded by one query.
    pub(super) fn land_all<E>(
        &self,
        keys: &[K],
        batch: &mut Batch<K, V, S, E>,
        loaded: Queried<V, E>,
    ) where
        E: Send + Sync + 'static,
    {
        let wish = self.rules.many();
        let (mut loaded, mut panics) = (each(loaded), FirstPanic::default());
        for (place, lead) in std::mem::take(&mut batch.wanted) {
            // A weigher, say, that panics at one of them: the others go in.
            panics.catch(|| {
                let landed = self.land_one((&keys[place], lead), loaded(), wish);
                batch.note(place, landed);
            });
        }
        panics.catch(|| drop(loaded));
        panics.pass_on();
    }

    /// The run of the loader for the keys to be loaded here.
    pub(super) fn begin_wanted<E>(
        &self,
        keys: &[K],
        batch: &Batch<K, V, S, E>,
        kind: Kind,
    ) -> Arc<Run> {
        let lone = batch.wanted.iter().filter(|(_, lead)| lead.is_none());
        let run = || alone::run(&self.cache, lone.map(|(place, _)| &keys[*place]));
        begin(batch.wanted.iter().filter_map(|(_, lead)| lead.as_ref()), kind, run)
    }

    /// The same for one key.
    pub(super) fn begin_one(&self, key: &K, lead: &Option<Lead<K, V, S>>, kind: Kind) -> Arc<Run> {
        let lone = lead.is_none().then_some(key);
        begin(lead, kind, || alone::run(&self.cache, lone))
    }

    /// Lands what a query has brought for one key.
    pub(super) fn land_one<E>(
        &self,
        (key, lead): (&K, Option<Lead<K, V, S>>),
        loaded: Result<V, Failure>,
        wish: Wish,
    ) -> Result<Option<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let failure = match (loaded, lead) {
            (Ok(value), lead) => {
                let value = NoAbort::new(value);
                if let Some(lead) = lead {
                    lead.land(&value, wish.terms);
                }
                return Ok(Some(value.into_inner()));
            }
            (Err(failure), lead) => {
                let failure = NoAbort::new(failure);
                let old = match lead {
                    Some(lead) => lead.fail(&failure, &wish),
                    None => wish.stand_in(&self.cache, key, &failure),
                };
                (old.map(NoAbort::new), failure)
            }
        };
        match failure {
            (Some(old), failure) => {
                drop(failure);
                Ok(Some(old_or_newer(old.into_inner()).value))
            }
            (None, failure) => match failure.into_inner() {
                Failure::Absent => Ok(None),
                Failure::Error(error) => {
                    Err(shared(error.downcast().expect("an error of this query")))
                }
            },
        }
    }

    /// Whether the loader is known to load one key after the other only.
    pub(super) fn is_single(&self) -> bool {
        self.single.get().is_some()
    }

    /// Calls the loader's `load_many` by `call`, unless that is the default.
    pub(super) fn ask_many<R>(&self, keys: &[K], call: impl FnOnce() -> R) -> Option<R> {
        if self.is_single() {
            return None;
        }
        let answer = many::ask(keys, call);
        if answer.is_none() {
            let _ = self.single.set(());
        }
        answer
    }

    /// Those of the keys that are not there, each once.
    pub(super) fn missing(&self, keys: impl IntoIterator<Item = K>) -> Vec<K> {
        let mut seen = HashSet::new();
        let is_missing = |key: &K| !self.cache.contains_key(key) && seen.insert(key.clone());
        keys.into_iter().filter(is_missing).collect()
    }
}

/// What a query has brought, key by key, in the order of its keys.
pub(super) fn each<V, E>(loaded: Queried<V, E>) -> impl FnMut() -> Result<V, Failure>
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

/// What a query for one key has brought.
pub(super) fn only<V, E>(loaded: Queried<V, E>) -> Result<V, Failure>
where
    E: Send + Sync + 'static,
{
    let mut loaded = each(loaded);
    let first = NoAbort::new(loaded());
    drop(loaded);
    first.into_inner()
}

/// The keys of these loads.
pub(super) fn keys_of<'l, K, V, S>(
    leads: impl IntoIterator<Item = &'l Lead<K, V, S>>,
) -> NoAborts<K>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + 'l,
{
    let mut keys = NoAborts::new(Vec::new());
    leads.into_iter().for_each(|lead| keys.push(K::clone(&lead.key)));
    keys
}

/// What a turn tells one who asks for many keys; nothing if there is something to do.
pub(super) fn told<K, V, S, E>(turn: Turn<K, V, S, E>) -> Option<Result<Option<V>, LoadError<E>>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    match turn {
        Turn::Told(loaded) => Some(some(loaded)),
        Turn::Absent => Some(Ok(None)),
        Turn::Lead(_) | Turn::Alone => None,
    }
}

pub(super) fn some<V, E>(
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
    /// The values of several keys, in their order. Those that are missing and that nobody loads yet are
    /// loaded by one call of [`Loader::load_many`], however many they are; for those that others load,
    /// their loads are joined. A key that the loader has no value for is `None`. Values that are to be
    /// renewed are, by one call as well, in the background.
    ///
    /// A loader without a `load_many` of its own, such as a function, is called for one key after the
    /// other, and each of them succeeds or fails by itself.
    ///
    /// # Errors
    ///
    /// The first key's that has one, also if that is remembered. All others are loaded nevertheless:
    /// what was there, or has been loaded, stays in the cache.
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
    pub fn get_many(&self, keys: &[K]) -> Result<Vec<Option<V>>, LoadError<L::Error>> {
        let room = self.cache.engine().permits_for_batch(keys.len());
        let mut batch = self.sort(keys, Kind::Thread);
        self.renew_soon(std::mem::take(&mut batch.due));
        if !batch.wanted.is_empty() {
            self.load_wanted(keys, &mut batch);
        }
        drop(room);
        // Our own loads are over by now, so nobody waits for this thread while it waits. One limit for all.
        let wish = self.rules.many();
        for place in std::mem::take(&mut batch.joined) {
            let loaded = self.get_one(&keys[place], wish);
            batch.note(place, loaded);
        }
        batch.finish()
    }

    fn load_wanted(&self, keys: &[K], batch: &mut Batch<K, V, S, L::Error>) {
        let wanted = batch.keys(keys);
        let run = self.begin_wanted(keys, batch, Kind::Thread);
        run.enter(|| match self.query(&wanted) {
            Some(loaded) => self.land_all(keys, batch, loaded),
            None => {
                for (place, lead) in batch.put_off() {
                    match lead {
                        Some(lead) if !lead.resume(Kind::Thread) => batch.joined.push(place),
                        lead => batch.note(place, some(self.load_one(&keys[place], lead))),
                    }
                }
            }
        });
    }

    /// Asks for many keys at once; nothing if the loader cannot do that.
    pub(super) fn query(&self, keys: &[K]) -> Option<Queried<V, L::Error>> {
        self.ask_many(keys, || self.loader.load_many(keys))
    }

    /// Loads a key by itself.
    fn load_one(
        &self,
        key: &K,
        lead: Option<Lead<K, V, S>>,
    ) -> Result<Loaded<V>, LoadError<L::Error>> {
        let begun = self.cache.engine().elapsed();
        let loaded = self.loader.load(key);
        match lead {
            Some(lead) => settle(lead, loaded, self.rules.wish()),
            None => alone::loaded(&self.cache, (key, self.rules.wish()), begun, loaded),
        }
    }

    /// The value of a key that somebody else was loading; if there is none in the end, it is asked for
    /// as one of many.
    fn get_one(&self, key: &K, wish: Wish) -> Result<Option<V>, LoadError<L::Error>> {
        let lead = match turn(&self.cache, key, LoadKind::Load, wish) {
            Turn::Lead(lead) => Some(lead),
            Turn::Alone if alone::is_inside(&self.cache, key) => return Err(LoadError::Cycle),
            Turn::Alone => None,
            turn => return told(turn).unwrap_or(Ok(None)),
        };
        let keys = std::slice::from_ref(key);
        let run = self.begin_one(key, &lead, Kind::Thread);
        let found = NoAbort::new(run.enter(|| match self.query(keys) {
            Some(loaded) => self.land_one((key, lead), only(loaded), wish),
            None => some(self.load_one(key, lead)),
        }));
        drop(run);
        found.into_inner()
    }

    /// Loads the keys that are missing, by one call of [`Loader::load_many`]; returns how many, each key
    /// counted once.
    ///
    /// # Errors
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
    pub fn warm(&self, keys: impl IntoIterator<Item = K>) -> Result<usize, LoadError<L::Error>> {
        let values = self.get_many(&self.missing(keys))?;
        Ok(values.iter().flatten().count())
    }
}

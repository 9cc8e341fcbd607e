//! Many keys at a time: those that nobody loads yet are loaded together.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::blocking::turn;
use super::flight::Kind;
use super::lead::{Lead, Start, start};
use super::turn::{Turn, alone};
use super::{LoadError, Loader, LoadingCache, SharedError};
use crate::engine::Fare;

/// What became of each key, and the flights that have to be led.
pub(super) struct Sorted<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) values: Vec<Option<V>>,
    /// With the places of their keys.
    pub(super) leads: Vec<(usize, Lead<K, V, S>)>,
    /// The places of keys that somebody else loads.
    pub(super) joined: Vec<usize>,
    /// The places of keys whose values are to be renewed.
    pub(super) due: Vec<usize>,
}

impl<K, V, S> Sorted<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn none() -> Self {
        Self { values: Vec::new(), leads: Vec::new(), joined: Vec::new(), due: Vec::new() }
    }

    /// The keys of the flights that have to be led.
    pub(super) fn wanted(&self) -> Vec<K> {
        self.leads.iter().map(|(_, lead)| lead.key.clone()).collect()
    }
}

/// Where the same key came before.
pub(super) fn first<K: Eq>(keys: &[K], place: usize) -> Option<usize> {
    keys[..place].iter().position(|other| *other == keys[place])
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Begins to load the keys that are neither there nor loaded by somebody.
    ///
    /// # Errors
    ///
    /// One that is remembered for one of them.
    pub(super) fn sort<E: Send + Sync + 'static>(
        &self,
        keys: &[K],
        kind: Kind,
    ) -> Result<Sorted<K, V, S>, LoadError<E>> {
        let mut sorted = Sorted::none();
        for (place, key) in keys.iter().enumerate() {
            let value = self.glance(key).map(|(value, due)| {
                if due {
                    sorted.due.push(place);
                }
                value
            });
            if value.is_none()
                && let Some(error) = self.remembered(key)
            {
                return Err(error);
            }
            let value = value.or_else(|| match start(&self.cache, key, Fare::Load, kind, 0) {
                Start::Live(value) => Some(value),
                Start::Lead(lead) => {
                    sorted.leads.push((place, lead));
                    None
                }
                Start::Join(_) | Start::Nothing => {
                    sorted.joined.push(place);
                    None
                }
            });
            sorted.values.push(value);
        }
        Ok(sorted)
    }

    /// Those of the keys that are not there.
    pub(super) fn missing(&self, keys: impl IntoIterator<Item = K>) -> Vec<K> {
        keys.into_iter().filter(|key| !self.cache.contains_key(key)).collect()
    }

    /// Lands what was loaded; a key without a value goes to whoever waits for it.
    pub(super) fn land_all<E: Send + Sync + 'static>(
        &self,
        sorted: &mut Sorted<K, V, S>,
        loaded: Result<Vec<Option<V>>, E>,
    ) -> Result<(), LoadError<E>> {
        let wish = self.rules.wish();
        let leads = std::mem::take(&mut sorted.leads);
        match loaded {
            Ok(loaded) => {
                let mut loaded = loaded.into_iter();
                for (place, lead) in leads {
                    if let Some(value) = loaded.next().flatten() {
                        lead.land(&value, wish.terms);
                        sorted.values[place] = Some(value);
                    }
                }
                Ok(())
            }
            Err(error) => {
                let (error, mut without) = (Arc::new(error), false);
                for (place, lead) in leads {
                    let key = lead.key.clone();
                    let old = lead.fail(Arc::clone(&error) as _, wish.stale);
                    without |= old.is_none();
                    sorted.values[place] = old;
                    let shared =
                        Err::<(), _>(LoadError::Failed(SharedError::new(Arc::clone(&error))));
                    // Remembered for the next callers; this one has it.
                    drop(self.remember(&key, shared));
                }
                if without { Err(LoadError::Failed(SharedError::new(error))) } else { Ok(()) }
            }
        }
    }

    /// The same for a single flight.
    pub(super) fn land_one<E: Send + Sync + 'static>(
        &self,
        lead: Lead<K, V, S>,
        loaded: Result<Vec<Option<V>>, E>,
    ) -> Result<Option<V>, LoadError<E>> {
        let mut sorted = Sorted { values: vec![None], leads: vec![(0, lead)], ..Sorted::none() };
        self.land_all(&mut sorted, loaded)?;
        Ok(sorted.values.pop().flatten())
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// The values of several keys, in their order. Those that are missing and that nobody loads yet are
    /// loaded by one call of [`Loader::load_many`]; for those that others load, their loads are joined.
    /// A key that the loader has no value for is `None`.
    ///
    /// # Errors
    ///
    /// The loader's; what was there, or has been loaded, stays in the cache.
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
        let mut sorted = self.sort(keys, Kind::Thread)?;
        if !sorted.leads.is_empty() {
            let wanted = sorted.wanted();
            let loaded = self.loader.load_many(&wanted);
            self.land_all(&mut sorted, loaded)?;
        }
        // Our own loads are over by now, so nobody waits for this thread while it waits.
        for place in std::mem::take(&mut sorted.joined) {
            sorted.values[place] = match first(keys, place) {
                Some(first) => sorted.values[first].clone(),
                None => self.get_one(&keys[place])?,
            };
        }
        sorted.due.into_iter().for_each(|place| self.refresh_soon(&keys[place]));
        Ok(sorted.values)
    }

    /// The value of a key that somebody else was loading; if there is none in the end, it is asked for
    /// as one of many.
    fn get_one(&self, key: &K) -> Result<Option<V>, LoadError<L::Error>> {
        let load = || self.loader.load_many(std::slice::from_ref(key));
        match turn(&self.cache, key, Fare::Load, self.rules.wish()) {
            Turn::Told(loaded) => loaded.map(|loaded| Some(loaded.value)),
            Turn::Alone => Ok(alone(load())?.value.into_iter().next().flatten()),
            Turn::Lead(lead) => self.land_one(lead, load()),
        }
    }

    /// Loads the keys that are missing, by one call of [`Loader::load_many`]; returns how many.
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

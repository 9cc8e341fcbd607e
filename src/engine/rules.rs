//! What the user has laid down for one cache: its name, and functions that the engine calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::{EntryCosts, EntryLayout};
use crate::expiry::Expiration;
use crate::load_policy::LoadPolicy;
use crate::outcome::RemovalCause;
use crate::sync::FirstPanic;
use crate::time::nanos;

pub(crate) type Weigher<K, V> = dyn Fn(&K, &V) -> u64 + Send + Sync;
pub(crate) type Listener<K, V> = dyn Fn(&K, &V, RemovalCause) + Send + Sync;

/// The cache's name, and the user's functions. None is called while an exclusive state is held: a panic in one loses
/// nothing but the operation.
pub(crate) struct Rules<K, V> {
    /// What the cache is called.
    pub(crate) name: Arc<str>,
    pub(crate) weigher: Option<Arc<Weigher<K, V>>>,
    /// Only with a weigher.
    pub(crate) cost: Option<Arc<Weigher<K, V>>>,
    /// Whether a miss of what was loaded costs what the load took. Only with a weigher.
    pub(crate) costs_load_time: bool,
    pub(crate) listener: Option<Arc<Listener<K, V>>>,
    pub(crate) expiration: Option<Expiration<K, V>>,
    /// Whether entries may have tags. Only with an expiration.
    pub(crate) tagged: bool,
    pub(crate) load_policy: LoadPolicy,
}

impl<K, V> Rules<K, V> {
    /// Those of a cache that was told nothing but its name.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            weigher: None,
            cost: None,
            costs_load_time: false,
            listener: None,
            expiration: None,
            tagged: false,
            load_policy: LoadPolicy::new(),
        }
    }

    /// The same for another cache: its functions are shared. Of a cache that is not built yet.
    pub(crate) fn to_build_another(&self) -> Self {
        debug_assert!(self.expiration.is_none(), "a clock is not shared unless it was given");
        Self {
            name: Arc::clone(&self.name),
            weigher: self.weigher.clone(),
            cost: self.cost.clone(),
            costs_load_time: self.costs_load_time,
            listener: self.listener.clone(),
            expiration: None,
            tagged: self.tagged,
            load_policy: self.load_policy,
        }
    }

    /// The words that entries need.
    pub(super) fn entry_layout(&self) -> EntryLayout {
        let times = self.expiration.as_ref().map_or(EntryLayout::PLAIN, Expiration::entry_layout);
        let weighed = match &self.weigher {
            None => times,
            Some(_) if self.has_costs() => times.priced(),
            Some(_) => times.weighed(),
        };
        if self.tagged { weighed.tagged() } else { weighed }
    }

    /// Whether a miss of one entry may cost more than that of another.
    pub(crate) fn has_costs(&self) -> bool {
        self.cost.is_some() || self.costs_load_time
    }

    /// How long entries live at most after they were written, in nanoseconds.
    pub(super) fn longest_life(&self) -> u64 {
        let life = self.expiration.as_ref().and_then(Expiration::time_to_live);
        life.map_or(u64::MAX, nanos)
    }

    /// What an entry weighs, and what a miss of its key costs.
    pub(super) fn weigh(&self, key: &K, value: &V) -> EntryCosts {
        self.weigh_loaded(key, value, None)
    }

    /// The same for a value whose load took `took`, if that is known.
    pub(super) fn weigh_loaded(&self, key: &K, value: &V, took: Option<Duration>) -> EntryCosts {
        let Some(weigher) = &self.weigher else { return EntryCosts::from(1) };
        let cost = match took.filter(|_| self.costs_load_time) {
            Some(took) => u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1),
            None => self.cost.as_ref().map_or(1, |cost| cost(key, value)),
        };
        EntryCosts { charge: weigher(key, value), cost }
    }

    /// Tells the listener, if there is one.
    pub(super) fn notify(&self, key: &K, value: &V, cause: RemovalCause) {
        if let Some(listener) = &self.listener {
            listener(key, value, cause);
        }
    }
}

impl<K, V> Drop for Rules<K, V> {
    /// Drops one after the other, whatever panics.
    fn drop(&mut self) {
        let mut panics = FirstPanic::default();
        panics.catch(|| drop(self.weigher.take()));
        panics.catch(|| drop(self.cost.take()));
        panics.catch(|| drop(self.listener.take()));
        panics.catch(|| drop(self.expiration.take()));
        panics.pass_on();
    }
}

impl<K, V> fmt::Debug for Rules<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("name", &self.name)
            .field("weigher", &self.weigher.is_some())
            .field("cost", &self.cost.is_some())
            .field("costs_load_time", &self.costs_load_time)
            .field("listener", &self.listener.is_some())
            .field("expiration", &self.expiration)
            .field("tagged", &self.tagged)
            .field("load_policy", &self.load_policy)
            .finish()
    }
}

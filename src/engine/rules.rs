//! What the user has laid down for one cache: its name, and functions that the engine calls.

use std::fmt;
use std::sync::Arc;

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
    pub(crate) weigher: Option<Box<Weigher<K, V>>>,
    /// Only with a weigher.
    pub(crate) cost: Option<Box<Weigher<K, V>>>,
    pub(crate) listener: Option<Box<Listener<K, V>>>,
    pub(crate) expiration: Option<Expiration<K, V>>,
    /// Whether entries may have tags. Only with an expiration.
    pub(crate) tagged: bool,
    pub(crate) load_policy: LoadPolicy,
}

impl<K, V> Rules<K, V> {
    /// The words that entries need.
    pub(super) fn entry_layout(&self) -> EntryLayout {
        let times = self.expiration.as_ref().map_or(EntryLayout::PLAIN, Expiration::entry_layout);
        let weighed = match (&self.weigher, &self.cost) {
            (None, _) => times,
            (Some(_), None) => times.weighed(),
            (Some(_), Some(_)) => times.priced(),
        };
        if self.tagged { weighed.tagged() } else { weighed }
    }

    /// How long entries live at most after they were written, in nanoseconds.
    pub(super) fn longest_life(&self) -> u64 {
        let life = self.expiration.as_ref().and_then(Expiration::time_to_live);
        life.map_or(u64::MAX, nanos)
    }

    /// What an entry weighs, and what a miss of its key costs.
    pub(super) fn weigh(&self, key: &K, value: &V) -> EntryCosts {
        let Some(weigher) = &self.weigher else { return EntryCosts::from(1) };
        let cost = self.cost.as_ref().map_or(1, |cost| cost(key, value));
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
            .field("listener", &self.listener.is_some())
            .field("expiration", &self.expiration)
            .field("tagged", &self.tagged)
            .field("load_policy", &self.load_policy)
            .finish()
    }
}

//! Handles that do not keep a cache alive, and what tells handles apart.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};

use super::Cache;
use crate::engine::Engine;
use crate::maintenance_thread::MaintenanceThread;
use crate::random_state::RandomState;

/// A handle that does not keep the cache alive: for a registry of caches, or a task that looks after one for as long
/// as it is used. Made by [`Cache::downgrade`].
///
/// # Examples
///
/// ```
/// let cache = clockhand::Cache::new(100);
/// cache.insert(1, "one");
/// let weak = cache.downgrade();
/// assert_eq!(weak.upgrade().and_then(|cache| cache.get(&1)), Some("one"));
/// drop(cache);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakCache<K, V, S = RandomState> {
    engine: Weak<Engine<K, V, S>>,
    maintenance_thread: Option<Weak<MaintenanceThread>>,
}

impl<K, V, S> WeakCache<K, V, S> {
    /// A handle of the cache; `None` if the last one was dropped.
    ///
    /// # Progress
    ///
    /// Lock-free: changes a counter of handles.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u64, u64>::new(100);
    /// let weak = cache.downgrade();
    /// assert!(weak.upgrade().is_some_and(|other| other.ptr_eq(&cache)));
    /// drop(cache);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn upgrade(&self) -> Option<Cache<K, V, S>> {
        let engine = self.engine.upgrade()?;
        let maintenance_thread = match &self.maintenance_thread {
            // Handles drop it after the engine's: where it is gone, the last of them is being dropped.
            Some(maintenance_thread) => Some(maintenance_thread.upgrade()?),
            None => None,
        };
        Some(Cache { engine, maintenance_thread })
    }
}

impl<K, V, S> Clone for WeakCache<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            engine: Weak::clone(&self.engine),
            maintenance_thread: self.maintenance_thread.clone(),
        }
    }
}

impl<K, V, S> fmt::Debug for WeakCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCache").finish_non_exhaustive()
    }
}

impl<K, V, S> Cache<K, V, S> {
    /// A handle that does not keep the cache alive.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`WeakCache::upgrade`].
    #[doc(alias = "weak")]
    pub fn downgrade(&self) -> WeakCache<K, V, S> {
        let maintenance_thread = self.maintenance_thread.as_ref().map(Arc::downgrade);
        WeakCache { engine: Arc::downgrade(&self.engine), maintenance_thread }
    }

    /// Whether two handles are of the same cache.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::<u32, u32>::new(100);
    /// assert!(cache.ptr_eq(&cache.clone()));
    /// assert!(!cache.ptr_eq(&clockhand::Cache::new(100)));
    /// ```
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.engine, &other.engine)
    }
}

/// A panic of user code inside a call leaves the cache as it was before the call, or as it is after it: so it may be
/// used on.
impl<K: RefUnwindSafe, V: RefUnwindSafe, S: RefUnwindSafe> UnwindSafe for Cache<K, V, S> {}

impl<K: RefUnwindSafe, V: RefUnwindSafe, S: RefUnwindSafe> RefUnwindSafe for Cache<K, V, S> {}

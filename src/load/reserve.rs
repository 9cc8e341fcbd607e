//! Charge for the work of a load.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::cache::Cache;
use crate::error::InsertErrorKind;
use crate::random_state::RandomState;

/// A part of a cache's capacity that no entry has while this lives.
///
/// From [`Cache::reserve`]; dropped, it gives the capacity back.
#[must_use = "a reservation that is dropped gives its charge back"]
pub struct Reservation<K, V, S = RandomState>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    cache: Cache<K, V, S>,
    charge: u64,
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Takes `charge` of the capacity for something that is not an entry, such as the buffers of a
    /// load, so that loads that run count against the bound. Evicts what is in the way.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](InsertErrorKind::TooLarge) if it is more than the capacity,
    /// [`NoRoom`](InsertErrorKind::NoRoom) if it is not to be had at this moment.
    ///
    /// # Progress
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let cache: Cache<String, Vec<u8>> =
    ///     Cache::builder().capacity(1 << 20).weigher(|_, v: &Vec<u8>| v.len() as u64).build()?;
    /// let page = cache.get_or_load("page".to_string(), |_| {
    ///     let _buffers = cache.reserve(4096).expect("a page's worth is to be had");
    ///     assert_eq!(cache.usage().charged, 4096);
    ///     vec![0; 512]
    /// });
    /// assert_eq!((page.len(), cache.usage().charged), (512, 512));
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn reserve(&self, charge: u64) -> Result<Reservation<K, V, S>, InsertErrorKind> {
        self.engine().reserve_charge(charge)?;
        Ok(Reservation { cache: self.clone(), charge })
    }
}

impl<K, V, S> Reservation<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// How much is reserved.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Cache::reserve`].
    pub fn charge(&self) -> u64 {
        self.charge
    }
}

impl<K, V, S> Drop for Reservation<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        self.cache.engine().return_charge(self.charge);
    }
}

impl<K, V, S> fmt::Debug for Reservation<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("charge", &self.charge).finish_non_exhaustive()
    }
}

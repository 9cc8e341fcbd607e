//! What a store below a cache has to do: a *second tier*, which several instances may share.
//!
//! [`Tier`] is its interface, in bytes. The crate `clockhand-redis` implements it for Redis and Valkey, and its `Tiered` puts a
//! cache before any store that implements it.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | the trait, and the cache that a store tells of changes |
//! | `value` | what is asked for, found, put, and under which version |
//! | `cache_update` | how a value that was put comes into the cache |

use std::error::Error;
use std::future::Future;
use std::sync::Weak;
use std::time::Duration;

mod cache_update;
mod value;

pub use cache_update::CacheUpdate;
pub use value::{Found, LookupOutcome, Put, PutTerms, TierLookup, Version};
pub use value::{TierItem, TierValue};

#[cfg(test)]
mod tests;

/// A store of bytes below a cache, which other instances may share. Clones are handles of one store.
///
/// Four methods are required: [`get`](Self::get), [`put`](Self::put), [`remove`](Self::remove) and
/// [`remove_all`](Self::remove_all). The others have a form for a store that only this process writes to.
///
/// # Versions
///
/// A look-up that finds no value gives a [`Version`], and what was loaded meanwhile is put under that: if anything was
/// written to the key since, it is not stored ([`Put::Overtaken`]). So a load that took long cannot bring back what was
/// replaced or removed while it ran. A version may be refused for other reasons too, as that it is old.
///
/// # Coherence
///
/// A store that others write to, too, tells the cache of their changes: see [`attach`](Self::attach). A change is told before
/// any answer that was given after it. While changes may be missed, [`serves`](Self::serves) is false.
///
/// # Examples
///
/// A map as a store:
///
/// ```
/// use std::collections::HashMap;
/// use std::convert::Infallible;
/// use std::sync::{Arc, Mutex};
/// use std::time::Instant;
/// use clockhand::tier::{Found, CacheUpdate, TierLookup, Put, PutTerms, Tier, TierItem, TierValue, Version};
///
/// #[derive(Clone, Default)]
/// struct Map(Arc<Mutex<State>>);
///
/// #[derive(Default)]
/// struct State {
///     values: HashMap<Vec<u8>, TierValue>,
///     /// How often anything was written. A version has this number, so it is outdated by each write, also of other keys.
///     writes: u64,
/// }
///
/// impl Tier for Map {
///     type Error = Infallible;
///
///     async fn get(&self, key: &[u8], lookup: TierLookup<'_>) -> Result<Found, Infallible> {
///         let state = self.0.lock().unwrap();
///         let value = state.values.get(key).filter(|value| lookup.takes(value)).cloned();
///         Ok(Found::new(value, Version::new(state.writes.to_le_bytes())))
///     }
///
///     async fn put(
///         &self,
///         key: &[u8],
///         item: TierItem<'_>,
///         terms: PutTerms<'_>,
///         update: CacheUpdate,
///     ) -> Result<Put, Infallible> {
///         let mut state = self.0.lock().unwrap();
///         match terms {
///             PutTerms::Unchanged(version) if *version.bytes() != state.writes.to_le_bytes() => {
///                 return Ok(Put::Overtaken);
///             }
///             _ => {}
///         }
///         state.writes += 1;
///         let until = Instant::now() + item.ttl;
///         state.values.insert(key.to_vec(), TierValue::new(item.bytes, until));
///         // In the same step: so the caches have what the last of several writes has stored.
///         update.until(until);
///         Ok(Put::Stored(until))
///     }
///
///     async fn remove(&self, key: &[u8]) -> Result<(), Infallible> {
///         let mut state = self.0.lock().unwrap();
///         state.writes += 1;
///         state.values.remove(key);
///         Ok(())
///     }
///
///     async fn remove_all(&self) -> Result<(), Infallible> {
///         let mut state = self.0.lock().unwrap();
///         state.writes += 1;
///         state.values.clear();
///         Ok(())
///     }
/// }
/// ```
pub trait Tier: Clone + Send + Sync + 'static {
    /// Why an operation did not succeed.
    type Error: Error + Send + Sync + 'static;

    /// The value of a key; without one, the version under which one may be put.
    ///
    /// # Errors
    ///
    /// If that is not known. The value is loaded then, and put nowhere.
    fn get(
        &self,
        key: &[u8],
        lookup: TierLookup<'_>,
    ) -> impl Future<Output = Result<Found, Self::Error>> + Send;

    /// As [`get`](Self::get) for several keys, in their order. By default one after the other.
    fn get_many(
        &self,
        keys: &[Vec<u8>],
        lookup: TierLookup<'_>,
    ) -> impl Future<Output = Vec<Result<Found, Self::Error>>> + Send {
        async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.get(key, lookup).await);
            }
            found
        }
    }

    /// Stores a value, if the terms allow it. In the step in which it is stored, or at any later moment until which nothing
    /// was written to the key by any thread or instance, `update` puts it into the cache.
    ///
    /// If the returned future is dropped, the value is stored before that or never; or the cache is told of it as of a
    /// change.
    ///
    /// # Errors
    ///
    /// If it is not stored, or may not be. What was there before must not stay where it can be read.
    fn put(
        &self,
        key: &[u8],
        item: TierItem<'_>,
        terms: PutTerms<'_>,
        update: CacheUpdate,
    ) -> impl Future<Output = Result<Put, Self::Error>> + Send;

    /// As [`put`](Self::put) for several keys, whatever was written before. Returns what has become of each, in their order.
    /// By default one after the other.
    fn put_many<'a>(
        &'a self,
        items: Vec<(Vec<u8>, TierItem<'a>, CacheUpdate)>,
    ) -> impl Future<Output = Vec<Result<Put, Self::Error>>> + Send + 'a {
        async move {
            let mut put = Vec::with_capacity(items.len());
            for (key, item, update) in items {
                put.push(self.put(&key, item, PutTerms::Always, update).await);
            }
            put
        }
    }

    /// Removes a key. After that, no look-up returns what was there before, and each version of the key that was given
    /// before is refused.
    ///
    /// # Errors
    ///
    /// If it is not removed, or may not be.
    fn remove(&self, key: &[u8]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes all keys, as [`remove`](Self::remove) does one.
    ///
    /// # Errors
    ///
    /// If they are not removed, or may not be.
    fn remove_all(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes every key whose value has this tag, as [`remove`](Self::remove) does one. By default removes all.
    ///
    /// # Errors
    ///
    /// If they are not removed, or may not be.
    fn remove_tag(&self, tag: &str) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = tag;
        self.remove_all()
    }

    /// Puts a value with tags into the cache that a look-up has found, or that was put under the version of a look-up: by
    /// `update`, if nothing was written to the key since that look-up, and none of the tags was removed. Returns whether that
    /// is so. By default it never is, so values with tags are not kept. Of `value` only the tags and the end count.
    fn keep(
        &self,
        key: &[u8],
        value: &TierValue,
        since: &Version,
        update: CacheUpdate,
    ) -> impl Future<Output = bool> + Send {
        let _ = (key, value, since, update);
        std::future::ready(false)
    }

    /// The version of a look-up is not going to be used: its load has failed, or its caller is gone.
    fn give_up(&self, key: &[u8], version: &Version) {
        let _ = (key, version);
    }

    /// How long values live, unless a write says otherwise. By default an hour.
    fn time_to_live(&self) -> Duration {
        Duration::from_secs(3600)
    }

    /// Whether the cache may answer. Asked at each hit: it should be no more than a look at a word.
    #[inline]
    fn serves(&self) -> bool {
        true
    }

    /// How long the cache may keep a value that could not be put, as the store cannot be reached. By default not at all.
    fn kept_alone(&self) -> Duration {
        Duration::ZERO
    }

    /// Whom to tell of what others write: the cache before this store, empty. Returns false if there is one already.
    ///
    /// By default no cache is told of anything, as by a store that only this process writes to, through one cache.
    fn attach(&self, first: Weak<dyn FirstTier>) -> bool {
        let _ = first;
        true
    }

    /// Whether it is in vain to try again what has failed by this error. By default it never is.
    fn is_final(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// What has become of a look-up, for a store that counts that.
    fn record_lookup(&self, outcome: LookupOutcome) {
        let _ = outcome;
    }
}

/// The cache before a second tier, as the tier sees it: it tells this of changes. It does not panic, whatever the user's code does.
pub trait FirstTier: Send + Sync {
    /// Removes a key, and stops a load of it. Returns false if these bytes are no key.
    fn invalidate(&self, key: &[u8]) -> bool;

    /// Removes every key that has this tag.
    fn invalidate_tag(&self, tag: &[u8]);

    /// Removes every key, and stops all loads.
    fn invalidate_all(&self);
}

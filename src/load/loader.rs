//! Where values come from.

#[cfg(feature = "async")]
use std::future::Future;

use super::many;

/// Where the values of a [`LoadingCache`](crate::load::LoadingCache) cache come from.
///
/// Functions that take a key and return a result are loaders. A method is called once for each load,
/// however many callers wait, on the thread of the caller that leads it, or, to renew a value, on a
/// thread of the executor. Nothing is held meanwhile: it may use the cache, and other keys' loads. A
/// panic is its caller's; if others wait, the first of them loads.
///
/// # Examples
///
/// ```
/// use clockhand::load::Loader;
///
/// struct Squares;
///
/// impl Loader<u64, u64> for Squares {
///     type Error = String;
///
///     fn load(&self, key: &u64) -> Result<u64, String> {
///         key.checked_mul(*key).ok_or_else(|| format!("{key} squared is too much"))
///     }
/// }
///
/// let cache = clockhand::Cache::new(100).loading(Squares);
/// assert_eq!(cache.get(&12), Ok(144));
/// assert!(cache.get(&u64::MAX).is_err());
/// ```
pub trait Loader<K, V>: Send + Sync {
    /// What a load may fail with.
    type Error: Send + Sync + 'static;

    /// Loads the value of a key.
    ///
    /// # Errors
    ///
    /// What its callers are to get: the one that leads, and all that have joined.
    fn load(&self, key: &K) -> Result<V, Self::Error>;

    /// Loads the values of several keys, which are all different: one for each, in their order, or
    /// none for a key that has no value. Where there are too few, the rest has none.
    ///
    /// By default one after the other. The cache does not call that: where a loader has no `load_many`
    /// of its own, it calls [`load`](Self::load) for each key, which then succeeds or fails by itself.
    ///
    /// # Errors
    ///
    /// What the callers for all of these keys are to get.
    fn load_many(&self, keys: &[K]) -> Result<Vec<Option<V>>, Self::Error> {
        if many::declines(keys) {
            return Ok(Vec::new());
        }
        keys.iter().map(|key| self.load(key).map(Some)).collect()
    }

    /// Loads a value that is to take the place of `old`. By default as if there were none.
    ///
    /// # Errors
    ///
    /// Whatever was wrong; the old value stays until it expires.
    fn reload(&self, key: &K, old: &V) -> Result<V, Self::Error> {
        let _ = old;
        self.load(key)
    }
}

impl<K, V, E, F> Loader<K, V> for F
where
    F: Fn(&K) -> Result<V, E> + Send + Sync,
    E: Send + Sync + 'static,
{
    type Error = E;

    fn load(&self, key: &K) -> Result<V, E> {
        self(key)
    }
}

/// As [`Loader`], for tasks.
///
/// # Examples
///
/// ```
/// use clockhand::load::AsyncLoader;
///
/// struct Squares;
///
/// impl AsyncLoader<u64, u64> for Squares {
///     type Error = String;
///
///     async fn load(&self, key: &u64) -> Result<u64, String> {
///         key.checked_mul(*key).ok_or_else(|| format!("{key} squared is too much"))
///     }
/// }
/// ```
#[cfg(feature = "async")]
pub trait AsyncLoader<K: Sync, V: Send + Sync>: Send + Sync {
    /// What a load may fail with.
    type Error: Send + Sync + 'static;

    /// Loads the value of a key.
    ///
    /// # Errors
    ///
    /// What its callers are to get: the one that leads, and all that have joined.
    fn load(&self, key: &K) -> impl Future<Output = Result<V, Self::Error>> + Send;

    /// Loads the values of several keys, which are all different: one for each, in their order, or
    /// none for a key that has no value. Where there are too few, the rest has none.
    ///
    /// By default one after the other. The cache does not call that: where a loader has no `load_many`
    /// of its own, it calls [`load`](Self::load) for each key, which then succeeds or fails by itself.
    ///
    /// # Errors
    ///
    /// What the callers for all of these keys are to get.
    fn load_many(
        &self,
        keys: &[K],
    ) -> impl Future<Output = Result<Vec<Option<V>>, Self::Error>> + Send {
        let declined = many::declines(keys);
        async move {
            if declined {
                return Ok(Vec::new());
            }
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                values.push(Some(self.load(key).await?));
            }
            Ok(values)
        }
    }

    /// Loads a value that is to take the place of `old`. By default as if there were none.
    ///
    /// # Errors
    ///
    /// Whatever was wrong; the old value stays until it expires.
    fn reload(&self, key: &K, old: &V) -> impl Future<Output = Result<V, Self::Error>> + Send {
        let _ = old;
        self.load(key)
    }
}

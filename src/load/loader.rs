//! Where values come from.

use std::fmt;
#[cfg(feature = "async")]
use std::future::Future;

use super::fresh::Fresh;
use super::{many, passed_terms};

/// Where the values of a [`LoadingCache`](crate::load::LoadingCache) come from.
///
/// Functions that take a key and return a result are loaders; they may answer a [`Fresh`] value. A method is called once for each
/// load, however many callers wait, on the thread of the caller that leads the load or, to renew a
/// value, on a thread of the executor. No lock is held meanwhile: a loader may use the cache,
/// including loads of other keys. A panic reaches the caller whose load it is; if others wait, the
/// first of them loads.
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
#[doc(alias = "CacheLoader")]
pub trait Loader<K, V>: Send + Sync {
    /// The error of a load.
    type Error: Send + Sync + 'static;

    /// Loads the value of a key.
    ///
    /// # Errors
    ///
    /// What its callers are to get: the one that leads, and all that have joined.
    fn load(&self, key: &K) -> Result<V, Self::Error>;

    /// Loads the value of a key and says how long it lives. The cache calls this; by default it calls
    /// [`load`](Self::load), and the value lives as any other does.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Fresh, Loader};
    ///
    /// struct Tokens;
    ///
    /// impl Loader<&'static str, u64> for Tokens {
    ///     type Error = String;
    ///
    ///     fn load(&self, user: &&'static str) -> Result<u64, String> {
    ///         self.load_fresh(user).map(Fresh::into_value)
    ///     }
    ///
    ///     fn load_fresh(&self, user: &&'static str) -> Result<Fresh<u64>, String> {
    ///         Ok(Fresh::new(7).ttl(Duration::from_secs(user.len() as u64)))
    ///     }
    /// }
    ///
    /// let tokens = Cache::builder().capacity(100).per_entry_ttl().build()?.loading(Tokens);
    /// assert_eq!(tokens.get(&"ann"), Ok(7));
    /// let info = tokens.cache().entry_info(&"ann").expect("it is there");
    /// assert!(info.expires_in.is_some_and(|left| left <= Duration::from_secs(3)));
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    fn load_fresh(&self, key: &K) -> Result<Fresh<V>, Self::Error> {
        self.load(key).map(Fresh::new)
    }

    /// Loads the values of `keys`, which are all different. Returns one for each, in their order,
    /// and `None` for a key without a value. If it returns too few, the remaining keys have no
    /// value.
    ///
    /// By default it loads one key after another. The cache does not call this default: if a loader
    /// has no `load_many` of its own, it calls [`load`](Self::load) for each key, which then
    /// succeeds or fails by itself.
    ///
    /// # Errors
    ///
    /// What the callers for all of these keys are to get.
    #[doc(alias = "loadAll")]
    fn load_many(&self, keys: &[K]) -> Result<Vec<Option<V>>, Self::Error> {
        if many::declines(keys) {
            return Ok(Vec::new());
        }
        keys.iter().map(|key| self.load(key).map(Some)).collect()
    }

    /// Loads the values of `keys`, and says how long each lives. The cache calls this; by default it calls
    /// [`load_many`](Self::load_many), and the values live as any other does.
    ///
    /// # Errors
    ///
    /// As [`load_many`](Self::load_many).
    fn load_many_fresh(&self, keys: &[K]) -> Result<Vec<Option<Fresh<V>>>, Self::Error> {
        self.load_many(keys).map(all_fresh)
    }

    /// Loads a value that is to replace `old`. By default it calls [`load_fresh`](Self::load_fresh).
    ///
    /// # Errors
    ///
    /// Why the value could not be loaded; `old` stays in the cache until it expires.
    fn reload(&self, key: &K, old: &V) -> Result<V, Self::Error> {
        self.load_fresh(key).map(|fresh| passed_terms::leave(fresh, passed_terms::call(key, old)))
    }

    /// Loads a value that is to replace `old`, and says how long it lives. The cache calls this; by default it calls
    /// [`reload`](Self::reload): if that is the default, too, the value lives as [`load_fresh`](Self::load_fresh) says,
    /// and otherwise as any other does.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    fn reload_fresh(&self, key: &K, old: &V) -> Result<Fresh<V>, Self::Error> {
        let call = passed_terms::call(key, old);
        let (loaded, terms) = passed_terms::take(call, || self.reload(key, old));
        loaded.map(|value| Fresh::with_terms(value, terms))
    }
}

/// Values that live as any other does.
fn all_fresh<V>(values: Vec<Option<V>>) -> Vec<Option<Fresh<V>>> {
    values.into_iter().map(|value| value.map(Fresh::new)).collect()
}

/// Functions that return a result of a value, or of a [`Fresh`] one.
impl<K, V, T, E, F> Loader<K, V> for F
where
    F: Fn(&K) -> Result<T, E> + Send + Sync,
    T: Into<Fresh<V>>,
    E: Send + Sync + 'static,
{
    type Error = E;

    fn load(&self, key: &K) -> Result<V, E> {
        Loader::load_fresh(self, key).map(Fresh::into_value)
    }

    fn load_fresh(&self, key: &K) -> Result<Fresh<V>, E> {
        self(key).map(Into::into)
    }
}

/// A loader of any type, where the type of a field or of a function's result has to be written down.
///
/// # Examples
///
/// ```
/// use clockhand::load::BoxLoader;
/// use clockhand::{Cache, LoadingCache};
///
/// struct Service {
///     lengths: LoadingCache<String, usize, BoxLoader<String, usize, String>>,
/// }
///
/// let load = BoxLoader::new(|word: &String| Ok(word.len()));
/// let service = Service { lengths: Cache::new(100).loading(load) };
/// assert_eq!(service.lengths.get("four"), Ok(4));
/// ```
pub struct BoxLoader<K, V, E>(Box<dyn Loader<K, V, Error = E>>);

impl<K, V, E> BoxLoader<K, V, E> {
    /// Puts a loader into a box.
    ///
    /// # Progress
    ///
    /// Wait-free, but for the allocation.
    ///
    /// # Examples
    ///
    /// See [`BoxLoader`].
    pub fn new(loader: impl Loader<K, V, Error = E> + 'static) -> Self {
        Self(Box::new(loader))
    }
}

impl<K, V, E: Send + Sync + 'static> Loader<K, V> for BoxLoader<K, V, E> {
    type Error = E;

    fn load(&self, key: &K) -> Result<V, E> {
        self.0.load(key)
    }

    fn load_fresh(&self, key: &K) -> Result<Fresh<V>, E> {
        self.0.load_fresh(key)
    }

    fn load_many(&self, keys: &[K]) -> Result<Vec<Option<V>>, E> {
        self.0.load_many(keys)
    }

    fn load_many_fresh(&self, keys: &[K]) -> Result<Vec<Option<Fresh<V>>>, E> {
        self.0.load_many_fresh(keys)
    }

    fn reload(&self, key: &K, old: &V) -> Result<V, E> {
        self.0.reload(key, old)
    }

    fn reload_fresh(&self, key: &K, old: &V) -> Result<Fresh<V>, E> {
        self.0.reload_fresh(key, old)
    }
}

impl<K, V, E> fmt::Debug for BoxLoader<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoxLoader").finish_non_exhaustive()
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
#[doc(alias = "AsyncCacheLoader")]
pub trait AsyncLoader<K: Sync, V: Send + Sync>: Send + Sync {
    /// The error of a load.
    type Error: Send + Sync + 'static;

    /// Loads the value of a key.
    ///
    /// # Errors
    ///
    /// What its callers are to get: the one that leads, and all that have joined.
    fn load(&self, key: &K) -> impl Future<Output = Result<V, Self::Error>> + Send;

    /// Loads the value of a key and says how long it lives. The cache calls this; by default it calls
    /// [`load`](Self::load), and the value lives as any other does.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    fn load_fresh(&self, key: &K) -> impl Future<Output = Result<Fresh<V>, Self::Error>> + Send {
        async { self.load(key).await.map(Fresh::new) }
    }

    /// Loads the values of `keys`, which are all different. Returns one for each, in their order,
    /// and `None` for a key without a value. If it returns too few, the remaining keys have no
    /// value.
    ///
    /// By default it loads one key after another. The cache does not call this default: if a loader
    /// has no `load_many` of its own, it calls [`load`](Self::load) for each key, which then
    /// succeeds or fails by itself.
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

    /// Loads the values of `keys`, and says how long each lives. The cache calls this; by default it calls
    /// [`load_many`](Self::load_many), and the values live as any other does.
    ///
    /// # Errors
    ///
    /// As [`load_many`](Self::load_many).
    fn load_many_fresh(
        &self,
        keys: &[K],
    ) -> impl Future<Output = Result<Vec<Option<Fresh<V>>>, Self::Error>> + Send {
        // The default of that declines when it is called.
        let loading = self.load_many(keys);
        async { loading.await.map(all_fresh) }
    }

    /// Loads a value that is to replace `old`. By default it calls [`load_fresh`](Self::load_fresh).
    ///
    /// # Errors
    ///
    /// Why the value could not be loaded; `old` stays in the cache until it expires.
    fn reload(&self, key: &K, old: &V) -> impl Future<Output = Result<V, Self::Error>> + Send {
        let call = passed_terms::call(key, old);
        async move { self.load_fresh(key).await.map(|fresh| passed_terms::leave(fresh, call)) }
    }

    /// Loads a value that is to replace `old`, and says how long it lives. The cache calls this; by default it calls
    /// [`reload`](Self::reload): if that is the default, too, the value lives as [`load_fresh`](Self::load_fresh) says,
    /// and otherwise as any other does.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    fn reload_fresh(
        &self,
        key: &K,
        old: &V,
    ) -> impl Future<Output = Result<Fresh<V>, Self::Error>> + Send {
        async move {
            let call = passed_terms::call(key, old);
            let mut reload = std::pin::pin!(self.reload(key, old));
            std::future::poll_fn(|context| {
                let poll = || reload.as_mut().poll(context);
                let (polled, terms) = passed_terms::take(call, poll);
                polled.map(|loaded| loaded.map(|value| Fresh::with_terms(value, terms)))
            })
            .await
        }
    }
}

/// Functions that return a future of a result, of a value or of a [`Fresh`] one, are loaders for tasks. The future owns what it needs of the key.
#[cfg(feature = "async")]
impl<K, V, T, E, F, Fut> AsyncLoader<K, V> for F
where
    K: Sync,
    V: Send + Sync,
    F: Fn(&K) -> Fut + Send + Sync,
    T: Into<Fresh<V>>,
    Fut: Future<Output = Result<T, E>> + Send,
    E: Send + Sync + 'static,
{
    type Error = E;

    fn load(&self, key: &K) -> impl Future<Output = Result<V, E>> + Send {
        let loading = self(key);
        async { loading.await.map(|loaded| loaded.into().into_value()) }
    }

    fn load_fresh(&self, key: &K) -> impl Future<Output = Result<Fresh<V>, E>> + Send {
        let loading = self(key);
        async { loading.await.map(Into::into) }
    }
}

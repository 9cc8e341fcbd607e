//! What a load returns to its callers.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadSource {
    /// It was in the cache.
    Hit,
    /// This caller's loader made it.
    Loaded,
    /// Another caller's loader made it, while this one waited.
    Joined,
    /// It has expired. It could not be renewed, and is within
    /// [`stale_if_error`](crate::load::LoadingCache::stale_if_error); or it is being renewed,
    /// within [`stale_while_revalidate`](crate::load::LoadingCache::stale_while_revalidate).
    Stale,
}

/// A value, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<V> {
    /// The value.
    pub value: V,
    /// Where it came from.
    pub source: LoadSource,
}

impl<V> Loaded<V> {
    pub(super) fn new(value: V, source: LoadSource) -> Self {
        Self { value, source }
    }
}

/// A loader's error, shared by all callers of the load that failed.
///
/// It dereferences to the error itself, compares with it, and is printed like it.
///
/// # Examples
///
/// ```
/// use clockhand::Cache;
/// use clockhand::load::LoadError;
///
/// #[derive(Debug, PartialEq)]
/// enum Refused { Unknown, Closed }
///
/// let cache: Cache<u32, String> = Cache::new(10);
/// match cache.try_get_or_load(7, |_| Err(Refused::Closed)) {
///     Err(LoadError::Failed(error)) if *error == Refused::Closed => {}
///     other => panic!("{other:?}"),
/// }
/// ```
pub struct SharedError<E>(Arc<E>);

impl<E> SharedError<E> {
    pub(super) fn new(error: Arc<E>) -> Self {
        Self(error)
    }

    /// Returns the error itself, if no other caller holds it.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Errors
    ///
    /// The shared error, if another caller holds it as well.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(100);
    /// let failed = cache.try_get_or_load(1, |_| Err("down")).unwrap_err();
    /// let clockhand::LoadError::Failed(shared) = failed else { unreachable!() };
    /// assert_eq!(shared.into_inner().ok(), Some("down"));
    /// ```
    pub fn into_inner(self) -> Result<E, Self> {
        Arc::try_unwrap(self.0).map_err(Self)
    }

    /// Returns the error as the callers share it.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, LoadError};
    ///
    /// let cache: Cache<u32, String> = Cache::new(10);
    /// let Err(LoadError::Failed(error)) = cache.try_get_or_load(7, |_| Err("down")) else { panic!() };
    /// assert_eq!(*error.into_arc(), "down");
    /// ```
    pub fn into_arc(self) -> Arc<E> {
        self.0
    }
}

/// An error of any type that can be shown, be it an [`Error`] itself or not. Its source is that of
/// the error, if that is a `Box<dyn Error + Send + Sync>`; that of others is reached through
/// [`Deref`].
impl<E: fmt::Debug + fmt::Display + 'static> Error for SharedError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let error: &dyn Any = &*self.0;
        error.downcast_ref::<Box<dyn Error + Send + Sync>>().and_then(|boxed| boxed.source())
    }
}

impl<E> Clone for SharedError<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Deref for SharedError<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.0
    }
}

impl<E> AsRef<E> for SharedError<E> {
    fn as_ref(&self) -> &E {
        &self.0
    }
}

impl<E: PartialEq> PartialEq for SharedError<E> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<E: PartialEq> PartialEq<E> for SharedError<E> {
    fn eq(&self, other: &E) -> bool {
        **self == *other
    }
}

impl<E: Eq> Eq for SharedError<E> {}

impl<E: fmt::Debug> fmt::Debug for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: fmt::Display> fmt::Display for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why there is no value.
///
/// It is an [`Error`] if `E` can be shown (`Debug` and `Display`), be it an `Error` itself or not:
/// a `String`, a `Box<dyn Error + Send + Sync>` and `anyhow::Error` will do. So `?` turns it into a
/// `Box<dyn Error>`, and into a `Box<dyn Error + Send + Sync>` as well, as a loader's errors are
/// `Send + Sync`. Its `source` is the [`SharedError`] of the loader; what that error has as its own
/// sources is reached through [`error`](Self::error).
///
/// # Progress
///
/// All methods are wait-free.
///
/// # Examples
///
/// ```
/// use std::error::Error;
/// use clockhand::Cache;
///
/// fn port(cache: &Cache<String, u16>, name: &str) -> Result<u16, Box<dyn Error + Send + Sync>> {
///     let parsed = cache.try_get_or_load(name.to_string(), |name| name.parse::<u16>())?;
///     // The error of this loader is a text.
///     let low = |_: &String| if parsed < 1024 { Err("a low port".to_string()) } else { Ok(parsed) };
///     Ok(cache.try_get_or_load(format!("{name}, checked"), low)?)
/// }
///
/// let cache = Cache::new(100);
/// assert_eq!(port(&cache, "8080").unwrap(), 8080);
/// assert!(port(&cache, "http").unwrap_err().source().is_some());
/// assert!(port(&cache, "80").unwrap_err().to_string().contains("a low port"));
/// ```
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader failed: this caller's own, or the one of the caller that it had joined.
    Failed(SharedError<E>),
    /// The load would wait for itself: the loader asks for its own key, or for a key whose loader
    /// waits, over other threads or tasks, for this one. Or a thread would wait for a task that
    /// only this thread polls.
    Cycle,
    /// The load that the caller had joined did not end in time. The load goes on.
    TimedOut,
}

impl<E> LoadError<E> {
    /// Returns the loader's error, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache: clockhand::Cache<u64, u64> = clockhand::Cache::new(100);
    /// let failed = cache.try_get_or_load(1, |_| Err("down")).unwrap_err();
    /// assert_eq!(failed.error(), Some(&"down"));
    /// ```
    pub fn error(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Cycle | Self::TimedOut => None,
        }
    }

    /// Returns the loader's error, shared with the callers that had joined the load; `None` if no
    /// loader has failed.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache: clockhand::Cache<u32, String> = clockhand::Cache::new(10);
    /// let error = cache.try_get_or_load(7, |_| Err("down")).unwrap_err();
    /// assert_eq!(error.into_error().as_deref(), Some(&"down"));
    /// ```
    pub fn into_error(self) -> Option<Arc<E>> {
        match self {
            Self::Failed(error) => Some(error.into_arc()),
            Self::Cycle | Self::TimedOut => None,
        }
    }

    /// Turns the loader's error into another one; the other kinds stay as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache: clockhand::Cache<u32, String> = clockhand::Cache::new(10);
    /// let error = cache.try_get_or_load(7, |_| Err("down")).unwrap_err();
    /// assert_eq!(error.map(|text| text.len()).error(), Some(&4));
    /// ```
    pub fn map<F>(self, f: impl FnOnce(&E) -> F) -> LoadError<F> {
        match self {
            Self::Failed(error) => LoadError::Failed(SharedError::new(Arc::new(f(&error)))),
            Self::Cycle => LoadError::Cycle,
            Self::TimedOut => LoadError::TimedOut,
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Cycle => Self::Cycle,
            Self::TimedOut => Self::TimedOut,
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the value could not be loaded: {error}"),
            Self::Cycle => f.write_str(
                "the load would wait for itself: a loader must not ask for its own key, nor for \
                 one whose loader waits for it, nor a thread that runs tasks for one that they load \
                 (use the async form there)",
            ),
            Self::TimedOut => f.write_str(
                "the load did not end in time: wait longer, or ask again; it goes on meanwhile",
            ),
        }
    }
}

impl<E: fmt::Debug + fmt::Display + 'static> Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Cycle | Self::TimedOut => None,
        }
    }
}

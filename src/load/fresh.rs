//! What a loader answers: a value, or a value that says how long it lives.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::next::LoadOptions;
use crate::cache::Cache;
use crate::error::InsertErrorKind;

/// A loaded value, and how long it lives.
///
/// A loader may answer it instead of the value: [`Cache::get_or_load`] and its kin, [`Cache::load`],
/// [`Loader::load_fresh`](crate::load::Loader::load_fresh), [`memoize`](crate::load::memoize()).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::{Cache, Fresh};
///
/// let cache = Cache::builder().capacity(100).per_entry_ttl().build()?;
/// // As long as the answer of a server says.
/// let page = cache.get_or_load("/", |_| Fresh::new("a page").ttl(Duration::from_secs(60)));
/// // Not at all: the caller gets it, and so do those who wait for it.
/// let secret = cache.get_or_load("/me", |_| Fresh::new("a secret").ttl(Duration::ZERO));
/// assert_eq!((page, secret), ("a page", "a secret"));
/// assert_eq!((cache.get("/"), cache.get("/me")), (Some("a page"), None));
/// # Ok::<(), clockhand::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a loader answers it"]
#[doc(alias = "expireAfterCreate")]
pub struct Fresh<V> {
    value: V,
    ttl: Option<Duration>,
}

impl<V> Fresh<V> {
    /// A value that lives as long as any other.
    pub fn new(value: V) -> Self {
        Self { value, ttl: None }
    }

    /// Gives it a time to live of its own, as [`Cache::insert_with_ttl`] does. [`Duration::ZERO`]: it is returned to
    /// all who wait for it, and not kept, nor is an older value. [`Duration::MAX`]: it never expires.
    ///
    /// A cache that keeps no time can do no more than these two: with any other time, the call that loads panics (see
    /// [`Builder::per_entry_ttl`](crate::Builder::per_entry_ttl)).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Takes the value out.
    pub fn into_value(self) -> V {
        self.value
    }
}

impl<V> From<V> for Fresh<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// What a loader may answer for a `V`: a `V`, a [`Fresh<V>`](Fresh), or a `Result` of one of them.
///
/// `Form` tells these apart; the compiler finds it. It has to know the type that a function returns, so one that ends
/// with `.into()` or fails in all cases needs a word more: `|_| -> String { "text".into() }`.
#[diagnostic::on_unimplemented(
    message = "a loader of `{V}` does not answer `{Self}`",
    label = "answer `{V}` or `Fresh<{V}>`; where the loader may fail, `Result<{V}, _>` or `Result<Fresh<{V}>, _>`"
)]
pub trait Answer<V, Form> {
    /// Why there is no value.
    type Error;

    /// As a result.
    #[doc(hidden)]
    fn into_fresh(self) -> Result<Fresh<V>, Self::Error>;
}

/// The forms of answers.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Form {}

/// `!`, which has no other name yet: what a function returns that does not return.
type Never = <fn() -> ! as Function>::Output;

trait Function {
    type Output;
}

impl<R> Function for fn() -> R {
    type Output = R;
}

/// The names of the forms: the answers of one do not overlap.
type Value = (Form, [(); 0]);
type Terms = (Form, [(); 1]);
type Nothing = (Form, [(); 2]);
type ResultOfValue = (Form, [(); 3]);
type ResultOfTerms = (Form, [(); 4]);

impl<V> Answer<V, Value> for V {
    type Error = Infallible;

    #[inline]
    fn into_fresh(self) -> Result<Fresh<V>, Infallible> {
        Ok(Fresh::new(self))
    }
}

impl<V> Answer<V, Terms> for Fresh<V> {
    type Error = Infallible;

    #[inline]
    fn into_fresh(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

impl<V> Answer<V, Nothing> for Never {
    type Error = Infallible;

    #[allow(private_interfaces, reason = "`!` by another name")]
    fn into_fresh(self) -> Result<Fresh<V>, Infallible> {
        self
    }
}

impl<V, E> Answer<V, ResultOfValue> for Result<V, E> {
    type Error = E;

    #[inline]
    fn into_fresh(self) -> Result<Fresh<V>, E> {
        self.map(Fresh::new)
    }
}

impl<V, E> Answer<V, ResultOfTerms> for Result<Fresh<V>, E> {
    type Error = E;

    #[inline]
    fn into_fresh(self) -> Self {
        self
    }
}

impl LoadOptions {
    /// The result of a loader, and how it is completed.
    ///
    /// # Panics
    ///
    /// If the value has a time to live that the cache cannot keep.
    pub(super) fn with_terms<K, V, S, E>(
        mut self,
        cache: &Cache<K, V, S>,
        loaded: Result<Fresh<V>, E>,
    ) -> (Result<V, E>, Self)
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        if let Ok(Fresh { ttl: Some(ttl), .. }) = &loaded {
            self.lifetime_override.ttl = Some(*ttl);
        }
        if loaded.is_ok()
            && let Some(ttl) = self.lifetime_override.ttl
        {
            let is_kept = ttl == Duration::ZERO || ttl == Duration::MAX;
            assert!(is_kept || cache.engine().keeps_time(), "{}", InsertErrorKind::Untimed);
        }
        (loaded.map(Fresh::into_value), self)
    }
}

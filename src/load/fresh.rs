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
/// # Progress
///
/// All methods are wait-free.
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
/// // Not at all: the caller gets it, and so do those that wait for it.
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
    terms: Terms,
}

/// How a value is to be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Terms {
    ttl: Option<Duration>,
    refresh_after: Option<Duration>,
}

impl<V> Fresh<V> {
    /// A value that lives as long as any other.
    ///
    /// # Examples
    ///
    /// See [`Fresh`].
    pub fn new(value: V) -> Self {
        Self { value, terms: Terms::default() }
    }

    /// Gives it a time to live of its own, as [`Cache::insert_with_ttl`] does. [`Duration::ZERO`]: it is returned to
    /// all that wait for it, and not kept, nor is an older value. [`Duration::MAX`]: it never expires.
    ///
    /// A cache that keeps no time can do no more than these two: with any other time, the call that loads panics (see
    /// [`Builder::per_entry_ttl`](crate::Builder::per_entry_ttl)).
    ///
    /// # Examples
    ///
    /// See [`Fresh`].
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = Some(ttl);
        self
    }

    /// Gives it an age of its own at which a [`LoadingCache`](crate::LoadingCache) renews it in the background,
    /// instead of that of [`LoadingCache::refresh_after`](crate::LoadingCache::refresh_after), which the cache need not
    /// have. [`Duration::MAX`]: it is not renewed. Calls that bring a loader of their own renew nothing.
    ///
    /// It is that value's alone: the one that takes its place goes by what its own loader says. Where it is not below
    /// the time to live, the value expires before it is renewed. It takes 24 bytes more for such an entry.
    ///
    /// A cache that keeps no time can do no more than [`Duration::MAX`]: with any other age, the call that loads
    /// panics (see [`Builder::per_entry_ttl`](crate::Builder::per_entry_ttl)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Clock, Fresh, Loader};
    ///
    /// struct Pages;
    ///
    /// impl Loader<&'static str, String> for Pages {
    ///     type Error = String;
    ///
    ///     fn load(&self, path: &&'static str) -> Result<String, String> {
    ///         self.load_fresh(path).map(Fresh::into_value)
    ///     }
    ///
    ///     // As the header `cache-control: max-age=60, stale-while-revalidate=600` of an answer says.
    ///     fn load_fresh(&self, path: &&'static str) -> Result<Fresh<String>, String> {
    ///         let (fresh, stale) = (Duration::from_secs(60), Duration::from_secs(600));
    ///         Ok(Fresh::new(format!("page {path}")).refresh_after(fresh).ttl(fresh + stale))
    ///     }
    /// }
    ///
    /// let (clock, manual) = Clock::manual();
    /// let cache: Cache<&str, String> = Cache::builder().capacity(100).clock(clock).build()?;
    /// let pages = cache.loading(Pages);
    /// assert_eq!(pages.get(&"/").unwrap(), "page /");
    /// manual.advance(Duration::from_secs(61));
    /// assert_eq!(pages.get(&"/").unwrap(), "page /"); // and it is loaded anew in the background
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    #[doc(alias("RefreshCalculator", "refreshAfterWrite"))]
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.terms.refresh_after = Some(age);
        self
    }

    /// The value.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(*clockhand::Fresh::new(7).value(), 7);
    /// ```
    pub fn value(&self) -> &V {
        &self.value
    }

    /// Takes the value out.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(clockhand::Fresh::new(7).into_value(), 7);
    /// ```
    pub fn into_value(self) -> V {
        self.value
    }
}

impl<V> Fresh<V> {
    pub(super) fn with_terms(value: V, terms: Terms) -> Self {
        Self { value, terms }
    }

    pub(super) fn into_parts(self) -> (V, Terms) {
        (self.value, self.terms)
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
type ValueWithTerms = (Form, [(); 1]);
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

impl<V> Answer<V, ValueWithTerms> for Fresh<V> {
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
    /// How a value is put in.
    ///
    /// # Panics
    ///
    /// If the value has a time to live, or an age to be renewed at, that the cache cannot keep.
    pub(super) fn with_terms_of<K, V, S>(mut self, cache: &Cache<K, V, S>, fresh: &Fresh<V>) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        let terms = &mut self.lifetime_override;
        terms.ttl = fresh.terms.ttl.or(terms.ttl);
        terms.renew_after = fresh.terms.refresh_after;
        let needs_time = terms.ttl.is_some_and(|ttl| ttl != Duration::ZERO && ttl != Duration::MAX)
            || terms.renew_after.is_some_and(|age| age != Duration::MAX);
        assert!(!needs_time || cache.engine().keeps_time(), "{}", InsertErrorKind::Untimed);
        self
    }

    /// The result of a loader, and how it is completed.
    ///
    /// # Panics
    ///
    /// As [`with_terms_of`](Self::with_terms_of).
    pub(super) fn with_terms<K, V, S, E>(
        self,
        cache: &Cache<K, V, S>,
        loaded: Result<Fresh<V>, E>,
    ) -> (Result<V, E>, Self)
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher,
    {
        let options = match &loaded {
            Ok(fresh) => self.with_terms_of(cache, fresh),
            Err(_) => self,
        };
        (loaded.map(Fresh::into_value), options)
    }
}

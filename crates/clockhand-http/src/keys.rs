//! How keys are read and shown.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Reads a key from text.
type Parse<K> = dyn Fn(&str) -> Result<K, String> + Send + Sync;
/// Shows a key as text.
type Show<K> = dyn Fn(&K) -> String + Send + Sync;

/// How the keys of a cache are read from requests and shown in answers.
///
/// Both functions run on the thread that answers, with text from the network: they should be quick and may not
/// rely on its form. What `show` returns is escaped and shortened where it is sent, never trusted.
///
/// # Examples
///
/// ```
/// use clockhand_http::Keys;
///
/// let numbers: Keys<u64> = Keys::text();
/// assert_eq!(numbers.parse("17"), Ok(17));
/// assert!(numbers.parse("seventeen").is_err());
///
/// let pairs = Keys::new(
///     |text| {
///         let (symbol, minutes) = text.split_once('/').ok_or("a key is SYMBOL/MINUTES")?;
///         let minutes: u32 = minutes.parse().map_err(|_| "MINUTES is a number")?;
///         Ok((symbol.to_string(), minutes))
///     },
///     |(symbol, minutes)| format!("{symbol}/{minutes}"),
/// );
/// assert_eq!(pairs.parse("EURUSD/5"), Ok(("EURUSD".to_string(), 5)));
/// ```
pub struct Keys<K> {
    parse: Box<Parse<K>>,
    show: Box<Show<K>>,
}

impl<K> Keys<K> {
    /// Reads keys by [`FromStr`] and shows them by [`Display`].
    pub fn text() -> Self
    where
        K: FromStr<Err: Display> + Display + 'static,
    {
        let parse = |text: &str| text.parse().map_err(|error: K::Err| error.to_string());
        Self { parse: Box::new(parse), show: Box::new(K::to_string) }
    }

    /// Reads and shows keys by functions. The text of an error says what a key looks like; it is part of the
    /// answer.
    pub fn new(
        parse: impl Fn(&str) -> Result<K, String> + Send + Sync + 'static,
        show: impl Fn(&K) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { parse: Box::new(parse), show: Box::new(show) }
    }

    /// The key that a text stands for.
    ///
    /// # Errors
    ///
    /// If it stands for none; says why.
    pub fn parse(&self, text: &str) -> Result<K, String> {
        (self.parse)(text)
    }

    /// The text for a key.
    pub fn show(&self, key: &K) -> String {
        (self.show)(key)
    }
}

impl<K> fmt::Debug for Keys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

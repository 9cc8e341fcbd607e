//! What opens the routes that change something.

use std::fmt;

use subtle::ConstantTimeEq;

/// The fewest bytes of a token.
pub(crate) const SHORTEST: usize = 16;

/// A secret that callers have to show.
pub(crate) struct Token(Box<[u8]>);

impl Token {
    /// Nothing if the text is too short to be a secret. White space round it, such as the end of the line that a file
    /// has, is no part of it: headers have none.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= SHORTEST).then(|| Self(text.as_bytes().into()))
    }

    /// Whether the value of an `Authorization` header is this token as a bearer's. How long that takes says
    /// nothing of the token but its length.
    pub(crate) fn is_shown_by(&self, authorization: Option<&str>) -> bool {
        let (scheme, shown) =
            authorization.and_then(|text| text.split_once(' ')).unwrap_or_default();
        scheme.eq_ignore_ascii_case("bearer") && bool::from(self.0.ct_eq(shown.trim().as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

//! What a request asks for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::reply::Refusal;

/// The parameters of a query, decoded.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query<'q> {
    pub(crate) cache: Option<Cow<'q, str>>,
    pub(crate) key: Option<Cow<'q, str>>,
}

impl<'q> Query<'q> {
    /// Reads a query string, without the question mark. Unknown parameters are ignored.
    pub(crate) fn parse(text: &'q str, longest: usize) -> Result<Self, Refusal> {
        if text.len() > longest {
            let message = format!("the query is longer than {longest} bytes");
            return Err(Refusal::new(414, message));
        }
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match &*decode(name)? {
                "cache" => &mut query.cache,
                "key" => &mut query.key,
                _ => continue,
            };
            if place.replace(decode(value)?).is_some() {
                return Err(Refusal::new(400, format!("`{name}` is there twice")));
            }
        }
        Ok(query)
    }
}

/// Takes the escapes out of a part of a query.
fn decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Ok(Cow::Owned(unescape(&spaced)?.into_owned()));
    }
    unescape(text)
}

fn unescape(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| Refusal::new(400, "the query is not UTF-8 behind its escapes"))
}

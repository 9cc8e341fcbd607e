//! How values become bytes.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How values become bytes and come back.
///
/// It is called on the threads of callers, outside all locks. A panic in it reaches the caller.
pub trait Codec<V>: Send + Sync + 'static {
    /// What stands in the envelope for this codec: what another one wrote is a miss. Numbers below 16 are those of this
    /// crate.
    fn id(&self) -> u8;

    /// The bytes of a value.
    ///
    /// # Errors
    ///
    /// If the value has no such form. It is not stored then.
    fn encode(&self, value: &V) -> Result<Vec<u8>, CodecError>;

    /// The value of these bytes.
    ///
    /// # Errors
    ///
    /// If they are not what [`encode`](Self::encode) returns. That is a miss, and counted.
    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError>;
}

/// A value that has no bytes, or bytes that are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no parts")]
pub struct CodecError;

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that cannot be encoded, or bytes that cannot be decoded")
    }
}

impl Error for CodecError {}

/// [`postcard`](https://docs.rs/postcard): compact, and without names. Fields that are added, removed or moved make
/// another format: give the tier another [`key_prefix`](crate::RedisTierBuilder::key_prefix) then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no parts")]
pub struct Postcard;

impl<V: Serialize + DeserializeOwned> Codec<V> for Postcard {
    fn id(&self) -> u8 {
        1
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, CodecError> {
        postcard::to_stdvec(value).map_err(|_| CodecError)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        // What is left over was written by another type.
        let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| CodecError)?;
        if rest.is_empty() { Ok(value) } else { Err(CodecError) }
    }
}

/// Bytes as they are: `Vec<u8>`, `Box<[u8]>`, `Arc<[u8]>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no parts")]
pub struct Raw;

impl<V> Codec<V> for Raw
where
    V: AsRef<[u8]> + for<'b> From<&'b [u8]>,
{
    fn id(&self) -> u8 {
        2
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, CodecError> {
        Ok(value.as_ref().to_vec())
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        Ok(V::from(bytes))
    }
}

/// JSON, in which fields have names. Needs feature `json`.
#[cfg(feature = "json")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no parts")]
pub struct Json;

#[cfg(feature = "json")]
impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn id(&self) -> u8 {
        3
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>, CodecError> {
        serde_json::to_vec(value).map_err(|_| CodecError)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        serde_json::from_slice(bytes).map_err(|_| CodecError)
    }
}

#[cfg(test)]
mod tests;

//! How a value is stored in Redis: a header, the payload, a checksum.
//!
//! ```text
//!  byte 0      3        4       5       6          8            16          24         28            32
//!  ┌──────────┬────────┬───────┬───────┬──────────┬────────────┬───────────┬──────────┬─────────────┬─────────┬───────┐
//!  │ magic    │ format │ flags │ codec │ zero     │ generation │ version   │ stored   │ plain       │ payload │ crc32 │
//!  │ "CHR"    │ 1      │       │       │          │            │           │ length   │ length      │         │       │
//!  └──────────┴────────┴───────┴───────┴──────────┴────────────┴───────────┴──────────┴─────────────┴─────────┴───────┘
//! ```
//!
//! Numbers are little-endian. The checksum is that of all bytes before it. A script compares the generation without
//! knowing more of the format, so it stays where it is in all formats. Flag 1: the payload is compressed with LZ4, and
//! `plain length` is what it unpacks to.
//!
//! Whatever is not an envelope is an [`EnvelopeError`], and so a miss. What one says of its own length is compared with
//! the length that is there, and with the limit, before anything is allocated for it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

const MAGIC: [u8; 3] = *b"CHR";
const FORMAT: u8 = 1;
const COMPRESSED: u8 = 1;
const HEADER: usize = 32;
const CHECKSUM: usize = 4;

/// The bytes that an envelope adds to a payload.
pub const ENVELOPE_OVERHEAD: usize = HEADER + CHECKSUM;

/// What stands in an envelope beside the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Label {
    /// The codec that wrote the payload: [`Codec::id`](crate::Codec::id).
    pub codec: u8,
    /// The generation of the tier in which the value was written.
    pub generation: [u8; 8],
    /// How new the value is: the server's time of writing in microseconds, or a little less.
    pub version: u64,
}

impl Label {
    /// A label of these parts.
    pub fn new(codec: u8, generation: [u8; 8], version: u64) -> Self {
        Self { codec, generation, version }
    }
}

/// Why bytes are no envelope that can be opened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// They are something else.
    Foreign,
    /// The format is newer than this program.
    Newer,
    /// The payload was written by another codec.
    OtherCodec,
    /// The payload is larger than allowed, as it is stored or when it is unpacked.
    TooLarge,
    /// There are fewer or more bytes than the envelope says.
    Length,
    /// The checksum does not agree.
    Corrupt,
    /// The payload is compressed, and this program was built without the feature for it.
    Compressed,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "not an envelope",
            Self::Newer => "an envelope of a newer format",
            Self::OtherCodec => "an envelope of another codec",
            Self::TooLarge => "a payload that is larger than allowed",
            Self::Length => "an envelope that was cut short or has more than it says",
            Self::Corrupt => "an envelope whose checksum does not agree",
            Self::Compressed => "a compressed payload, without the feature for it",
        })
    }
}

impl Error for EnvelopeError {}

/// Puts a payload into an envelope. Compresses it if it has at least `compress_from` bytes and becomes smaller by that.
///
/// # Errors
///
/// [`EnvelopeError::TooLarge`] if the payload has more than four gigabytes.
pub fn seal(
    label: &Label,
    payload: &[u8],
    compress_from: Option<usize>,
) -> Result<Vec<u8>, EnvelopeError> {
    let plain = u32::try_from(payload.len()).map_err(|_| EnvelopeError::TooLarge)?;
    let wanted = compress_from.is_some_and(|from| payload.len() >= from);
    let packed = if wanted { compress(payload) } else { None };
    let packed = packed.filter(|packed| packed.len() < payload.len());
    let (flags, stored) = match &packed {
        Some(packed) => (COMPRESSED, &packed[..]),
        None => (0, payload),
    };
    let mut sealed = Vec::with_capacity(ENVELOPE_OVERHEAD + stored.len());
    sealed.extend(MAGIC);
    sealed.extend([FORMAT, flags, label.codec, 0, 0]);
    sealed.extend(label.generation);
    sealed.extend(label.version.to_le_bytes());
    sealed.extend((stored.len() as u32).to_le_bytes());
    sealed.extend(plain.to_le_bytes());
    sealed.extend(stored);
    let checksum = crc32fast::hash(&sealed);
    sealed.extend(checksum.to_le_bytes());
    Ok(sealed)
}

/// Opens an envelope whose payload has at most `limit` bytes and was written by `codec`.
///
/// # Errors
///
/// Why it cannot be opened.
pub fn open(
    sealed: &[u8],
    codec: u8,
    limit: usize,
) -> Result<(Label, Cow<'_, [u8]>), EnvelopeError> {
    let (header, rest) =
        sealed.split_first_chunk::<HEADER>().ok_or(if sealed.starts_with(&MAGIC) {
            EnvelopeError::Length
        } else {
            EnvelopeError::Foreign
        })?;
    if header[..3] != MAGIC {
        return Err(EnvelopeError::Foreign);
    }
    if header[3] != FORMAT {
        return Err(EnvelopeError::Newer);
    }
    let (payload, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(EnvelopeError::Length)?;
    if payload.len() != word(header, 24) as usize {
        return Err(EnvelopeError::Length);
    }
    if u32::from_le_bytes(*checksum) != crc32fast::hash(&sealed[..sealed.len() - CHECKSUM]) {
        return Err(EnvelopeError::Corrupt);
    }
    // The checksum is no secret: what follows is checked as if any thread had written it.
    let plain = word(header, 28) as usize;
    if plain.max(payload.len()) > limit {
        return Err(EnvelopeError::TooLarge);
    }
    if header[5] != codec {
        return Err(EnvelopeError::OtherCodec);
    }
    let (generation, version) = (long(header, 8), u64::from_le_bytes(long(header, 16)));
    let label = Label { codec, generation, version };
    match header[4] {
        0 if plain == payload.len() => Ok((label, Cow::Borrowed(payload))),
        0 => Err(EnvelopeError::Length),
        COMPRESSED => Ok((label, Cow::Owned(decompress(payload, plain)?))),
        _ => Err(EnvelopeError::Newer),
    }
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn long(header: &[u8; HEADER], at: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&header[at..at + 8]);
    bytes
}

#[cfg(feature = "lz4")]
fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    Some(lz4_flex::block::compress(payload))
}

#[cfg(not(feature = "lz4"))]
fn compress(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(feature = "lz4")]
fn decompress(payload: &[u8], plain: usize) -> Result<Vec<u8>, EnvelopeError> {
    let unpacked = lz4_flex::block::decompress(payload, plain);
    let unpacked = unpacked.map_err(|_| EnvelopeError::Corrupt)?;
    if unpacked.len() == plain { Ok(unpacked) } else { Err(EnvelopeError::Corrupt) }
}

#[cfg(not(feature = "lz4"))]
fn decompress(_: &[u8], _: usize) -> Result<Vec<u8>, EnvelopeError> {
    Err(EnvelopeError::Compressed)
}

#[cfg(test)]
mod tests;

//! How a value is stored in Redis: a header, the payload, a checksum.
//!
//! ```text
//!  byte 0      3        4       5       6             8            16          24         28            32
//!  ┌──────────┬────────┬───────┬───────┬─────────────┬────────────┬───────────┬──────────┬─────────────┬──────┬─────────┬───────┐
//!  │ magic    │ format │ flags │ codec │ tags length │ generation │ version   │ stored   │ plain       │ tags │ payload │ crc32 │
//!  │ "CHR"    │ 1      │       │       │             │            │           │ length   │ length      │      │         │       │
//!  └──────────┴────────┴───────┴───────┴─────────────┴────────────┴───────────┴──────────┴─────────────┴──────┴─────────┴───────┘
//! ```
//!
//! Numbers are little-endian. The checksum is that of all bytes before it. Each tag is two bytes of length, its name, and
//! the eight bytes of its *stamp*, which is valid as long as the server has it for the tag. Scripts compare generation and
//! stamps without knowing more of the format, so they stay where they are in all formats. Flag 1: the payload is
//! compressed with LZ4; flag 2: with Zstandard. `plain length` is what it unpacks to.
//!
//! Whatever is not an envelope is an [`EnvelopeError`], and so a miss. What one says of its own length is compared with
//! the length that is there, and with the limit, before anything is allocated for it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

const MAGIC: [u8; 3] = *b"CHR";
const FORMAT: u8 = 1;
/// The flags.
const LZ4: u8 = 1;
const ZSTD: u8 = 2;
const HEADER: usize = 32;
const CHECKSUM: usize = 4;

/// The bytes that an envelope adds to a payload.
pub const ENVELOPE_OVERHEAD: usize = HEADER + CHECKSUM;

/// How payloads are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// LZ4: quick. Without feature `lz4`, payloads stay as they are.
    Lz4,
    /// Zstandard, with a level from 1 to 22: smaller. Without feature `zstd`, payloads stay as they are.
    Zstd(i32),
}

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

/// The names of tags and their stamps, as they stand in an envelope.
///
/// # Errors
///
/// [`EnvelopeError::TooLarge`] if they take more than 65,535 bytes together.
pub fn tag_block<'t>(
    tags: impl IntoIterator<Item = (&'t str, [u8; 8])>,
) -> Result<Vec<u8>, EnvelopeError> {
    let mut block = Vec::new();
    for (name, stamp) in tags {
        let length = u16::try_from(name.len()).map_err(|_| EnvelopeError::TooLarge)?;
        block.extend(length.to_le_bytes());
        block.extend(name.as_bytes());
        block.extend(stamp);
    }
    if block.len() > usize::from(u16::MAX) { Err(EnvelopeError::TooLarge) } else { Ok(block) }
}

/// The names of the tags in a block.
///
/// # Errors
///
/// [`EnvelopeError::Corrupt`] if it is none.
pub fn tag_names(mut block: &[u8]) -> Result<Vec<&str>, EnvelopeError> {
    let mut names = Vec::new();
    while let Some((length, rest)) = block.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length));
        let (name, rest) = rest.split_at_checked(length).ok_or(EnvelopeError::Corrupt)?;
        let (_, rest) = rest.split_first_chunk::<8>().ok_or(EnvelopeError::Corrupt)?;
        names.push(std::str::from_utf8(name).map_err(|_| EnvelopeError::Corrupt)?);
        block = rest;
    }
    if block.is_empty() { Ok(names) } else { Err(EnvelopeError::Corrupt) }
}

/// What was in an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened<'e> {
    /// What stands beside the payload.
    pub label: Label,
    /// The block of tags, which [`tag_names`] reads.
    pub tags: &'e [u8],
    /// The payload, unpacked.
    pub payload: Cow<'e, [u8]>,
}

/// Puts a payload and a [block of tags](tag_block), which may be empty, into an envelope. Compresses it if it has at least
/// as many bytes as `compress` says, and becomes smaller by that.
///
/// # Errors
///
/// [`EnvelopeError::TooLarge`] if the payload has more than four gigabytes, or the block more than 65,535 bytes.
pub fn seal(
    label: &Label,
    tags: &[u8],
    payload: &[u8],
    compress: Option<(usize, Compression)>,
) -> Result<Vec<u8>, EnvelopeError> {
    let plain = u32::try_from(payload.len()).map_err(|_| EnvelopeError::TooLarge)?;
    let tags_length = u16::try_from(tags.len()).map_err(|_| EnvelopeError::TooLarge)?;
    let wanted = compress.filter(|(from, _)| payload.len() >= *from);
    let packed = wanted.and_then(|(_, how)| pack(payload, how));
    let packed = packed.filter(|(_, packed)| packed.len() < payload.len());
    let (flags, stored) = match &packed {
        Some((flag, packed)) => (*flag, &packed[..]),
        None => (0, payload),
    };
    let mut sealed = Vec::with_capacity(ENVELOPE_OVERHEAD + tags.len() + stored.len());
    sealed.extend(MAGIC);
    sealed.extend([FORMAT, flags, label.codec]);
    sealed.extend(tags_length.to_le_bytes());
    sealed.extend(label.generation);
    sealed.extend(label.version.to_le_bytes());
    sealed.extend((stored.len() as u32).to_le_bytes());
    sealed.extend(plain.to_le_bytes());
    sealed.extend(tags);
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
pub fn open(sealed: &[u8], codec: u8, limit: usize) -> Result<Opened<'_>, EnvelopeError> {
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
    let (rest, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(EnvelopeError::Length)?;
    let tags_length = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let (tags, payload) = rest.split_at_checked(tags_length).ok_or(EnvelopeError::Length)?;
    if payload.len() != word(header, 24) as usize {
        return Err(EnvelopeError::Length);
    }
    if u32::from_le_bytes(*checksum) != crc32fast::hash(&sealed[..sealed.len() - CHECKSUM]) {
        return Err(EnvelopeError::Corrupt);
    }
    // The checksum is no secret: what follows is checked as if anyone could have written it.
    let plain = word(header, 28) as usize;
    if plain.max(payload.len()) > limit {
        return Err(EnvelopeError::TooLarge);
    }
    if header[5] != codec {
        return Err(EnvelopeError::OtherCodec);
    }
    let (generation, version) = (long(header, 8), u64::from_le_bytes(long(header, 16)));
    let label = Label { codec, generation, version };
    let payload = match header[4] {
        0 if plain == payload.len() => Cow::Borrowed(payload),
        0 => return Err(EnvelopeError::Length),
        flag @ (LZ4 | ZSTD) => Cow::Owned(unpack(payload, plain, flag)?),
        _ => return Err(EnvelopeError::Newer),
    };
    Ok(Opened { label, tags, payload })
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

/// The flag and the payload compressed, if this program can do that.
#[cfg_attr(not(any(feature = "lz4", feature = "zstd")), allow(unused_variables))]
fn pack(payload: &[u8], how: Compression) -> Option<(u8, Vec<u8>)> {
    match how {
        #[cfg(feature = "lz4")]
        Compression::Lz4 => Some((LZ4, lz4_flex::block::compress(payload))),
        #[cfg(feature = "zstd")]
        Compression::Zstd(level) => Some((ZSTD, zstd::bulk::compress(payload, level).ok()?)),
        #[allow(unreachable_patterns, reason = "with both features there is no other")]
        _ => None,
    }
}

/// Unpacks to `plain` bytes, for which nothing more is allocated.
#[cfg_attr(not(any(feature = "lz4", feature = "zstd")), allow(unused_variables))]
fn unpack(payload: &[u8], plain: usize, flag: u8) -> Result<Vec<u8>, EnvelopeError> {
    let unpacked: Result<Vec<u8>, EnvelopeError> = match flag {
        #[cfg(feature = "lz4")]
        LZ4 => lz4_flex::block::decompress(payload, plain).map_err(|_| EnvelopeError::Corrupt),
        #[cfg(feature = "zstd")]
        ZSTD => zstd::bulk::decompress(payload, plain).map_err(|_| EnvelopeError::Corrupt),
        _ => Err(EnvelopeError::Compressed),
    };
    unpacked.and_then(|unpacked| match unpacked.len() == plain {
        true => Ok(unpacked),
        false => Err(EnvelopeError::Corrupt),
    })
}

#[cfg(test)]
mod tests;

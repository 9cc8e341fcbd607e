//! Decodes access traces: little-endian words compressed with zstd.
//!
//! The keys are one `u64` per access, in order; the sizes, where there are any, one `u32` per
//! access. Decoding streams, and stops at a stated number of decoded bytes, so that a small file
//! that unpacks to a huge one cannot exhaust the memory.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

/// The most bytes that [`decode`] and [`read_keys`] unpack: 4 GiB, half a billion accesses.
pub const DECODED_LIMIT: u64 = 4 << 30;

/// How much is unpacked at a time; a multiple of every word's width.
const STEP: usize = 64 << 10;

/// The accesses of one trace, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    keys: Vec<u64>,
    sizes: Option<Vec<u32>>,
}

/// Why bytes are not a trace. The text continues a sentence that begins with the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// No access at all.
    #[error("holds no accesses; give a trace with at least one")]
    Empty,
    /// The compressed stream stops early.
    #[error("is truncated: the zstd data end too early; copy it again")]
    Truncated,
    /// The compressed stream is not valid.
    #[error(
        "is corrupt or not compressed with zstd ({0}); copy it again or compress it with `zstd`"
    )]
    Corrupt(String),
    /// The decoded length does not divide into words.
    #[error(
        "decodes to {bytes} bytes, not a multiple of {width}; write one little-endian {width}-byte word per access"
    )]
    Misaligned {
        /// Decoded length.
        bytes: u64,
        /// Bytes per word.
        width: usize,
    },
    /// More than the limit.
    #[error("decodes to more than {limit} bytes; cut it into shorter traces")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// The sizes do not belong to the keys.
    #[error(
        "has {sizes} sizes for {accesses} accesses; make it as long as its keys, or replay with --unit-weights"
    )]
    SizesDiffer {
        /// Number of sizes.
        sizes: usize,
        /// Number of accesses.
        accesses: usize,
    },
    /// The bytes could not be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
}

/// Decodes the keys of a trace, up to [`DECODED_LIMIT`].
///
/// # Errors
///
/// Any [`TraceError`] but `SizesDiffer`.
pub fn decode(bytes: &[u8]) -> Result<Trace, TraceError> {
    read_keys(bytes, DECODED_LIMIT)
}

/// Decodes the keys of a trace from a stream, unpacking at most `limit` bytes.
///
/// # Errors
///
/// Any [`TraceError`] but `SizesDiffer`.
pub fn read_keys(source: impl Read, limit: u64) -> Result<Trace, TraceError> {
    let keys = read_words(source, limit, u64::from_le_bytes)?;
    if keys.is_empty() {
        return Err(TraceError::Empty);
    }
    Ok(Trace { keys, sizes: None })
}

impl Trace {
    /// Adds the sizes, one per access, from a stream.
    ///
    /// # Errors
    ///
    /// Any [`TraceError`] but `Empty`.
    pub fn with_sizes(self, source: impl Read) -> Result<Self, TraceError> {
        let accesses = self.keys.len();
        let sizes = read_words(source, DECODED_LIMIT, u32::from_le_bytes)?;
        if sizes.len() != accesses {
            return Err(TraceError::SizesDiffer { sizes: sizes.len(), accesses });
        }
        Ok(Self { sizes: Some(sizes), ..self })
    }

    /// The keys, in order of access.
    #[must_use]
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The sizes, aligned with the keys.
    #[must_use]
    pub fn sizes(&self) -> Option<&[u32]> {
        self.sizes.as_deref()
    }

    /// What it takes to hold everything: the number of unique keys, and the sum of the largest size
    /// of each (without sizes, every key counts 1).
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let mut largest = HashMap::<u64, u32, ahash::RandomState>::default();
        for (at, key) in self.keys.iter().enumerate() {
            let size = self.sizes.as_ref().map_or(1, |sizes| sizes[at]);
            let seen = largest.entry(*key).or_default();
            *seen = size.max(*seen);
        }
        Footprint {
            unique_keys: largest.len() as u64,
            weight: largest.values().map(|size| u64::from(*size)).sum(),
        }
    }
}

/// What it takes to hold a whole trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Number of different keys.
    pub unique_keys: u64,
    /// Sum over the keys of their largest size; the number of keys when the trace has no sizes.
    pub weight: u64,
}

fn read_words<const WIDTH: usize, W>(
    source: impl Read,
    limit: u64,
    word: fn([u8; WIDTH]) -> W,
) -> Result<Vec<W>, TraceError> {
    let mut words = Vec::new();
    let mut source = BufReader::with_capacity(STEP, source);
    if source.fill_buf().map_err(from_io)?.is_empty() {
        return Ok(words);
    }
    // All frames, one after the other; lengths and checksums are compared with those that they name.
    let mut stream = zstd::Decoder::with_buffer(source).map_err(from_io)?;
    let mut step = vec![0; STEP];
    let mut total = 0;
    loop {
        let filled = fill(&mut stream, &mut step)?;
        total += filled as u64;
        if total > limit {
            return Err(TraceError::TooLong { limit });
        }
        let (whole, rest) = step[..filled].as_chunks::<WIDTH>();
        words.extend(whole.iter().map(|bytes| word(*bytes)));
        if !rest.is_empty() {
            return Err(TraceError::Misaligned { bytes: total, width: WIDTH });
        }
        if filled < STEP {
            return Ok(words);
        }
    }
}

/// Reads until the step is full or the stream ends.
fn fill(stream: &mut impl Read, step: &mut [u8]) -> Result<usize, TraceError> {
    let mut filled = 0;
    while filled < step.len() {
        match stream.read(&mut step[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(error)),
        }
    }
    Ok(filled)
}

/// Tells the decoder's verdicts from the file's: only the latter carry a system error.
fn from_io(error: io::Error) -> TraceError {
    match error.kind() {
        _ if error.raw_os_error().is_some() => TraceError::Read(error),
        io::ErrorKind::UnexpectedEof => TraceError::Truncated,
        _ => TraceError::Corrupt(error.to_string()),
    }
}

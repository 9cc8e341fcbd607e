//! Why a snapshot could not be written or read.

use std::error::Error;
use std::fmt;
use std::io;

use crate::temporary::TemporaryError;

/// Why a snapshot could not be written or read. What could not be read has changed nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum PersistError {
    /// Reading or writing failed.
    Io(io::Error),
    /// This is no snapshot of a cache.
    Foreign,
    /// It was written by a later version of this crate.
    Newer {
        /// The version of its format.
        found: u32,
        /// The latest one that can be read.
        supported: u32,
    },
    /// Its keys and values are of other types.
    OtherTypes {
        /// The types of the snapshot.
        found: String,
        /// The types of the cache.
        expected: String,
    },
    /// It ends too early.
    Truncated {
        /// How many bytes there were.
        at: u64,
    },
    /// It was changed after it was written.
    Corrupt {
        /// Where the block begins in which that was found, in bytes.
        at: u64,
    },
    /// A key or a value cannot be written, or not be read.
    Codec(String),
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the snapshot could not be read or written: {error}"),
            Self::Foreign => f.write_str(
                "this is no snapshot of a cache: give load_from what save_to has written",
            ),
            Self::Newer { found, supported } => write!(
                f,
                "the snapshot has format {found}, and this version reads formats up to \
                 {supported}: use the version that has written it, or begin without it"
            ),
            Self::OtherTypes { found, expected } => write!(
                f,
                "the snapshot is of a cache of ({found}), and this one is of ({expected}): begin \
                 without it"
            ),
            Self::Truncated { at } => write!(
                f,
                "the snapshot ends after {at} bytes, too early: it was not written to its end"
            ),
            Self::Corrupt { at } => write!(
                f,
                "the snapshot was changed after it was written: the block at byte {at} has another \
                 checksum or contents than it should"
            ),
            Self::Codec(error) => write!(
                f,
                "a key or a value could not be written or read: {error}; a type that describes \
                 itself differently when it is read (untagged, flattened) cannot be used"
            ),
        }
    }
}

impl Error for PersistError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<TemporaryError> for PersistError {
    fn from(failed: TemporaryError) -> Self {
        Self::Io(failed.error)
    }
}

impl From<io::Error> for PersistError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

//! Errors of settings and of snapshots.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::temporary::TemporaryError;

/// Why a deduplicator could not be built.
///
/// `setting` is the name of the setting, or of the environment variable from which it was taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum SettingsError {
    /// An environment variable does not have a valid value.
    Unparsable {
        /// The variable.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A setting that must be above zero is zero.
    Zero {
        /// Its name.
        setting: &'static str,
    },
    /// More ids are to be remembered than is possible.
    CapacityTooLarge {
        /// The name of the capacity.
        setting: &'static str,
        /// The capacity.
        capacity: u64,
        /// The largest possible capacity.
        limit: u64,
    },
    /// A claim may last longer than an id is remembered.
    TtlBelowLease {
        /// The name of the time to live.
        setting: &'static str,
        /// The time to live.
        ttl: Duration,
        /// The lease.
        lease: Duration,
    },
    /// The coarse clock's resolution is longer than a time that it has to measure.
    ClockTooCoarse {
        /// The name of the time.
        setting: &'static str,
        /// The time.
        time: Duration,
        /// The clock's resolution.
        resolution: Duration,
    },
    /// A thread could not be started.
    Thread(std::io::Error),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unparsable { setting, value, expected } => {
                write!(f, "{setting} is {value:?}: give {expected}, or leave it out")
            }
            Self::Zero { setting } => write!(f, "{setting} is zero: give at least one"),
            Self::CapacityTooLarge { setting, capacity, limit } => {
                write!(f, "{setting} is {capacity}: give at most {limit}")
            }
            Self::TtlBelowLease { setting, ttl, lease } => write!(
                f,
                "{setting} is {ttl:?}, less than the lease of {lease:?}: an id would be forgotten \
                 while a claim of it may run; raise the one or lower the other"
            ),
            Self::ClockTooCoarse { setting, time, resolution } => write!(
                f,
                "{setting} is {time:?}, which a clock that ticks every {resolution:?} cannot keep: \
                 give Clock::coarse a shorter resolution above zero, or use Clock::precise()"
            ),
            Self::Thread(error) => write!(
                f,
                "a thread could not be started ({error}): free resources, or use \
                 Maintenance::Inline"
            ),
        }
    }
}

impl Error for SettingsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a snapshot was not restored, in which case nothing was changed; or why none was written, in
/// which case the file is as it was. (If only the folder could not be flushed, the file is the new
/// one, and may be the old one after a crash.)
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are not a snapshot.
    Foreign,
    /// A snapshot in a format that this version does not know.
    Version {
        /// The version of the format.
        found: u16,
    },
    /// There are too few or too many bytes.
    Length {
        /// The number of bytes that the snapshot should have.
        expected: u64,
        /// The number of bytes found.
        found: u64,
    },
    /// The bytes were changed since they were written.
    Corrupt,
    /// A snapshot of something else: of a tracker, or of ids of another type.
    OtherContents {
        /// What is to be restored.
        expected: String,
        /// What is in the snapshot.
        found: String,
    },
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        attempt: &'static str,
        /// The kind of the error; [`NotFound`](std::io::ErrorKind::NotFound) at the first start.
        kind: std::io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// An id's `encode` has panicked on the thread of `snapshot_every`. The panic hook has reported
    /// it.
    Panicked {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The contents of a file cannot be restored.
    InFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<SnapshotError>,
    },
}

impl SnapshotError {
    pub(super) fn io(path: &Path, attempt: &'static str, error: &std::io::Error) -> Self {
        let (path, kind, message) = (path.to_path_buf(), error.kind(), error.to_string());
        Self::Io { path, attempt, kind, message }
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_path_buf(), error: Box::new(self) }
    }

    /// Whether the file does not exist, as before the first snapshot.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { kind: std::io::ErrorKind::NotFound, .. })
    }
}

impl From<TemporaryError> for SnapshotError {
    fn from(TemporaryError { path, attempt, error }: TemporaryError) -> Self {
        Self::io(&path, attempt, &error)
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("the bytes are no snapshot"),
            Self::Version { found } => {
                write!(f, "the snapshot's format is {found}, which this version does not know")
            }
            Self::Length { expected, found } => {
                write!(f, "the snapshot has {found} bytes instead of {expected}")
            }
            Self::Corrupt => f.write_str("the snapshot is damaged: its checksum does not agree"),
            Self::OtherContents { expected, found } => {
                write!(f, "the snapshot holds {found}, not {expected}")
            }
            Self::Io { path, attempt, message, .. } => {
                write!(f, "cannot {attempt} {}: {message}", path.display())
            }
            Self::Panicked { path } => {
                write!(f, "an id panicked while it was encoded for {}", path.display())
            }
            Self::InFile { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl Error for SnapshotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InFile { error, .. } => Some(error),
            _ => None,
        }
    }
}

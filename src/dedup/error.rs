//! What can be wrong with settings and with snapshots.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a deduplicator could not be built.
///
/// `setting` is the name of the setting, or of the environment variable that it came from.
#[derive(Debug)]
#[non_exhaustive]
pub enum SettingsError {
    /// An environment variable says something else than it should.
    Unparsable {
        /// The variable.
        setting: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        expected: &'static str,
    },
    /// A setting that must be above zero is zero.
    Zero {
        /// Which.
        setting: &'static str,
    },
    /// More ids are to be remembered than is possible.
    CapacityTooLarge {
        /// The name of the capacity.
        setting: &'static str,
        /// What was asked for.
        capacity: u64,
        /// The most that is possible.
        limit: u64,
    },
    /// A claim may run longer than an id is remembered.
    TtlBelowLease {
        /// The name of the time to live.
        setting: &'static str,
        /// The time to live.
        ttl: Duration,
        /// The lease.
        lease: Duration,
    },
    /// The coarse clock's resolution is longer than a time that is to be kept.
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

/// Why bytes were not restored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are no snapshot.
    Foreign,
    /// A snapshot in a format that this version does not know.
    Version {
        /// The version of the format.
        found: u16,
    },
    /// Bytes are missing at the end, or there are too many.
    Length {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The bytes are not those that were written.
    Corrupt,
    /// A snapshot of something else: of a tracker, or of ids of another type.
    OtherContents {
        /// What is to be restored.
        expected: String,
        /// What is in the snapshot.
        found: String,
    },
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
        }
    }
}

impl Error for SnapshotError {}

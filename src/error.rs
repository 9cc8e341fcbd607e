//! What can go wrong, and how to fix it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why an entry was not inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InsertErrorKind {
    /// The key is there already.
    Occupied,
    /// The entry can never fit.
    TooLarge {
        /// What the entry weighs.
        charge: u64,
        /// What the cache may hold, or 2^63 - 1 if that is less: an entry cannot weigh more.
        capacity: u64,
    },
    /// There is no room at this moment: retired entries that readers still hold fill the retired capacity, or
    /// other writers hold what there is. A later attempt may succeed.
    NoRoom,
    /// The cache keeps no time, so no entry can have a time to live of its own.
    Untimed,
    /// The cache was built without [tags](crate::Builder::tags), so no entry can have any.
    Untagged,
    /// The closure that decides changed the cache itself each time it was called, and what it had decided on
    /// was not there any more; after 256 such attempts the operation gives up. A later attempt fails in the same
    /// way, unless the closure leaves its own key alone.
    Contended,
}

impl fmt::Display for InsertErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied => f.write_str("the key is already in the cache"),
            Self::TooLarge { charge, capacity } => write!(
                f,
                "the entry weighs {charge}, more than the capacity of {capacity}; raise the \
                 capacity or keep the value elsewhere"
            ),
            Self::NoRoom => f.write_str(
                "no room at the moment: retired entries are still being read; release long-held \
                 guards, park idle readers, or raise retired_capacity",
            ),
            Self::Untimed => f.write_str(
                "the cache keeps no time, and an entry cannot have a time to live: call \
                 per_entry_ttl() on the builder",
            ),
            Self::Untagged => f.write_str(
                "the cache was built without tags, and an entry cannot have any: call tags() on the \
                 builder",
            ),
            Self::Contended => f.write_str(
                "the closure that was to decide has changed what it was to decide on, 256 times: \
                 return the new value instead of writing the key inside the closure",
            ),
        }
    }
}

/// An entry that was not inserted, and why.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "these are the parts of a refused insert")]
pub struct InsertError<K, V> {
    /// Why.
    pub kind: InsertErrorKind,
    /// The key that was given.
    pub key: K,
    /// The value that was given.
    pub value: V,
}

impl<K, V> fmt::Debug for InsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<K, V> fmt::Display for InsertError<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<K, V> Error for InsertError<K, V> {}

/// Why a cache could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// No capacity was given.
    CapacityMissing,
    /// More entries are expected than the capacity allows.
    ExpectedEntriesOverCapacity {
        /// What was given to `expected_entries`.
        expected: usize,
        /// What was given to `capacity`.
        capacity: u64,
    },
    /// More entries are expected than a table can have.
    TooManyEntries {
        /// What was given to `expected_entries`.
        expected: usize,
        /// The most that is possible.
        limit: usize,
    },
    /// There is not enough memory for a table of that size.
    OutOfMemory {
        /// The entries that the first table is made for: what was given to `expected_entries`, or the capacity.
        entries: usize,
        /// The bytes that it takes, without the entries.
        bytes: usize,
    },
    /// The coarse clock's resolution is zero.
    ClockResolutionZero,
    /// The coarse clock's resolution is longer than entries are to live.
    ClockTooCoarse {
        /// The clock's resolution.
        resolution: Duration,
        /// The shortest time that entries were to live.
        shortest: Duration,
    },
    /// Values would be renewed ahead of an expiry that comes first.
    RefreshAfterExpiry {
        /// What was given to `refresh_after`.
        refresh_after: Duration,
        /// What was given to `time_to_live`.
        time_to_live: Duration,
    },
    /// A thread of the cache could not be started.
    Thread(std::io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CapacityMissing => {
                f.write_str("a cache needs a bound: call capacity(n) before build()")
            }
            Self::ExpectedEntriesOverCapacity { expected, capacity } => write!(
                f,
                "expected_entries({expected}) is more than capacity({capacity}) although every \
                 entry weighs one: lower the one, raise the other, or set a weigher"
            ),
            Self::TooManyEntries { expected, limit } => write!(
                f,
                "expected_entries({expected}) is more than a table can have: give at most {limit}, \
                 or leave it out and let the table grow"
            ),
            Self::OutOfMemory { entries, bytes } => write!(
                f,
                "a table for {entries} entries takes {bytes} bytes, which are not there: give \
                 expected_entries a smaller number, or leave it out and let the table grow"
            ),
            Self::ClockResolutionZero => f.write_str(
                "Clock::coarse needs a resolution above zero: use Clock::coarse(1 ms), or \
                 Clock::precise()",
            ),
            Self::ClockTooCoarse { resolution, shortest } => write!(
                f,
                "a clock that ticks every {resolution:?} cannot keep entries for {shortest:?}: give \
                 Clock::coarse a shorter resolution, or use Clock::precise()"
            ),
            Self::RefreshAfterExpiry { refresh_after, time_to_live } => write!(
                f,
                "refresh_after({refresh_after:?}) comes too late for values that live for \
                 {time_to_live:?}: give it less than the time to live"
            ),
            Self::Thread(error) => write!(
                f,
                "a thread of the cache could not be started ({error}): free resources, or use \
                 Maintenance::Inline"
            ),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

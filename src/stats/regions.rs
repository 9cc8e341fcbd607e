//! What the regions hold, and the threads that keep garbage from being freed.

use std::time::Duration;

/// What one of the two regions of a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct RegionUsage {
    /// Its entries, including those whose values are being loaded.
    pub entries: usize,
    /// Their charge.
    pub charge: u64,
}

/// A thread that keeps retired entries from being freed: it holds a [`Guard`](crate::Guard), is
/// inside [`Cache::read`](crate::Cache::read), or has not [parked](crate::Reader::park) its
/// [`Reader`](crate::Reader).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Holder {
    /// The thread's name, the first 32 bytes of it; its id, if it has none.
    pub thread: String,
    /// For how long it is known to hold up freeing: since a writer, or maintenance, found that
    /// for the first time.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub since: Duration,
    /// How many epochs it is behind.
    pub epochs_behind: u64,
}

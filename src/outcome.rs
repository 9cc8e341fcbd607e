//! What became of an entry: the answers of the write operations, and why entries leave.

use crate::error::InsertErrorKind;

/// What [`Cache::try_insert`](crate::Cache::try_insert) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Inserted {
    /// The key was not there, or its entry had expired.
    New,
    /// The key was there, and its value was replaced.
    Replaced,
}

/// What the closure of [`Cache::compute`](crate::Cache::compute) wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "this is all that a call may decide")]
pub enum Compute<V> {
    /// Leave everything as it is.
    Keep,
    /// Insert this value, or replace the present one by it.
    Put(V),
    /// The same with a time to live of its own, as [`Cache::insert_with_ttl`](crate::Cache::insert_with_ttl).
    PutWithTtl(V, std::time::Duration),
    /// Remove the entry, if there is one.
    Remove,
}

/// What [`Cache::compute`](crate::Cache::compute) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Computed<V> {
    /// The key is not there, and it was not there before.
    Absent,
    /// The entry was left as it is.
    Kept,
    /// The key was not there, and the value was inserted.
    Inserted,
    /// The value was replaced.
    Replaced,
    /// The entry was removed.
    Removed,
    /// The cache refused the value, which comes back; the entry, if there is one, was left as it is.
    Refused {
        /// Why.
        kind: InsertErrorKind,
        /// The value.
        value: V,
    },
    /// The closure wanted the entry removed, and changed it itself each time it was called; after 256 such
    /// attempts the operation gives up. See [`InsertErrorKind::Contended`].
    Contended,
}

/// Why an entry left the cache, or was never inserted.
///
/// Every entry that was accepted leaves for exactly one reason. Dropping the cache reports nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// Another value was put in its place.
    Replaced,
    /// It was removed by a call: `remove`, `invalidate`, `retain` and their kin, `compute`; or
    /// because a newer value of the key was refused by `insert`.
    Invalidated,
    /// It had to make room.
    Evicted,
    /// It expired.
    Expired,
    /// It was given to `insert` and was not inserted: it weighs more than the capacity, or there was
    /// no room just then.
    Refused,
}

impl RemovalCause {
    /// Whether the cache decided, and not the caller: evicted, expired or refused.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::RemovalCause;
    ///
    /// assert!(RemovalCause::Evicted.was_evicted());
    /// assert!(!RemovalCause::Replaced.was_evicted());
    /// ```
    pub fn was_evicted(self) -> bool {
        matches!(self, Self::Evicted | Self::Expired | Self::Refused)
    }
}

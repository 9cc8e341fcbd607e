//! Counts divided by cause.

/// The misses of a cache, each by the last that is known of its key; their sum is
/// [`Stats::misses`](crate::Stats::misses).
///
/// What is known of keys that are not there fades. For each hundred entries that the table is made
/// for, the last 80 that were evicted are remembered, and the last 25 that were removed, have
/// expired, or were refused; none once the table has changed its size. A miss of a key that is
/// forgotten counts as `never_seen`. Keys are distinguished by a part of their hashes, so one in
/// four thousand may get the cause of another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct MissCauses {
    /// Nothing is known of the key: it was never in the cache, or is forgotten.
    pub never_seen: u64,
    /// It was evicted to make room. Many of these mean that the cache is too small for its working
    /// set.
    pub evicted: u64,
    /// It expired.
    pub expired: u64,
    /// It was removed by a call.
    pub invalidated: u64,
    /// It was refused: too large, or no room.
    pub refused: u64,
    /// A load has failed, or found that there is no value, and that is remembered
    /// ([`LoadingCache::negative_ttl`](crate::LoadingCache::negative_ttl)).
    pub absent: u64,
}

impl MissCauses {
    /// Their sum.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::new(100);
    /// cache.insert("a", 1);
    /// assert_eq!((cache.get("a"), cache.get("b")), (Some(1), None));
    /// assert_eq!(cache.stats().misses_by.sum(), 1);
    /// ```
    pub fn sum(&self) -> u64 {
        let Self { never_seen, evicted, expired, invalidated, refused, absent } = *self;
        [never_seen, evicted, expired, invalidated, refused, absent]
            .into_iter()
            .fold(0, u64::wrapping_add)
    }
}

/// The charge of the entries that were removed, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct RemovedCharge {
    /// They were replaced by another value.
    pub replaced: u64,
    /// They were evicted to make room.
    pub evicted: u64,
    /// They expired.
    pub expired: u64,
    /// They were removed by a call.
    pub invalidated: u64,
}

/// Refused entries, by reason; their sum is [`Stats::refusals`](crate::Stats::refusals). See
/// [`InsertErrorKind`](crate::InsertErrorKind).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Refusals {
    /// Entries that can never fit. Raise the capacity, or keep such values elsewhere.
    pub too_large: u64,
    /// There was no room, as readers kept retired entries from being freed: see
    /// [`Stats::holders`](crate::Stats::holders).
    pub no_room: u64,
    /// A closure that decides changed its own key each time.
    pub contended: u64,
}

impl Refusals {
    /// Their sum.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn sum(&self) -> u64 {
        let Self { too_large, no_room, contended } = *self;
        [too_large, no_room, contended].into_iter().fold(0, u64::wrapping_add)
    }
}

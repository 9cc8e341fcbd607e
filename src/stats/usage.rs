//! What a cache holds, its bounds, and what maintenance did.

/// What a cache holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Usage {
    /// The sum of the charges of the entries, with what running operations have reserved.
    /// `charged` and `lingering` together are never above `capacity`.
    pub charged: u64,
    /// The charges of entries that were unlinked and are not freed yet, and count against the
    /// capacity because the retired capacity had no room for them; zero unless readers hold up what
    /// was retired.
    pub lingering: u64,
    /// The charges of entries that were unlinked and are not freed yet, without those that linger;
    /// never above `retired_capacity`.
    pub retired: u64,
    /// The number of entries, including expired entries that are not removed yet.
    pub entries: usize,
    /// The bound in force. After [`Cache::set_capacity`](crate::Cache::set_capacity) has lowered
    /// the capacity this is higher until all that is above has been freed.
    pub capacity: u64,
    /// The bound of `retired`.
    pub retired_capacity: u64,
}

/// What a call of [`Cache::maintain`](crate::Cache::maintain) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Maintained {
    /// Entries whose deadlines were checked.
    pub swept: usize,
    /// Expired entries that were removed.
    pub expired: usize,
    /// Retired entries that were freed.
    pub freed: usize,
    /// Retired entries that are not freed yet.
    pub backlog: usize,
}

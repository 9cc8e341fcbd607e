//! What a cache tells about itself.

/// What happened in a cache since it was built.
///
/// Every number is the sum of what the threads counted for themselves, read one after the other: a
/// snapshot taken while the cache is in use is nearly, not exactly, of one moment. When nothing
/// runs it is exact, and
/// `insertions = entries + evictions + expirations + invalidations` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys that came in.
    pub insertions: u64,
    /// Values that were put in the place of others.
    pub replacements: u64,
    /// Entries that had to make room.
    pub evictions: u64,
    /// Entries that were removed after their time was over.
    pub expirations: u64,
    /// Entries that were removed by a call.
    pub invalidations: u64,
    /// Entries that the cache did not take: too large, or no room.
    pub refusals: u64,
    /// Loads that were started, each key of many counted by itself. What is neither in
    /// `loads_succeeded` nor in `loads_failed` is under way: if that does not change, loaders hang.
    pub loads_started: u64,
    /// Loads that brought a value, or the answer that there is none.
    pub loads_succeeded: u64,
    /// Loads that ended with an error or a panic, or were given up.
    pub loads_failed: u64,
    /// Calls that waited for another's load.
    pub loads_joined: u64,
    /// Calls that did not wait any longer.
    pub loads_timed_out: u64,
    /// Loads that a waiter, or another reader, has taken over from a leader that died or stalled.
    pub loads_relieved: u64,
    /// Loads of values ahead of their expiry, or in the place of one that has expired, that were
    /// started in the background; they are in `loads_started` once they run.
    pub renewals: u64,
    /// Those that failed, were given up, or were taken over. The old value stays until it expires.
    pub renewals_failed: u64,
}

impl Stats {
    /// Hits as a part of all reads; zero if there were none.
    pub fn hit_ratio(&self) -> f64 {
        let reads = self.hits.saturating_add(self.misses);
        if reads == 0 { 0.0 } else { self.hits as f64 / reads as f64 }
    }
}

/// What a cache holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// The sum of the charges of the entries, with what running operations have reserved.
    /// `charged` and `lingering` together are never above `capacity`.
    pub charged: u64,
    /// What entries count against the capacity that were unlinked and are not freed yet, because the
    /// retired capacity had no room for them; zero unless readers hold up what was retired.
    pub lingering: u64,
    /// The charges of entries that were unlinked and are not freed yet, without those that linger; never
    /// above `retired_capacity`.
    pub retired: u64,
    /// The number of entries, expired ones that were not removed yet included.
    pub entries: usize,
    /// The bound in force. After [`Cache::set_capacity`](crate::Cache::set_capacity) has lowered the
    /// capacity this is higher until all that is above has been freed.
    pub capacity: u64,
    /// The bound of `retired`.
    pub retired_capacity: u64,
}

/// What a call of [`Cache::maintain`](crate::Cache::maintain) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Maintained {
    /// Entries looked at for their deadlines.
    pub swept: usize,
    /// Expired entries that were removed.
    pub expired: usize,
    /// Retired entries that were freed.
    pub freed: usize,
    /// Retired entries that are left.
    pub backlog: usize,
}

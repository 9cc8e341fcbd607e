//! What a cache knows of one entry.

use std::time::Duration;

/// What a cache knows of one entry: what [`Cache::entry_info`](crate::Cache::entry_info) returns.
///
/// The figures are those of the moment of the call.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build()?;
/// cache.insert_with_ttl("session", 7, Duration::from_secs(60));
/// let info = cache.entry_info("session").expect("just inserted");
/// assert!(info.expires_in <= Some(Duration::from_secs(60)));
/// assert_eq!((info.charge, info.reads, info.protected), (1, 0, false));
/// # Ok::<_, clockhand::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct EntryInfo {
    /// The charge of the entry.
    pub charge: u64,
    /// How long ago its value was written; `None` if the cache has no clock.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds::optional"))]
    pub age: Option<Duration>,
    /// How long it still lives if nothing reads or writes it; `None` if it does not expire.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds::optional"))]
    pub expires_in: Option<Duration>,
    /// How long ago it was last read or written; `None` if the cache has no time to idle.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds::optional"))]
    pub idle_for: Option<Duration>,
    /// How often it was read since the policy last looked at it; three stands for three or more.
    pub reads: u8,
    /// Whether it is in the protected region. If not, it is on probation.
    pub protected: bool,
    /// How many [tags](crate::Builder::tags) it has; [`Cache::tags_of`](crate::Cache::tags_of) returns them.
    #[cfg_attr(feature = "serde", serde(default))]
    pub tags: usize,
}

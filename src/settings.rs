//! What is configured of a cache, and can be read back.

use std::time::Duration;

use crate::load_policy::LoadPolicy;

/// Which threads free what was retired and remove what has expired.
///
/// Whatever is chosen: an expired entry is never returned, no bound is ever exceeded, and an insert
/// evicts what has to make room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Maintenance {
    /// Every write does a small, bounded part. No thread is started.
    #[default]
    Inline,
    /// A thread of the cache does it, named `clockhand-keep`; it ends with the cache. Destructors
    /// of values run there, and on a writer only when the retired capacity is full.
    Thread,
    /// No thread does, until [`Cache::maintain`](crate::Cache::maintain) or
    /// [`Cache::remove_expired`](crate::Cache::remove_expired) is called; on a writer only when the retired capacity
    /// is full.
    Manual,
}

/// How a cache was configured: what [`Cache::policy`](crate::Cache::policy) returns.
///
/// The values are those in force: where the builder was not told, its defaults. What
/// [`set_capacity`](crate::Cache::set_capacity) changes later is in [`usage`](crate::Cache::usage).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let cache = clockhand::Cache::<u64, u64>::builder().capacity(100).time_to_live(minute).build()?;
/// let settings = cache.policy();
/// assert_eq!((settings.capacity, settings.retired_capacity), (100, 228));
/// assert_eq!(settings.time_to_live, Some(minute));
/// assert!(!settings.weighed && !settings.has_listener);
/// # Ok::<_, clockhand::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// What the cache is called: [`Builder::name`](crate::Builder::name).
    pub name: String,
    /// The capacity that it was built with.
    pub capacity: u64,
    /// What retired entries may weigh.
    pub retired_capacity: u64,
    /// Whether that follows from the capacity, also when that changes.
    pub(crate) retired_follows: bool,
    /// For how long a write waits for room.
    pub patience: Duration,
    /// The number of entries that the first table was made for.
    pub expected_entries: usize,
    /// Which threads free garbage and remove expired entries.
    pub maintenance: Maintenance,
    /// Whether there is a [weigher](crate::Builder::weigher); without one, each entry weighs one.
    pub weighed: bool,
    /// Whether there is a [cost](crate::Builder::cost); without one, each miss costs one.
    pub has_cost: bool,
    /// Whether a miss of what was loaded [costs what the load took](crate::Builder::cost_of_load_time).
    pub cost_of_load_time: bool,
    /// How long an entry lives after its value was written, unless it has a time to live of its own.
    pub time_to_live: Option<Duration>,
    /// How long an entry lives after it was last read or written.
    pub time_to_idle: Option<Duration>,
    /// Whether there is an [`Expiry`](crate::Expiry) that decides for each entry.
    pub has_expiry: bool,
    /// Whether the cache keeps time, so that an entry may have a time to live of its own.
    pub keeps_time: bool,
    /// The resolution of the clock; `None` if it is precise or manual, or there is none.
    pub clock_resolution: Option<Duration>,
    /// Whether entries may have [tags](crate::Builder::tags).
    pub has_tags: bool,
    /// Whether there is a [removal listener](crate::Builder::removal_listener).
    pub has_listener: bool,
    /// When loads are taken over.
    pub load_policy: LoadPolicy,
}

/// The part of the entries, and of the capacity, that may be garbage before threads that sleep in the cache are neutralized.
pub(crate) const PRESSURE_SHARE: u64 = 24;

impl Settings {
    /// How many entries are expected with that capacity, if as many more, or fewer, as it is more or less than the one that
    /// the cache was built with.
    pub(crate) fn entries_expected(&self, capacity: u64) -> u64 {
        if capacity == self.capacity {
            return self.expected_entries as u64;
        }
        let expected = self.expected_entries as u128 * u128::from(capacity);
        u64::try_from(expected / u128::from(self.capacity.max(1))).unwrap_or(u64::MAX)
    }
}

/// What the retired capacity is larger than the capacity at least, by default: eight threads have retired about that much before one
/// of them looks.
const MIN_HEADROOM: u64 = 128;
/// Up to how much that is a fourth of the capacity, and not an eighth.
const FOURTH_UP_TO: u64 = 1024;

/// A retired capacity that holds what one thread can have seen that sleeps, and what is retired before that is found.
pub(crate) fn default_retired_capacity(capacity: u64) -> u64 {
    let part = (capacity / 8).max((capacity / 4).min(FOURTH_UP_TO));
    let headroom = part.max(capacity.min(1) * MIN_HEADROOM);
    capacity.saturating_add(headroom)
}

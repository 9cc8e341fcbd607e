//! Why a key is in a cache, or is not.

use std::fmt;
use std::time::Duration;

/// One of the two parts of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Region {
    /// Probation: most new entries begin here.
    Probation,
    /// Protected: entries that were read while they were on probation, or inserted again soon after
    /// they were evicted.
    Protected,
}

/// What a cache knows of a key: what [`Cache::explain`](crate::Cache::explain) returns.
///
/// Its `Display` is a sentence for people; the words may change.
///
/// # Examples
///
/// ```
/// use clockhand::{Absence, Cache, Explanation};
///
/// let cache = Cache::new(100);
/// cache.insert("EURUSD", 1.0842);
/// cache.invalidate("EURUSD");
/// let why = cache.explain("EURUSD");
/// assert!(matches!(why, Explanation::Missing { why: Absence::Invalidated, .. }));
/// assert_eq!(why.to_string(), "not in the cache: it was removed by a call");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", tag = "state"))]
#[non_exhaustive]
pub enum Explanation {
    /// The key has a value that a read would get.
    #[non_exhaustive]
    Resident {
        /// Where its entry stands.
        region: Region,
        /// How often it was read since the policy last looked at it; three stands for three or
        /// more.
        reads: u8,
        /// How long ago the value was written; `None` if the cache has no clock.
        #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds::optional"))]
        age: Option<Duration>,
        /// How long it still lives, read or not; `None` if it does not expire in that way.
        #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds::optional"))]
        time_left: Option<Duration>,
        /// How long it still lives if it is not read; `None` if the cache has no time to idle.
        #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds::optional"))]
        idle_time_left: Option<Duration>,
        /// Its charge.
        charge: u64,
        /// Whether a load that is to replace it is under way.
        being_loaded: bool,
        /// Whether its value was loaded by a prediction, before a thread asked for it (feature `predict`).
        #[cfg_attr(feature = "serde", serde(default))]
        prefetched: bool,
    },
    /// A read would miss.
    #[non_exhaustive]
    Missing {
        /// The last that is known of the key.
        why: Absence,
        /// Whether a load of its value is under way.
        being_loaded: bool,
    },
}

/// The last that is known of a key that is not in a cache. What is known fades: see
/// [`MissCauses`](crate::MissCauses).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", tag = "cause"))]
#[non_exhaustive]
pub enum Absence {
    /// Nothing: it was never in the cache, or is forgotten.
    NeverSeen,
    /// It was evicted to make room.
    #[non_exhaustive]
    Evicted {
        /// How many keys were inserted since: in whole steps, each of a 64th of the entries that
        /// the table is made for. Where few keys are evicted, what left longer ago than 32 times
        /// these entries may look as if it had left later.
        misses_ago: u64,
    },
    /// It expired.
    Expired,
    /// It was removed by a call.
    Invalidated,
    /// It was refused.
    Refused,
    /// A load has failed, or found that there is no value, and that is remembered.
    Absent,
}

impl Explanation {
    /// Whether a read would find the key.
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
    /// assert!(cache.explain("a").is_resident() && !cache.explain("b").is_resident());
    /// ```
    pub fn is_resident(&self) -> bool {
        matches!(self, Self::Resident { .. })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probation => "on probation",
            Self::Protected => "protected",
        })
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSeen => f.write_str(
                "nothing is remembered of it, so it was never put in, or that was long ago",
            ),
            Self::Evicted { misses_ago } => write!(
                f,
                "it was evicted {} {} ago, to make room; if many keys come back like this, the \
                 cache is too small for its working set",
                Grouped(*misses_ago),
                if *misses_ago == 1 { "miss" } else { "misses" }
            ),
            Self::Expired => {
                f.write_str("it expired; let it live longer, or refresh it before it expires")
            }
            Self::Invalidated => f.write_str("it was removed by a call"),
            Self::Refused => f.write_str(
                "it was refused, as it was too heavy or there was no room; refusals_by in the \
                 statistics says which",
            ),
            Self::Absent => f.write_str(
                "a load has failed or found no value, which is remembered for the time that \
                 negative_ttl says",
            ),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let being_loaded = match *self {
            Self::Resident {
                region,
                reads,
                age,
                time_left,
                idle_time_left,
                charge,
                being_loaded,
                prefetched,
            } => {
                write!(f, "in the cache, {region}, weighs {}, ", Grouped(charge))?;
                f.write_str(match reads {
                    0 => "not read lately",
                    1 => "read once lately",
                    2 => "read twice lately",
                    _ => "read three times or more lately",
                })?;
                if prefetched {
                    f.write_str(", prefetched")?;
                }
                if let Some(age) = age {
                    write!(f, ", written {age:?} ago")?;
                }
                if let Some(left) = time_left {
                    write!(f, ", expires in {left:?}")?;
                }
                if let Some(left) = idle_time_left {
                    let or = if time_left.is_some() { "or" } else { "expires" };
                    write!(f, ", {or} in {left:?} if nobody reads it")?;
                }
                being_loaded
            }
            Self::Missing { why, being_loaded } => {
                write!(f, "not in the cache: {why}")?;
                being_loaded
            }
        };
        f.write_str(if being_loaded { "; a load of it is under way" } else { "" })
    }
}

/// A number with its digits in groups of three.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (nth, digit) in digits.chars().enumerate() {
            if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

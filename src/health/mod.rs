//! Whether a cache is healthy, and if not, what is wrong and what to do.
//!
//! [`Cache::health`](crate::Cache::health) judges a cache,
//! [`Deduplicator::health`](crate::Deduplicator::health) a deduplicator and
//! [`OffsetTracker::health`](crate::OffsetTracker::health) a tracker, by [`Thresholds`]. They
//! return a
//! [`Health`]: a [`Status`], and a [`Reason`] for each [`Figure`] that is out of bounds.
//!
//! # Windows
//!
//! Rates and counts are those of a window that ends with the call, not those since the start.
//! Counts are noted at calls, so a window begins with an earlier call: the latest one that is at
//! least [`Thresholds::window`] ago. A caller that calls more often gets windows of about that
//! length; one that calls once an hour gets a window of an hour. The first call long after the
//! cache was built has no window, and judges only the state at that moment.
//!
//! # No flapping
//!
//! Once a reason was given, it is given until its figure is back within the threshold by a margin
//! ([`Thresholds::margin`]). The reasons given are remembered for each set of thresholds, so
//! callers with different thresholds do not affect each other; of more than eight sets, the least
//! recently used one is forgotten and starts over.
//!
//! | file | idea |
//! |---|---|
//! | `status`, `reason`, `verdict` | the result |
//! | `figure` | what is judged: name, unit, which side is bad, what to do |
//! | `levels`, `thresholds` | the thresholds |
//! | `text` | values as text |
//! | `times` | how long something took, as noted for a window |
//! | `window` | the counts at earlier calls |
//! | `monitor` | the callers, and the reasons that each was given |
//! | `measure` | the figures of a call |
//! | `cache`, `dedup` | the figures of a cache, and of a deduplicator or tracker |
//! | `process` | the memory of the process and its limit |

mod cache;
#[cfg(feature = "dedup")]
mod dedup;
mod figure;
mod levels;
mod measure;
mod monitor;
mod process;
mod reason;
mod status;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;
mod text;
mod thresholds;
mod times;
mod verdict;
mod window;

pub(crate) use cache::{CacheCounts, CacheState};
#[cfg(feature = "dedup")]
pub(crate) use dedup::{DedupCounts, DedupState};
pub use figure::Figure;
pub use levels::Levels;
pub(crate) use monitor::Monitor;
pub use process::MemoryLimit;
pub use reason::Reason;
pub use status::Status;
pub use thresholds::{Thresholds, ThresholdsError};
pub(crate) use times::Times;
pub use verdict::Health;

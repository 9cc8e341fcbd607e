//! Whether all is well, and if not, what is wrong and what to do.
//!
//! [`Cache::health`](crate::Cache::health) judges a cache, [`Deduplicator::health`](crate::Deduplicator::health) and
//! [`OffsetTracker::health`](crate::OffsetTracker::health) their part, by [`Thresholds`]. The answer is a [`Health`]: a
//! [`Status`], and a [`Reason`] for each [`Figure`] that is out of bounds.
//!
//! # Windows
//!
//! Rates and counts are those of a window that ends with the call, not those since the start. What was counted is noted
//! when somebody asks, so the window begins with a call: the youngest one that is at least as long ago as the window is
//! long ([`Thresholds::window`]). Who asks more often than that gets windows of that length, give or take a thirty-second
//! part; who asks once in an hour gets the hour. The first call that is made long after the cache was built has no
//! window, and judges what can be seen at a moment only.
//!
//! # No flapping
//!
//! A reason that was given is given until its figure is back within the threshold by a margin
//! ([`Thresholds::margin`]). Which reasons were given is remembered for each set of thresholds by itself, so callers with
//! different thresholds do not disturb each other; of more than eight, the one that was used longest ago is forgotten,
//! and begins anew.
//!
//! | file | idea |
//! |---|---|
//! | `status`, `reason`, `verdict` | the answer |
//! | `figure` | what is looked at: name, unit, which side is bad, what to do |
//! | `levels`, `thresholds` | from where on it is bad |
//! | `text` | values as people read them |
//! | `times` | how long something took, to be kept for each window |
//! | `window` | what was counted when somebody asked before |
//! | `monitor` | the callers, and what each was told |
//! | `measure` | what was measured; what a window shows |
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

//! The statistics of a cache.
//!
//! | file | idea |
//! |---|---|
//! | `counts` | what has happened since the cache was built, or between two snapshots |
//! | `causes` | the same counts, divided by cause |
//! | `entry_info` | what a cache knows of one entry |
//! | `explanation` | why a key is there, or is not |
//! | `rates` | the same for each second |
//! | `regions` | what the regions hold, and the threads that keep garbage from being freed |
//! | `seconds` | durations in reports that are written (feature `serde`) |
//! | `usage` | what the cache holds, and its bounds |
//!
//! Nothing is counted for reports only: every number is the sum of counters of threads, each on
//! cache lines of its own, or a word that the cache needs anyway.

mod causes;
mod counts;
mod entry_info;
mod explanation;
mod rates;
mod regions;
#[cfg(feature = "serde")]
pub(crate) mod seconds;
mod usage;

pub use causes::{MissCauses, Refusals, RemovedCharge};
pub use counts::Stats;
pub use entry_info::EntryInfo;
pub use explanation::{Absence, Explanation, Region};
pub use rates::Rates;
pub use regions::{Holder, RegionUsage};
pub use usage::{Maintained, Usage};

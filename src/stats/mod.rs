//! What a cache tells about itself.
//!
//! | file | idea |
//! |---|---|
//! | `counts` | what happened since the cache was built, or between two looks |
//! | `causes` | the same counts, divided by cause |
//! | `entry_info` | what a cache knows of one entry |
//! | `explanation` | why a key is there, or is not |
//! | `rates` | the same for each second |
//! | `regions` | who has what of the cache: the regions, and those that hold up the freeing of garbage |
//! | `seconds` | durations in reports that are written (feature `serde`) |
//! | `usage` | what the cache holds, against its bounds |
//!
//! Nothing here is counted by itself: every number is the sum of what the threads counted on lines of
//! their own, or a word that the cache needs anyway.

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

//! How long operations take, for those who want to be told.
//!
//! With the feature `histograms`, each participant has a histogram for each kind of operation, which is made when it
//! is first needed; the histograms of all participants are added up when another thread asks. Reads and inserts are
//! sampled: a thread counts down from one sample to the next, and looks at no clock in between. The distance between
//! two samples is drawn at random, so that no rhythm of the keys falls in with it. Loads and maintenance are timed
//! each.
//!
//! Without the feature, the same names do nothing and take no room.
//!
//! | file | idea |
//! |---|---|
//! | `sampling` | what is timed, and the histograms of a participant |
//! | `absent` | the same without the feature |
//! | `report` | what users are told |
//! | `told` | the same as it is written and read (feature `serde`) |

#[cfg(not(feature = "histograms"))]
mod absent;
#[cfg(feature = "histograms")]
mod report;
#[cfg(feature = "histograms")]
mod sampling;
#[cfg(all(test, feature = "histograms", not(clockhand_loom)))]
mod tests;
#[cfg(all(feature = "histograms", feature = "serde"))]
mod told;

#[cfg(not(feature = "histograms"))]
pub(crate) use absent::{Sampling, Timings};
#[cfg(feature = "histograms")]
pub use report::{Latencies, Latency};
#[cfg(feature = "histograms")]
pub(crate) use sampling::{Sampling, Timings};

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    Insert,
    Load,
    Maintain,
}

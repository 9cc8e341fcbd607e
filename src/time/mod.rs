//! Clocks: where a cache with expiry gets the time from.
//!
//! A moment is a number of nanoseconds since its clock was made, so comparing, storing and adding
//! cost one instruction each. A cache without expiry reads the time for its reports only.

mod clock;
mod coarse_time;
mod manual;
mod moment;
mod ticks;
mod timer;

pub use clock::Clock;
pub use manual::ManualClock;
pub(crate) use moment::{Deadline, Moment, nanos};
pub(crate) use timer::{Timer, TimerStart};

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

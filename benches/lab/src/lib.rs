//! The lab of `clockhand`: replays access traces through the cache and compares it with its peers.
//!
//! The binary is a thin `main` over [`cli`]. Everything it prints was measured in that run.
//! [`trace`] stands alone, so that a fuzz target can decode arbitrary bytes.

#![deny(unsafe_code)]

pub mod built_in;
pub mod charts;
pub mod cli;
pub mod compare;
pub mod dedup;
pub mod failure;
pub mod heap;
pub mod latency;
pub mod load;
pub mod machine;
mod output;
pub mod peers;
pub mod progress;
pub mod races;
pub mod replay;
pub mod report;
pub mod simulate;
pub mod source;
pub mod stampede;
pub mod team;
pub mod trace;

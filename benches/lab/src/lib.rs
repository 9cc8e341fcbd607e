//! The lab of `clockhand`: replays access traces through the cache and compares it with its peers.
//!
//! The binary is a thin `main` over [`cli`]. Everything it prints was measured in that run.
//! [`trace`] stands alone, so that a fuzz target can decode arbitrary bytes.

#![deny(unsafe_code)]

mod arena;
pub mod before_after;
pub mod built_in;
#[cfg(feature = "charts")]
pub mod charts;
pub mod cli;
#[cfg(feature = "peers")]
pub mod compare;
pub mod dedup;
pub mod failure;
mod frames;
pub mod heap;
pub mod latency;
#[cfg(feature = "peers")]
pub mod load;
pub mod machine;
mod output;
#[cfg(feature = "peers")]
pub mod peers;
pub mod progress;
pub mod races;
pub mod replay;
pub mod report;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "peers")]
pub mod simulate;
pub mod source;
pub mod stampede;
pub mod team;
pub mod trace;
mod words;
mod zipf;

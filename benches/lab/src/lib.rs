//! The lab of `clockhand`: replays access traces through the cache and compares it with its peers.
//!
//! The binary is a thin `main` over [`cli`]. Everything it prints was measured in that run.
//! [`trace`] stands alone, so that a fuzz target can decode arbitrary bytes.

#![deny(unsafe_code)]

#[cfg(feature = "demos")]
mod arena;
#[cfg(feature = "demos")]
pub mod before_after;
pub mod built_in;
#[cfg(feature = "demos")]
pub mod charts;
pub mod cli;
#[cfg(feature = "peers")]
pub mod compare;
#[cfg(feature = "demos")]
pub mod dedup;
pub mod failure;
mod frames;
pub mod heap;
pub mod latency;
#[cfg(feature = "peers")]
pub mod load;
#[cfg(feature = "demos")]
pub mod machine;
#[cfg(feature = "demos")]
mod measure;
#[cfg(feature = "demos")]
mod output;
#[cfg(feature = "peers")]
pub mod peers;
#[cfg(feature = "predict")]
pub mod predict;
pub mod progress;
#[cfg(feature = "demos")]
pub mod races;
pub mod replay;
pub mod report;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "peers")]
pub mod simulate;
pub mod source;
#[cfg(feature = "demos")]
pub mod stampede;
pub mod team;
#[cfg(feature = "tier")]
pub mod tier;
pub mod trace;
mod words;
#[cfg(feature = "demos")]
mod zipf;

//! The lab of `clockhand`: replays access traces through the cache and compares it with its peers.
//!
//! The binary is a thin `main` over [`cli`]. Everything it prints was measured in that run.
//! [`trace`] stands alone, so that a fuzz target can decode arbitrary bytes.

#![deny(unsafe_code)]

#[cfg(feature = "demos")]
mod arena;
#[cfg(feature = "demos")]
mod before_after;
pub mod built_in;
#[cfg(feature = "demos")]
mod charts;
pub mod cli;
#[cfg(feature = "demos")]
mod clients;
#[cfg(feature = "peers")]
mod compare;
#[cfg(feature = "demos")]
mod dedup;
pub mod failure;
mod frames;
pub mod heap;
mod latency;
#[cfg(feature = "peers")]
mod load;
#[cfg(feature = "demos")]
mod machine;
#[cfg(feature = "demos")]
mod measure;
#[cfg(feature = "demos")]
mod output;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "predict")]
#[allow(unreachable_pub, reason = "as if the crate published it")]
mod predict;
mod progress;
#[cfg(feature = "demos")]
mod races;
mod replay;
mod report;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "peers")]
#[allow(unreachable_pub, reason = "as if the crate published it")]
mod simulate;
pub mod source;
#[cfg(feature = "demos")]
mod stampede;
#[cfg(feature = "demos")]
mod store;
mod team;
#[cfg(feature = "tier")]
mod tier;
pub mod trace;
mod words;
#[cfg(feature = "demos")]
mod zipf;

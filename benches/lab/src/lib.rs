//! The lab of `clockhand`: replays access traces through the cache and compares it with its peers.
//!
//! The binary is a thin `main` over [`cli`]. Everything it prints was measured in that run.
//! [`trace`] stands alone, so that a fuzz target can decode arbitrary bytes.

#![deny(unsafe_code)]

mod arena;
mod before_after;
pub mod built_in;
mod charts;
pub mod cli;
mod clients;
#[cfg(feature = "peers")]
mod compare;
mod dedup;
pub mod failure;
pub mod heap;
mod latency;
#[cfg(feature = "peers")]
mod load;
mod machine;
mod measure;
mod output;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "predict")]
#[allow(unreachable_pub, reason = "as if the crate published it")]
mod predict;
mod progress;
mod races;
mod refusals;
mod replay;
mod report;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "peers")]
mod simulate;
pub mod source;
mod stampede;
mod store;
mod team;
#[cfg(feature = "tier")]
mod tier;
pub mod trace;
mod words;
mod zipf;

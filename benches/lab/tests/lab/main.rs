//! The lab, tested through its binary and its trace decoder.

#[cfg(not(any(feature = "peers", feature = "predict", feature = "serve", feature = "tier")))]
mod absent;
#[cfg(feature = "peers")]
mod compare;
mod failures;
#[cfg(feature = "peers")]
mod failures_of_peers;
mod failures_of_races;
mod figures;
#[cfg(feature = "peers")]
mod load;
#[cfg(feature = "peers")]
mod migration;
#[cfg(feature = "predict")]
mod predict;
mod races;
mod refusals;
mod replay;
#[cfg(feature = "serve")]
mod serve;
mod stampede;
mod support;
#[cfg(feature = "tier")]
mod tier;
mod trace;

//! The lab, tested through its binary and its trace decoder.

#[cfg(not(feature = "demos"))]
mod absent;
#[cfg(feature = "peers")]
mod compare;
mod failures;
#[cfg(feature = "demos")]
mod failures_of_demos;
#[cfg(feature = "peers")]
mod failures_of_peers;
mod figures;
#[cfg(feature = "peers")]
mod load;
#[cfg(feature = "peers")]
mod migration;
#[cfg(feature = "predict")]
mod predict;
#[cfg(feature = "demos")]
mod races;
mod replay;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "demos")]
mod stampede;
mod support;
#[cfg(feature = "tier")]
mod tier;
mod trace;

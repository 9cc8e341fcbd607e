//! The lab, tested through its binary and its trace decoder.

#[cfg(not(any(feature = "peers", feature = "serve")))]
mod absent;
#[cfg(feature = "peers")]
mod compare;
mod failures;
#[cfg(feature = "peers")]
mod failures_of_peers;
mod figures;
#[cfg(feature = "peers")]
mod load;
mod races;
mod replay;
#[cfg(feature = "serve")]
mod serve;
mod stampede;
mod support;
mod trace;

//! The crate against a real `redis-server`, which each test starts for itself on a free port. Where that program is not
//! installed, the tests say so and are skipped.

#[path = "../support/mod.rs"]
mod support;

mod behind;
mod coherence;
mod dedup;
mod envelopes;
mod examples;
mod failures;
mod hostile;
mod leases;
mod loading;
mod loads;
mod proxies;
mod secrets;
mod servers;
mod settings;
mod stores;
mod tags;
mod threads;
#[cfg(feature = "tls")]
mod tls;

//! Redis or Valkey as the second tier of [`clockhand`] caches, coherent across instances.
//!
//! Each instance keeps its own [`Cache`](clockhand::Cache) in front of one server, from which misses are filled before the
//! source is asked. A write or an invalidation on one instance reaches all others at once: the server tells them, over the
//! connection that carries their values as well.
//!
//! | file | idea |
//! |---|---|
//! | `tiered`, `flow` | a cache with a second tier: writes and reads |
//! | `tier`, `settings` | the second tier, and how it is configured |
//! | `servers`, `tls` | where the server is |
//! | `as_tier` | the server as a [`Tier`](clockhand::tier::Tier) |
//! | `batch` | many keys in one question |
//! | `tags` | values that are invalidated together |
//! | `loading` | a loader of its own: values that are renewed, and stand in |
//! | `behind`, `queue` | writes that do not wait |
//! | `dedup`, `claims` | ids that are new to one instance |
//! | `blocking` | the same for threads |
//! | `health`, `stats`, `metrics` | how it does |
//! | `worker` | the tier's thread: it connects and looks after the connection |
//! | `link` | how the connection stands, what a message does; the invariants |
//! | `ops`, `scripts`, `names` | the operations, and what the server does in one step |
//! | `gate` | whether the cache may answer |
//! | `server_clock` | until when a write may take effect |
//! | `repairs` | writes that did not reach the server |
//! | `breaker` | whether the server is asked at all |
//! | `envelope`, `codec`, `key` | how values and keys are written |
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod as_tier;
mod batch;
mod behind;
mod blocking;
mod breaker;
mod claims;
mod codec;
mod dedup;
pub mod envelope;
mod error;
mod flow;
mod gate;
mod health;
mod join;
mod key;
mod link;
mod loading;
#[cfg(feature = "metrics")]
mod metrics;
mod names;
mod ops;
mod queue;
mod repairs;
mod scripts;
mod server_clock;
mod servers;
mod settings;
mod stats;
mod tags;
mod tier;
mod tiered;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod worker;

pub use behind::{QueueError, QueueStats, WriteBehind};
pub use blocking::Blocking;
pub use breaker::BreakerState;
#[cfg(feature = "json")]
pub use codec::Json;
pub use codec::{Codec, CodecError, Postcard, Raw};
pub use dedup::{SharedDeduplicator, SharedDeduplicatorBuilder, SharedTicket, WhenAway};
pub use error::{TierBuildError, TierError};
pub use flow::TieredError;
pub use health::{TierHealth, TierProblem, TierReason};
pub use key::TierKey;
pub use loading::TieredLoading;
#[cfg(feature = "metrics")]
pub use metrics::TierCollector;
pub use settings::RedisTierBuilder;
pub use stats::TierStats;
pub use tier::{RedisTier, TierStatus};
pub use tiered::Tiered;

/// The examples of the README and of the guide.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../docs/redis.md")]
struct Texts;

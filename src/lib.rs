//! A concurrent cache for latency-critical threads: wait-free reads, an exact bound, and no value
//! that was replaced, expired or invalidated.
//!
//! ```
//! use clockhand::Cache;
//!
//! let cache = Cache::new(10_000);
//! cache.insert("EURUSD", 1.0842);
//! assert_eq!(cache.get("EURUSD"), Some(1.0842));
//! assert!(cache.insert_if_absent("EURUSD", 1.09).is_err());
//! ```
//!
//! A [`Cache`] is a handle: clones share the entries, and all methods take `&self`. [`Cache::new`]
//! bounds the number of entries. [`Cache::builder`] bounds their weight, gives them a lifetime, and
//! sets everything else.
//!
//! # Ways to read
//!
//! | handle | a hit gives | costs | holds up the freeing of garbage |
//! |---|---|---|---|
//! | [`Cache::get`] | a clone | one locked instruction to pin | during the call |
//! | [`Cache::read`] | a reference, inside a closure | the same | while the closure runs |
//! | [`Guard`], from [`Cache::pin`] | references, several at a time | that instruction once for the guard | while the guard lives |
//! | [`Reader`], from [`Cache::reader`] | a reference until the next read | no fence while it is in use | until it reads again or [parks](Reader::park) |
//!
//! Each may also write one word of the bucket, to count the read. [`Cache::peek`] and
//! [`Cache::contains_key`] do not.
//!
//! # Consistency
//!
//! For each key, operations are linearizable: a read that starts after an insert, replacement or
//! removal has returned never sees an older value. A key that was inserted is missed only if it was
//! removed, evicted, refused, or has expired. Several keys have no common order. Scans
//! ([`Cache::for_each`], [`Cache::iter`], [`Cache::retain`]) run concurrently with writers and visit every entry
//! that is there throughout exactly once.
//!
//! # Loading
//!
//! [`Cache::get_or_load`] fills the cache: of any number of callers that miss at once, one runs its
//! loader, and a value that anything has overtaken meanwhile is not put in. [`Cache::loading`] makes a
//! cache that fills itself, ahead of expiry if you like. The rules are in [`load`].
//!
//! # Memory
//!
//! The weights of the entries never exceed the capacity, at any instant and over all threads. What
//! has left the cache and may still be looked at is bounded by the retired capacity
//! ([`Builder::retired_capacity`]), on top. A reader that sleeps in a guard
//! holds what was in the cache when it fell asleep, and no more. When that bound is reached nevertheless, as several sleep, inserts that
//! would have to evict are refused: [`Cache::try_insert`] returns [`InsertErrorKind::NoRoom`], and
//! [`Cache::insert`] counts a refusal and removes the older value of the key. Nothing waits.
//! [`Cache::usage`] shows all of it.
//!
//! The cache's own structures are not charged; a weigher that returns bytes adds its share for each
//! entry (see [`Builder::weigher`]).
//!
//! # Progress
//!
//! Reads are wait-free: they take no lock, allocate nothing, make no system call, and run no
//! destructor, listener or maintenance. Writes are lock-free: one is repeated only where another one
//! took effect. User code (`Hash`, `Eq`, `Clone`, closures, the listener, an [`Expiry`]) adds what it
//! takes itself. Each method says what holds for it.
//!
//! # Features
//!
//! No feature is on by default.
//!
//! - `dedup`: the module of that name, by which a consumer processes every message exactly once.
//! - `async`: the forms for tasks, on no particular runtime; and `tier`: what a store below a cache has to do.
//! - `histograms`: `Cache::latencies` and `Builder::sample_every`: how long reads, inserts, loads and maintenance
//!   take.
//! - `tracing`: spans and events of loads, renewals and maintenance; never of a hit.
//! - `macros`: the attribute [`macro@memoize`], for functions whose results are cached.
//! - `persist`: `Cache::save_to` and `load_from`: snapshots with lifetimes, tags and the policy's state.
//! - `predict`: the module of that name, which loads what is likely to be asked for, before it is.
//! - `rayon`: `Cache::par_for_each`, `Cache::par_retain` and `Cache::par_extend`.
//! - `serde`: all reports are `Serialize` and `Deserialize`: [`Stats`], [`Explanation`], [`health::Health`],
//!   `Latencies` and the others, with their parts. Names are those of the fields and, in small letters, of the
//!   variants; durations are seconds, as floats, which are exact to the nanosecond for some weeks. An [`Explanation`]
//!   is read from formats that describe themselves, such as JSON; the others from any.
//!
//! # More
//!
//! The guide says how to size a cache, what a refusal is, what to watch, and what is called what in other caches: it
//! is the module [`guide`], and `docs/guide.md` in the package.
//!
//! # Platforms
//!
//! Targets with pointers and atomics of 64 bits; on others it does not compile.
#![deny(unsafe_code)]
// What users match or build may get more parts.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
// Tests may be as long as what they say.
#![cfg_attr(
    not(test),
    warn(clippy::cast_possible_truncation, clippy::excessive_nesting, clippy::too_many_lines)
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Capacities, hashes and places are 64 bits wide and name what lies in memory; a bucket of eight
// pointers is one cache line.
#[cfg(not(all(target_pointer_width = "64", target_has_atomic = "64")))]
compile_error!(
    "clockhand supports targets with 64-bit pointers and 64-bit atomics only; for a 32-bit target use another cache"
);

mod accounting;
mod builder;
mod cache;
#[cfg(feature = "dedup")]
pub mod dedup;
mod engine;
#[allow(unsafe_code)]
mod entry;
mod error;
mod evidence;
mod expiry;
mod guard;
pub mod guide;
mod hash;
pub mod health;
mod iter;
mod key_ref;
mod latency;
pub mod load;
mod load_policy;
mod maintenance_thread;
mod narrow;
mod outcome;
#[cfg(feature = "persist")]
mod persist;
mod policy;
#[cfg(feature = "predict")]
pub mod predict;
mod random_state;
mod reader;
#[allow(unsafe_code)]
mod reclaim;
mod removals;
mod settings;
mod slot_meta;
mod stats;
mod sync;
#[allow(unsafe_code)]
mod table;
mod tags;
#[cfg(any(feature = "dedup", feature = "persist"))]
mod temporary;
#[cfg(feature = "async")]
pub mod tier;
mod time;
mod trace;

pub use builder::{Builder, ENTRY_OVERHEAD};
pub use cache::{Cache, WeakCache};
#[cfg(feature = "dedup")]
pub use dedup::{Deduplicator, OffsetTracker};
pub use equivalent::Equivalent;
pub use error::{BuildError, InsertError, InsertErrorKind};
pub use expiry::Expiry;
pub use guard::Guard;
pub use health::{Health, Thresholds};
pub use iter::{Drain, GetMany, Iter, Keys, Values};
pub use key_ref::{KeyPart, KeyRef};
#[cfg(feature = "histograms")]
pub use latency::{Latencies, Latency};
#[cfg(feature = "async")]
pub use load::AsyncLoader;
pub use load::{
    Fresh, LoadError, LoadPolicy, LoadSource, Loaded, Loader, LoadingCache, Warmer, memoize,
};
pub use outcome::{Compute, Computed, Inserted, RemovalCause};
#[cfg(feature = "persist")]
pub use persist::PersistError;
pub use random_state::{DefaultHasher, RandomState};
pub use reader::{Reader, ReaderView};
pub use removals::{Removal, Removals, removal_queue};
pub use settings::{Maintenance, Settings};
pub use stats::{
    Absence, EntryInfo, Explanation, Holder, Maintained, MissCauses, Rates, Refusals, Region,
    RegionUsage, RemovedCharge, Stats, Usage,
};
pub use time::{Clock, ManualClock};

#[cfg(feature = "macros")]
#[doc(inline)]
pub use clockhand_macros::memoize;
/// What functions with the attribute call. Not for other code: it may change with any version.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use load::memoized as __private;

/// For the attribute on an `async fn`: passes on what needs the feature `async`.
#[cfg(all(feature = "macros", feature = "async"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_async {
    ($($code:tt)*) => { $($code)* };
}

/// For the attribute on an `async fn`.
#[cfg(all(feature = "macros", not(feature = "async")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __with_async {
    ($($code:tt)*) => {
        ::core::compile_error!(
            "an `async fn` with #[memoize] needs the feature `async` of clockhand"
        )
    };
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[cfg_attr(feature = "predict", doc = include_str!("../docs/prediction.md"))]
struct DocTests;

//! The figures of [`clockhand`] caches, deduplicators and offset trackers, for Prometheus and for the `metrics` facade.
//!
//! [`Collector`] is a collector of [`prometheus_client`]: it is asked at each scrape, and has no registry of its own.
//! With the feature `metrics`, `Collector::report` tells the same to the recorder of the `metrics` facade.
//!
//! # Names
//!
//! Those of caches begin with `clockhand_cache_` and have the label `cache`; those of deduplicators with
//! `clockhand_dedup_` and `dedup`; those of trackers with `clockhand_offsets_` and `tracker`, and for each partition
//! `topic` and `partition`. Counts that are divided have the label `cause`. Times are in seconds. Charges are in what the
//! weigher gives; of a cache that was added by [`Collector::cache_in_bytes`], their names end in `_bytes`.
#![forbid(unsafe_code)]

mod collector;
mod figures;
mod prometheus;
#[cfg(feature = "metrics")]
mod reporter;
mod visit;

pub use collector::Collector;

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Texts;

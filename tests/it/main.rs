//! What is promised of the library, one module for each promise or subject.
//!
//! One crate, as each links the library anew. A test that has to do with its whole process, as it counts its allocations
//! or threads, forks it, listens to it or leaves others no processor, has a file beside this folder.
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![allow(clippy::duplicate_mod, reason = "an example is a program, and brings its broker along")]

#[path = "../support/mod.rs"]
mod support;

mod bound;
mod contents;
#[cfg(feature = "dedup")]
mod dedup;
#[cfg(all(feature = "dedup", feature = "async"))]
mod dedup_async;
#[cfg(feature = "dedup")]
mod dedup_broker;
#[cfg(feature = "dedup")]
mod dedup_files;
#[cfg(feature = "dedup")]
mod dedup_model;
#[cfg(feature = "dedup")]
mod dedup_offsets;
#[cfg(feature = "dedup")]
mod dedup_offsets_model;
#[cfg(feature = "dedup")]
mod dedup_offsets_threads;
mod destructors;
mod differential;
mod drops;
mod edge_cases;
mod entry_ttl;
mod eviction_quality;
mod examples;
mod expired_first;
mod expiry;
mod explain;
mod garbage;
#[cfg(feature = "dedup")]
mod health;
mod history;
mod key_refs;
#[cfg(feature = "histograms")]
mod latency;
mod load_alone;
mod load_bulk;
mod load_cache;
mod load_calls;
mod load_get_all;
#[cfg(feature = "async")]
mod load_limits;
#[cfg(feature = "async")]
mod load_matrix;
mod load_renewal;
#[cfg(feature = "async")]
mod load_settings;
#[cfg(feature = "async")]
mod load_tasks;
mod load_thin;
mod load_threads;
mod panics;
#[cfg(feature = "persist")]
mod persist;
#[cfg(feature = "predict")]
mod predict;
#[cfg(all(feature = "predict", feature = "async"))]
mod predict_async;
#[cfg(all(feature = "predict", feature = "persist"))]
mod predict_hostile;
#[cfg(feature = "predict")]
mod predict_limits;
#[cfg(all(feature = "predict", feature = "async", feature = "persist"))]
mod predict_pairs;
#[cfg(all(feature = "predict", feature = "persist"))]
mod predict_saved;
mod public_api;
mod readers;
mod reentry;
mod refusals;
mod removals;
#[cfg(feature = "serde")]
mod reports;
mod resizing;
mod scans;
mod sequential;
#[cfg(all(feature = "serde", feature = "dedup"))]
mod serialized;
mod sleepers;
mod slow_reads;
mod stats;
mod tags;
mod updates;
mod worth;

//! The guide: how to choose, size and watch a cache, and what to do when it is full.
//!
//! - [`using`]: sizing, reading, writing, expiry, loading, tags, snapshots, de-duplication,
//!   threads, what to watch.
//! - [`migration`]: for users of moka, quick_cache, Caffeine and cached.
//! - [`operations`]: what each figure means, and what to do when it is out of bounds.
//!
//! Paths such as `docs/examples/bulk.rs` are those of the crate's package. These pages are in its folder `docs`, too.

#[cfg_attr(any(not(doctest), feature = "dedup"), doc = include_str!("../docs/guide.md"))]
pub mod using {}

#[doc = include_str!("../docs/migration.md")]
pub mod migration {}

#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

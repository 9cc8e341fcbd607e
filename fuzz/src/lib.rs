//! What the fuzz targets share: operations coded in bytes, and the sequential model that the cache
//! is held against.
//!
//! | file | idea |
//! |---|---|
//! | `bytes` | the input, taken piece by piece |
//! | `plan` | how a cache is built |
//! | `parts` | keys, values, hashers and rules that notice what is done to them |
//! | `model` | what the cache must contain |
//! | `world` | the cache, its model, and what must hold after each operation |
//! | `reads`, `writes`, `upkeep` | the operations |
//!
//! `tests/it/sequential.rs` plays random bytes to it, too.
//!
//! The model does not choose victims. Which entries left, and why, it is told by the removal
//! listener; it checks that they were there, that the cause is right, and that an eviction was
//! needed.

mod bytes;
mod model;
mod parts;
mod plan;
mod reads;
mod upkeep;
mod world;
mod writes;

pub use bytes::Bytes;
pub use plan::Plan;
pub use world::World;

//! clockhand
#![deny(unsafe_code)]

mod accounting;
mod builder;
mod cache;
mod engine;
#[allow(unsafe_code)]
mod entry;
mod error;
mod expiry;
mod guard;
mod hash;
mod iter;
mod janitor;
mod outcome;
mod policy;
mod reader;
#[allow(unsafe_code)]
mod reclaim;
mod report;
mod sync;
#[allow(unsafe_code)]
mod table;
mod time;

pub use builder::{Builder, Maintenance};
pub use cache::Cache;
pub use equivalent::Equivalent;
pub use error::{BuildError, InsertError, InsertErrorKind};
pub use expiry::Expiry;
pub use guard::Pinned;
pub use iter::Iter;
pub use outcome::{Compute, Computed, Inserted, RemovalCause};
pub use reader::Reader;
pub use report::{Maintained, Stats, Usage};
pub use time::{Clock, ManualClock};

//! What is told to `tracing`: loads, renewals and maintenance; a hit tells nothing, and nothing says a key.
//!
//! All has the target `clockhand` and the cache's name as the field `cache`.
//!
//! | name | what | level | fields |
//! |---|---|---|---|
//! | `load` | a span: one run of a loader, for one key or for many, entered while the loader runs or is polled, and while its value is stored | debug | `renewal` |
//! | `load ended` | an event: how one key's load ended | debug; a renewal that failed: warn, as nothing else tells of it | `loaded`, `renewal` |
//! | `maintain` | a span: a call of `maintain`, by whomever | trace | `budget`, and at its end `swept`, `expired`, `freed`, `backlog` |
//!
//! A subscriber is code of the user's: it is called where loaders and destructors are, with nothing held. Without the
//! feature `tracing`, the same names do nothing.

#[cfg(not(feature = "tracing"))]
mod absent;
#[cfg(feature = "tracing")]
mod spans;

#[cfg(not(feature = "tracing"))]
pub(crate) use absent::{LoadSpan, load_ended, maintain};
#[cfg(feature = "tracing")]
pub(crate) use spans::{LoadSpan, load_ended, maintain};

/// What maintenance has done, by number.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "no subscriber is told"))]
pub(crate) struct MaintenanceWork {
    pub(crate) swept: usize,
    pub(crate) expired: usize,
    pub(crate) freed: usize,
    pub(crate) backlog: usize,
}

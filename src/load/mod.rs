//! Loading: one load per key, and never a stale one.
//!
//! - A key has one load at a time; whoever else misses waits for it. Threads and tasks may wait for the
//!   same load.
//! - A value is put in only if nothing was inserted, removed, invalidated or computed for its key since
//!   its load began, and nothing has invalidated all. Callers that come later start a new load.
//! - An error goes to all that waited, and is not kept. A panic, or a task that is dropped, is its
//!   caller's alone: the one that has waited longest loads next.
//! - Nothing is held while a loader runs. One that would wait for itself gets [`LoadError::Cycle`], thread or
//!   task.
//!
//! The entry points are [`Cache::get_or_load`](crate::Cache::get_or_load) and its kin,
//! [`Cache::loading`](crate::Cache::loading), [`Warmer`] and [`memoize()`].
//!
//! # How it is built
//!
//! | file | idea |
//! |---|---|
//! | `flight` | who loads, who waits, who is next |
//! | `leader` | who has the leader's seat, and whether it makes progress |
//! | `queue` | those who wait, and whose turn is next |
//! | `run` | one run of a loader: its signs of life, what it waits for |
//! | `lead` | the leader's part: a value lands, an error is shared, a death is survived |
//! | `blocking` | waiting as a thread; [`Cache::get_or_load`](crate::Cache::get_or_load) |
//! | `cycle` | loads that would wait for each other |
//! | `future` | waiting as a task; [`Cache::get_or_load_async`](crate::Cache) (feature `async`) |
//! | `watch` | leaders that nobody polls, and time limits (feature `async`) |
//! | `turn` | what a caller does next: it is told, it leads, it loads for itself |
//! | `alone` | loads that nobody can join |
//! | `rest` | what is left of a load that has failed |
//! | `outcome` | what a caller learns |
//! | `reserve` | charge for the work of a load |
//! | `loader` | where values come from |
//! | `loading` | a cache that fills itself |
//! | `figures` | what that tells about itself |
//! | `loading_async` | the same for tasks (feature `async`) |
//! | `settings` | how it loads |
//! | `bulk` | many keys at a time |
//! | `many` | loaders that can load many keys at a time |
//! | `renewal` | values that are renewed in the background |
//! | `executor` | where that happens |
//! | `driven` | renewals that reads carry on (feature `async`) |
//! | `warmer` | keys that are kept fresh |
//! | `memoize` | a function whose results are kept |
//!
//! # How a load goes
//!
//! A caller that finds no value *boards*: an entry with the token of its flight goes into the table
//! where the value is going to be. If there is a token already, the caller joins that flight and
//! waits. The one who boarded is the *leader*: it runs its loader, with nothing held; then it
//! *lands*: the very entry with its token is replaced by the value.
//!
//! # Invariants
//!
//! - **L1** A key has at most one token in the table, as it has at most one entry.
//! - **L2** Whatever happens to a key (insert, removal, `compute` that changes it, a sweep that
//!   invalidates) replaces or unlinks its entry in the step in which it takes effect. So a landing,
//!   which replaces the entry with its own token and nothing else, puts no value in that anything
//!   has overtaken.
//! - **L3** A flight has one leader at a time, until it is over: the seat that its state names. The leader,
//!   and those that were relieved, may land; one of them does, and nobody takes over meanwhile.
//! - **L4** A waiter that has joined and not left is in exactly one place: the flight's queue; the
//!   leader's seat, from when it is promoted until it comes; those that are told, once the flight is
//!   over. Leaving passes a promotion on. `Flight::check` recounts it in tests.
//! - **L5** No lock is held while user code runs: loaders, `Clone`, `Drop`, wakers.
//! - **L6** What is remembered of a load that has failed lies in its token. So what L2 says of a landing
//!   holds for it: it is forgotten in the step in which something happens to the key. A value that
//!   stands in for one that could not be loaded is read from the table when its caller is told.
//!
//! # Races
//!
//! *A flight ends, and a caller has just found its token.* It is told so when it wants to join, and
//! looks at the table again.
//!
//! *A leader is overtaken by its own waiter.* A leader that was woken and that nobody polls is relieved
//! after a while. If it is the first to have a value, that lands and goes to all; else what it loaded goes
//! to its own caller.
//!
//! *A waiter is promoted and sleeps on.* It is passed by, and back in the queue before the next one leads.
//! When it comes, it finds itself waiting, and leaves its waker; or it leads, if the next one has not come
//! either.

mod alone;
mod blocking;
mod bulk;
mod cycle;
#[cfg(feature = "async")]
mod driven;
mod executor;
mod figures;
mod flight;
#[cfg(feature = "async")]
mod future;
mod lead;
mod leader;
mod loader;
mod loading;
#[cfg(feature = "async")]
mod loading_async;
mod many;
mod memoize;
mod outcome;
mod queue;
mod renewal;
mod reserve;
mod rest;
mod run;
mod settings;
mod turn;
mod warmer;
#[cfg(feature = "async")]
mod watch;

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub use crate::load_policy::LoadPolicy;
#[cfg(feature = "async")]
pub use executor::BoxFuture;
pub use executor::Job;
#[cfg(feature = "async")]
pub use loader::AsyncLoader;
pub use loader::Loader;
pub use loading::LoadingCache;
pub use memoize::memoize;
pub use outcome::{LoadError, LoadSource, Loaded, SharedError};
pub use reserve::Reservation;
pub use warmer::{Warmer, WarmerStatus};

use std::sync::OnceLock;
use std::time::Instant;

use crate::time::nanos;

/// Nanoseconds since some moment in the past of this process; never zero.
fn now() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    nanos(ORIGIN.get_or_init(Instant::now).elapsed()) + 1
}

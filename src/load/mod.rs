//! Loading: one load per key, and never a stale one.
//!
//! - A key has one load at a time; other callers that miss wait for it. Threads and tasks may wait for
//!   the same load.
//! - A value is put in only if, since its load began, nothing was inserted, removed, invalidated or
//!   computed for its key, and the whole cache was not invalidated. Callers after such an operation
//!   start a new load.
//! - An error is returned to all callers that waited, and is not remembered unless
//!   [`negative_ttl`](LoadingCache::negative_ttl) says so. A panic, or the drop of a task, affects
//!   its own caller only: the caller that has waited longest loads next.
//! - No lock is held while a loader runs. A thread or task that would wait for itself gets
//!   [`LoadError::Cycle`].
//!
//! | to | call |
//! |---|---|
//! | load on a miss, with a function per call | [`Cache::get_or_load`](crate::Cache::get_or_load), [`try_get_or_load`](crate::Cache::try_get_or_load) if it may fail, [`get_or_load_timeout`](crate::Cache::get_or_load_timeout) to bound the wait |
//! | do so without a key of one's own, for a hit | [`Cache::get_or_load_by_ref`](crate::Cache::get_or_load_by_ref) |
//! | say more: how long to wait, how long the value lives, where it came from | [`Cache::load`](crate::Cache::load) |
//! | let the loader say how long its value lives | [`Fresh`] |
//! | bring the value later, or from elsewhere | [`Cache::placeholder`](crate::Cache::placeholder) |
//! | load what need not exist | [`Cache::optionally_get_or_load`](crate::Cache::optionally_get_or_load) |
//! | load anew what does not please | [`Cache::get_or_load_if`](crate::Cache::get_or_load_if) |
//! | do so in tasks | `get_or_load_async`, `try_get_or_load_async`, `get_or_load_by_ref_async`, `Load::run_async` (feature `async`) |
//! | give the cache one loader, renew values ahead of their expiry, serve stale ones, remember errors | [`Cache::loading`](crate::Cache::loading), which makes a [`LoadingCache`] |
//! | load many keys by one query | [`LoadingCache::get_many`] with [`Loader::load_many`] |
//! | keep a set of keys fresh, whether they are read or not | [`Warmer`] |
//! | cache the results of a function | [`memoize()`] |
//! | count the buffers of a load against the capacity | [`Cache::reserve`](crate::Cache::reserve) |
//!
//! # How it is built
//!
//! | file | idea |
//! |---|---|
//! | `flight` | one load: its leader, its waiters, its outcome |
//! | `leader_state` | which caller leads a flight, and whether that makes progress |
//! | `queue` | the waiters, and which is promoted next |
//! | `run` | one run of a loader: when it was woken and polled, what it waits for |
//! | `fresh` | what a loader answers: a value, and how long it lives |
//! | `request` | a call that loads, in steps |
//! | `fill` | a place that is kept for a value |
//! | `optional` | values that need not exist, or do not please |
//! | `caller` | a caller that takes part in a load |
//! | `leader` | the caller that leads: it completes the load, fails it or abandons it |
//! | `thin` | a leader whose load no caller has joined yet: there is no flight |
//! | `blocking` | waiting as a thread; [`Cache::get_or_load`](crate::Cache::get_or_load) |
//! | `cycle` | loads that would wait for each other |
//! | `future` | waiting as a task; [`Cache::get_or_load_async`](crate::Cache) (feature `async`) |
//! | `watch` | leaders that are not polled, and time limits (feature `async`) |
//! | `next` | what a caller does next: it returns, leads, or loads for itself |
//! | `alone` | loads that no other caller can join |
//! | `failed_load` | the record of a load that has failed |
//! | `outcome` | what a caller gets |
//! | `reserve` | charge for the work of a load |
//! | `loader` | where values come from |
//! | `loading` | a cache with a loader |
//! | `figures` | its statistics and health |
//! | `loading_async` | the same for tasks (feature `async`) |
//! | `settings` | how it loads |
//! | `bulk` | many keys at a time |
//! | `many` | whether a loader can load many keys at a time |
//! | `renewal` | values that are renewed in the background |
//! | `predicted` | values that are likely to be asked for (feature `predict`) |
//! | `executor` | the threads that do that |
//! | `driven` | renewals that reads poll (feature `async`) |
//! | `warmer` | keys that are kept fresh |
//! | `memoize` | functions whose results are cached |
//!
//! # How a load goes
//!
//! A caller that finds no value begins a load: it links a *placeholder*, an entry with the *token*
//! of its flight, where the value is going to be. If there is a token already, the caller joins
//! that flight and waits. The caller that began the load is the *leader*: it runs its loader, with
//! no lock held. Then it *completes* the load: the very entry that carries its token is replaced by
//! the value.
//!
//! # Invariants
//!
//! - **F1** A key has at most one token in the table, as it has at most one entry.
//! - **F2** Whatever happens to a key (insert, removal, `compute` that changes it, a sweep that
//!   invalidates) replaces or unlinks its entry in the step in which it takes effect. So a load, which
//!   replaces the entry with its own token and no other, puts no value in that anything has overtaken.
//! - **F3** A flight has one leader at a time, until it is over: the one that its state names. The
//!   leader, and those that were relieved, may complete it; only one of them does, and no waiter is
//!   promoted meanwhile.
//! - **F4** A waiter that has joined and not left is in exactly one place: the flight's queue; the
//!   leader's state, from when it is promoted until it arrives; those with an outcome to read, once
//!   the flight is over. Leaving passes a promotion on. `Flight::check` recounts this in tests.
//! - **F5** No lock is held while user code runs: loaders, `Clone`, `Drop`, wakers.
//! - **F6** What is remembered of a load that has failed is stored behind its token. So F2 holds for
//!   it as well: it is forgotten in the step in which something happens to the key. A value that
//!   stands in for one that could not be loaded is read from the table when its caller returns.
//!
//! # Races
//!
//! *A flight ends just after a caller has found its token.* The caller learns so when it tries to
//! join, and looks at the table again.
//!
//! *A leader is overtaken by its own waiter.* A leader that was woken and is not polled is relieved
//! after a while. If it is still the first to have a value, that is put in and goes to all waiters;
//! otherwise its value goes to its own caller only.
//!
//! *A waiter is promoted and sleeps on.* It is back in the queue before the next one leads. When it
//! polls, it finds itself waiting and leaves its waker; or it leads, if the next one has not
//! arrived either.

mod alone;
mod blocking;
mod bulk;
mod caller;
mod cycle;
#[cfg(feature = "async")]
mod driven;
mod executor;
#[cfg(all(test, not(clockhand_loom)))]
mod executor_tests;
mod failed_load;
mod figures;
mod fill;
mod flight;
mod fresh;
#[cfg(feature = "async")]
mod future;
mod get_all;
mod leader;
mod leader_state;
mod loader;
mod loading;
#[cfg(feature = "async")]
mod loading_async;
mod many;
mod memoize;
#[cfg(feature = "macros")]
pub mod memoized;
mod next;
mod optional;
mod outcome;
mod passed_terms;
#[cfg(feature = "predict")]
mod predicted;
mod queue;
mod renewal;
mod request;
mod reserve;
mod run;
mod settings;
mod thin;
mod warmer;
#[cfg(feature = "async")]
mod watch;

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;
#[cfg(all(test, clockhand_loom))]
mod thin_models;

pub use crate::load_policy::LoadPolicy;
#[cfg(feature = "async")]
pub use executor::BoxFuture;
pub use executor::Job;
pub use fill::{Fill, Placeholder};
pub use fresh::{Answer, Fresh};
#[cfg(feature = "async")]
pub use loader::AsyncLoader;
pub use loader::{BoxLoader, Loader};
pub use loading::LoadingCache;
pub use memoize::memoize;
#[cfg(feature = "async")]
pub use memoize::{AsyncMemo, memoize_async};
pub use outcome::{LoadError, LoadSource, Loaded, SharedError};
#[cfg(feature = "predict")]
pub(crate) use predicted::{PredictedLoad, WeakLoadingCache};
pub use request::{Load, LoadOutput, OfValue, WithSource};
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

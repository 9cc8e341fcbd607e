//! When memory that was unlinked may be freed.
//!
//! Epochs, in the manner of K. Fraser, *Practical lock-freedom* (2004), §5.2.3. A [`Domain`] has an
//! epoch, a counter. A thread sits on a [`Seat`](seat::Seat) and writes the epoch there before it follows a
//! pointer (it is *pinned*). The epoch moves from `e` to `e + 1` only when every pinned seat shows
//! `e`. What was unlinked and *retired* while the epoch was `t` may be freed once the epoch is
//! [`GRACE`] ahead of `t`.
//!
//! Three things differ from a general-purpose collector, and each serves a promise:
//!
//! - **Pinning never collects.** A reader runs no deferred function, frees nothing and allocates
//!   nothing; only [`Domain::collect`] frees, and only writers and maintenance call it.
//! - **A held guard may be renewed without a fence** ([`Perch`]), and [`GRACE`] is three, not two,
//!   so that this holds on every machine and not only on those that keep loads in order.
//! - **Retired items belong to the domain, not to a thread.** Anybody may collect them; a thread
//!   that dies strands nothing, nor does one that sleeps, unless it sleeps in the middle of freeing.
//!
//! # Invariants
//!
//! - **R1** A seat's state is zero (quiescent) or `epoch << 1 | 1`; only the seat's holder writes it.
//! - **R2** An item is retired by the one thread that unlinked it, while that thread is pinned,
//!   after it can no longer be reached by a new reader.
//! - **R3** A batch's tag is read from the epoch after a sequentially consistent fence that follows
//!   the unlinking of all its items.
//! - **R4** A batch is owned by whoever took its pointer out of the bag's word by a swap; one in a stack or a queue with the first of it.
//! - **R5** Seats are freed with the domain, never before; a seat has one holder at a time.
//!
//! # Why three
//!
//! Let an item be unlinked under tag `t`. A reader that pinned with a fence and can still reach the
//! item fenced before the unlinker did, so it read an epoch of at most `t`, and the advance from
//! `t + 1` to `t + 2` sees its seat and stops. A reader that renewed without a fence to epoch `g`
//! read `g` with acquire. Every advance up to `g` acquired the unpinning of the writers before it,
//! hence the reader sees everything that was unlinked under `g - 2` or earlier, and the item's tag
//! is at least `g - 1`. It is freed at `t + 3 >= g + 2`, and the advance to `g + 2` needs the
//! reader's seat to show `g + 1`: it has finished with the item. With two instead of three the
//! item could be freed under the eyes of such a reader wherever the load of the epoch and the load
//! of the pointer are not kept in order with other threads' writes.

mod bag;
mod domain;
mod queue;
mod roster;
mod seat;

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;
#[cfg(all(test, clockhand_loom, crossbeam_loom))]
mod yardstick;

pub(crate) use bag::{Ledgered, Retired};
pub(crate) use domain::Domain;
pub(crate) use seat::{Guard, Pass, Perch};

/// How many epochs lie between the retirement of an item and its release.
pub(crate) const GRACE: u64 = 3;

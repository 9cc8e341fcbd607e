//! When memory that was unlinked may be freed.
//!
//! Epochs, in the manner of K. Fraser, *Practical lock-freedom* (2004), §5.2.3. A [`Domain`] has an
//! epoch, a counter. A thread has a [`Participant`](participant::Participant) and writes the epoch there before it
//! follows a pointer (it is *pinned*). The epoch moves from `e` to `e + 1` only when every pinned participant shows
//! `e`. What was unlinked and *retired* while the epoch was `t` may be freed once the epoch is
//! [`GRACE`] ahead of `t`.
//!
//! Three things differ from a general-purpose collector, and each serves a promise:
//!
//! - **Pinning never collects.** A reader runs no deferred function, frees nothing and allocates
//!   nothing; only [`Domain::collect`] frees, and only writers and maintenance call it.
//! - **A held guard may be renewed without a fence** ([`OwnedGuard`]), and [`GRACE`] is three, not two,
//!   so that this holds on every machine and not only on those that keep loads in order.
//! - **Retired items belong to the domain, not to a thread.** Any thread may collect them; a thread
//!   that dies strands nothing, nor does one that sleeps, unless it sleeps in the middle of freeing.
//!
//! # Invariants
//!
//! - **R1** A participant's state is zero (quiescent) or shows an epoch; only the participant's holder writes it.
//! - **R2** An item is retired by the one thread that unlinked it, while that thread is pinned,
//!   after it can no longer be reached by a new reader.
//! - **R3** A batch's tag is read from the epoch after a sequentially consistent fence that follows
//!   the unlinking of all its items.
//! - **R4** A batch is owned by the thread that took its pointer out of the bag's word by a swap; one in a stack or a
//!   queue with the first of it.
//! - **R5** Participants are freed with the domain, never before; a participant has one holder at a time.
//! - **R6** A thread that is freeing items of any domain frees none inside, of whatever domain: destructors
//!   are as deep in one another as user code nests them, and no deeper.
//!
//! # Why three
//!
//! The proof rests on the fences alone, and not on who is pinned. A writer may sleep between its load of
//! the epoch and its fence; its participant then shows an epoch that is long over, or shows nothing yet to an
//! advance that has fenced before it did. So nothing is concluded from a writer's participant.
//!
//! Let an item be unlinked, then *F* be the sealer's fence, and then `t` the tag that it reads (R3). All
//! sequentially consistent fences are in one order. Each epoch is written once, by one advance, which
//! loads the epoch before, fences, and looks at the participants. Two facts follow, for the fence *A* of the
//! advance from `e` to `e + 1`:
//!
//! 1. If *A* is before *F*, then `t >= e`: the load that *A* follows has read `e`, so what is loaded after
//!    *F* is no older.
//! 2. If *F* is before *A*, then the thread that reads `e + 1` with acquire, or an epoch after it, sees the item as
//!    unlinked from then on: *A* happens before its next load of the link.
//!
//! *A reader that pinned with a fence P, having loaded `g`.* If *F* is before *P*, it sees the item as
//! unlinked. Otherwise *P* is before *F*, and as `g` was loaded before *P*, `t >= g`. Let *A* be the fence of
//! the advance from `t + 1` to `t + 2`. It is after *F*, or else `t >= t + 1` by the first fact. So it is
//! after *P*, and that advance sees the participant as it was after *P*, with `g`, and stops, as `g` is not `t + 1`;
//! or it sees what was stored later, with release, when the reader was done.
//!
//! *A reader that renewed without a fence, to epoch `g`.* Let *A* be the fence of the advance from `g - 1` to
//! `g`, which the reader acquired. If *F* is before *A*, it sees the item as unlinked, by the second fact.
//! Otherwise `t >= g - 1`, by the first. So what the reader can still reach is freed at `t + 3 >= g + 2`, after
//! an advance from `g + 1` to `g + 2`. The fence of that one is after the fence with which the participant was
//! pinned, or else the reader would have loaded no `g` but `g + 1` at least since. So it sees that pin
//! or something later, and goes on only if it sees `g + 1` or a participant that is free, both of which the reader
//! stores with release after it is done with what it read under `g`. Stores of the participant that are seen late
//! only hold the epoch up.
//!
//! The thread that frees acquires the epoch, and with it all that the advances have seen.
//!
//! With two instead of three the item could be freed at `g + 1`, and the advance to that one is content with
//! a participant that shows `g`. The model `a_reader_that_renewed_beside_an_unlink_keeps_what_it_reads` finds this
//! (seed `reclaim-grace-two`): the advance to `g` fences; the writer unlinks, fences and reads the tag `g - 1`;
//! the reader renews to `g` and follows the link as it was; the epoch moves to `g + 1`.

mod bag;
mod domain;
mod epoch;
mod freeing;
mod handles;
mod lent;
mod name;
mod open_batch;
mod participant;
mod participant_scan;
mod pin_state;
mod queue;
mod stall;
mod validate;

#[cfg(all(test, clockhand_loom, crossbeam_loom))]
mod crossbeam_models;
#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, clockhand_loom))]
mod neutralize_models;
#[cfg(all(test, not(clockhand_loom)))]
mod neutralize_tests;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub(crate) use bag::{ChargedTo, Retired};
pub(crate) use domain::{Domain, Laggard};
pub(crate) use freeing::is_freeing;
pub(crate) use lent::Lent;
pub(crate) use participant::{Guard, GuardRef, OwnedGuard, PinStatus, Pinned};
pub(crate) use pin_state::stall_point;
#[cfg(all(test, not(clockhand_loom)))]
pub(crate) use pin_state::stall_points;
pub(crate) use validate::{Mode, Outcome, Reads, Unchecked, Validate, Validated, Writes};

/// What can be retired.
pub(crate) trait Reclaim {
    /// When it was born, by [`GuardRef::birth`]; zero if that is not known, and it is held by all who could have seen it.
    fn birth(&self) -> u32;

    /// Where it lies, as those know it to whom it is [lent](Lent) alone; zero if it never is.
    fn address(&self) -> usize {
        0
    }
}

/// How many epochs lie between the retirement of an item and its release.
pub(crate) const GRACE: u64 = 3;

//! The exact ledger: capacity is conserved, so nothing has to be summed and compared.
//!
//! A counter that is compared with a limit is stale as soon as it is read: two writers each see room
//! for one. Here the units of capacity are things. Each lies in exactly one place, and moves by one
//! atomic step that takes it from there before it is put anywhere else:
//!
//! ```text
//!            take                    commit
//!   pool ------------.            .----------> linked (the charge in an entry)
//!    ^                >-- hand --<                |
//!    | give   credit '   |  ^     '---------------'
//!    '------ of a stripe |  |         add (a victim's charge)
//!                        v  |
//!                 settles debt / raised by a resize
//! ```
//!
//! # Invariants
//!
//! - **L1** *Conservation.* `limit = pool + credits + linked + hands`, where a hand is what a running
//!   operation has taken and not yet put anywhere. Hence the charges of linked entries never exceed
//!   the limit, and no place ever overflows.
//! - **L2** *No hoarding.* A hand takes what its operation needs and no more. Credit comes to a
//!   stripe from the hand of its own thread (what it gives back), never ahead of need from the pool.
//!   So as long as there is room for everybody, nobody is refused, not even while a thread sleeps
//!   with a full hand. (A refill in batches has a moment at which a whole batch is in a hand. A
//!   thread that sleeps there makes others evict while the cache is under capacity.)
//! - **L3** *Settled at rest.* When no operation runs, either `limit = target`, or
//!   `limit > target` (debt) and pool and stripes are empty: only linked charges stand in the way.
//! - **L4** *Listed.* The count of listed stripes is never below the number of stripes that hold
//!   credit, so zero says that a sweep would find nothing.
//!
//! # Races
//!
//! - *Two takers, one unit.* Each takes by a compare-exchange on the same word; one succeeds.
//! - *A sweep and the owner of the stripe.* The same, on the stripe's word; or as described there, if the owner spends
//!   without an exchange.
//! - *A give and a shrink.* The giver saw no debt and puts its units down after the shrink has
//!   collected. Both changed the same word (pool or stripe), so the second of them saw what the first
//!   wrote before: either the shrink finds the units or the giver, which looks again, finds the debt.
//! - *A payment and a new target.* A payer reads the target, then lowers the limit, and the target
//!   has risen in between. Both change the limit's word, so the same holds: the payer, which looks
//!   again, raises the limit, or the resize does.
//! - *A raise that comes late.* A raise decided on an old target may come after a later shrink
//!   returned. Its units are in a hand, and the hand looks at the target again before it lets go of
//!   them, so they are paid back and never reach anybody; only the reading of the limit blinks.
//! - *Resizes at the same time.* The target is one word and the last value stands. The limit only
//!   follows it, in steps that carry their units in a hand, so no order of the steps overflows.

#[cfg(any(test, fuzzing, clockhand_fuzz))]
mod audit;
mod bound;
mod ledger;
mod peak;
mod pool;
mod reservation;
mod stripe;

pub(crate) use ledger::Ledger;
pub(crate) use reservation::Reservation;
pub(crate) use stripe::{Credit, Stripe};

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod properties;
#[cfg(all(test, not(clockhand_loom)))]
mod stress;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

//! The exact ledger: capacity is conserved, so nothing has to be summed and compared.
//!
//! A counter that is compared with a limit is stale as soon as it is read: two writers may both see
//! room for one entry. Here each unit of capacity is in exactly one place, and is moved by one
//! atomic step that takes it from there before it is put anywhere else:
//!
//! ```text
//!            take                    commit
//!   pool ------------.                .----------> linked (the charge of an entry)
//!    ^                >-- reserved --<                |
//!    | give   credit '     |  ^      '----------------'
//!    '------ of a stripe   |  |         add (a victim's charge)
//!                          v  |
//!                  pays debt / raised by a resize
//! ```
//!
//! # Invariants
//!
//! - **L1** *Conservation.* `limit = pool + credits + linked + reserved`, where `reserved` are the units
//!   that running operations have taken and not yet put anywhere. So the charges of linked entries never
//!   exceed the limit, and no counter overflows.
//! - **L2** *No hoarding.* An operation takes the units that it needs and no more. A stripe's credit comes
//!   from what its own thread gives back, never from the pool ahead of need. So as long as there is room
//!   for all operations, none is refused, not even while a thread is stopped with reserved units. (With
//!   refills in batches, a thread that is stopped with a whole batch would make others evict while the
//!   cache is under capacity.)
//! - **L3** *Target reached at rest.* While no operation runs, either `limit = target`, or
//!   `limit > target` (debt) and pool and stripes are empty: only linked charges keep the limit up. A stripe whose owner
//!   spends without an exchange may hold its allowance beside debt, if the owner was in an operation during the shrink: that
//!   pays when the owner gives something back, or maintenance comes by.
//! - **L4** *Registration.* The count of registered stripes is never below the number of stripes that
//!   hold credit. So if it is zero, there is no credit to steal.
//!
//! # Races
//!
//! - *Two takers of one unit.* Each takes by a compare-exchange on the same word; one succeeds.
//! - *Stealing, and the owner of the stripe.* The same, on the stripe's word; or as described in
//!   `stripe`, if the owner spends without an exchange.
//! - *A give and a shrink.* The giver saw no debt, and puts its units back after the shrink has
//!   collected. Both change the same word (of the pool or of a stripe), so the second of them sees what
//!   the first wrote before: either the shrink finds the units, or the giver, which checks again, finds
//!   the debt.
//! - *A payment and a new target.* A payer reads the target, then lowers the limit, and the target
//!   was raised in between. Both change the limit's word, so the same holds: the payer, which checks
//!   again, raises the limit, or the resize does.
//! - *A late raise.* A raise decided on an old target may happen after a later shrink has returned. Its
//!   units are reserved, and the target is checked again before they are released, so they are paid back
//!   and no operation gets them; only readers of the limit see it change for a moment.
//! - *Concurrent resizes.* The target is one word, and the last value stands. The limit follows it in
//!   steps whose units are reserved meanwhile, so no order of the steps overflows.

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

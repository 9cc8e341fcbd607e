//! From a claim to an outcome: the work runs if the claim is granted.

use std::hash::Hash;

use super::offset_ticket::OffsetTicket;
use super::ticket::{Claim, Outcome, Ticket};

/// A ticket of any kind.
pub(super) trait Completable {
    fn complete(self) -> bool;
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Completable for Ticket<Id> {
    fn complete(self) -> bool {
        Self::complete(self)
    }
}

impl Completable for OffsetTicket {
    fn complete(self) -> bool {
        Self::complete(self)
    }
}

/// Returns the ticket, or why there is none.
fn granted<T, R, E>(claim: Claim<T>) -> Result<T, Outcome<R, E>> {
    match claim {
        Claim::New(ticket) => Ok(ticket),
        Claim::InProgress => Err(Outcome::InProgress),
        Claim::Done => Err(Outcome::Duplicate),
    }
}

/// Ends the claim with the result of the work: a ticket that is not completed gives the claim back.
fn ended<R, E>(ticket: impl Completable, result: Result<R, E>) -> Outcome<R, E> {
    match result {
        Ok(result) if ticket.complete() => Outcome::Processed(result),
        Ok(result) => Outcome::Late(result),
        Err(error) => Outcome::Failed(error),
    }
}

pub(super) fn process<R, E>(
    claim: Claim<impl Completable>,
    work: impl FnOnce() -> Result<R, E>,
) -> Outcome<R, E> {
    match granted(claim) {
        Ok(ticket) => ended(ticket, work()),
        Err(outcome) => outcome,
    }
}

#[cfg(feature = "async")]
pub(super) async fn process_async<R, E, F>(
    claim: Claim<impl Completable>,
    work: impl FnOnce() -> F,
) -> Outcome<R, E>
where
    F: Future<Output = Result<R, E>>,
{
    match granted(claim) {
        Ok(ticket) => ended(ticket, work().await),
        Err(outcome) => outcome,
    }
}

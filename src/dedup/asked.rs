//! An id that is asked for: given away, or borrowed.

use std::borrow::Borrow;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a claim is asked with.
pub(super) trait Asked<Id> {
    /// What is compared.
    type Part: Hash + Eq + ?Sized;

    fn part(&self) -> &Self::Part;
    /// The id, for its record.
    fn to_id(&self) -> Id;
    /// The id, for its ticket. If that panics, `undo` is called first.
    fn into_id(self, undo: impl FnOnce(&Self::Part)) -> Id;
}

/// An id that was given away.
pub(super) struct Given<Id>(pub(super) Id);

impl<Id: Hash + Eq + Clone> Asked<Id> for Given<Id> {
    type Part = Id;

    fn part(&self) -> &Id {
        &self.0
    }

    fn to_id(&self) -> Id {
        self.0.clone()
    }

    fn into_id(self, _undo: impl FnOnce(&Id)) -> Id {
        self.0
    }
}

/// An id that was lent, or what can be borrowed of it.
pub(super) struct Lent<'a, Q: ?Sized>(pub(super) &'a Q);

impl<Id: Borrow<Q>, Q: Hash + Eq + ToOwned<Owned = Id> + ?Sized> Asked<Id> for Lent<'_, Q> {
    type Part = Q;

    fn part(&self) -> &Q {
        self.0
    }

    fn to_id(&self) -> Id {
        self.0.to_owned()
    }

    fn into_id(self, undo: impl FnOnce(&Q)) -> Id {
        let owned = catch_unwind(AssertUnwindSafe(|| self.0.to_owned()));
        owned.unwrap_or_else(|panic| {
            undo(self.0);
            resume_unwind(panic)
        })
    }
}

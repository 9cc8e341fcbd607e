//! An id as a claim gets it: owned, or borrowed.

use std::borrow::Borrow;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Where a claim gets its id from.
pub(super) trait IdSource<Id> {
    /// The form that is compared with ids.
    type Lookup: Hash + Eq + ?Sized;

    fn lookup(&self) -> &Self::Lookup;
    /// Makes the id for its record.
    fn to_id(&self) -> Id;
    /// Makes the id for its ticket. If that panics, `undo` is called first.
    fn into_id(self, undo: impl FnOnce(&Self::Lookup)) -> Id;
}

/// An id that the caller has passed by value.
pub(super) struct OwnedId<Id>(pub(super) Id);

impl<Id: Hash + Eq + Clone> IdSource<Id> for OwnedId<Id> {
    type Lookup = Id;

    fn lookup(&self) -> &Id {
        &self.0
    }

    fn to_id(&self) -> Id {
        self.0.clone()
    }

    fn into_id(self, _undo: impl FnOnce(&Id)) -> Id {
        self.0
    }
}

/// A borrowed id, or a borrowed form of it.
pub(super) struct BorrowedId<'a, Q: ?Sized>(pub(super) &'a Q);

impl<Id: Borrow<Q>, Q: Hash + Eq + ToOwned<Owned = Id> + ?Sized> IdSource<Id>
    for BorrowedId<'_, Q>
{
    type Lookup = Q;

    fn lookup(&self) -> &Q {
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

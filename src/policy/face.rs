//! The table as the hands see it.

use super::marks::{Marks, Region};

/// A place on the clock's face: which bucket, in the leading bits, and which rank in it. Places are
/// ordered as the table is, and begin again at zero after the last. They keep their meaning when the
/// table doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

/// An entry that a hand met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Met<S> {
    pub(crate) slot: S,
    pub(crate) marks: Marks,
    /// Where it is, and the place right after it.
    pub(crate) at: Place,
    pub(crate) next: Place,
}

/// What the hands walk over. The engine implements it on the table, the tests on a vector.
pub(crate) trait Face {
    /// Names an occupied slot as it was when it was met.
    type Slot: Copy;

    /// The first entry of a region at `from` or after it, going round.
    ///
    /// # Errors
    ///
    /// The place where it stopped, if there is none within a bounded stretch.
    fn meet(&self, region: Region, from: Place) -> Result<Met<Self::Slot>, Place>;

    /// One attempt to change an entry's marks from what was met. If it fails, somebody used it.
    fn mark(&self, met: &Met<Self::Slot>, to: Marks) -> bool;

    /// The hash of the entry's key.
    fn hash(&self, slot: Self::Slot) -> u64;

    /// What the entry weighs.
    fn charge(&self, slot: Self::Slot) -> u64;

    /// Whether the entry's time is over.
    fn expired(&self, slot: Self::Slot) -> bool;
}

//! The table as the hands see it.

use super::heard::Heard;
use super::marks::{Marks, Region};
use super::worth::Worth;

/// A place on the clock's face: which bucket, in the leading bits, and which rank in it. Places are
/// ordered as the table is, and begin again at zero after the last. A place where a bucket
/// begins keeps its meaning when the table's size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

/// What becomes of an entry that a survey shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It stays as it is.
    Seen,
    /// Its marks are changed, by one attempt.
    Marked(Marks),
    /// It was one too many: the survey ends before it.
    Enough,
}

/// What the hands walk over. The engine implements it on the table, the tests on a vector.
pub(crate) trait Face {
    /// Names an occupied slot as it was when it was met.
    type Slot: Copy;

    /// How many places an evictor takes of a hand's round at a time: a power of two.
    fn stretch(&self) -> u64;

    /// Shows a region's entries to `note`, from `from` on and in order, until `note` wants no more;
    /// returns how many of `length` places were left behind.
    fn survey(
        &self,
        region: Region,
        from: Place,
        length: u64,
        note: impl FnMut(Place, Marks) -> Noted,
    ) -> u64;

    /// The entry at a place, if it is of this region.
    fn look(&self, region: Region, at: Place) -> Option<Self::Slot>;

    /// The entry whose hash agrees with `hash` in the bits that are `known`, if it is of this region.
    fn recall(&self, region: Region, hash: u64, known: u64) -> Option<Self::Slot>;

    /// What the policy knew of the entry when it was met.
    fn marks(&self, slot: Self::Slot) -> Marks;

    /// One attempt to change an entry's marks from what was met. If it fails, somebody used it.
    fn mark(&self, slot: Self::Slot, to: Marks) -> bool;

    /// How often the entry's key was heard of.
    fn heard(&self, slot: Self::Slot) -> Heard;

    /// Notes how often the entry's key was heard of.
    fn hear(&self, slot: Self::Slot, heard: Heard);

    /// What the entry is worth, if its key is asked for so often.
    fn worth(&self, slot: Self::Slot, frequency: u64) -> Worth;

    /// How much of probation's share an entry was that was met there, and is marked as protected
    /// now; nothing if it is not counted there. Asked once, by the one who marked it.
    fn promoted(&self, slot: Self::Slot) -> Option<u64>;

    /// Whether the entry's time is over.
    fn expired(&self, slot: Self::Slot) -> bool;
}

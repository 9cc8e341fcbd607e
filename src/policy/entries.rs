//! The table as the hands see it.

use super::recent_uses::RecentUses;
use super::worth::Worth;
use crate::slot_meta::{Region, ScanStep, SlotMeta};

/// A place on the clock's face: which bucket, in the leading bits, and which rank in it. Places are
/// ordered as the table is, and begin again at zero after the last. A place where a bucket
/// begins keeps its meaning when the table's size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanPosition(pub(crate) u64);

/// What the hands walk over. The engine implements it on the table, the tests on a vector.
pub(crate) trait Entries {
    /// Names an occupied slot as it was when it was met.
    type Slot: Copy;

    /// How many places an evictor takes of a hand's round at a time: a power of two.
    fn range_length(&self) -> u64;

    /// Shows a region's entries to `visit`, from `from` on and in order, until `visit` wants no more;
    /// returns how many of `length` places were left behind.
    fn scan(
        &self,
        region: Region,
        from: ScanPosition,
        length: u64,
        visit: impl FnMut(ScanPosition, SlotMeta) -> ScanStep,
    ) -> u64;

    /// The entry at a place, if it is of this region.
    fn get_at(&self, region: Region, at: ScanPosition) -> Option<Self::Slot>;

    /// The entry whose hash agrees with `hash` in the bits that are `mask`, if it is of this region.
    fn find_by_fingerprint(&self, region: Region, hash: u64, mask: u64) -> Option<Self::Slot>;

    /// What the policy knew of the entry when it was met.
    fn meta(&self, slot: Self::Slot) -> SlotMeta;

    /// One attempt to change an entry's marks from what was met. If it fails, another thread used it.
    fn mark(&self, slot: Self::Slot, to: SlotMeta) -> bool;

    /// How often the entry's key was used.
    fn recent_uses(&self, slot: Self::Slot) -> RecentUses;

    /// Notes how often the entry's key was used.
    fn set_recent_uses(&self, slot: Self::Slot, recent_uses: RecentUses);

    /// What the entry is worth, if its key is asked for so often.
    fn worth(&self, slot: Self::Slot, frequency: u64) -> Worth;

    /// How much of probation's share an entry was that was met there, and is marked as protected
    /// now; nothing if it is not counted there. Asked once, by the one who marked it.
    fn take_probation_charge(&self, slot: Self::Slot) -> Option<u64>;

    /// Whether the entry has expired.
    fn expired(&self, slot: Self::Slot) -> bool;
}

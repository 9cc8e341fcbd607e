//! The table as the hands see it.

use super::recent_uses::RecentUses;
use super::worth::Worth;
use crate::slot_meta::{Region, ScanStep, SlotMeta};

/// A position of a hand: which bucket, in the leading bits, and which rank in it. Positions are ordered as the table
/// is, and begin again at zero after the last. A position where a bucket begins keeps its meaning when the table's
/// size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanPosition(pub(crate) u64);

/// What the hands go over. The engine implements it on the table, the tests on a vector.
pub(crate) trait Entries {
    /// An occupied slot, as it was when it was found.
    type Slot: Copy;

    /// How many positions an evictor takes of a hand's round at a time: a power of two.
    fn range_length(&self) -> u64;

    /// Shows a region's entries to `visit`, from `from` on and in order, until `visit` wants no more;
    /// returns how many of `length` positions were scanned.
    fn scan(
        &self,
        region: Region,
        from: ScanPosition,
        length: u64,
        visit: impl FnMut(ScanPosition, SlotMeta) -> ScanStep,
    ) -> u64;

    /// The entry at a position, if it is of this region.
    fn get_at(&self, region: Region, at: ScanPosition) -> Option<Self::Slot>;

    /// The entry whose hash agrees with `hash` in the bits of `mask`, if it is of this region.
    fn find_by_fingerprint(&self, region: Region, hash: u64, mask: u64) -> Option<Self::Slot>;

    /// What the policy knew of the entry when it was found.
    fn meta(&self, slot: Self::Slot) -> SlotMeta;

    /// How often the entry on probation was read since it was inserted. The first read of one that was prefetched
    /// is what would have inserted it, and does not count.
    fn reads(&self, slot: Self::Slot) -> u8 {
        self.meta(slot).count()
    }

    /// One attempt to change an entry's metadata from what was found. If it fails, another thread used the entry.
    fn mark(&self, slot: Self::Slot, to: SlotMeta) -> bool;

    /// The recent uses of the entry's key.
    fn recent_uses(&self, slot: Self::Slot) -> RecentUses;

    /// Sets the recent uses of the entry's key.
    fn set_recent_uses(&self, slot: Self::Slot, recent_uses: RecentUses);

    /// What the entry is worth, if its key is used `frequency` times.
    fn worth(&self, slot: Self::Slot, frequency: u64) -> Worth;

    /// What an entry counted in probation's charge that was found there, and is protected now; `None` if it was not
    /// counted. Asked once, by the thread that promoted it.
    fn take_probation_charge(&self, slot: Self::Slot) -> Option<u64>;

    /// Whether the entry has expired.
    fn expired(&self, slot: Self::Slot) -> bool;
}

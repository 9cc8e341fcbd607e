//! The table as the policy sees it.

use super::Engine;
use super::op_time::OpTime;
use super::types::View;
use crate::entry::EntryRef;
use crate::policy::{Entries, RecentUses, ScanPosition, Worth};
use crate::slot_meta::{Region, ScanStep, SlotMeta};
use crate::table::SlotSnapshot;

/// The table's entries, as the policy sees them.
pub(super) struct TableEntries<'g, K, V, S> {
    engine: &'g Engine<K, V, S>,
    view: View<'g, K, V>,
    /// An entry that is not to be seen, as it is about to be replaced.
    excluded: Option<EntryRef<'g, K, V>>,
    /// Whether entries that are being renewed are not to be seen.
    excludes_renewing: bool,
    /// When the search began, if entries expire.
    now: Option<OpTime<'g, K, V>>,
}

impl<'g, K, V, S> TableEntries<'g, K, V, S> {
    pub(super) fn new(engine: &'g Engine<K, V, S>, view: View<'g, K, V>) -> Self {
        Self { engine, view, excluded: None, excludes_renewing: false, now: engine.op_time() }
    }

    /// The same without this entry.
    pub(super) fn excluding(self, excluded: Option<EntryRef<'g, K, V>>) -> Self {
        Self { excluded, ..self }
    }

    /// The same without those whose load is under way: evicted, their key would be loaded a second time meanwhile.
    pub(super) fn excluding_renewing(self, excludes_renewing: bool) -> Self {
        Self { excludes_renewing, ..self }
    }

    /// Whether an entry may go. What weighs nothing makes no room, and stays; so does what is still being loaded.
    #[inline(always)]
    fn is_evictable(&self, slot: SlotSnapshot<'g, K, V>) -> bool {
        let entry = slot.entry();
        if self.excluded.is_some_and(|excluded| excluded.is(entry)) {
            return false;
        }
        if slot.has_token() { self.may_go_with_token(entry) } else { entry.weight_of_value() > 0 }
    }

    #[cold]
    #[inline(never)]
    fn may_go_with_token(&self, entry: EntryRef<'g, K, V>) -> bool {
        entry.charge() > 0 && !(self.excludes_renewing && entry.is_being_renewed())
    }
}

impl<'g, K, V, S> Entries for TableEntries<'g, K, V, S> {
    type Slot = SlotSnapshot<'g, K, V>;

    #[inline]
    fn range_length(&self) -> u64 {
        self.view.range_length()
    }

    fn scan(
        &self,
        region: Region,
        from: ScanPosition,
        length: u64,
        mut visit: impl FnMut(ScanPosition, SlotMeta) -> ScanStep,
    ) -> u64 {
        self.view.scan(region, from.0, length, |at, meta| visit(ScanPosition(at), meta))
    }

    #[inline]
    fn get_at(&self, region: Region, at: ScanPosition) -> Option<Self::Slot> {
        let slot = self.view.get_at(region, at.0)?;
        self.is_evictable(slot).then_some(slot)
    }

    #[inline(always)]
    fn find_by_fingerprint(&self, region: Region, hash: u64, mask: u64) -> Option<Self::Slot> {
        let slot = self.view.find_by_fingerprint(region, hash, mask)?;
        self.is_evictable(slot).then_some(slot)
    }

    #[inline]
    fn meta(&self, slot: Self::Slot) -> SlotMeta {
        slot.meta()
    }

    #[inline]
    fn reads(&self, slot: Self::Slot) -> u8 {
        slot.meta().count().saturating_sub(u8::from(slot.entry().is_prefetched()))
    }

    #[inline]
    fn mark(&self, slot: Self::Slot, to: SlotMeta) -> bool {
        self.view.occupied(slot).mark(slot.meta(), to)
    }

    #[inline]
    fn recent_uses(&self, slot: Self::Slot) -> RecentUses {
        RecentUses::from_bits(slot.entry().recent_uses())
    }

    #[inline]
    fn set_recent_uses(&self, slot: Self::Slot, recent_uses: RecentUses) {
        slot.entry().set_recent_uses(recent_uses.bits());
    }

    #[inline]
    fn worth(&self, slot: Self::Slot, frequency: u64) -> Worth {
        Worth::new(frequency, slot.entry().cost(), slot.entry().charge())
    }

    #[inline]
    fn take_probation_charge(&self, slot: Self::Slot) -> Option<u64> {
        self.engine.take_probation_charge(slot.entry())
    }

    #[inline]
    fn expired(&self, slot: Self::Slot) -> bool {
        self.now.is_some_and(|now| !now.is_kept(slot.entry()))
    }
}

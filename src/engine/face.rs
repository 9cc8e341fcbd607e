//! The table as the policy sees it.

use super::Engine;
use super::bury::{Found, Table};
use crate::entry::EntryRef;
use crate::policy::{Face, Heard, Marks, Noted, Place, Region, Worth};
use crate::table;

/// The clock's face.
pub(super) struct Dial<'g, K, V, S> {
    engine: &'g Engine<K, V, S>,
    view: Table<'g, K, V>,
    /// An entry that is not to be seen, as it is about to be replaced.
    spared: Option<EntryRef<'g, K, V>>,
    /// Whether entries that are being renewed are not to be seen.
    spares_renewed: bool,
}

impl<'g, K, V, S> Dial<'g, K, V, S> {
    pub(super) fn new(engine: &'g Engine<K, V, S>, view: Table<'g, K, V>) -> Self {
        Self { engine, view, spared: None, spares_renewed: false }
    }

    /// The same without this entry.
    pub(super) fn sparing(self, spared: Option<EntryRef<'g, K, V>>) -> Self {
        Self { spared, ..self }
    }

    /// The same without those whose load is under way: evicted, their key would be loaded a second time beside it.
    pub(super) fn sparing_renewed(self, spares_renewed: bool) -> Self {
        Self { spares_renewed, ..self }
    }

    /// Whether an entry may go. What weighs nothing makes no room, and stays; so does what is still being loaded.
    #[inline]
    fn may_go(&self, slot: &Found<'g, K, V>) -> bool {
        let is_spared = |spared: EntryRef<'g, K, V>| spared.is(slot.entry());
        slot.entry().charge() > 0
            && !self.spared.is_some_and(is_spared)
            && !(self.spares_renewed && slot.entry().is_being_renewed())
    }
}

impl<'g, K, V, S> Face for Dial<'g, K, V, S> {
    type Slot = Found<'g, K, V>;

    #[inline]
    fn stretch(&self) -> u64 {
        self.view.stretch()
    }

    fn survey(
        &self,
        region: Region,
        from: Place,
        length: u64,
        mut note: impl FnMut(Place, Marks) -> Noted,
    ) -> u64 {
        self.view.survey(region_of(region), from.0, length, |place, bits| {
            let marks = Marks::from_bits(bits).expect("a lane of a region is occupied");
            match note(Place(place), marks) {
                Noted::Seen => table::Noted::Seen,
                Noted::Marked(marks) => table::Noted::Marked(marks.bits()),
                Noted::Enough => table::Noted::Enough,
            }
        })
    }

    #[inline]
    fn look(&self, region: Region, at: Place) -> Option<Self::Slot> {
        let slot = self.view.look(region_of(region), at.0)?;
        self.may_go(&slot).then_some(slot)
    }

    #[inline]
    fn recall(&self, region: Region, hash: u64, known: u64) -> Option<Self::Slot> {
        let slot = self.view.recall(region_of(region), hash, known)?;
        self.may_go(&slot).then_some(slot)
    }

    #[inline]
    fn marks(&self, slot: Self::Slot) -> Marks {
        Marks::from_bits(slot.bits()).expect("a slot that was met is occupied")
    }

    #[inline]
    fn mark(&self, slot: Self::Slot, to: Marks) -> bool {
        slot.mark(slot.bits(), to.bits())
    }

    #[inline]
    fn heard(&self, slot: Self::Slot) -> Heard {
        Heard::from_bits(slot.entry().heard())
    }

    #[inline]
    fn hear(&self, slot: Self::Slot, heard: Heard) {
        slot.entry().hear(heard.bits());
    }

    #[inline]
    fn worth(&self, slot: Self::Slot, frequency: u64) -> Worth {
        Worth::new(frequency, slot.entry().cost(), slot.entry().charge())
    }

    #[inline]
    fn promoted(&self, slot: Self::Slot) -> Option<u64> {
        self.engine.promoted(slot.entry())
    }

    #[inline]
    fn expired(&self, slot: Self::Slot) -> bool {
        !self.engine.is_kept(slot.entry())
    }
}

fn region_of(region: Region) -> table::Region {
    match region {
        Region::Probation => table::Region::Probation,
        Region::Protected => table::Region::Protected,
    }
}

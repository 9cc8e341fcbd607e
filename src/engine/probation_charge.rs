//! What of probation's share is an entry's.
//!
//! Where every entry weighs one, the lanes tell it. A replacement changes nothing, and whoever promotes or
//! unlinks an entry sees in its exchange of the shadow whether the lane was on probation.
//!
//! With weights that is not enough, as a slot and its lane are two words. Who puts an entry of another
//! weight into a slot cannot tell which of the two a promotion or an unlink at that moment counts out;
//! and what was counted wrongly would stay wrong for ever. So there an entry says itself, in its
//! charge word, whether it is counted. The mark is set before the entry is linked, by the bits that the slot
//! has then, and whoever takes it off counts the charge out: the thread that promotes the lane, or the one that
//! replaces or unlinks the entry. Hence:
//!
//! - **S1** When no operation runs, the share is the charge of the linked entries that are marked:
//!   each was counted in once; the mark is taken off once, as that is an exchange; and an entry that
//!   has left its slot has none, as the thread that took it out (one, by T7) takes care of that.
//!
//! # Races
//!
//! *A replacement and a promotion of the lane.* The promotion takes the mark off the entry that it met. The
//! new entry is marked if the lane was promoted after the replacement had read its bits: it is
//! counted, and protected. That ends when it is replaced again or leaves, and until then the share
//! is a little too large; S1 holds.
//!
//! *A replacement and an unlink of the new entry.* The unlink takes the new entry's mark off, the replacement
//! the old one's, in any order. Neither looks at the lane for it, which may be another entry's by then.
//!
//! *A promotion that comes so late that the lane is another entry's, with the same tag and bits.* It finds no
//! mark on the entry that it met, and the other one stays counted, as above. Where every entry weighs one, it does
//! not matter which of them is counted out, as long as the one that leaves last goes by the lane: an entry whose
//! commit fails is counted out by the bits that its slot had when it was given back, and not by those that it came
//! with. For the same reason a placeholder counts one there, although it has no charge.

use super::Engine;
use crate::entry::EntryRef;
use crate::policy::ProbationDelta;
use crate::slot_meta::SlotMeta;
use crate::sync::seeded;

impl<K, V, S> Engine<K, V, S> {
    /// Whether entries are marked, or the lanes tell what is counted.
    pub(super) fn keeps_counted_mark(&self) -> bool {
        self.rules.weigher.is_some() && !seeded("probation-by-slots")
    }

    /// Counts an entry in that is about to be linked in a slot with this metadata.
    #[inline]
    pub(super) fn count_in(
        &self,
        delta: &ProbationDelta<'_>,
        entry: EntryRef<'_, K, V>,
        meta: SlotMeta,
    ) {
        if delta.added(meta, self.probation_weight(entry)) && self.keeps_counted_mark() {
            entry.count();
        }
    }

    /// What an entry is of the share, while its lane is on probation.
    #[inline]
    fn probation_weight(&self, entry: EntryRef<'_, K, V>) -> u64 {
        if self.keeps_counted_mark() || seeded("probation-by-weight") { entry.charge() } else { 1 }
    }

    /// Counts an entry out that has left its slot, or was not linked after all; the lane had these
    /// metadata.
    #[inline]
    pub(super) fn count_out(
        &self,
        delta: &ProbationDelta<'_>,
        entry: EntryRef<'_, K, V>,
        meta: SlotMeta,
    ) {
        if self.keeps_counted_mark() {
            delta.subtract(entry.uncount());
        } else {
            delta.removed(meta, self.probation_weight(entry));
        }
    }

    /// How much an entry was counted for that was met on probation, and whose lane was promoted.
    #[inline]
    pub(super) fn take_probation_charge(&self, entry: EntryRef<'_, K, V>) -> Option<u64> {
        if self.keeps_counted_mark() { entry.uncount() } else { Some(self.probation_weight(entry)) }
    }
}

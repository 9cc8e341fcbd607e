//! What an entry counts in probation's charge.
//!
//! Where every entry weighs one, the slots tell it. A replacement changes nothing, and the thread that promotes or
//! unlinks an entry sees in its exchange of the word whether the slot was on probation.
//!
//! With weights that is not enough. A thread that puts an entry of another weight into a slot cannot tell which of
//! the two a concurrent promotion or unlink counts out, and a wrong count would stay wrong. So there an entry itself
//! has a mark, in its charge word, that it is counted. The mark is set before the entry is linked, by the bits that
//! the slot has then; the thread that takes it off counts the charge out: the one that promotes the slot, or that
//! replaces or unlinks the entry. Hence:
//!
//! - **S1** When no operation runs, probation's charge is that of the linked entries that are marked:
//!   each was counted in once; the mark is taken off once, as that is an exchange; and an entry that
//!   has left its slot has none, as the thread that took it out (one, by T7) takes care of that.
//!
//! # Races
//!
//! *A replacement and a promotion of the slot.* The promotion takes the mark off the entry that it found. The
//! new entry is marked if the slot was promoted after the replacement had read its bits: it is
//! counted, and protected. That ends when it is replaced again or removed, and until then probation's charge
//! is a little too large; S1 holds.
//!
//! *A replacement and an unlink of the new entry.* The unlink takes the new entry's mark off, the replacement
//! the old one's, in any order. Neither looks at the slot for it, which may be another entry's by then.
//!
//! *A promotion that comes so late that the slot is another entry's, with the same tag and bits.* It finds no
//! mark on the entry that it found, and the other one stays counted, as above. Where every entry weighs one, it does
//! not matter which of them is counted out, as long as the one that leaves last goes by the slot: an entry whose
//! commit fails is counted out by the bits that its slot had when it was given back, and not by those that it came
//! with. For the same reason a placeholder counts one there, although it has no charge.

use super::Engine;
use crate::entry::EntryRef;
use crate::policy::ProbationDelta;
use crate::slot_meta::SlotMeta;
use crate::sync::seeded;

impl<K, V, S> Engine<K, V, S> {
    /// Whether entries are marked, or the slots tell what is counted.
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

    /// What an entry counts while its slot is on probation.
    #[inline]
    fn probation_weight(&self, entry: EntryRef<'_, K, V>) -> u64 {
        if self.keeps_counted_mark() || seeded("probation-by-weight") { entry.charge() } else { 1 }
    }

    /// Counts an entry out that has left its slot, or was not linked after all; the slot had these
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

    /// How much an entry was counted for that was met on probation, and whose slot was promoted.
    #[inline]
    pub(super) fn take_probation_charge(&self, entry: EntryRef<'_, K, V>) -> Option<u64> {
        if self.keeps_counted_mark() { entry.uncount() } else { Some(self.probation_weight(entry)) }
    }
}

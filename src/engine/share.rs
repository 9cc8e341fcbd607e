//! What of probation's share is an entry's.
//!
//! Where every entry weighs one, the lanes tell it. A replacement changes nothing, and whoever promotes or
//! unlinks an entry sees in its exchange of the shadow whether the lane was on probation.
//!
//! With weights that is not enough, as a slot and its lane are two words. Who puts an entry of another
//! weight into a slot cannot tell which of the two a promotion or an unlink at that moment counts out;
//! and what was counted wrongly would stay wrong for ever. So there an entry says itself, in its
//! charge word, whether it is counted. The mark is set before the entry is linked, by the bits that the lane
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
//! mark on the entry that it met, and the other one stays counted, as above. (Where every entry
//! weighs one, it does not matter which of them is counted out; unless the other one is awaited, and weighs
//! nothing.)

use super::Engine;
use super::bury::{Found, Table};
use crate::entry::{Entry, EntryRef};
use crate::policy::Shift;
use crate::sync::seeded;
use crate::table::Unlinked;

impl<K, V, S> Engine<K, V, S> {
    /// Whether entries are marked, or the lanes tell what is counted.
    pub(super) fn marks_counted(&self) -> bool {
        self.rules.weigher.is_some() && !seeded("share-by-lanes")
    }

    /// Counts an entry in that is about to be linked in a lane with these bits.
    #[inline]
    pub(super) fn count_in(&self, shift: &Shift<'_>, entry: EntryRef<'_, K, V>, bits: u8) {
        if shift.joined(bits, entry.charge()) && self.marks_counted() {
            entry.count();
        }
    }

    /// Counts an entry out that has left its slot, or was not linked after all; the lane had these
    /// bits.
    #[inline]
    pub(super) fn count_out(&self, shift: &Shift<'_>, entry: EntryRef<'_, K, V>, bits: u8) {
        if self.marks_counted() {
            shift.lost(entry.uncount());
        } else {
            shift.left(bits, entry.charge());
        }
    }

    /// How much an entry was counted for that was met on probation, and whose lane was promoted.
    #[inline]
    pub(super) fn promoted(&self, entry: EntryRef<'_, K, V>) -> u64 {
        if self.marks_counted() { entry.uncount() } else { entry.charge() }
    }

    /// Puts an entry in the place of another: counts the new one in, and the old one out.
    #[inline]
    pub(super) fn replace<'g>(
        &self,
        view: Table<'g, K, V>,
        shift: &Shift<'_>,
        held: Found<'g, K, V>,
        entry: Entry<K, V>,
    ) -> Result<Unlinked<K, V>, Entry<K, V>> {
        let bits = held.bits_now();
        self.count_in(shift, entry.as_ref(), bits);
        match view.replace(held, entry) {
            Ok(unlinked) => {
                self.count_out(shift, held.entry(), bits);
                Ok(unlinked)
            }
            Err(entry) => {
                self.count_out(shift, entry.as_ref(), bits);
                Err(entry)
            }
        }
    }
}

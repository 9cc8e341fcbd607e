//! How an entry is linked: in an open place or in that of another one. It is counted for probation's share, and it
//! is noted when it expires.

use super::Engine;
use super::remove::{Occupied, View};
use crate::entry::{Entry, EntryRef};
use crate::expiry::Reading;
use crate::policy::{History, ProbationDelta};
use crate::slot_meta::SlotMeta;
use crate::table::{Unlinked, Vacant};
use crate::time::Deadline;

impl<K, V, S> Engine<K, V, S> {
    /// Links an entry whose key is not there, with this metadata.
    #[inline(always)]
    pub(super) fn commit<'g>(
        &self,
        view: View<'g, K, V>,
        delta: &ProbationDelta<'_>,
        vacant: Vacant<'g, K, V, History>,
        (entry, meta): (Entry<K, V>, SlotMeta),
    ) -> Result<(), Entry<K, V>> {
        self.count_in(delta, entry.as_ref(), meta);
        let due = self.due(entry.as_ref());
        match vacant.commit(entry, meta) {
            Ok(()) => {
                self.note_due(view, due);
                Ok(())
            }
            Err(entry) => {
                self.count_out(delta, entry.as_ref(), meta);
                Err(entry)
            }
        }
    }

    /// Puts an entry in the place of another, which may be a use of the key: counts the new one in, and the old one out.
    /// The recent uses of the key stay with it.
    #[inline]
    pub(super) fn replace<'g>(
        &self,
        view: View<'g, K, V>,
        delta: &ProbationDelta<'_>,
        occupied: Occupied<'g, K, V>,
        (entry, is_use): (Entry<K, V>, bool),
    ) -> Result<Unlinked<K, V>, Entry<K, V>> {
        let meta = occupied.meta_now();
        entry.as_ref().set_recent_uses(occupied.entry().recent_uses());
        self.count_in(delta, entry.as_ref(), meta);
        let due = self.due(entry.as_ref());
        match view.replace(occupied, (entry, is_use)) {
            Ok(unlinked) => {
                self.count_out(delta, occupied.entry(), meta);
                self.note_due(view, due);
                Ok(unlinked)
            }
            Err(entry) => {
                self.count_out(delta, entry.as_ref(), meta);
                Err(entry)
            }
        }
    }

    /// When an entry will have to make room before any live one, and its hash. None if it weighs nothing, or never
    /// expires.
    #[inline]
    fn due(&self, entry: EntryRef<'_, K, V>) -> Option<(u64, Deadline)> {
        let expiration = self.rules.expiration.as_ref()?;
        let end = expiration.end(entry);
        if end == Deadline::NEVER || entry.is_placeholder() {
            return None;
        }
        if entry.weight_of_value() == 0 {
            // It makes no room: only sweeps come by.
            self.has_weightless_ends.set(1);
            return None;
        }
        Some((entry.hash(), end))
    }

    /// Notes what a read has done to an entry's deadline; whether the entry is live.
    #[inline(always)]
    pub(super) fn apply_reading<M>(
        view: View<'_, K, V, M>,
        entry: EntryRef<'_, K, V>,
        reading: Reading,
    ) -> bool {
        if let Reading::Until(end) = reading
            && entry.charge() > 0
        {
            view.note_due_wait_free(entry.hash(), end.to_word());
        }
        reading != Reading::Expired
    }

    #[inline]
    fn note_due(&self, view: View<'_, K, V>, due: Option<(u64, Deadline)>) {
        if let Some((hash, end)) = due {
            view.note_due(hash, end.to_word());
        }
    }
}

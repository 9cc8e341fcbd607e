//! How an entry is linked: in an open place or in that of another one. It is counted for probation's share, and it
//! is noted when it expires.

use super::Engine;
use super::types::{Occupied, View};
use crate::entry::{Entry, EntryRef};
use crate::expiry::{Expiration, Reading};
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
        let (hash, end) = (entry.as_ref().hash(), self.end(entry.as_ref()));
        match vacant.commit(entry, meta) {
            Ok(()) => {
                Self::note_end(view, hash, end);
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
        let (hash, end) = (entry.as_ref().hash(), self.end(entry.as_ref()));
        match view.replace(occupied, (entry, is_use)) {
            Ok(unlinked) => {
                self.count_out(delta, occupied.entry(), meta);
                Self::note_end(view, hash, end);
                Ok(unlinked)
            }
            Err(entry) => {
                self.count_out(delta, entry.as_ref(), meta);
                Err(entry)
            }
        }
    }

    /// When an entry will have to make room before any live one. Never, if it weighs nothing.
    #[inline(always)]
    pub(super) fn end(&self, entry: EntryRef<'_, K, V>) -> Deadline {
        self.rules.expiration.as_ref().map_or(Deadline::NEVER, |time| self.end_by(time, entry))
    }

    #[inline]
    fn end_by(&self, expiration: &Expiration<K, V>, entry: EntryRef<'_, K, V>) -> Deadline {
        let end = expiration.end(entry);
        if end == Deadline::NEVER || entry.is_placeholder() {
            return Deadline::NEVER;
        }
        if entry.weight_of_value() == 0 {
            // It makes no room: only sweeps come by.
            self.has_weightless_ends.set(1);
            return Deadline::NEVER;
        }
        end
    }

    /// Notes what a read has done to an entry's deadline; whether the entry is live.
    #[inline(always)]
    pub(super) fn apply_reading<M>(
        &self,
        view: View<'_, K, V, M>,
        entry: EntryRef<'_, K, V>,
        reading: Reading,
    ) -> bool {
        if let Reading::Until(end) = reading {
            self.note_earlier_end(view, entry, end);
        }
        reading != Reading::Expired
    }

    /// Notes that an entry that is linked ends earlier than it was to. Waits for no thread.
    #[cold]
    pub(super) fn note_earlier_end<M>(
        &self,
        view: View<'_, K, V, M>,
        entry: EntryRef<'_, K, V>,
        end: Deadline,
    ) {
        if entry.charge() > 0 {
            view.note_due_wait_free(entry.hash(), end.to_word());
        } else {
            self.has_weightless_ends.set(1);
        }
    }

    /// Notes that an entry that was linked will have to make room then.
    #[inline(always)]
    pub(super) fn note_end(view: View<'_, K, V>, hash: u64, end: Deadline) {
        if end != Deadline::NEVER {
            view.note_due(hash, end.to_word());
        }
    }
}

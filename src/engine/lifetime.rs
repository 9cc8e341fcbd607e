//! The life of one entry: what is known of it, and how long it is to last.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use equivalent::Equivalent;

use super::read_view::successor;
use super::types::EntryState;
use super::{Engine, ReadView};
use crate::stats::{EntryInfo, Explanation, Region};

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whether entries have deadlines.
    pub(crate) fn keeps_time(&self) -> bool {
        self.rules.expiration.is_some()
    }

    /// Gives the entry of a key another time to live, from now on; whether there is a live one.
    ///
    /// # Progress
    ///
    /// Lock-free: each further attempt follows a change of the key by another thread.
    pub(crate) fn set_ttl<Q>(&self, key: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let Some(expiration) = &self.rules.expiration else { return false };
        let hash = self.hash(key);
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        while let Some(occupied) = view.find(hash, |k| key.equivalent(k)) {
            let entry = occupied.entry();
            let Some((to, found)) = expiration.set_ttl(entry, ttl) else {
                // It may have been replaced before it expired.
                match successor(view, entry, |entry| self.is_live(entry)) {
                    Some(_) => continue,
                    None => return false,
                }
            };
            if to < found {
                self.note_earlier_end(view, entry, to);
            }
            // A load that renews the entry copies its deadline before it replaces it: see `renew`.
            let now = view.find(hash, |k| key.equivalent(k));
            if now.is_none_or(|now| now.entry().is(entry)) {
                return true;
            }
        }
        false
    }
}

impl<K: Eq, V, S: BuildHasher> ReadView<'_, K, V, S> {
    /// What is known of the live entry of a key. Does not count as a use.
    pub(crate) fn entry_info<Q>(&self, key: &Q) -> Option<EntryInfo>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = self.look(self.engine.hash(key), key);
        let (occupied, _) = found.filter(|(_, state)| *state == EntryState::Live)?;
        let Explanation::Resident { region, reads, age, time_left, idle_time_left, charge, .. } =
            self.explain_resident(occupied)
        else {
            return None;
        };
        let expiration = self.engine.rules.expiration.as_ref();
        Some(EntryInfo {
            charge,
            age,
            expires_in: time_left.into_iter().chain(idle_time_left).min(),
            idle_for: expiration.and_then(|time| time.idle_for(idle_time_left)),
            reads,
            protected: region == Region::Protected,
            tags: occupied.entry().tags().map_or(0, |tags| tags.names().len()),
        })
    }
}

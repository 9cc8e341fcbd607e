//! The life of one entry: what is known of it, and how long it is to last.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use equivalent::Equivalent;

use super::bury::Found;
use super::lens::{SUCCESSORS, successor};
use super::{Engine, Lens};
use crate::policy::{self, Marks};
use crate::stats::EntryInfo;

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
        let view = self.table.view(pin.pass());
        while let Some(held) = view.find(hash, |k| key.equivalent(k)) {
            let entry = held.entry();
            let Some((to, found)) = expiration.set_ttl(entry, ttl) else {
                // It may have been replaced before its time was over.
                match successor(view, entry, |entry| self.is_live(entry)) {
                    Some(_) => continue,
                    None => return false,
                }
            };
            if to < found && entry.charge() > 0 {
                view.note_due_in_passing(hash, to.to_word());
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

impl<K: Eq, V, S: BuildHasher> Lens<'_, K, V, S> {
    /// What is known of the live entry of a key. Does not count as a use.
    pub(crate) fn entry_info<Q>(&self, key: &Q) -> Option<EntryInfo>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.engine.hash(key);
        let find = || self.view.find(hash, |k| key.equivalent(k));
        let mut held = find()?;
        // One that has expired may have been replaced before the clock was asked: see `successor`.
        for _ in 0..SUCCESSORS {
            if self.engine.is_live(held.entry()) {
                return Some(self.info_of(held));
            }
            let next = find()?;
            if next.entry().is(held.entry()) {
                return None;
            }
            held = next;
        }
        None
    }

    fn info_of(&self, held: Found<'_, K, V>) -> EntryInfo {
        let entry = held.entry();
        // What left its slot meanwhile was there when it was found.
        let marks = Marks::from_bits(held.bits()).unwrap_or(Marks::NEW);
        let expiration = self.engine.rules.expiration.as_ref();
        let (left, idle_left) = expiration.map_or((None, None), |time| time.left(entry));
        EntryInfo {
            charge: entry.charge(),
            age: expiration.map(|time| time.age(entry)),
            expires_in: left.into_iter().chain(idle_left).min(),
            idle_for: expiration.and_then(|time| time.idle_for(idle_left)),
            reads: marks.count(),
            protected: marks.region() == policy::Region::Protected,
        }
    }
}

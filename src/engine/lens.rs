//! What a pinned thread reads.

use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::{Desk, Engine, Garbage, Local};
use crate::entry::EntryRef;
use crate::policy::Memory;
use crate::reclaim::Pass;
use crate::table::View;

/// The cache under a pass: reading, and nothing else.
pub(crate) struct Lens<'g, K, V, S> {
    engine: &'g Engine<K, V, S>,
    view: View<'g, K, V, Memory, Local>,
}

impl<'g, K, V, S> Lens<'g, K, V, S> {
    #[inline]
    pub(crate) fn new(
        engine: &'g Engine<K, V, S>,
        pass: Pass<'g, Garbage<K, V>, Desk<K, V>>,
    ) -> Self {
        Self { engine, view: engine.table.view(pass) }
    }
}

impl<'g, K, V, S: BuildHasher> Lens<'g, K, V, S> {
    /// The value of a key; counts, touches, and moves the idle deadline.
    #[inline]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let tally = &self.view.local().tally;
        let found = self.view.find(self.engine.hash(key), |k| key.equivalent(k));
        let Some(held) = found.filter(|held| self.note_read(held.entry())) else {
            tally.misses.bump();
            return None;
        };
        tally.hits.bump();
        held.touch();
        Some(held.entry().value())
    }

    /// Moves the deadlines of an entry that is being read; false if it has expired.
    #[inline]
    fn note_read(&self, entry: EntryRef<'g, K, V>) -> bool {
        let Some(expiration) = &self.engine.rules.expiration else { return true };
        let now = expiration.now();
        let live = expiration.is_live(entry, now);
        if live {
            expiration.read(entry, now);
        }
        live
    }

    /// The entry of a key, and nobody notices.
    pub(crate) fn peek<Q>(&self, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let held = self.view.find(self.engine.hash(key), |k| key.equivalent(k))?;
        Some(held.entry()).filter(|entry| self.engine.is_live(*entry))
    }
}

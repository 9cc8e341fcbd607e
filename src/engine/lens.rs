//! What a pinned thread reads.

use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::{Engine, Garbage, Local};
use crate::entry::EntryRef;
use crate::policy::Memory;
use crate::reclaim::Pass;
use crate::table::{Held, View};

/// The cache under a pass: reading, and nothing else.
pub(crate) struct Lens<'g, K, V, S> {
    engine: &'g Engine<K, V, S>,
    view: View<'g, K, V, Memory, Local>,
}

impl<'g, K, V, S> Lens<'g, K, V, S> {
    #[inline]
    pub(crate) fn new(engine: &'g Engine<K, V, S>, pass: Pass<'g, Garbage<K, V>, Local>) -> Self {
        Self { engine, view: engine.table.view(pass) }
    }
}

impl<'g, K, V, S: BuildHasher> Lens<'g, K, V, S> {
    /// The entry of a key, unless it has expired.
    #[inline]
    fn find<Q>(&self, key: &Q) -> Option<Held<'g, K, V, Memory>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let held = self.view.find(self.engine.hash(key), |k| key.equivalent(k))?;
        match &self.engine.rules.expiration {
            Some(expiration) if !expiration.is_live(held.entry(), expiration.now()) => None,
            _ => Some(held),
        }
    }

    /// The value of a key; counts, touches, and moves the idle deadline.
    #[inline]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let tally = &self.view.local().tally;
        let Some(held) = self.find(key) else {
            tally.misses.bump();
            return None;
        };
        tally.hits.bump();
        held.touch();
        if let Some(expiration) = &self.engine.rules.expiration {
            expiration.read(held.entry(), expiration.now());
        }
        Some(held.entry().value())
    }

    /// The entry of a key, and nobody notices.
    pub(crate) fn peek<Q>(&self, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.find(key).map(|held| held.entry())
    }
}

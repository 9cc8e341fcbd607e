//! Walking all entries beside writers, and removing single ones.

use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use equivalent::Equivalent;

use super::Engine;
use super::bury::{Found, Table};
use crate::entry::EntryRef;
use crate::outcome::RemovalCause;
use crate::table::Spotted;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Removes the entry of a key if it is live and `wish` wants something of it. `wish` may be
    /// called again if the value was replaced meanwhile.
    pub(crate) fn remove<Q, R>(&self, key: &Q, mut wish: impl FnMut(&V) -> Option<R>) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(key);
        let pin = self.pin();
        let view = self.table.view(pin.pass());
        let removed = loop {
            let Spotted::Held(held) = view.locate(hash, |k| key.equivalent(k)) else { break None };
            if !self.is_live(held.entry()) {
                self.bury(view, held, RemovalCause::Expired);
                break None;
            }
            let Some(wished) = wish(held.entry().value()) else { break None };
            if self.bury(view, held, RemovalCause::Invalidated) {
                break Some(wished);
            }
        };
        self.tidy(pin);
        removed
    }

    /// Visits all entries, bucket by bucket, expired ones included. The pin is renewed between
    /// buckets, so a long walk holds nothing up.
    pub(super) fn walk(&self, mut visit: impl for<'g> FnMut(Table<'g, K, V>, Found<'g, K, V>)) {
        let mut place = Some(0);
        while let Some(from) = place {
            place = self.step(from, &mut visit);
        }
    }

    /// Visits the entries of the bucket at `from`; returns where the next one begins.
    fn step(
        &self,
        from: u64,
        visit: &mut impl for<'g> FnMut(Table<'g, K, V>, Found<'g, K, V>),
    ) -> Option<u64> {
        let pin = self.pin();
        let view = self.table.view(pin.pass());
        let mut found = Vec::new();
        let next = view.gather(from, &mut found, |a, b| a == b);
        for held in found {
            visit(view, held);
        }
        next
    }

    /// Visits the live entries whose places lie in `places`.
    pub(crate) fn visit(&self, places: Range<u64>, mut visit: impl FnMut(&K, &V)) {
        let mut place = Some(places.start);
        while let Some(from) = place.filter(|&from| from < places.end) {
            place = self.step(from, &mut |_, held| {
                let entry = held.entry();
                if self.is_live(entry) {
                    visit(entry.key(), entry.value());
                }
            });
        }
    }

    /// Removes the live entries in `places` that `keep` does not want, and the expired ones.
    pub(crate) fn retain(&self, places: Range<u64>, mut keep: impl FnMut(&K, &V) -> bool) {
        let mut place = Some(places.start);
        while let Some(from) = place.filter(|&from| from < places.end) {
            place = self.step(from, &mut |view, held| {
                let entry = held.entry();
                if !self.is_live(entry) {
                    self.remove_met(view, held, RemovalCause::Expired);
                } else if !keep(entry.key(), entry.value()) {
                    self.remove_met(view, held, RemovalCause::Invalidated);
                }
            });
            self.tidy(self.pin());
        }
    }

    /// Clones the live entries of the bucket at `from` into `out`; returns where the next begins.
    pub(crate) fn copy(&self, from: u64, out: &mut Vec<(K, V)>) -> Option<u64>
    where
        K: Clone,
        V: Clone,
    {
        self.step(from, &mut |_, held| {
            let entry = held.entry();
            if self.is_live(entry) {
                out.push((entry.key().clone(), entry.value().clone()));
            }
        })
    }

    /// Removes an entry that a walk met, unless it was replaced or removed since.
    pub(super) fn remove_met<'g>(
        &self,
        view: Table<'g, K, V>,
        held: Found<'g, K, V>,
        cause: RemovalCause,
    ) -> bool {
        let entry = held.entry();
        if self.bury(view, held, cause) {
            return true;
        }
        // It may have been moved while the table doubles: it is the same record there.
        let is_it = |found: &EntryRef<'_, K, V>| found.is(entry);
        loop {
            match view.locate(entry.hash(), |k| std::ptr::eq(k, entry.key())) {
                Spotted::Held(held) if is_it(&held.entry()) => {
                    if self.bury(view, held, cause) {
                        return true;
                    }
                }
                _ => return false,
            }
        }
    }
}

//! Walking all entries beside writers, and removing single ones.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use equivalent::Equivalent;

use super::Engine;
use super::bury::{Found, State, Table};
use super::lens::successor;
use super::work::{Decided, Obstacle};
use crate::entry::EntryRef;
use crate::outcome::RemovalCause;
use crate::policy::RecentUses;
use crate::sync::{NoAbort, seeded};
use crate::table::Spotted;

/// Everything there is, in table order.
pub(crate) const EVERYWHERE: Range<u64> = 0..u64::MAX;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Removes the entry of a key if it is live and `wish` wants something of it. `wish` may be
    /// called again if the value was replaced meanwhile. One that replaces the value itself each time it is called,
    /// as the clone of a value may, ends in nothing.
    pub(crate) fn remove<Q, R>(&self, key: &Q, mut wish: impl FnMut(&V) -> Option<R>) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(key);
        let pin = self.pin();
        let view = self.table.view(pin.pass());
        let mut work = self.work(pin.local());
        let removed = loop {
            let Spotted::Held(held) = view.locate(hash, |k| key.equivalent(k)) else { break None };
            if !self.is_live(held.entry()) {
                // With it goes a load that is under way. If that was faster, its value is there.
                if seeded("token-survives-removal") || self.bury(view, held, RemovalCause::Expired)
                {
                    break None;
                }
                continue;
            }
            work.asks(Decided::ByClosure);
            let Some(wished) = wish(held.entry().value()) else { break None };
            let wished = NoAbort::new(wished);
            if self.bury(view, held, RemovalCause::Invalidated) {
                break Some(wished);
            }
            if work.gives_up(Obstacle::Changed).is_some() {
                break None;
            }
        };
        drop(work);
        self.tidy(pin);
        removed.map(NoAbort::into_inner)
    }

    /// Visits all entries with a value, expired ones included.
    pub(super) fn walk(&self, mut visit: impl for<'g> FnMut(Table<'g, K, V>, Found<'g, K, V>)) {
        stride(EVERYWHERE, |places| self.step(places, &mut visit));
    }

    /// Visits the entries with a value of the bucket where `places` begins; returns where the next one begins.
    fn step(
        &self,
        places: Range<u64>,
        visit: &mut impl for<'g> FnMut(Table<'g, K, V>, Found<'g, K, V>),
    ) -> Option<u64> {
        self.step_all(places, &mut |view, held| {
            if !held.entry().is_placeholder() {
                visit(view, held);
            }
        })
    }

    /// Visits those without a value, too.
    fn step_all(
        &self,
        places: Range<u64>,
        visit: &mut impl for<'g> FnMut(Table<'g, K, V>, Found<'g, K, V>),
    ) -> Option<u64> {
        let pin = self.pin();
        let view = self.table.view(pin.pass());
        let mut found = Vec::new();
        let next = view.gather(places, &mut found, |a, b| a == b);
        for held in found {
            visit(view, held);
        }
        next
    }

    /// Visits the live ones of the bucket where `places` begins; returns where the next one begins.
    pub(crate) fn step_live(
        &self,
        places: Range<u64>,
        visit: &mut impl FnMut(&K, &V),
    ) -> Option<u64> {
        self.step(places, &mut |view, held| {
            if let Some(entry) = self.live_or_successor(view, held.entry()) {
                visit(entry.key(), entry.value());
            }
        })
    }

    /// An entry that a walk met, if it is live. If it has expired since, it may have been replaced before
    /// that, as visits may take long; then the key was there all the while, and this is what it has now.
    fn live_or_successor<'g>(
        &self,
        view: Table<'g, K, V>,
        met: EntryRef<'g, K, V>,
    ) -> Option<EntryRef<'g, K, V>> {
        let is_live = |entry| self.is_live(entry);
        if is_live(met) { Some(met) } else { successor(view, met, is_live) }
    }

    /// Visits the live entries whose places lie in `places`.
    pub(crate) fn visit(&self, places: Range<u64>, mut visit: impl FnMut(&K, &V)) {
        stride(places, |rest| self.step_live(rest, &mut visit));
    }

    /// Removes the live entries in `places` that `keep` does not want, and the expired ones; loads of
    /// other keys that are under way there will not put their values in, as nobody can ask `keep` about
    /// them. A value that `keep` wants may be renewed by a load that is under way.
    pub(crate) fn retain(&self, places: Range<u64>, mut keep: impl FnMut(&K, &V) -> bool) {
        stride(places, |rest| {
            let next = self.step_all(rest, &mut |view, held| {
                self.sift(view, held, &mut keep);
            });
            self.tidy(self.pin());
            next
        });
        self.resize(usize::MAX);
    }

    /// Removes the live entries of the bucket at `from` and puts clones of them into `out`, each when it is gone; the
    /// expired ones are removed as well. Returns where the next bucket begins.
    pub(crate) fn drain(&self, from: u64, out: &mut Vec<(K, V)>) -> Option<u64>
    where
        K: Clone,
        V: Clone,
    {
        let next = self.step_all(from..EVERYWHERE.end, &mut |view, held| {
            let mut seen = None;
            let removed = self.sift(view, held, &mut |key, value| {
                seen = Some((key.clone(), value.clone()));
                false
            });
            out.extend(seen.filter(|_| removed));
        });
        self.tidy(self.pin());
        next
    }

    /// Removes what a walk met of a key, unless `keep` wants it; whether it removed a live entry, which is the one that
    /// `keep` has seen last.
    ///
    /// What was met may have been replaced since. If that was by a load, the value may be from before this
    /// walk, or the same with a token: the key is looked at again until what it has is wanted or gone.
    /// What somebody has inserted meanwhile stays.
    ///
    /// Ends: each further look follows a change by another thread, or by `keep` itself, and of those there are only
    /// so many.
    fn sift<'g>(
        &self,
        view: Table<'g, K, V>,
        met: Found<'g, K, V>,
        keep: &mut impl FnMut(&K, &V) -> bool,
    ) -> bool {
        let mut held = met;
        let mut work = self.work(view.local());
        loop {
            let entry = held.entry();
            work.asks(Decided::ByClosure);
            let cause = match self.state(entry) {
                State::Live if keep(entry.key(), entry.value()) => return false,
                State::Live => RemovalCause::Invalidated,
                State::Expired | State::Placeholder => RemovalCause::Expired,
            };
            if self.remove_met(view, held, cause) || seeded("token-completes-behind-a-walk") {
                return cause == RemovalCause::Invalidated;
            }
            if work.gives_up(Obstacle::Changed).is_some() {
                return false;
            }
            let Spotted::Held(now) = view.locate(entry.hash(), |k| k == entry.key()) else {
                return false;
            };
            if entry.load_token().is_none() && now.entry().load_token().is_none() {
                return false;
            }
            held = now;
        }
    }

    /// The keys that are used most, `most` at most; the most used one first.
    pub(crate) fn hottest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.first_by(most, |view, held| Reverse(self.usage_rank(view, held)))
    }

    /// The keys that are used least, `most` at most; the least used one first.
    pub(crate) fn coldest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.first_by(most, |view, held| self.usage_rank(view, held))
    }

    /// The keys whose values were written first, `most` at most; the oldest one first. None if the cache keeps no time.
    pub(crate) fn oldest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        let Some(expiration) = &self.rules.expiration else { return Vec::new() };
        self.first_by(most, |_, held| Reverse(expiration.age(held.entry())))
    }

    /// How much an entry is used, beside others.
    fn usage_rank(&self, view: Table<'_, K, V>, held: Found<'_, K, V>) -> u64 {
        let (cursor, history) = (&view.local().cursor, view.annex());
        let recent_uses = RecentUses::from_bits(held.entry().recent_uses());
        self.policy.usage_rank(history, cursor, recent_uses, held.bits())
    }

    /// The keys of the live entries that come first by their `rank`, `most` at most and in that order.
    fn first_by<R: Ord>(
        &self,
        most: usize,
        rank: impl for<'g> Fn(Table<'g, K, V>, Found<'g, K, V>) -> R,
    ) -> Vec<K>
    where
        K: Clone,
    {
        let mut found: Vec<(R, K)> = Vec::new();
        if most == 0 {
            return Vec::new();
        }
        self.walk(|view, held| {
            if self.is_live(held.entry()) {
                found.push((rank(view, held), held.entry().key().clone()));
            }
            if found.len() >= most.saturating_mul(2).max(1024) {
                found.select_nth_unstable_by(most - 1, |(one, _), (other, _)| one.cmp(other));
                found.truncate(most);
            }
        });
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.truncate(most);
        found.into_iter().map(|(_, key)| key).collect()
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
        // It may have been moved while the table's size changes: it is the same record there.
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

/// Walks from bucket to bucket in `places`; `step` visits the first of those that are left, and says
/// where the next one begins. Each is visited under a pin of its own, so a long walk holds nothing up.
fn stride(places: Range<u64>, mut step: impl FnMut(Range<u64>) -> Option<u64>) {
    let mut place = Some(places.start);
    while let Some(from) = place.filter(|&from| from < places.end) {
        place = step(from..places.end);
    }
}

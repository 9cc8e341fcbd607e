//! Walking all entries concurrently with writers, and removing single ones.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use equivalent::Equivalent;

use super::Engine;
use super::read_view::successor;
use super::types::{EntryState, Occupied, View};
use super::write_op::{AttemptError, DecidedBy};
use crate::entry::EntryRef;
use crate::outcome::RemovalCause;
use crate::policy::RecentUses;
use crate::reclaim::Reads;
use crate::sync::{NoAbort, seeded};
use crate::table::Lookup;

/// Everything there is, in table order.
pub(crate) const EVERYWHERE: Range<u64> = 0..u64::MAX;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Removes the entry of a key if it is live and `decide` wants something of it. `decide` may be
    /// called again if the value was replaced meanwhile. One that replaces the value itself each time it is called,
    /// as the clone of a value may, ends in nothing. While a condition of the user's is asked, the thread may be neutralized.
    pub(crate) fn remove<Q, R>(
        &self,
        key: &Q,
        (mut decide, is_condition): (impl FnMut(&V) -> Option<R>, bool),
    ) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut pin = self.pin();
        let mut op = self.op(pin.local());
        let removed = loop {
            let view = self.table.view(pin.guard_ref());
            let Lookup::Occupied(occupied) = view.find_for_write(hash, |k| key.equivalent(k))
            else {
                break None;
            };
            if !self.is_live(occupied.entry()) {
                // With it goes a load that is under way. If that was faster, its value is there.
                let cause = self.cause_of_end(occupied.entry());
                if seeded("token-survives-removal") || self.remove_occupied(view, occupied, cause) {
                    break None;
                }
                continue;
            }
            op.asks(DecidedBy::ByClosure);
            let mut decide = || decide(occupied.entry().value());
            let decided = if is_condition { pin.while_suspended(decide) } else { decide() };
            let Some(decided) = decided else { break None };
            let decided = NoAbort::new(decided);
            if self.remove_occupied(view, occupied, RemovalCause::Invalidated) {
                break Some(decided);
            }
            if op.is_exhausted(AttemptError::Changed).is_some() {
                break None;
            }
            // As for other writes whose closures may have slept.
            pin.repin();
        };
        drop(op);
        self.finish_write(pin);
        removed.map(NoAbort::into_inner)
    }

    /// Visits all entries with a value, including expired ones.
    pub(super) fn walk(&self, mut visit: impl for<'g> FnMut(View<'g, K, V>, Occupied<'g, K, V>)) {
        stride(EVERYWHERE, |positions| {
            self.step(positions, |view, occupied| {
                if !occupied.entry().is_placeholder() {
                    visit(view, occupied);
                }
            })
        });
    }

    /// Visits the entries of the bucket where `positions` begins, also those without a value; returns where the next one begins.
    fn step(
        &self,
        positions: Range<u64>,
        mut visit: impl for<'g> FnMut(View<'g, K, V>, Occupied<'g, K, V>),
    ) -> Option<u64> {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        let mut found = Vec::new();
        let next = view.collect_entries(positions, &mut found, |a, b| a == b);
        for occupied in found {
            visit(view, occupied);
        }
        next
    }

    /// Visits the live ones of the bucket where `positions` begins; returns where the next one begins.
    pub(crate) fn step_live(
        &self,
        positions: Range<u64>,
        visit: &mut impl FnMut(&K, &V),
    ) -> Option<u64> {
        let pin = self.pin();
        let mut found = Vec::new();
        let next =
            self.table.view(pin.guard_ref()).collect_entries(positions, &mut found, |a, b| a == b);
        // Visits may take long, so the search between them is a read, which may be neutralized.
        pin.while_suspended(|| {
            let reading = self.pin_to_read();
            let view = self.table.view(reading.guard_ref());
            for entry in found.iter().map(Occupied::entry).filter(|entry| !entry.is_placeholder()) {
                if let Some(entry) = self.live_or_successor(view, entry) {
                    visit(entry.key(), entry.value());
                }
            }
        });
        next
    }

    /// An entry that a walk met, if it is live. If it has expired since, it may have been replaced before
    /// that, as visits may take long; then the key was there all the while, and this is what it has now.
    pub(super) fn live_or_successor<'g>(
        &self,
        view: View<'g, K, V, Reads>,
        met: EntryRef<'g, K, V>,
    ) -> Option<EntryRef<'g, K, V>> {
        let is_live = |entry| self.is_live(entry);
        if is_live(met) { Some(met) } else { successor(view, met, is_live) }
    }

    /// Visits the live entries whose places lie in `positions`.
    pub(crate) fn visit(&self, positions: Range<u64>, mut visit: impl FnMut(&K, &V)) {
        stride(positions, |rest| self.step_live(rest, &mut visit));
    }

    /// Removes the live entries in `positions` that `keep` does not want, and the expired ones; loads of
    /// other keys that are under way there will not put their values in, as no thread can ask `keep` about
    /// them. A value that `keep` wants may be renewed by a load that is under way.
    pub(crate) fn retain(&self, positions: Range<u64>, mut keep: impl FnMut(&K, &V) -> bool) {
        stride(positions, |rest| {
            let next = self.retain_step(rest, &mut keep);
            self.finish_write(self.pin());
            next
        });
        self.resize(usize::MAX);
    }

    /// Does that with the bucket where `positions` begins; returns where the next one begins.
    ///
    /// `keep`, which may sleep, is asked about all that was found before anything is removed: each time that a write is suspended, the
    /// thread may come to hold what is in the cache then.
    fn retain_step(
        &self,
        positions: Range<u64>,
        keep: &mut impl FnMut(&K, &V) -> bool,
    ) -> Option<u64> {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        let mut found = Vec::new();
        let next = view.collect_entries(positions, &mut found, |a, b| a == b);
        let mut answer = |met: &Occupied<'_, K, V>| {
            let entry = met.entry();
            self.is_live(entry).then(|| keep(entry.key(), entry.value()))
        };
        let mut answers: Vec<_> = pin.while_suspended(|| found.iter().map(&mut answer).collect());
        for (met, first) in found.into_iter().zip(answers.drain(..)) {
            let mut first = first;
            self.retain_entry(view, met, &mut |key, value| {
                first.take().unwrap_or_else(|| pin.while_suspended(|| keep(key, value)))
            });
        }
        next
    }

    /// Removes the live entries of the bucket at `from` and puts clones of them into `out`, each when it is gone; the
    /// expired ones are removed as well. Returns where the next bucket begins.
    pub(crate) fn drain(&self, from: u64, out: &mut Vec<(K, V)>) -> Option<u64>
    where
        K: Clone,
        V: Clone,
    {
        let next = self.step(from..EVERYWHERE.end, |view, occupied| {
            let mut seen = None;
            let removed = self.retain_entry(view, occupied, &mut |key, value| {
                seen = Some((key.clone(), value.clone()));
                false
            });
            out.extend(seen.filter(|_| removed));
        });
        self.finish_write(self.pin());
        next
    }

    /// Removes what a walk met of a key, unless `keep` wants it; whether it removed a live entry, which is the one
    /// that `keep` has seen last.
    ///
    /// What was met may have been replaced since. If that was by a load, the value may be from before this
    /// walk, or the same with a token: the key is looked at again until what it has is wanted or gone.
    /// What another thread has inserted meanwhile stays.
    ///
    /// Ends: each further look follows a change by another thread, or by `keep` itself, and there are only
    /// finitely many of those.
    fn retain_entry<'g>(
        &self,
        view: View<'g, K, V>,
        met: Occupied<'g, K, V>,
        keep: &mut impl FnMut(&K, &V) -> bool,
    ) -> bool {
        let mut occupied = met;
        let mut op = self.op(view.local());
        loop {
            let entry = occupied.entry();
            op.asks(DecidedBy::ByClosure);
            let live = match self.state(entry) {
                EntryState::Live if keep(entry.key(), entry.value()) => return false,
                EntryState::Live => true,
                EntryState::Expired | EntryState::Placeholder => false,
            };
            let cause = if live { RemovalCause::Invalidated } else { self.cause_of_end(entry) };
            if self.remove_current(view, occupied, cause) || seeded("token-completes-behind-a-walk")
            {
                return live;
            }
            if op.is_exhausted(AttemptError::Changed).is_some() {
                return false;
            }
            let Lookup::Occupied(now) = view.find_for_write(entry.hash(), |k| k == entry.key())
            else {
                return false;
            };
            if entry.load_token().is_none() && now.entry().load_token().is_none() {
                return false;
            }
            occupied = now;
        }
    }

    /// The keys that are used most, `most` at most; the most used one first.
    pub(crate) fn hottest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.first_by(most, |view, occupied| Reverse(self.usage_rank(view, occupied)))
    }

    /// The keys that are used least, `most` at most; the least used one first.
    pub(crate) fn coldest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.first_by(most, |view, occupied| self.usage_rank(view, occupied))
    }

    /// The keys whose values were written first, `most` at most; the oldest one first. None if the cache keeps no
    /// time.
    pub(crate) fn oldest(&self, most: usize) -> Vec<K>
    where
        K: Clone,
    {
        let Some(expiration) = &self.rules.expiration else { return Vec::new() };
        self.first_by(most, |_, occupied| Reverse(expiration.age(occupied.entry())))
    }

    /// How much an entry is used compared with others.
    fn usage_rank(&self, view: View<'_, K, V>, occupied: Occupied<'_, K, V>) -> u64 {
        let (cursor, history) = (&view.local().cursor, view.extension());
        let recent_uses = RecentUses::from_bits(occupied.entry().recent_uses());
        self.policy.usage_rank(history, cursor, recent_uses, occupied.meta())
    }

    /// The keys of the live entries that come first by their `rank`, `most` at most and in that order.
    fn first_by<R: Ord>(
        &self,
        most: usize,
        rank: impl for<'g> Fn(View<'g, K, V>, Occupied<'g, K, V>) -> R,
    ) -> Vec<K>
    where
        K: Clone,
    {
        let mut found: Vec<(R, K)> = Vec::new();
        if most == 0 {
            return Vec::new();
        }
        self.walk(|view, occupied| {
            if self.is_live(occupied.entry()) {
                found.push((rank(view, occupied), occupied.entry().key().clone()));
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
    pub(super) fn remove_current<'g>(
        &self,
        view: View<'g, K, V>,
        occupied: Occupied<'g, K, V>,
        cause: RemovalCause,
    ) -> bool {
        let entry = occupied.entry();
        if self.remove_occupied(view, occupied, cause) {
            return true;
        }
        // It may have been moved while the table's size changes: it is the same record there.
        let is_it = |found: &EntryRef<'_, K, V>| found.is(entry);
        loop {
            match view.find_for_write(entry.hash(), |k| std::ptr::eq(k, entry.key())) {
                Lookup::Occupied(occupied) if is_it(&occupied.entry()) => {
                    if self.remove_occupied(view, occupied, cause) {
                        return true;
                    }
                }
                _ => return false,
            }
        }
    }
}

/// Walks from bucket to bucket in `positions`; `step` visits the first of those that are left, and says
/// where the next one begins. Each is visited under a pin of its own, so a long walk holds nothing up.
fn stride(positions: Range<u64>, mut step: impl FnMut(Range<u64>) -> Option<u64>) {
    let mut position = Some(positions.start);
    while let Some(from) = position.filter(|&from| from < positions.end) {
        position = step(from..positions.end);
    }
}

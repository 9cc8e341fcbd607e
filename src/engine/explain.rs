//! Why a key is there, or is not.

use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::ReadView;
use super::read_view::MAX_SUCCESSORS;
use super::types::{EntryState, Occupied};
use crate::entry::EntryRef;
use crate::policy::{Cause, Departure};
use crate::reclaim::Reads;
use crate::stats::{Absence, Explanation, Region};

impl<'g, K: Eq, V, S: BuildHasher> ReadView<'g, K, V, S> {
    /// What a key has. Does not count as a read.
    pub(super) fn look<Q>(
        &self,
        hash: u64,
        key: &Q,
    ) -> Option<(Occupied<'g, K, V, Reads>, EntryState)>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let find = || self.view.find_any(hash, |k| key.equivalent(k));
        let mut found = find();
        // One that has expired may have been replaced before the clock was asked: see `successor`.
        for _ in 0..MAX_SUCCESSORS {
            let Some(occupied) =
                found.filter(|occupied| self.engine.state(occupied.entry()) == EntryState::Expired)
            else {
                break;
            };
            let next = find();
            if next.is_some_and(|next| next.entry().is(occupied.entry())) {
                break;
            }
            found = next;
        }
        found.map(|occupied| (occupied, self.engine.state(occupied.entry())))
    }

    /// What is known of a key. Does not count as a read.
    pub(crate) fn explain<Q>(&self, key: &Q) -> Explanation
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.engine.hash(key);
        match self.look(hash, key) {
            Some((occupied, EntryState::Live)) => self.explain_resident(occupied),
            Some((occupied, EntryState::Expired)) => Explanation::Missing {
                why: match occupied.entry().is_invalidated() {
                    true => Absence::Invalidated,
                    false => Absence::Expired,
                },
                being_loaded: is_being_loaded(occupied.entry()),
            },
            Some((occupied, EntryState::Placeholder)) if !is_being_loaded(occupied.entry()) => {
                let failed = occupied.entry().load_token().is_some_and(|token| token.has_failed());
                let why = if failed { Absence::Absent } else { self.absence(hash) };
                Explanation::Missing { why, being_loaded: false }
            }
            Some((_, EntryState::Placeholder)) => {
                Explanation::Missing { why: self.absence(hash), being_loaded: true }
            }
            None => Explanation::Missing { why: self.absence(hash), being_loaded: false },
        }
    }

    pub(super) fn explain_resident(&self, occupied: Occupied<'_, K, V, Reads>) -> Explanation {
        let entry = occupied.entry();
        // What left its slot meanwhile was there when it was found.
        let meta = occupied.meta();
        let expiration = self.engine.rules.expiration.as_ref();
        let (time_left, idle_time_left) = expiration.map_or((None, None), |e| e.left(entry));
        Explanation::Resident {
            region: if meta.is_protected() { Region::Protected } else { Region::Probation },
            reads: meta.count(),
            age: expiration.map(|expiration| expiration.age(entry)),
            time_left,
            idle_time_left,
            charge: entry.charge(),
            being_loaded: is_being_loaded(entry),
            prefetched: entry.is_predicted(),
        }
    }

    /// Why a key is not there, by what is remembered of it.
    fn absence(&self, hash: u64) -> Absence {
        let (history, policy) = (self.view.extension(), &self.engine.policy);
        match history.departure(hash) {
            None => Absence::NeverSeen,
            Some(Departure::Evicted(time)) => {
                let cursor = &self.view.local().cursor;
                Absence::Evicted { misses_ago: policy.misses_since(history, cursor, time) }
            }
            Some(Departure::Removed(Cause::Expired)) => Absence::Expired,
            Some(Departure::Removed(Cause::Invalidated)) => Absence::Invalidated,
            Some(Departure::Removed(Cause::Refused)) => Absence::Refused,
        }
    }
}

/// Whether a load of the entry's value is under way.
fn is_being_loaded<K, V>(entry: EntryRef<'_, K, V>) -> bool {
    entry.load_token().is_some_and(|token| token.keeps_entry() && !token.has_failed())
}

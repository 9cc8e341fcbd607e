//! What a predictor sees of a cache: what reads have told, and what there is by the hashes that they told.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::room::Eviction;
use super::types::{EntryState, Occupied, View};
use super::write_op::WriteOp;
use super::{Engine, LoadTally};
use crate::evidence::{Evidence, ReadEvent};
use crate::expiry::Expiration;
use crate::policy::MAX_EXTRA_VICTIMS;

/// What the cache has of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Presence {
    /// Whether there is a value that may be read.
    pub(crate) live: bool,
    /// Whether a load of its value is under way.
    pub(crate) being_loaded: bool,
    /// How long the value still lives, if it ends by itself.
    pub(crate) time_left: Option<Duration>,
    /// How long ago it was written, if the cache keeps time.
    pub(crate) age: Duration,
    /// How often it was read since the policy last looked; three stands for three or more.
    pub(crate) reads: u8,
    /// Whether a prediction has loaded it.
    pub(crate) predicted: bool,
}

/// What the threads have counted of loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LoadCounts {
    pub(crate) started: u64,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Those of them that were given up: they tell nothing of the origin.
    pub(crate) given_up: u64,
}

impl LoadCounts {
    /// The loads that are under way.
    pub(crate) fn running(&self) -> u64 {
        self.started.saturating_sub(self.succeeded + self.failed)
    }

    fn add(&mut self, loads: &LoadTally) {
        self.started += loads.started.get();
        self.succeeded += loads.succeeded.get();
        self.failed += loads.failed.get();
        self.given_up += loads.given_up.get();
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// Takes the only place for a predictor; false if there is one already.
    pub(crate) fn claim_predictor(&self) -> bool {
        self.predictors.try_set(0, 1)
    }

    /// Gives that place back. What reads tell goes nowhere then.
    pub(crate) fn release_predictor(&self) {
        self.locals().for_each(|local| local.evidence.close());
        self.predictors.set(0);
    }

    /// Takes what reads have told since the last call, up to a limit; whether some of them may not have been told.
    /// Begins with the thread of number `next`, and leaves there the one that is next. Only for the one who has claimed
    /// the place, one call at a time.
    pub(crate) fn collect_evidence(
        &self,
        next: &mut usize,
        most: usize,
        mut tell: impl FnMut(ReadEvent),
    ) -> bool {
        let (mut overran, mut told) = (false, 0);
        let threads = self.locals().count();
        let first = if *next < threads { *next } else { 0 };
        let in_turn = self.locals().skip(first).chain(self.locals()).take(threads);
        for (nth, local) in in_turn.enumerate() {
            if told + Evidence::MOST > most {
                *next = (first + nth) % threads;
                // What is in the other rings is told in the next round, and what finds no room there is not.
                return true;
            }
            overran |= local.evidence.collect(|event| {
                told += 1;
                tell(event);
            });
        }
        overran
    }

    /// Whether values end by themselves.
    pub(crate) fn values_may_end(&self) -> bool {
        self.rules.expiration.as_ref().is_some_and(Expiration::values_may_end)
    }

    /// What the threads have counted of loads.
    pub(crate) fn load_counts(&self) -> LoadCounts {
        let mut counts = LoadCounts::default();
        self.locals().for_each(|local| counts.add(&local.loads));
        counts
    }

    /// All hits and misses so far.
    pub(crate) fn reads(&self) -> u64 {
        let reads = |local: &super::Local| {
            let misses = &local.tally.misses;
            [&misses.never_seen, &misses.evicted, &misses.expired, &misses.invalidated]
                .into_iter()
                .chain([&misses.refused, &misses.absent, &local.tally.hits])
                .map(|count| count.get())
                .sum::<u64>()
        };
        self.locals().map(reads).sum()
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Takes a participant for the calling thread, if it has none: its reads are told from the next collection on.
    pub(crate) fn register_thread(&self) {
        drop(self.pin());
    }

    /// What there is of a hash. Does not count as a use.
    pub(crate) fn presence(&self, hash: u64) -> Option<Presence> {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        self.find_by_hash(view, hash).map(|occupied| self.presence_of(occupied))
    }

    /// The key of a hash, if there is an entry of it, or a load.
    pub(crate) fn key_of_hash(&self, hash: u64) -> Option<K>
    where
        K: Clone,
    {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        self.find_by_hash(view, hash).map(|occupied| occupied.entry().key().clone())
    }

    /// An entry of a hash. Those of two keys with the same hash are taken for one: a prediction may be wrong.
    fn find_by_hash<'g>(&self, view: View<'g, K, V>, hash: u64) -> Option<Occupied<'g, K, V>> {
        view.find_any(hash, |_| true)
    }

    fn presence_of(&self, occupied: Occupied<'_, K, V>) -> Presence {
        let (entry, expiration) = (occupied.entry(), self.rules.expiration.as_ref());
        let live = self.state(entry) == EntryState::Live;
        let own = |token: &super::LoadToken| token.keeps_entry() && !token.has_failed();
        Presence {
            live,
            being_loaded: entry.load_token().is_some_and(own),
            time_left: expiration.filter(|_| live).and_then(|time| time.left(entry).0),
            age: expiration.filter(|_| live).map_or(Duration::ZERO, |time| time.age(entry)),
            reads: occupied.meta().count(),
            predicted: entry.is_predicted(),
        }
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The hash of a key, as reads tell it.
    pub(crate) fn hash_of(&self, key: &K) -> u64 {
        self.hash(key)
    }

    /// Has some protected entries make room for prefetched ones that are still to come.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room_for_prefetched(&self, view: View<'_, K, V>, op: &mut WriteOp<'_>) {
        for _ in 0..MAX_EXTRA_VICTIMS {
            let wanted = self.policy.take_displaced(&op.delta, self.fill());
            if !wanted || self.evict(&view, op, None, 0) != Eviction::Done {
                return;
            }
            op.reservation.release();
        }
    }

    /// Whether an entry that was prefetched was asked for, in time or not.
    pub(crate) fn note_prefetched(&self, asked: bool) {
        self.policy.note_prefetched(asked, self.fill());
    }

    /// How many entries that are prefetched have room, and may not displace one another before they are asked for.
    pub(crate) fn prefetch_room(&self) -> u64 {
        (self.policy.probation_room(self.fill()) / 2).max(1)
    }
}

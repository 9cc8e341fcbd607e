//! What a pinned thread reads.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use equivalent::Equivalent;

use super::timing::Timing;
use super::types::{Occupied, View};
use super::{Batch, Engine, Garbage, ThreadState};
use crate::entry::{EntryRef, LoadToken};
use crate::expiry::{Expiration, Reading};
use crate::latency::Operation;
use crate::reclaim::{GuardRef, Mode, Reads};
use crate::table::ProbeMiss;

/// How many values of a key a read looks at that were inserted and expired while it was under way.
pub(super) const MAX_SUCCESSORS: usize = 4;

/// The cache as a pinned thread reads it, and nothing else.
pub(crate) struct ReadView<'g, K, V, S> {
    pub(super) engine: &'g Engine<K, V, S>,
    pub(super) view: View<'g, K, V, Reads>,
}

impl<'g, K, V, S> ReadView<'g, K, V, S> {
    #[inline(always)]
    pub(crate) fn new(
        engine: &'g Engine<K, V, S>,
        guard_ref: GuardRef<'g, Garbage<K, V>, ThreadState<K, V>, Reads>,
    ) -> Self {
        Self { engine, view: engine.table.view(guard_ref) }
    }
}

impl<'g, K: Eq, V, S: BuildHasher> ReadView<'g, K, V, S> {
    /// The value of a key; counts, touches, and moves the idle deadline.
    #[inline(always)]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get_entry(key).map(|entry| entry.value())
    }

    /// The same, with the entry.
    #[inline(always)]
    pub(crate) fn get_entry<Q>(&self, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if self.is_timed() {
            return self.time(|| self.read(self.engine.hash(key), key));
        }
        self.read(self.engine.hash(key), key)
    }

    /// Whether the look-up that begins now is to be timed.
    #[inline(always)]
    fn is_timed(&self) -> bool {
        self.engine.sampling.is_due(&self.view.local().timings, Operation::Get)
    }

    /// Times a look-up.
    #[cold]
    #[inline(never)]
    fn time<T>(&self, look_up: impl FnOnce() -> T) -> T {
        let _timing = Timing::begin(&self.engine.timer, self.view.local(), Operation::Get);
        look_up()
    }

    /// The same for a key whose hash is known.
    #[inline(always)]
    pub(super) fn get_hashed<Q>(&self, hash: u64, key: &Q) -> Option<&'g V>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.read(hash, key).map(|entry| entry.value())
    }

    /// The value of a key and, if it is to be renewed, the age at which it is: its own, or else `age`. No load whose
    /// token `is_reloading` renews it. As `get` otherwise.
    #[inline]
    pub(crate) fn get_and_age<Q>(
        &self,
        key: &Q,
        (age, jitter): (Option<Duration>, f64),
        is_reloading: impl Fn(&LoadToken, Duration) -> bool,
    ) -> Option<(&'g V, Option<Duration>)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let entry = if self.is_timed() {
            self.time(|| self.read(self.engine.hash(key), key))?
        } else {
            self.read(self.engine.hash(key), key)?
        };
        let due = |expiration: &Expiration<K, V>| {
            let token = entry.load_token();
            let own = token.and_then(LoadToken::renewal_age).map(Duration::from_nanos);
            let age = own.or(age)?;
            let is_due = expiration.is_due(entry, (age, jitter), expiration.now())
                && !token.is_some_and(|token| is_reloading(token, age));
            is_due.then_some(age)
        };
        Some((entry.value(), self.engine.rules.expiration.as_ref().and_then(due)))
    }

    /// The live entry of a key; counts, touches, and moves its deadlines.
    #[inline(always)]
    fn read<Q>(&self, hash: u64, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut eq = |k: &K| key.equivalent(k);
        match self.view.probe(hash, &mut eq) {
            Ok(occupied) => self.hit(hash, occupied),
            Err(ProbeMiss::Absent) => self.miss(hash, key),
            Err(ProbeMiss::ProbeFurther) => match self.view.find_slow(hash, eq) {
                Some(occupied) => self.hit(hash, occupied),
                None => self.miss(hash, key),
            },
        }
    }

    #[inline(always)]
    fn hit(&self, hash: u64, occupied: Occupied<'g, K, V, Reads>) -> Option<EntryRef<'g, K, V>> {
        let mut entry = occupied.entry();
        if let Some(expiration) = &self.engine.rules.expiration
            && !self.apply_reading(entry, Self::note_read(expiration, entry))
        {
            let read = |entry| self.apply_reading(entry, Self::note_read(expiration, entry));
            match successor(self.view, entry, read) {
                Some(successor) => entry = successor,
                None => return count_ended(self.view, entry),
            }
        }
        self.view.local().tally.hits.bump();
        self.view.local().evidence.note_hit(hash);
        occupied.touch();
        Some(entry)
    }

    #[inline(always)]
    fn miss<Q>(&self, hash: u64, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.engine.count_miss(self.view.guard_ref(), hash, key);
        None
    }

    /// The values of some keys, in their order.
    pub(crate) fn get_many<'k, Q>(self, keys: &'k [Q]) -> Batch<'g, 'k, K, V, S, Q> {
        Batch::new(self, keys)
    }

    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.engine.hash(key)
    }

    /// Prefetches the bucket of a hash.
    #[inline]
    pub(super) fn prefetch_bucket(&self, hash: u64) {
        self.view.prefetch_to_read(hash);
    }

    /// Prefetches the entry that the bucket of a hash leads to.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64) {
        self.view.prefetch_entry(hash);
    }

    /// Moves the deadlines of an entry that is being read. Apart, so that reads of a cache that keeps no
    /// time do without its registers.
    #[inline(never)]
    fn note_read(expiration: &Expiration<K, V>, entry: EntryRef<'g, K, V>) -> Reading {
        // After the entry was found, however long that took: a thread that finds it later finds a later time.
        expiration.read(entry, expiration.now())
    }

    #[inline(always)]
    fn apply_reading(&self, entry: EntryRef<'g, K, V>, reading: Reading) -> bool {
        self.engine.apply_reading(self.view, entry, reading)
    }

    /// The entry of a key. Does not count as a read.
    pub(crate) fn peek<Q>(&self, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let entry = self.view.find(self.engine.hash(key), |k| key.equivalent(k))?.entry();
        let is_live = |entry| self.engine.is_live(entry);
        if is_live(entry) { Some(entry) } else { successor(self.view, entry, is_live) }
    }
}

/// Counts a read of an entry that has expired, or whose tags were invalidated. Takes the view by value, as below.
#[cold]
#[inline(never)]
fn count_ended<'g, K, V>(
    view: View<'g, K, V, Reads>,
    ended: EntryRef<'g, K, V>,
) -> Option<EntryRef<'g, K, V>> {
    view.local().evidence.note_miss(ended.hash());
    let misses = &view.local().tally.misses;
    if ended.is_invalidated() {
        misses.invalidated.bump()
    } else {
        misses.expired.bump()
    }
    None
}

/// The first successor of an expired entry that may be read.
///
/// The entry was found, and then the clock was asked. In between it may have been replaced before its
/// it expired: then the key was there all the while. Goes by the entry's own hash and key, and takes the
/// view by value, so that reads need to keep nothing for this.
///
/// Ends: each further look is at a value that was inserted since the one before. As a read waits for
/// no thread, it gives up after a few that had all expired when it came to them.
#[cold]
#[inline(never)]
pub(super) fn successor<'g, K: Eq, V, M: Mode>(
    view: View<'g, K, V, M>,
    expired: EntryRef<'g, K, V>,
    may_be_read: impl Fn(EntryRef<'g, K, V>) -> bool,
) -> Option<EntryRef<'g, K, V>> {
    let mut last = expired;
    for _ in 0..MAX_SUCCESSORS {
        let entry = view.find(expired.hash(), |k| k == expired.key())?.entry();
        if entry.is(last) {
            return None;
        }
        if may_be_read(entry) {
            return Some(entry);
        }
        last = entry;
    }
    None
}

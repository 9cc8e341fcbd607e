//! What a pinned thread reads.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use equivalent::Equivalent;

use super::bury::Found;
use super::{Batch, Desk, Engine, Garbage, Local};
use crate::entry::{EntryRef, Ticket};
use crate::expiry::Expiration;
use crate::policy::Memory;
use crate::reclaim::Pass;
use crate::table::{Glance, View};
use crate::time::Moment;

/// How many values of a key a read looks at that came in and expired while it was under way.
const SUCCESSORS: usize = 4;

/// The cache under a pass: reading, and nothing else.
pub(crate) struct Lens<'g, K, V, S> {
    engine: &'g Engine<K, V, S>,
    view: View<'g, K, V, Memory, Local>,
}

impl<'g, K, V, S> Lens<'g, K, V, S> {
    #[inline(always)]
    pub(crate) fn new(
        engine: &'g Engine<K, V, S>,
        pass: Pass<'g, Garbage<K, V>, Desk<K, V>>,
    ) -> Self {
        Self { engine, view: engine.table.view(pass) }
    }
}

impl<'g, K, V, S: BuildHasher> Lens<'g, K, V, S> {
    /// The value of a key; counts, touches, and moves the idle deadline.
    #[inline(always)]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&'g V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get_hashed(self.engine.hash(key), key)
    }

    /// The same for a key whose hash is known.
    #[inline(always)]
    pub(super) fn get_hashed<Q>(&self, hash: u64, key: &Q) -> Option<&'g V>
    where
        Q: Equivalent<K> + ?Sized,
    {
        self.read(hash, key).map(|(entry, _)| entry.value())
    }

    /// The value of a key, and whether it is to be renewed, being `age` old, and by no load whose
    /// ticket `is_flown`; as `get` otherwise.
    #[inline]
    pub(crate) fn get_and_age<Q>(
        &self,
        key: &Q,
        age: (Duration, f64),
        is_flown: impl Fn(&Ticket) -> bool,
    ) -> Option<(&'g V, bool)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (entry, now) = self.read(self.engine.hash(key), key)?;
        let is_due = |expiration: &Expiration<K, V>| {
            expiration.is_due(entry, age, now) && !entry.ticket().is_some_and(is_flown)
        };
        Some((entry.value(), self.engine.rules.expiration.as_ref().is_some_and(is_due)))
    }

    /// The live entry of a key, and at which time it was; counts, touches, and moves its deadlines.
    #[inline(always)]
    fn read<Q>(&self, hash: u64, key: &Q) -> Option<(EntryRef<'g, K, V>, Moment)>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut eq = |k: &K| key.equivalent(k);
        let held = match self.view.glance(hash, &mut eq) {
            Ok(held) => held,
            Err(Glance::Nothing) => return self.miss(),
            Err(Glance::Further) => match self.view.find_further(hash, eq) {
                Some(held) => held,
                None => return self.miss(),
            },
        };
        match self.note_read(held.entry()) {
            Some(now) => Some(self.hit(held, now)),
            None => self.read_again(hash, key, held.entry()),
        }
    }

    #[inline(always)]
    fn hit(&self, held: Found<'g, K, V>, now: Moment) -> (EntryRef<'g, K, V>, Moment) {
        self.view.local().tally.hits.bump();
        held.touch();
        (held.entry(), now)
    }

    /// Reads what has taken the place of an entry that had expired when the clock was asked, if
    /// anything has.
    #[cold]
    #[inline(never)]
    fn read_again<Q>(
        &self,
        hash: u64,
        key: &Q,
        expired: EntryRef<'g, K, V>,
    ) -> Option<(EntryRef<'g, K, V>, Moment)>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let note = |held: Found<'g, K, V>| self.note_read(held.entry()).map(|now| (held, now));
        match self.successor(hash, key, expired, note) {
            Some((held, now)) => Some(self.hit(held, now)),
            None => self.miss(),
        }
    }

    /// The first successor of an expired entry of which `look` says something.
    ///
    /// The entry was found, and then the clock was asked. In between it may have been replaced before
    /// its time was over: then the key was there all the while.
    ///
    /// Ends: each further look is at a value that came in since the one before. As a read waits for
    /// nobody, it gives up after a few that had all expired when it came to them.
    fn successor<Q, T>(
        &self,
        hash: u64,
        key: &Q,
        expired: EntryRef<'g, K, V>,
        look: impl Fn(Found<'g, K, V>) -> Option<T>,
    ) -> Option<T>
    where
        Q: Equivalent<K> + ?Sized,
    {
        let mut last = expired;
        for _ in 0..SUCCESSORS {
            let held = self.view.find(hash, |k| key.equivalent(k))?;
            if held.entry().is(last) {
                return None;
            }
            let said = look(held);
            if said.is_some() {
                return said;
            }
            last = held.entry();
        }
        None
    }

    #[inline(always)]
    fn miss<T>(&self) -> Option<T> {
        self.view.local().tally.misses.bump();
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

    /// Asks for the bucket of a hash.
    #[inline]
    pub(super) fn prefetch_bucket(&self, hash: u64) {
        self.view.prefetch_to_read(hash);
    }

    /// Asks for the entry that the bucket of a hash leads to.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64) {
        self.view.prefetch_entry(hash);
    }

    /// Moves the deadlines of an entry that is being read; the time at which it was live, or nothing if
    /// it has expired.
    #[inline(always)]
    fn note_read(&self, entry: EntryRef<'g, K, V>) -> Option<Moment> {
        match &self.engine.rules.expiration {
            None => Some(Moment::ORIGIN),
            Some(expiration) => Self::note_read_at(expiration, entry),
        }
    }

    /// Apart, so that reads of a cache that keeps no time do without its registers.
    #[inline(never)]
    fn note_read_at(expiration: &Expiration<K, V>, entry: EntryRef<'g, K, V>) -> Option<Moment> {
        // After the entry was found, however long that took: who finds it later finds a later time.
        let now = expiration.now();
        expiration.read(entry, now).then_some(now)
    }

    /// The entry of a key, and nobody notices.
    pub(crate) fn peek<Q>(&self, key: &Q) -> Option<EntryRef<'g, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.engine.hash(key);
        let live =
            |held: Found<'g, K, V>| Some(held.entry()).filter(|entry| self.engine.is_live(*entry));
        let held = self.view.find(hash, |k| key.equivalent(k))?;
        live(held).or_else(|| self.successor(hash, key, held.entry(), live))
    }
}

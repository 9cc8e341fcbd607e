//! The time by which one step of an operation decides, in a cache whose entries expire.

use super::Engine;
use crate::entry::EntryRef;
use crate::expiry::{Expiration, LifetimeOverride};
use crate::sync::seeded;
use crate::time::{Deadline, Moment};

/// A reading of the clock, and how long entries live by it.
pub(super) struct OpTime<'e, K, V> {
    expiration: &'e Expiration<K, V>,
    now: Moment,
}

impl<K, V> Clone for OpTime<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for OpTime<'_, K, V> {}

impl<K, V, S> Engine<K, V, S> {
    /// The time, if entries expire.
    #[inline(always)]
    pub(super) fn op_time(&self) -> Option<OpTime<'_, K, V>> {
        let expiration = self.rules.expiration.as_ref()?;
        Some(OpTime { expiration, now: expiration.now() })
    }
}

impl<K, V> OpTime<'_, K, V> {
    /// Whether an entry with a value is worth keeping: it is live, may stand in if a load fails, or
    /// carries a token that keeps it.
    #[inline]
    pub(super) fn is_kept(self, entry: EntryRef<'_, K, V>) -> bool {
        self.expiration.is_kept(entry, self.now)
            || entry.load_token().is_some_and(|token| token.keeps_entry())
                && !seeded("failure-swept")
    }
}

/// What a usual put asks of the time. Apart for caches whose entries expire and those whose do not, as the ones' puts would
/// take longer for what the others ask.
pub(super) trait PutTime<K, V>: Copy {
    /// Gives an entry that is about to be linked its deadlines; whether it is live, and not to be renewed.
    fn begins(self, entry: EntryRef<'_, K, V>, lifetime_override: &LifetimeOverride) -> bool;

    /// Whether an entry has not expired.
    fn is_live(self, entry: EntryRef<'_, K, V>) -> bool;

    /// Which entries were over long enough to make room before others, if entries expire.
    fn collected_before(self) -> Option<Moment>;

    /// When an entry will have to make room before any live one.
    fn end(self, entry: EntryRef<'_, K, V>) -> Deadline;
}

/// That of a cache whose entries live forever.
#[derive(Clone, Copy)]
pub(super) struct NoExpiry;

impl<K, V> PutTime<K, V> for NoExpiry {
    #[inline(always)]
    fn begins(self, _: EntryRef<'_, K, V>, _: &LifetimeOverride) -> bool {
        true
    }
    #[inline(always)]
    fn is_live(self, _: EntryRef<'_, K, V>) -> bool {
        true
    }
    #[inline(always)]
    fn collected_before(self) -> Option<Moment> {
        None
    }
    #[inline(always)]
    fn end(self, _: EntryRef<'_, K, V>) -> Deadline {
        Deadline::NEVER
    }
}

impl<K, V> PutTime<K, V> for OpTime<'_, K, V> {
    #[inline(always)]
    fn begins(self, entry: EntryRef<'_, K, V>, lifetime_override: &LifetimeOverride) -> bool {
        lifetime_override.renew_after.is_none()
            && self.expiration.begin_by_settings(entry, self.now, lifetime_override)
    }
    #[inline(always)]
    fn is_live(self, entry: EntryRef<'_, K, V>) -> bool {
        self.expiration.is_live(entry, self.now)
    }
    #[inline(always)]
    fn collected_before(self) -> Option<Moment> {
        Some(self.expiration.collected_at(self.now))
    }
    #[inline(always)]
    fn end(self, entry: EntryRef<'_, K, V>) -> Deadline {
        self.expiration.end(entry)
    }
}

//! When an entry will expire, as far as is known now.

use std::time::Duration;

use super::{Expiration, after, modified, sliding};
use crate::entry::EntryRef;
use crate::sync::EntryWord;
use crate::time::{Deadline, Moment};

impl<K, V> Expiration<K, V> {
    /// The moment from which on an entry is expired, unless it is read before.
    #[inline]
    pub(crate) fn end(&self, entry: EntryRef<'_, K, V>) -> Deadline {
        let at = |word: Option<&EntryWord>| word.map_or(Deadline::NEVER, sliding::deadline);
        let own = at(entry.deadline()).min(at(entry.idle_deadline()));
        if self.expiry().is_none() {
            return own;
        }
        own.min(after(modified(entry), self.time_to_live))
    }

    /// How long an entry still lives, read or not, and how long if it is not read; `None` if that
    /// does not end.
    pub(crate) fn left(&self, entry: EntryRef<'_, K, V>) -> (Option<Duration>, Option<Duration>) {
        let now = self.now();
        let at = |word: Option<&EntryWord>| word.map_or(Deadline::NEVER, sliding::deadline);
        let mut own = at(entry.deadline());
        if self.expiry().is_some() {
            own = own.min(after(modified(entry), self.time_to_live));
        }
        (own.remaining(now), at(entry.idle_deadline()).remaining(now))
    }

    /// How long ago an entry was last used, given how long it has `left` if it is not used.
    pub(crate) fn idle_for(&self, left: Option<Duration>) -> Option<Duration> {
        Some(self.time_to_idle?.saturating_sub(left?))
    }

    /// How long ago its value was written.
    pub(crate) fn age(&self, entry: EntryRef<'_, K, V>) -> Duration {
        self.now().since(modified(entry))
    }

    /// The same for a reading of the clock.
    #[inline]
    pub(crate) fn collected_at(&self, now: Moment) -> Moment {
        now.before_nanos(self.grace.get())
    }

    /// Entries that had expired at this moment are removed. Those that expired later may still
    /// stand in for others.
    #[inline]
    pub(crate) fn collected_before(&self) -> Moment {
        self.collected_at(self.now())
    }
}

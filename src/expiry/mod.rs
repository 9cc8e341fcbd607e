//! When entries expire.
//!
//! An entry carries its deadlines with it (`entry`): one that reads do not move, from the time to
//! live or from the user's [`Expiry`], and one that they do, from the time to idle. It is live while
//! both lie ahead. There is no timer wheel: an expired entry is a miss at once, and is collected by
//! the hands that meet it and by sweeps.

mod policy;
mod terms;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

use std::fmt;
use std::time::Duration;

pub use policy::Expiry;
pub(crate) use terms::Terms;

use crate::entry::{EntryRef, Shape};
use crate::sync::{AtomicU64, Relaxed, Stamp};
use crate::time::{Clock, Deadline, Moment, nanos};

/// How long entries live, and by which clock.
pub(crate) struct Expiration<K, V> {
    clock: Clock,
    time_to_live: Option<Duration>,
    time_to_idle: Option<Duration>,
    expiry: Option<Box<dyn Expiry<K, V> + Send + Sync>>,
    /// For how long expired entries are worth something, in nanoseconds.
    pub(crate) grace: Relaxed<AtomicU64>,
}

impl<K, V> Expiration<K, V> {
    pub(crate) fn new(
        clock: Clock,
        time_to_live: Option<Duration>,
        time_to_idle: Option<Duration>,
        expiry: Option<Box<dyn Expiry<K, V> + Send + Sync>>,
    ) -> Self {
        let grace = Relaxed::<AtomicU64>::new(0);
        Self { clock, time_to_live, time_to_idle, expiry, grace }
    }

    /// How long entries live at most, where that is the same for all.
    pub(crate) fn time_to_live(&self) -> Option<Duration> {
        self.time_to_live
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Keeps what has expired for so long at least.
    pub(crate) fn keep(&self, grace: Duration) {
        self.grace.max(nanos(grace));
    }

    /// The words that entries need.
    pub(crate) fn shape(&self) -> Shape {
        match (&self.expiry, self.time_to_idle, self.time_to_live) {
            (None, None, Some(_)) => Shape::TIMED,
            _ => Shape::IDLING,
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Whether an entry's time is not over.
    #[inline]
    pub(crate) fn is_live(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        let ahead = |word: &Stamp| !Deadline::from_word(word.get()).is_passed(now);
        entry.deadline().is_none_or(ahead)
            && entry.idle_deadline().is_none_or(ahead)
            && (self.expiry.is_none() || self.lives_still(entry, now))
    }

    /// Whether it is live, or was until so short a while ago that its value may be worth something to
    /// somebody.
    #[inline]
    pub(crate) fn is_kept(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        self.was_live(entry, now, Duration::from_nanos(self.grace.get()))
    }

    /// Whether it is live, or was until less than `grace` ago.
    #[inline]
    pub(crate) fn was_live(&self, entry: EntryRef<'_, K, V>, now: Moment, grace: Duration) -> bool {
        self.is_live(entry, now.before(grace))
    }

    /// Whether an entry's time to live is not over, where the deadline is the user's own.
    fn lives_still(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        let written = Moment::from_word(entry.modified().map_or(0, Stamp::get));
        !after(written, self.time_to_live).is_passed(now)
    }

    /// Sets the words of an entry that is about to come in.
    pub(crate) fn create(&self, entry: EntryRef<'_, K, V>) {
        let now = self.now();
        let wanted = self.expiry.as_ref().and_then(|expiry| {
            expiry.expire_after_create(entry.key(), entry.value(), self.clock.to_instant(now))
        });
        self.begin(entry, now, wanted);
    }

    /// Sets the words of an entry that is about to take the place of `old`.
    pub(crate) fn update(&self, entry: EntryRef<'_, K, V>, old: EntryRef<'_, K, V>) {
        let now = self.now();
        let wanted = self.expiry.as_ref().and_then(|expiry| {
            let (at, left) = (self.clock.to_instant(now), remaining(now, old));
            expiry.expire_after_update(entry.key(), entry.value(), at, left)
        });
        self.begin(entry, now, wanted);
    }

    fn begin(&self, entry: EntryRef<'_, K, V>, now: Moment, wanted: Option<Duration>) {
        set(entry.deadline(), self.deadline(now, wanted).to_word());
        set(entry.idle_deadline(), after(now, self.time_to_idle).to_word());
        set(entry.modified(), now.to_word());
    }

    /// Notes that an entry was read. Writes only where a deadline really moves, which is at most
    /// once for each tick of the clock.
    #[inline]
    pub(crate) fn read(&self, entry: EntryRef<'_, K, V>, now: Moment) {
        if self.time_to_idle.is_some() {
            set(entry.idle_deadline(), after(now, self.time_to_idle).to_word());
        }
        if let Some(expiry) = &self.expiry {
            self.ask_after_read(&**expiry, entry, now);
        }
    }

    #[cold]
    fn ask_after_read(
        &self,
        expiry: &(dyn Expiry<K, V> + Send + Sync),
        entry: EntryRef<'_, K, V>,
        now: Moment,
    ) {
        let left = remaining(now, entry);
        let modified = Moment::from_word(entry.modified().map_or(0, Stamp::get));
        let (read, modified) = (self.clock.to_instant(now), self.clock.to_instant(modified));
        let wanted = expiry.expire_after_read(entry.key(), entry.value(), read, left, modified);
        if wanted != left {
            set(entry.deadline(), self.deadline(now, wanted).to_word());
        }
    }

    /// What the user's expiry wants, where there is one; the time to live counts from the last write
    /// then, which the entry remembers.
    fn deadline(&self, now: Moment, wanted: Option<Duration>) -> Deadline {
        after(now, if self.expiry.is_some() { wanted } else { self.time_to_live })
    }
}

fn after(now: Moment, duration: Option<Duration>) -> Deadline {
    duration.map_or(Deadline::NEVER, |duration| now.after(duration))
}

/// How long an entry has until its deadline; `None` if it has none.
fn remaining<K, V>(now: Moment, entry: EntryRef<'_, K, V>) -> Option<Duration> {
    let deadline = Deadline::from_word(entry.deadline()?.get());
    deadline.remaining(now)
}

fn set(stamp: Option<&Stamp>, word: u64) {
    if let Some(stamp) = stamp.filter(|stamp| stamp.get() != word) {
        stamp.set(word);
    }
}

impl<K, V> fmt::Debug for Expiration<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiration")
            .field("clock", &self.clock)
            .field("time_to_live", &self.time_to_live)
            .field("time_to_idle", &self.time_to_idle)
            .field("expiry", &self.expiry.is_some())
            .finish()
    }
}

//! When entries expire.
//!
//! An entry carries its deadlines with it (`entry`): its own, from the time to live or from the
//! user's [`Expiry`], and one that every read moves, from the time to idle. It is live while all
//! are ahead. There is no timer wheel: an expired entry is a miss at once, and is removed by the
//! clock hands that reach it and by sweeps.
//!
//! | the cache has | own deadline | idle deadline | last write |
//! |---|---|---|---|
//! | a time to live, or a clock alone | moved by `set_ttl` alone | | for the age |
//! | a time to idle | the same | moved by reads | the same |
//! | an `Expiry` | moved by reads as well | as above | the time to live counts from it |
//!
//! An entry whose tags were invalidated (`tags`) is treated as one that has expired; only the cause that is told is
//! another.
//!
//! A deadline is over once a thread has seen it passed, and nothing moves it any more: see
//! `sliding`.

mod end;
mod lifetime_override;
#[cfg(all(test, clockhand_loom))]
mod models;
mod policy;
mod sliding;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use lifetime_override::LifetimeOverride;
pub use policy::Expiry;

use crate::entry::{EntryLayout, EntryRef};
use crate::sync::{AtomicU64, EntryWord, Relaxed};
use crate::time::{Clock, Deadline, Moment, nanos};

/// How often a read calls the user's expiry, if other reads of the entry are faster. After that
/// their results stand.
const MAX_ATTEMPTS: usize = 4;

/// How long entries live, and by which clock.
pub(crate) struct Expiration<K, V> {
    clock: Clock,
    time_to_live: Option<Duration>,
    time_to_idle: Option<Duration>,
    /// Both in nanoseconds, as much as there is for none.
    life: u64,
    idle_life: u64,
    /// Whether single entries may be given a time to live, as the user has said.
    #[cfg(feature = "predict")]
    per_entry: bool,
    /// What most caches do without. Reads look once whether it is there.
    further: Option<Box<LifetimeRules<K, V>>>,
    /// For how long expired entries may stand in for others, in nanoseconds.
    pub(crate) grace: Relaxed<AtomicU64>,
}

/// What else decides how long entries live.
struct LifetimeRules<K, V> {
    expiry: Option<Arc<dyn Expiry<K, V> + Send + Sync>>,
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Expired,
    Live,
    /// Live, with a deadline that is earlier than before.
    Until(Deadline),
}

impl Reading {
    #[inline]
    fn of(live: bool) -> Self {
        if live { Self::Live } else { Self::Expired }
    }
}

impl<K, V> Expiration<K, V> {
    pub(crate) fn new(
        clock: Clock,
        time_to_live: Option<Duration>,
        time_to_idle: Option<Duration>,
        expiry: Option<Arc<dyn Expiry<K, V> + Send + Sync>>,
        tagged: bool,
    ) -> Self {
        let grace = Relaxed::<AtomicU64>::new(0);
        let further = (tagged || expiry.is_some()).then(|| Box::new(LifetimeRules { expiry }));
        Self {
            clock,
            time_to_live,
            time_to_idle,
            life: time_to_live.map_or(u64::MAX, nanos),
            idle_life: time_to_idle.map_or(u64::MAX, nanos),
            #[cfg(feature = "predict")]
            per_entry: false,
            further,
            grace,
        }
    }

    /// The same where single entries may be given a time to live.
    #[cfg(feature = "predict")]
    pub(crate) fn per_entry(self, per_entry: bool) -> Self {
        Self { per_entry, ..self }
    }

    /// Whether values end by themselves. A cache also keeps time for its tags, and if it was given a clock.
    #[cfg(feature = "predict")]
    pub(crate) fn values_may_end(&self) -> bool {
        self.time_to_live.is_some()
            || self.time_to_idle.is_some()
            || self.per_entry
            || self.expiry().is_some()
    }

    /// The user's rule, if there is one.
    #[inline]
    fn expiry(&self) -> Option<&(dyn Expiry<K, V> + Send + Sync)> {
        self.further.as_ref()?.expiry.as_deref()
    }

    /// The time to live of entries, if it is the same for all.
    pub(crate) fn time_to_live(&self) -> Option<Duration> {
        self.time_to_live
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Keeps expired entries for at least `grace`.
    pub(crate) fn keep(&self, grace: Duration) {
        self.grace.max(nanos(grace));
    }

    /// The words that entries need.
    pub(crate) fn entry_layout(&self) -> EntryLayout {
        if self.time_to_idle.is_some() { EntryLayout::IDLING } else { EntryLayout::TIMED }
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Whether an entry has not expired. If this returns false, the entry has expired for good.
    #[inline]
    pub(crate) fn is_live(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        self.owns_time(entry, now)
            && entry.idle_deadline().is_none_or(|word| sliding::ahead(word, now).is_some())
    }

    /// Whether the entry's own deadline is ahead, and its time to live is not over.
    #[inline]
    fn owns_time(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        (self.further.is_none() || self.is_still_live(entry, now))
            && self.own_ahead(entry, now).is_some()
    }

    /// Whether the entry is live, or has been expired for less than the longest grace of any
    /// handle, so that its value may still stand in for another. If this returns false, that is
    /// final.
    #[inline]
    pub(crate) fn is_kept(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        self.was_live(entry, now, Duration::from_nanos(self.grace.get()))
    }

    /// Whether the entry is live, or has been expired for less than `grace`.
    #[inline]
    pub(crate) fn was_live(&self, entry: EntryRef<'_, K, V>, now: Moment, grace: Duration) -> bool {
        // `is_live` first: it marks a deadline that has passed as over, and such a one is not moved
        // any more.
        self.is_live(entry, now) || (!grace.is_zero() && self.lived(entry, now.before(grace)))
    }

    /// Whether the deadlines of an entry that has expired were ahead at `then`.
    fn lived(&self, entry: EntryRef<'_, K, V>, then: Moment) -> bool {
        let ahead = |word: &EntryWord| !sliding::deadline(word).is_passed(then);
        entry.deadline().is_none_or(ahead)
            && entry.idle_deadline().is_none_or(ahead)
            && (self.further.is_none() || self.is_still_live(entry, then))
    }

    /// Whether none of an entry's tags was invalidated, and its time to live is not over, if its deadline comes from
    /// the user's `Expiry`. If this returns false, that is final (V2).
    fn is_still_live(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        !entry.is_invalidated()
            && (self.expiry().is_none()
                || !after(modified(entry), self.time_to_live).is_passed(now))
    }

    /// Returns the entry's own deadline, if it is ahead.
    #[inline]
    fn own_ahead(&self, entry: EntryRef<'_, K, V>, now: Moment) -> Option<Deadline> {
        entry.deadline().map_or(Some(Deadline::NEVER), |word| sliding::ahead(word, now))
    }

    /// Sets the words of an entry that is about to be inserted.
    pub(crate) fn create(&self, entry: EntryRef<'_, K, V>, lifetime_override: &LifetimeOverride) {
        let now = self.now();
        let wanted = self.asked(lifetime_override).and_then(|expiry| {
            expiry.expire_after_create(entry.key(), entry.value(), self.clock.to_instant(now))
        });
        self.begin(entry, now, wanted, lifetime_override);
    }

    /// Sets the words of an entry that is about to replace `old`.
    pub(crate) fn update(
        &self,
        entry: EntryRef<'_, K, V>,
        old: EntryRef<'_, K, V>,
        lifetime_override: &LifetimeOverride,
    ) {
        let now = self.now();
        let wanted = self.asked(lifetime_override).and_then(|expiry| {
            let left = old.deadline().and_then(|word| sliding::deadline(word).remaining(now));
            expiry.expire_after_update(entry.key(), entry.value(), self.clock.to_instant(now), left)
        });
        self.begin(entry, now, wanted, lifetime_override);
    }

    /// Returns the user's expiry, if it has to be called: not for an entry with a time to live of
    /// its own.
    #[inline]
    fn asked(
        &self,
        lifetime_override: &LifetimeOverride,
    ) -> Option<&(dyn Expiry<K, V> + Send + Sync)> {
        if lifetime_override.ttl.is_some() { None } else { self.expiry() }
    }

    fn begin(
        &self,
        entry: EntryRef<'_, K, V>,
        now: Moment,
        wanted: Option<Duration>,
        lifetime_override: &LifetimeOverride,
    ) {
        // With a user's expiry, the deadline is the one that it returned, and the time to live
        // counts from the last write, which the entry remembers.
        let (deadline, longest) = match (lifetime_override.ttl, self.expiry()) {
            (Some(ttl), _) => (now.after(ttl), None),
            (None, Some(_)) => (after(now, wanted), self.time_to_live),
            (None, None) => (now.after_nanos(self.life), self.time_to_live),
        };
        let deadline = lifetime_override.shorten(deadline, entry.hash(), now, longest);
        set(entry.deadline(), deadline.to_word());
        set(entry.idle_deadline(), now.after_nanos(self.idle_life).to_word());
        set(entry.modified(), now.to_word());
    }

    /// Sets the words of an entry that is about to be inserted or to replace another, where no rule of the user's has a say.
    /// Returns whether it is live.
    #[inline]
    pub(crate) fn begin_by_settings(
        &self,
        entry: EntryRef<'_, K, V>,
        now: Moment,
        lifetime_override: &LifetimeOverride,
    ) -> bool {
        debug_assert!(self.has_usual_rules(), "the user's rule was not asked");
        self.begin(entry, now, None, lifetime_override);
        self.is_live(entry, now)
    }

    /// Whether neither a rule of the user's nor tags decide how long entries live.
    pub(crate) fn has_usual_rules(&self) -> bool {
        self.further.is_none()
    }

    /// Sets the words of an entry that comes back: how long ago it was written, if that is known, how long it still lives, and
    /// how long if it is not read. Returns whether it is to be kept.
    #[cfg(feature = "persist")]
    pub(crate) fn restore(
        &self,
        entry: EntryRef<'_, K, V>,
        age: Option<Duration>,
        (left, idle_left): (Option<Duration>, Option<Duration>),
    ) -> bool {
        let now = self.now();
        match age {
            None => self.create(entry, &LifetimeOverride::default()),
            Some(age) => {
                set(entry.deadline(), after(now, left).to_word());
                set(entry.idle_deadline(), after(now, idle_left.or(self.time_to_idle)).to_word());
                set(entry.modified(), now.before(age).to_word());
            }
        }
        self.is_live(entry, now)
    }

    /// Gives a live entry another time to live, from now on. Returns its new deadline and the old
    /// one, and `None` if the entry is not live.
    pub(crate) fn set_ttl(
        &self,
        entry: EntryRef<'_, K, V>,
        ttl: Duration,
    ) -> Option<(Deadline, Deadline)> {
        loop {
            let now = self.now();
            if !self.is_live(entry, now) {
                return None;
            }
            let (found, to) = (self.own_ahead(entry, now)?, now.after(ttl));
            if entry.deadline().is_some_and(|word| sliding::set(word, found, to)) {
                return Some((to, found));
            }
        }
    }

    /// Moves the deadline of an entry that has just replaced `old` with the same value, if a call
    /// has set the deadline of `old` since it was `copied`.
    pub(crate) fn follow(
        &self,
        entry: EntryRef<'_, K, V>,
        old: EntryRef<'_, K, V>,
        copied: Deadline,
    ) {
        if let (Some(word), Some(old)) = (entry.deadline(), old.deadline()) {
            sliding::follow(word, old, copied);
        }
    }

    /// Reads an entry: moves its deadlines if it is live. Writes only if a deadline really moves,
    /// which is at most once for each time that the clock shows.
    #[inline]
    pub(crate) fn read(&self, entry: EntryRef<'_, K, V>, now: Moment) -> Reading {
        match &self.further {
            None => self.read_deadlines(entry, now),
            Some(further) => self.read_further(further, entry, now),
        }
    }

    #[inline]
    fn read_deadlines(&self, entry: EntryRef<'_, K, V>, now: Moment) -> Reading {
        Reading::of(self.own_ahead(entry, now).is_some() && self.idle_from(entry, now))
    }

    #[inline(never)]
    fn read_further(
        &self,
        further: &LifetimeRules<K, V>,
        entry: EntryRef<'_, K, V>,
        now: Moment,
    ) -> Reading {
        match &further.expiry {
            Some(expiry) => self.read_and_ask(&**expiry, entry, now),
            None if entry.is_invalidated() => Reading::Expired,
            None => self.read_deadlines(entry, now),
        }
    }

    /// Moves the idle deadline, if it is ahead. Returns whether it is.
    #[inline]
    fn idle_from(&self, entry: EntryRef<'_, K, V>, now: Moment) -> bool {
        let extend = |word: &EntryWord| sliding::extend(word, now, now.after_nanos(self.idle_life));
        entry.idle_deadline().is_none_or(extend)
    }

    #[cold]
    fn read_and_ask(
        &self,
        expiry: &(dyn Expiry<K, V> + Send + Sync),
        entry: EntryRef<'_, K, V>,
        now: Moment,
    ) -> Reading {
        if !self.is_live(entry, now) {
            return Reading::Expired;
        }
        let (mut asked, mut sooner) = (now, None);
        for _ in 0..MAX_ATTEMPTS {
            // It was not over just before, but it may have passed for another reader since.
            let Some(found) = self.own_ahead(entry, asked) else { return Reading::Expired };
            let wanted = self.ask_after_read(expiry, entry, found, asked);
            let to = after(asked, wanted);
            if found.remaining(asked) == wanted {
                break;
            }
            if entry.deadline().is_none_or(|word| sliding::change(word, found, to)) {
                sooner = (to < found).then_some(to);
                break;
            }
            // Another read was faster, and the deadline that it has set may be from a later time.
            asked = self.now();
        }
        // By the time at which the entry was found live, and forward only: so however long the
        // user's expiry took, this does not revive an entry that another thread has seen as
        // expired.
        match (self.idle_from(entry, now), sooner) {
            (true, Some(end)) => Reading::Until(end),
            (live, _) => Reading::of(live),
        }
    }

    fn ask_after_read(
        &self,
        expiry: &(dyn Expiry<K, V> + Send + Sync),
        entry: EntryRef<'_, K, V>,
        found: Deadline,
        now: Moment,
    ) -> Option<Duration> {
        let (read, modified) = (self.clock.to_instant(now), self.clock.to_instant(modified(entry)));
        let left = found.remaining(now);
        expiry.expire_after_read(entry.key(), entry.value(), read, left, modified)
    }
}

/// When the value was written.
fn modified<K, V>(entry: EntryRef<'_, K, V>) -> Moment {
    Moment::from_word(entry.modified().map_or(0, EntryWord::get))
}

fn after(now: Moment, duration: Option<Duration>) -> Deadline {
    duration.map_or(Deadline::NEVER, |duration| now.after(duration))
}

fn set(stamp: Option<&EntryWord>, word: u64) {
    if let Some(stamp) = stamp {
        stamp.set(word);
    }
}

impl<K, V> fmt::Debug for Expiration<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiration")
            .field("clock", &self.clock)
            .field("time_to_live", &self.time_to_live)
            .field("time_to_idle", &self.time_to_idle)
            .field("expiry", &self.expiry().is_some())
            .finish()
    }
}

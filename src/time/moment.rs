//! Points on a clock's scale.
//!
//! | value | as a moment | as a deadline |
//! |---|---|---|
//! | 0 | the clock's origin | due from the beginning |
//! | `2^63 - 2` | the last moment, at which a clock stops | the last deadline |
//! | `2^63 - 1` | does not occur | never |
//!
//! So the highest bit of a word that holds a moment or a deadline is free.

use std::time::Duration;

/// Nanoseconds since the clock's origin. Of one clock, later readings are never smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// The moment from which on an entry is expired. Of two, the smaller one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

/// As nanoseconds, or `u64::MAX` if they are more than that.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Moment {
    /// When the clock was made.
    pub(crate) const ORIGIN: Self = Self(0);
    const LAST: Self = Self(Deadline::NEVER.0 - 1);

    #[inline]
    pub(super) fn at(nanos: u64) -> Self {
        Self(nanos.min(Self::LAST.0))
    }

    /// As [`at`](Self::at), for the time of a coarse clock, which is far from the last moment.
    #[inline]
    pub(super) fn of_coarse(nanos: u64) -> Self {
        debug_assert!(nanos <= Self::LAST.0, "beyond the end of the clock");
        Self(nanos)
    }

    /// The deadline after `lifetime` from now: at once if that is zero, never if it is longer than
    /// the clock runs.
    #[inline]
    pub(crate) fn after(self, lifetime: Duration) -> Deadline {
        self.after_nanos(nanos(lifetime))
    }

    /// The same of nanoseconds.
    #[inline]
    pub(crate) fn after_nanos(self, lifetime: u64) -> Deadline {
        Deadline(self.0.saturating_add(lifetime).min(Deadline::NEVER.0))
    }

    /// What was `nanos` ago.
    #[inline]
    pub(crate) fn before_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }

    /// The moment `duration` ago; the origin if that was before it.
    pub(crate) fn before(self, duration: Duration) -> Self {
        self.before_nanos(nanos(duration))
    }

    /// How long ago `earlier` was; zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// For a word in an entry.
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    /// What [`to_word`](Self::to_word) made.
    #[inline]
    pub(crate) fn from_word(word: u64) -> Self {
        Self::at(word)
    }
}

impl Deadline {
    /// Later than every moment.
    pub(crate) const NEVER: Self = Self(u64::MAX >> 1);

    #[inline]
    pub(crate) fn is_passed(self, now: Moment) -> bool {
        self.0 <= now.0
    }

    /// How long until the deadline: zero if it has passed, `None` if there is none.
    pub(crate) fn remaining(self, now: Moment) -> Option<Duration> {
        (self != Self::NEVER).then(|| Duration::from_nanos(self.0.saturating_sub(now.0)))
    }

    /// For a word in an entry.
    #[inline]
    pub(crate) const fn to_word(self) -> u64 {
        self.0
    }

    /// What [`to_word`](Self::to_word) made.
    #[inline]
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }
}

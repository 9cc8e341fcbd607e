//! The clocks that a cache can have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dial::Dial;
use super::manual::{Hand, ManualClock};
use super::moment::{Moment, nanos};

/// Where a cache with expiry gets the time from.
///
/// | clock | an entry is expired | a reading costs |
/// |---|---|---|
/// | [`coarse`](Self::coarse), the default | within its resolution of the deadline | a reading of the processor's counter; once in each resolution, one of the system's clock |
/// | [`precise`](Self::precise) | at its deadline | a reading of the system's clock, often more than the lookup |
/// | [`manual`](Self::manual) | when a test says so | a load |
///
/// Clones are the same clock, and one clock can serve many caches. No clock ever goes back, none has a
/// thread, and none does anything while nobody reads it.
///
/// # Examples
///
/// ```
/// use clockhand::Clock;
/// use std::time::Duration;
///
/// let coarse = Clock::coarse(Duration::from_millis(1));
/// let for_another_cache = coarse.clone();
/// # drop(for_another_cache);
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The dial of all coarse clocks of this resolution.
    Coarse(Arc<Dial>),
    /// A test moves it.
    Manual { origin: Instant, hand: Arc<Hand> },
    /// Every reading asks the system.
    System { origin: Instant },
}

impl Clock {
    /// A clock whose time is never older than `resolution`.
    ///
    /// All coarse clocks of the process that have the same resolution are one: they share a reading of
    /// the system's clock. Who finds that it is older, by the processor's counter of time, takes the next one. So entries expire
    /// within this resolution of their deadlines, however busy the machine is, and no thread is needed for it.
    ///
    /// The counter is that of x86-64 processors which count at one rate (all of the last fifteen years).
    /// Elsewhere, this clock asks the system at every reading, as a [`precise`](Self::precise) one does.
    ///
    /// Building a cache fails if `resolution` is zero, or longer than its entries are to live.
    ///
    /// # Progress
    ///
    /// A reading is wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    /// use std::time::Duration;
    ///
    /// let clock = Clock::coarse(Duration::from_millis(10));
    /// # drop(clock);
    /// ```
    #[must_use]
    pub fn coarse(resolution: Duration) -> Self {
        Self(Source::Coarse(Dial::shared(resolution)))
    }

    /// A clock that asks the system, through [`Instant`], at every reading.
    ///
    /// # Progress
    ///
    /// A reading takes as long as [`Instant::now`]: on the usual platforms no lock is involved, and
    /// no system call either.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    ///
    /// let clock = Clock::precise();
    /// # drop(clock);
    /// ```
    #[must_use]
    pub fn precise() -> Self {
        Self(Source::System { origin: Instant::now() })
    }

    /// A clock that stands still, and the hand that moves it.
    ///
    /// With it, tests of expiry need no sleeping and always come out the same.
    ///
    /// # Progress
    ///
    /// A reading is wait-free: one load.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    /// use std::time::Duration;
    ///
    /// let (clock, hand) = Clock::manual();
    /// hand.advance(Duration::from_secs(1));
    /// # drop(clock);
    /// ```
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let hand = Arc::new(Hand::new());
        let moved = ManualClock::new(Arc::clone(&hand));
        (Self(Source::Manual { origin: Instant::now(), hand }), moved)
    }

    /// How old the time of a coarse clock may be; nothing if the clock is another.
    pub(crate) fn resolution(&self) -> Option<Duration> {
        match &self.0 {
            Source::Coarse(dial) => Some(dial.resolution()),
            Source::Manual { .. } | Source::System { .. } => None,
        }
    }

    /// Whether a test moves it.
    pub(super) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual { .. })
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        match &self.0 {
            Source::Coarse(dial) => dial.read(),
            Source::Manual { hand, .. } => hand.read(),
            Source::System { origin } => Moment::at(nanos(origin.elapsed())),
        }
    }

    /// For callbacks that speak of instants. What the platform cannot express becomes the latest
    /// instant of the kind that it can.
    pub(crate) fn to_instant(&self, moment: Moment) -> Instant {
        let origin = match &self.0 {
            Source::Coarse(dial) => dial.origin(),
            Source::Manual { origin, .. } | Source::System { origin } => *origin,
        };
        let mut offset = moment.since(Moment::ORIGIN);
        loop {
            match origin.checked_add(offset) {
                Some(instant) => return instant,
                None => offset /= 2,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn dial(&self) -> Option<&Arc<Dial>> {
        match &self.0 {
            Source::Coarse(dial) => Some(dial),
            Source::Manual { .. } | Source::System { .. } => None,
        }
    }
}

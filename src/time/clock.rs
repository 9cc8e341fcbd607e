//! The clocks that a cache can have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::coarse_time::CoarseTime;
use super::manual::{ManualClock, ManualTime};
use super::moment::{Moment, nanos};

/// Where a cache with expiry gets the time from.
///
/// | clock | an entry is expired | a reading costs |
/// |---|---|---|
/// | [`coarse`](Self::coarse), the default | within its resolution of the deadline | a reading of the processor's counter; once in each resolution, one of the system's clock |
/// | [`precise`](Self::precise) | at its deadline | a reading of the system's clock, often more than the lookup |
/// | [`manual`](Self::manual) | when a test says so | a load |
///
/// Clones are the same clock, and one clock can serve many caches. No clock ever goes back, none
/// has a thread, and none does anything while it is not read.
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
#[doc(alias = "Ticker")]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The time of all coarse clocks with this resolution.
    Coarse(Arc<CoarseTime>),
    /// A test moves it.
    Manual { origin: Instant, time: Arc<ManualTime> },
    /// Every reading asks the system.
    System { origin: Instant },
}

impl Clock {
    /// A clock whose time is never older than `resolution`.
    ///
    /// All coarse clocks of the process with the same resolution share a reading of the system's
    /// clock. A reader that finds it older than `resolution`, by the processor's time-stamp
    /// counter, takes the next one. So entries expire within `resolution` of their deadlines,
    /// however busy the machine is, and no thread is needed.
    ///
    /// The counter is that of x86-64 processors with an invariant rate (those of the last fifteen
    /// years). Elsewhere, this clock reads the system's clock every time, as a
    /// [`precise`](Self::precise) one does.
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
        Self(Source::Coarse(CoarseTime::for_resolution(resolution)))
    }

    /// A clock that reads the system's clock, by [`Instant::now`], every time.
    ///
    /// # Progress
    ///
    /// A reading takes as long as [`Instant::now`]: on the usual platforms, neither a lock nor a
    /// system call is involved.
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

    /// The clock that is used when none was chosen: as fine as the shortest of the durations needs.
    pub(crate) fn fine_enough_for(shortest: Option<Duration>) -> Self {
        const USUAL: Duration = Duration::from_millis(1);
        match shortest {
            Some(shortest) if shortest < USUAL => Self::precise(),
            _ => Self::coarse(USUAL),
        }
    }

    /// A clock that stands still, and the [`ManualClock`] that moves it.
    ///
    /// With it, tests of expiry need not sleep and are deterministic.
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
    /// let (clock, time) = Clock::manual();
    /// time.advance(Duration::from_secs(1));
    /// # drop(clock);
    /// ```
    #[must_use]
    #[doc(alias = "mock")]
    pub fn manual() -> (Self, ManualClock) {
        let time = Arc::new(ManualTime::new());
        let moved = ManualClock::new(Arc::clone(&time));
        (Self(Source::Manual { origin: Instant::now(), time }), moved)
    }

    /// How old the time of a coarse clock may be. `None` for other clocks.
    pub(crate) fn resolution(&self) -> Option<Duration> {
        match &self.0 {
            Source::Coarse(time) => Some(time.resolution()),
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
            Source::Coarse(time) => time.read(),
            Source::Manual { time, .. } => time.read(),
            Source::System { origin } => Moment::at(nanos(origin.elapsed())),
        }
    }

    /// Converts a moment for callbacks that take an [`Instant`]. One that the platform cannot
    /// represent becomes a late instant that it can.
    pub(crate) fn to_instant(&self, moment: Moment) -> Instant {
        let origin = match &self.0 {
            Source::Coarse(time) => time.origin(),
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
    pub(super) fn coarse_time(&self) -> Option<&Arc<CoarseTime>> {
        match &self.0 {
            Source::Coarse(time) => Some(time),
            Source::Manual { .. } | Source::System { .. } => None,
        }
    }
}

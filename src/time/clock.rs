//! The clocks that a cache can have.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::manual::ManualClock;
use super::moment::{Moment, nanos};
use super::ticker::{Dial, Ticker};

/// Where a cache with expiry gets the time from.
///
/// | clock | an entry is expired | a reading costs |
/// |---|---|---|
/// | [`coarse`](Self::coarse), the default | within a tick of its deadline | a load |
/// | [`precise`](Self::precise) | at its deadline | a reading of the system's clock, often more than the lookup |
/// | [`manual`](Self::manual) | when a test says so | a load |
///
/// Clones are the same clock, and one clock can serve many caches. No clock ever goes back.
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
pub struct Clock {
    origin: Instant,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// Somebody else turns the dial: the ticker, or a test.
    Dial { dial: Arc<Dial>, ticker: Option<Arc<Ticker>> },
    /// Every reading asks the system.
    System,
}

impl Clock {
    /// A clock that ticks every `resolution`.
    ///
    /// A thread named `clockhand-clock` reads the system's clock once a tick and leaves the time
    /// where readers find it. It is started when the first cache with this clock is built, and ends
    /// when the last clone of the clock is gone; it keeps neither a cache nor the process alive.
    ///
    /// A tick can be late, if the machine is busy, but the time does not lag for long: a tick shows
    /// what the system's clock shows, however many ticks before it were missed. Building a cache
    /// fails if `resolution` is zero, or if the thread cannot be started.
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
    /// let clock = Clock::coarse(Duration::from_millis(10));
    /// # drop(clock);
    /// ```
    #[must_use]
    pub fn coarse(resolution: Duration) -> Self {
        let ticker = Some(Arc::new(Ticker::new(resolution)));
        Self::on_dial(Arc::new(Dial::new()), ticker)
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
        Self { origin: Instant::now(), source: Source::System }
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
        let dial = Arc::new(Dial::new());
        (Self::on_dial(Arc::clone(&dial), None), ManualClock::new(dial))
    }

    fn on_dial(dial: Arc<Dial>, ticker: Option<Arc<Ticker>>) -> Self {
        Self { origin: Instant::now(), source: Source::Dial { dial, ticker } }
    }

    /// Makes a coarse clock tick; nothing to do for the others, or if it ticks already.
    ///
    /// Before that its time stands still. Fails if the thread cannot be started, and then may be
    /// called again.
    pub(crate) fn start(&self) -> io::Result<()> {
        match &self.source {
            Source::Dial { dial, ticker: Some(ticker) } => ticker.start(dial, self.origin),
            Source::Dial { ticker: None, .. } | Source::System => Ok(()),
        }
    }

    /// How far apart the ticks of a coarse clock are; nothing if the clock does not tick.
    pub(crate) fn resolution(&self) -> Option<Duration> {
        match &self.source {
            Source::Dial { ticker, .. } => ticker.as_ref().map(|ticker| ticker.resolution()),
            Source::System => None,
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        match &self.source {
            Source::Dial { dial, .. } => dial.read(),
            Source::System => Moment::at(nanos(self.origin.elapsed())),
        }
    }

    /// For callbacks that speak of instants. What the platform cannot express becomes the latest
    /// instant of the kind that it can.
    pub(crate) fn to_instant(&self, moment: Moment) -> Instant {
        let mut offset = moment.since(Moment::ORIGIN);
        loop {
            match self.origin.checked_add(offset) {
                Some(instant) => return instant,
                None => offset /= 2,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn dial(&self) -> Option<&Arc<Dial>> {
        match &self.source {
            Source::Dial { dial, .. } => Some(dial),
            Source::System => None,
        }
    }
}

//! A clock that stands still until it is moved, for tests.

use std::sync::Arc;
use std::time::Duration;

use super::moment::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Relaxed};

/// The time of a manual clock: one word that publishes nothing, and so is a [`Relaxed`]. As every
/// access is to the same word, no thread sees it go back.
#[derive(Debug)]
pub(super) struct ManualTime(CachePadded<Relaxed<AtomicU64>>);

impl ManualTime {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(Relaxed::<AtomicU64>::new(0)))
    }

    #[inline]
    pub(super) fn read(&self) -> Moment {
        Moment::at(self.0.get())
    }

    /// Moves the time on by `step`, up to the last moment.
    ///
    /// Ends: an attempt fails only if one of another thread has succeeded.
    fn advance(&self, step: Duration) {
        loop {
            let now = self.0.get();
            if self.0.try_set(now, now.saturating_add(nanos(step))) {
                return;
            }
        }
    }
}

/// Moves the time of a clock that was made by [`Clock::manual`](crate::Clock::manual).
///
/// The time stands still until it is moved, and it only moves forward. Clones move the same clock.
/// When the last `ManualClock` is dropped, the clock stands still.
///
/// # Progress
///
/// All methods are lock-free and may be called by any thread. A time that was set before a cache
/// operation began (in the sense of *happens before*) is seen by that operation.
///
/// # Examples
///
/// ```
/// use clockhand::Clock;
/// use std::time::Duration;
///
/// let (clock, time) = Clock::manual();
/// // Give `clock` to a cache, and then:
/// time.advance(Duration::from_secs(60));
/// assert_eq!(time.elapsed(), Duration::from_secs(60));
/// # drop(clock);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    time: Arc<ManualTime>,
}

impl ManualClock {
    pub(super) fn new(time: Arc<ManualTime>) -> Self {
        Self { time }
    }

    /// Moves the time forward.
    ///
    /// Steps of several threads add up. The clock stops after 292 years: a step beyond that, for
    /// example of [`Duration::MAX`], moves it there, and all entries with a deadline have expired
    /// then.
    ///
    /// # Progress
    ///
    /// Lock-free: another thread may advance it, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    /// use std::time::Duration;
    ///
    /// let (_clock, time) = Clock::manual();
    /// time.advance(Duration::from_millis(2));
    /// time.advance(Duration::from_millis(3));
    /// assert_eq!(time.elapsed(), Duration::from_millis(5));
    /// ```
    pub fn advance(&self, step: Duration) {
        self.time.advance(step);
    }

    /// How far the clock was moved since it was made.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    /// use std::time::Duration;
    ///
    /// let (_clock, time) = Clock::manual();
    /// assert_eq!(time.elapsed(), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.time.read().since(Moment::ORIGIN)
    }
}

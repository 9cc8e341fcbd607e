//! A clock that stands still until it is moved, for tests.

use std::sync::Arc;
use std::time::Duration;

use super::moment::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Relaxed};

/// The time of a manual clock: one word, which publishes nothing and so is a [`Relaxed`]. As every access
/// is to the same word, no thread sees it go back.
#[derive(Debug)]
pub(super) struct Hand(CachePadded<Relaxed<AtomicU64>>);

impl Hand {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(Relaxed::<AtomicU64>::new(0)))
    }

    #[inline]
    pub(super) fn read(&self) -> Moment {
        Moment::at(self.0.get())
    }

    /// Moves the time on by `step`, up to the last moment.
    ///
    /// Ends: a failed attempt follows one of another thread that succeeded.
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
/// The clock goes on to work, standing still, when its `ManualClock` is gone.
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
/// let (clock, hand) = Clock::manual();
/// // Give `clock` to a cache, and then:
/// hand.advance(Duration::from_secs(60));
/// assert_eq!(hand.elapsed(), Duration::from_secs(60));
/// # drop(clock);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    hand: Arc<Hand>,
}

impl ManualClock {
    pub(super) fn new(hand: Arc<Hand>) -> Self {
        Self { hand }
    }

    /// Moves the time forward.
    ///
    /// Steps of several threads add up. The clock stops after 292 years: whatever goes beyond, for
    /// example a step of [`Duration::MAX`], moves it there, and entries that expire at all have
    /// expired then.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    /// use std::time::Duration;
    ///
    /// let (_clock, hand) = Clock::manual();
    /// hand.advance(Duration::from_millis(2));
    /// hand.advance(Duration::from_millis(3));
    /// assert_eq!(hand.elapsed(), Duration::from_millis(5));
    /// ```
    pub fn advance(&self, step: Duration) {
        self.hand.advance(step);
    }

    /// How far the clock was moved since it was made.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Clock;
    /// use std::time::Duration;
    ///
    /// let (_clock, hand) = Clock::manual();
    /// assert_eq!(hand.elapsed(), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.hand.read().since(Moment::ORIGIN)
    }
}

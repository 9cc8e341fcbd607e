//! How long things take, for reports.

use std::time::Duration;

use super::clock::Clock;
use super::moment::Moment;
use super::ticks::Ticks;
use crate::sync::counter;

/// Measures time since it was started: by a manual clock if a test sets one, otherwise by the
/// system's, however coarse the clock is by which entries expire. Read for reports only.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    clock: Clock,
    start: Moment,
    /// By which short times are measured, if not by the clock.
    ticks: Option<&'static Ticks>,
}

/// When something began, for the timer that said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerStart(u64);

impl TimerStart {
    /// As a number, and from it.
    pub(crate) fn into_raw(self) -> u64 {
        self.0
    }

    pub(crate) fn from_raw(word: u64) -> Self {
        Self(word)
    }
}

impl Timer {
    /// Starts a timer, given the clock by which entries expire, if they do.
    pub(crate) fn start(clock: Option<Clock>) -> Self {
        let manual = clock.filter(Clock::is_manual);
        let ticks = if manual.is_none() { Ticks::of_process() } else { None };
        let clock = manual.unwrap_or_else(Clock::precise);
        let start = clock.now();
        Self { clock, start, ticks }
    }

    /// The time since it was started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().since(self.start)
    }

    /// Something begins whose time is to be measured at little cost.
    #[inline]
    pub(crate) fn begin(&self) -> TimerStart {
        match self.ticks {
            Some(_) => TimerStart(counter()),
            None => TimerStart(super::nanos(self.elapsed())),
        }
    }

    /// The time since something has begun: of what is short, to about one ten thousandth.
    #[inline]
    pub(crate) fn since(&self, begun: TimerStart) -> Duration {
        match self.ticks {
            Some(ticks) => Duration::from_nanos(ticks.since(begun.0)),
            None => self.elapsed().saturating_sub(Duration::from_nanos(begun.0)),
        }
    }
}

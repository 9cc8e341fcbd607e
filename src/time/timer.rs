//! How long things take, for reports.

use super::clock::Clock;
use super::moment::Moment;

/// Measures time since it was started: by a manual clock if a test sets one, otherwise by the
/// system's, however coarse the clock is by which entries expire. Read for reports only.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    clock: Clock,
    start: Moment,
}

impl Timer {
    /// Starts a timer, given the clock by which entries expire, if they do.
    pub(crate) fn start(clock: Option<Clock>) -> Self {
        let clock = clock.filter(Clock::is_manual).unwrap_or_else(Clock::precise);
        let start = clock.now();
        Self { clock, start }
    }

    /// The time since it was started.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.clock.now().since(self.start)
    }
}

//! So much work per second.

use std::thread;
use std::time::{Duration, Instant};

/// Between two portions of work.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Who is further behind than this does not catch up: what is paced shall not burst for that.
const CATCH_UP: f64 = 0.5;

/// Doles out work at a rate.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    last: Instant,
    /// What is due and was not doled out, as a fraction.
    due: f64,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, last: Instant::now(), due: 0.0 }
    }

    /// Waits for the next portion, and says how large it is. `factor` makes it larger or smaller than
    /// usual.
    pub(super) fn next(&mut self, factor: f64) -> u64 {
        thread::sleep(TICK.saturating_sub(self.last.elapsed()));
        let now = Instant::now();
        let time = (now - self.last).as_secs_f64().min(CATCH_UP);
        self.last = now;
        self.due += time * self.per_second * factor;
        let whole = self.due.floor();
        self.due -= whole;
        whole as u64
    }
}

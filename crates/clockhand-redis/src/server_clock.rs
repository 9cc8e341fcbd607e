//! What an instance knows of the server's clock.
//!
//! A reply that tells the server's time was made before it arrived. So that time, and what the instance's own monotonic
//! clock has gone since the arrival, is a *lower bound* of the server's time. No instance's wall clock is ever read.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct ServerClock {
    /// The server's microseconds, and when they arrived.
    latest: Mutex<Option<(u64, Instant)>>,
}

impl ServerClock {
    /// Notes a time that the server has told in answer to what was sent at `sent` and has arrived at `arrived`.
    pub(crate) fn note(&self, micros: u64, sent: Instant, arrived: Instant) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // Told after `sent`: if it is below what was the least then, the server's clock was set back.
        let was_set_back = at(*latest, sent).is_some_and(|least| micros < least);
        let is_closer = at(*latest, arrived).is_none_or(|least| micros > least);
        if was_set_back || is_closer {
            *latest = Some((micros, arrived));
        }
    }

    /// A lower bound of the server's time; `None` before the first reply.
    pub(crate) fn least(&self, now: Instant) -> Option<u64> {
        at(*self.latest.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// The server's time after which a write must not take effect, if its caller is told at `until` at the latest that it
    /// did not: less than `until` by what two clocks may differ in their pace.
    pub(crate) fn deadline(&self, now: Instant, until: Instant) -> Option<u64> {
        let left = until.saturating_duration_since(now);
        let left = left.saturating_sub(left / 1000 + Duration::from_millis(1));
        Some(self.least(now)? + micros(left))
    }

    /// Another server may answer from now on.
    pub(crate) fn forget(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn at(latest: Option<(u64, Instant)>, now: Instant) -> Option<u64> {
    let (told, arrived) = latest?;
    let since = now.checked_duration_since(arrived);
    let until = || arrived.saturating_duration_since(now);
    Some(since.map_or_else(|| told.saturating_sub(micros(until())), |since| told + micros(since)))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;

//! Whether the server is asked at all.
//!
//! After so many failures in a row the breaker is *open*: nothing is sent. When that has lasted for long enough, one
//! operation is let through. If it succeeds, the breaker is closed again; if not, it is open for as long again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) struct Breaker {
    failures: u32,
    open_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failed: u32,
    },
    Open {
        until: Instant,
    },
    /// Open, and the one operation that was let through is under way.
    Probing,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Operations are sent.
    Closed,
    /// Nothing is sent.
    Open,
    /// One operation is under way, by which the others are judged.
    HalfOpen,
}

/// The right to send one operation. Dropped without a word, it is as if it had not been asked for.
pub(crate) struct Permit<'b> {
    breaker: &'b Breaker,
    probes: bool,
    told: bool,
}

impl Breaker {
    pub(crate) fn new(failures: u32, open_for: Duration) -> Self {
        Self { failures, open_for, state: Mutex::new(State::Closed { failed: 0 }) }
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for one operation; `None` while the breaker is open.
    pub(crate) fn permit(&self, now: Instant) -> Option<Permit<'_>> {
        let probes = self.with(|state| match *state {
            State::Closed { .. } => Some(false),
            State::Open { until } if until <= now => {
                *state = State::Probing;
                Some(true)
            }
            State::Open { .. } | State::Probing => None,
        })?;
        Some(Permit { breaker: self, probes, told: false })
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.with(|state| match state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing => BreakerState::HalfOpen,
        })
    }

    /// A new connection is a new beginning.
    pub(crate) fn reset(&self) {
        self.with(|state| *state = State::Closed { failed: 0 });
    }
}

impl Permit<'_> {
    pub(crate) fn succeeded(mut self) {
        self.told = true;
        self.breaker.with(|state| match *state {
            State::Closed { .. } => *state = State::Closed { failed: 0 },
            State::Probing if self.probes => *state = State::Closed { failed: 0 },
            // An operation from before the breaker opened says nothing about now.
            State::Open { .. } | State::Probing => {}
        });
    }

    /// Whether the breaker has opened by this.
    pub(crate) fn failed(mut self, now: Instant) -> bool {
        self.told = true;
        let open = State::Open { until: now + self.breaker.open_for };
        self.breaker.with(|state| match *state {
            State::Closed { failed } if failed + 1 < self.breaker.failures => {
                *state = State::Closed { failed: failed + 1 };
                false
            }
            State::Closed { .. } => {
                *state = open;
                true
            }
            State::Probing if self.probes => {
                *state = open;
                true
            }
            State::Open { .. } | State::Probing => false,
        })
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probes && !self.told {
            // The next one may probe at once.
            self.breaker.with(|state| {
                if *state == State::Probing {
                    *state = State::Open { until: Instant::now() };
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;

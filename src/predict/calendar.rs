//! Time of day and of the week, and what a day of a key looks like.

use crate::narrow::{low32, single, whole, whole_signed};
use std::f64::consts::TAU;
use std::time::Duration;

const DAY: f64 = 86_400.0;
/// Harmonics of the day and of the week, sine and cosine of each.
const HARMONICS: usize = 2;
pub(super) const CALENDAR_INPUTS: usize = 4 * HARMONICS;
/// Parts of a day.
const SLOTS: f64 = 64.0;

/// Tells Unix time from the time since the cache was built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    /// Unix time at `at`.
    unix: Duration,
    at: Duration,
}

impl Calendar {
    pub(super) fn new(unix: Duration, at: Duration) -> Self {
        Self { unix, at }
    }

    /// Seconds since 1970.
    fn unix(&self, now: Duration) -> f64 {
        self.unix.as_secs_f64() + now.as_secs_f64() - self.at.as_secs_f64()
    }

    /// Milliseconds since 1970.
    #[cfg(feature = "persist")]
    pub(super) fn unix_millis(&self, now: Duration) -> u64 {
        whole(self.unix(now) * 1000.0)
    }

    /// The harmonics at a moment.
    pub(super) fn harmonics(&self, now: Duration) -> [f32; CALENDAR_INPUTS] {
        let unix = self.unix(now);
        let mut inputs = [0.0; CALENDAR_INPUTS];
        for (nth, pair) in inputs.chunks_exact_mut(2).enumerate() {
            let period = if nth < HARMONICS { DAY } else { 7.0 * DAY };
            let angle = TAU * (nth % HARMONICS + 1) as f64 * (unix / period).rem_euclid(1.0);
            (pair[0], pair[1]) = (single(angle.sin()), single(angle.cos()));
        }
        inputs
    }

    /// The day, and the part of it.
    fn slot(&self, now: Duration) -> (i64, u32) {
        let days = self.unix(now) / DAY;
        (whole_signed(days.floor()), low32(whole(days.rem_euclid(1.0) * SLOTS)) & 63)
    }
}

/// When a key was asked for: on the last day but this on which it was, and today.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct DayProfile {
    day: i64,
    today: u64,
    before: u64,
}

impl DayProfile {
    /// It was asked for then.
    pub(super) fn note(&mut self, calendar: &Calendar, now: Duration) {
        let (day, slot) = calendar.slot(now);
        if day != self.day {
            if self.today != 0 {
                self.before = self.today;
            }
            (self.day, self.today) = (day, 0);
        }
        self.today |= 1 << slot;
    }

    /// Whether it was asked for at this time of the last day but the present one: -1, 0 if there is none, or 1.
    pub(super) fn expects(&self, calendar: &Calendar, then: Duration) -> f32 {
        let (day, slot) = calendar.slot(then);
        let last = if day == self.day || self.today == 0 { self.before } else { self.today };
        match last {
            0 => 0.0,
            last if last >> slot & 1 != 0 => 1.0,
            _ => -1.0,
        }
    }
}

//! Short times, by the processor's counter.
//!
//! The system's clock costs more than much of what is timed by it. The counter costs a few cycles, and counts at a
//! rate that has to be measured: by two points at which both were read.
//!
//! ```text
//!   origin ........ previous ........ latest ..... now        points; the last two are PERIOD apart
//!                   |<--------- the rate -------->|
//! ```
//!
//! The rate is measured over one to two periods, again at the first reading in each. What has taken long is measured
//! by the system's clock over that very time, or a longer one: so it is as precise as that, and a difference of a
//! nanosecond in each ten thousand is only in what is short. Where a process is moved to another machine, the rate
//! is right again after two periods.

use std::sync::{OnceLock, PoisonError};
use std::time::Instant;

use crate::narrow::low64;
use crate::sync::{AtomicU64, Mutex, Relaxed, counter, has_counter};

/// Counts from one point to the next: some seconds.
pub(super) const PERIOD: u64 = 1 << 35;
/// Counts that are much longer than to ask the system.
pub(super) const LONG: u64 = 1 << 20;
/// The rate is in nanoseconds, times this, for each count.
const RATE_BITS: u32 = 32;

/// What was read of both clocks at about the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClockSample {
    pub(super) counted: u64,
    pub(super) nanos: u64,
}

/// The counter, if it can be trusted, and its rate.
#[derive(Debug)]
pub(super) struct Ticks {
    origin: Instant,
    first: ClockSample,
    /// Zero until it is measured.
    pub(super) rate: Relaxed<AtomicU64>,
    /// What the counter showed at the latest point.
    latest: Relaxed<AtomicU64>,
    /// The two points.
    points: Mutex<[ClockSample; 2]>,
}

impl ClockSample {
    /// The rate from this point to a later one, if it is later.
    fn rate_to(self, later: Self) -> Option<u64> {
        let counted = later.counted.checked_sub(self.counted).filter(|&counted| counted > 0)?;
        let nanos = u128::from(later.nanos.saturating_sub(self.nanos));
        u64::try_from((nanos << RATE_BITS) / u128::from(counted)).ok()
    }
}

impl Ticks {
    /// The process's, if it has a counter that can be trusted.
    pub(super) fn of_process() -> Option<&'static Self> {
        static TICKS: OnceLock<Option<Ticks>> = OnceLock::new();
        TICKS.get_or_init(|| has_counter().then(|| Ticks::starting(counter()))).as_ref()
    }

    pub(super) fn starting(counted: u64) -> Self {
        let first = ClockSample { counted, nanos: 0 };
        Self {
            origin: Instant::now(),
            first,
            rate: Relaxed::<AtomicU64>::new(0),
            latest: Relaxed::<AtomicU64>::new(counted),
            points: Mutex::new([first; 2]),
        }
    }

    /// Nanoseconds since the counter showed `begun`.
    #[inline]
    pub(super) fn since(&self, begun: u64) -> u64 {
        let (now, rate) = (counter(), self.rate.get());
        // The counters of two processors may differ a little.
        let counted = now.saturating_sub(begun);
        let known = rate != 0 && counted < LONG && now.wrapping_sub(self.latest.get()) < PERIOD;
        in_nanos(counted, if known { rate } else { self.measure(counted) })
    }

    /// The rate over a time of at least `counted` counts.
    #[cold]
    fn measure(&self, counted: u64) -> u64 {
        let point =
            || ClockSample { counted: counter(), nanos: crate::time::nanos(self.origin.elapsed()) };
        self.measured_at(point(), counted)
    }

    /// The same, at a point.
    pub(super) fn measured_at(&self, now: ClockSample, counted: u64) -> u64 {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let from = points[0];
        let rate = from.rate_to(now);
        if now.counted.saturating_sub(from.counted) >= LONG {
            self.rate.set(rate.unwrap_or(0));
        }
        if now.counted.saturating_sub(points[1].counted) >= PERIOD {
            *points = [points[1], now];
            self.latest.set(now.counted);
        }
        drop(points);
        let covers = now.counted.saturating_sub(from.counted) >= counted;
        let rate = if covers { rate } else { self.first.rate_to(now) };
        rate.unwrap_or_else(|| self.rate.get())
    }
}

#[inline]
pub(super) fn in_nanos(counted: u64, rate: u64) -> u64 {
    low64((u128::from(counted) * u128::from(rate)) >> RATE_BITS)
}

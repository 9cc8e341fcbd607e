//! The time of coarse clocks: a reading of the system's clock that readers renew.
//!
//! No thread updates it. Next to the time there is a *stamp*: what the processor's counter showed
//! just before the system's clock was read. A reader compares the counter with the stamp. While the
//! difference is within the *maximum age*, which is the resolution in units of the counter, the
//! time is fresh enough; otherwise the reader reads the system's clock, and updates time and stamp.
//! So a time that is read is never older than the resolution, whether or not other threads are
//! scheduled, and nothing is done while the clock is not read.
//!
//! # Invariants
//!
//! - **C1** The time never goes back: it is only raised.
//! - **C2** A thread that reads a stamp reads a time that is at least as fresh: the time is raised before
//!   its stamp is stored, and read after it.
//! - **C3** A time that a reader gets was read from here, or stored here before. So a moment that one
//!   reader has seen as past is not ahead for any later reader.
//! - **C4** The maximum age is never longer than the resolution: it is computed from an interval that the
//!   counter measured within the one that the system's clock measured. Zero means that every reading
//!   reads the system's clock.
//! - **C5** If the counter is set to another value, as when a machine is suspended or a process is moved
//!   to another one, C4 holds again from the second update after that; until then the maximum age is at
//!   most twice as long: what was counted since the last update bounds it as well.
//!
//! On a machine without a counter that can be trusted the maximum age stays zero.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::moment::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Ordering, Relaxed, counter, has_counter, seeded};

/// How long the counter must have been measured before its rate is known well enough, in
/// nanoseconds.
const MIN_MEASURED_NANOS: u64 = 100_000;

/// What readers read, on a cache line of its own.
#[derive(Debug)]
struct Shared {
    /// Nanoseconds since the origin.
    time: Relaxed<AtomicU64>,
    stamp: AtomicU64,
    max_age: Relaxed<AtomicU64>,
}

/// The time of all coarse clocks with one resolution.
#[derive(Debug)]
pub(super) struct CoarseTime {
    shared: CachePadded<Shared>,
    resolution: Duration,
    origin: Instant,
    /// The counter just after the origin, if it can be trusted.
    first: Option<u64>,
}

impl CoarseTime {
    /// Returns the one that all clocks with this resolution share. It is dropped with the last of
    /// them.
    pub(super) fn for_resolution(resolution: Duration) -> Arc<Self> {
        static SHARED: Mutex<Vec<Weak<CoarseTime>>> = Mutex::new(Vec::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|time| time.strong_count() > 0);
        let same = |time: Arc<Self>| (time.resolution == resolution).then_some(time);
        if let Some(time) = shared.iter().find_map(|time| time.upgrade().and_then(same)) {
            return time;
        }
        let time = Arc::new(Self::new(resolution));
        shared.push(Arc::downgrade(&time));
        time
    }

    fn new(resolution: Duration) -> Self {
        let origin = Instant::now();
        Self::from(resolution, origin, has_counter().then(counter))
    }

    pub(super) fn from(resolution: Duration, origin: Instant, first: Option<u64>) -> Self {
        let shared = Shared {
            time: Relaxed::<AtomicU64>::new(0),
            stamp: AtomicU64::new(0),
            max_age: Relaxed::<AtomicU64>::new(0),
        };
        Self { shared: CachePadded::new(shared), resolution, origin, first }
    }

    pub(super) fn resolution(&self) -> Duration {
        self.resolution
    }

    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    /// Returns the time, which is not older than the resolution.
    #[inline]
    pub(super) fn read(&self) -> Moment {
        match self.fresh(counter()) {
            Some(now) => now,
            None => self.refresh(),
        }
    }

    /// Returns the stored time, if it is fresh enough while the counter shows `counter`.
    #[inline]
    pub(super) fn fresh(&self, counter: u64) -> Option<Moment> {
        // ORDERING S-b: Acquire: the time that is read next is at least as fresh (C2); pairs with
        // `set`.
        let stamp = self.shared.stamp.load(Ordering::Acquire);
        // If the stamp is beyond the counter, the difference wraps, and the time is not fresh:
        // another thread has just updated it, or the counters of two processors differ.
        let age = counter.wrapping_sub(stamp);
        (age < self.shared.max_age.get()).then(|| Moment::of_coarse(self.shared.time.get()))
    }

    /// Reads the system's clock.
    #[cold]
    fn refresh(&self) -> Moment {
        // The counter first: a delay in between makes the time look older than it is, not fresher.
        let counter = counter();
        let elapsed = nanos(self.origin.elapsed());
        self.set(counter, elapsed)
    }

    /// Stores the time that has `elapsed` since the origin, read just after the counter showed
    /// `counter`. Returns it, or a later one that another thread has stored.
    pub(super) fn set(&self, counter: u64, elapsed: u64) -> Moment {
        let Some(first) = self.first else { return Moment::at(elapsed) };
        let stamp_first = seeded("clock-stamp-first");
        if stamp_first {
            // ORDERING S-b: Release: the seed's wrong order.
            self.shared.stamp.store(counter, Ordering::Release);
        }
        // ORDERING S-h: Relaxed: only for the maximum age, which has other bounds as well.
        let stamp = self.shared.stamp.load(Ordering::Relaxed);
        let time = self.shared.time.max(elapsed);
        let now = time.max(elapsed);
        if !stamp_first {
            // ORDERING S-b: Release: a thread that reads this stamp reads the time above, or a later
            // one (C2); pairs with `fresh`.
            self.shared.stamp.store(counter, Ordering::Release);
        }
        if elapsed >= MIN_MEASURED_NANOS {
            let all = (counter.saturating_sub(first), elapsed);
            let last = (counter.saturating_sub(stamp), elapsed.saturating_sub(time));
            self.shared.max_age.set(self.max_age(all, last));
        }
        Moment::at(now)
    }

    /// The maximum age, by what was counted in how many nanoseconds: in all, and since the last
    /// update.
    fn max_age(&self, all: (u64, u64), last: (u64, u64)) -> u64 {
        let (resolution, before) = (nanos(self.resolution), self.shared.max_age.get());
        let overall = max_age(all, resolution);
        if before == 0 {
            return overall;
        }
        // A short interval says little, as delays between the two readings are a large part of it.
        let lately = if last.1 > resolution / 2 { max_age(last, resolution) } else { before };
        overall.min(lately).min(before.saturating_mul(2))
    }
}

/// How far the counter counts in `resolution`, given that it has `counted` so far in `elapsed`
/// nanoseconds.
fn max_age((counted, elapsed): (u64, u64), resolution: u64) -> u64 {
    let counted = u128::from(counted) * u128::from(resolution) / u128::from(elapsed);
    u64::try_from(counted).unwrap_or(u64::MAX)
}

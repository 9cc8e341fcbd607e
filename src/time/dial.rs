//! The time as a coarse clock has it: a reading of the system's clock that its readers keep young.
//!
//! No thread turns the dial. Beside the time, it has a *stamp*: what the processor's counter showed
//! just before the system's clock was asked. A reader compares the counter with the stamp. While the
//! difference is within the *patience*, which is the resolution as the counter counts, the time is young enough;
//! else the reader asks the system's clock and turns the dial. So a time that is read is never older
//! than the resolution, whether or not any other thread is scheduled, and nobody does anything while nobody reads.
//!
//! # Invariants
//!
//! - **C1** The time never goes back: it is only raised.
//! - **C2** Whoever reads a stamp reads a time that is at least as young: the time is raised before its
//!   stamp is stored, and read after it.
//! - **C3** Whoever is given a time has it from the dial, or has put it there before. So what one
//!   reader has seen as past, no later reader sees as ahead.
//! - **C4** The patience is never longer than the resolution: it comes from a stretch that the counter
//!   measured on the inside, and the system's clock on the outside. Zero means: always ask.
//! - **C5** Where the counter is set to another value, as by a machine that was suspended or a process that was
//!   moved to another one, C4 holds again from the second turn after that on, and until then the patience is at most
//!   twice as long: what was counted since the last turn bounds it, too.
//!
//! On a machine without a counter that can be trusted the patience stays zero, and a reading is one of
//! the system's clock.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::moment::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Ordering, Relaxed, counter, has_counter, seeded};

/// For how long the counter must have run before its rate is known well enough, in nanoseconds.
const SETTLING: u64 = 100_000;

/// What readers look at, on a line of its own.
#[derive(Debug)]
struct Face {
    /// Nanoseconds since the origin.
    time: Relaxed<AtomicU64>,
    stamp: AtomicU64,
    patience: Relaxed<AtomicU64>,
}

/// A coarse clock.
#[derive(Debug)]
pub(super) struct Dial {
    face: CachePadded<Face>,
    resolution: Duration,
    origin: Instant,
    /// What the counter showed just after the origin, if it can be trusted.
    first: Option<u64>,
}

impl Dial {
    /// The one that all clocks of a resolution share. It goes with the last of them.
    pub(super) fn shared(resolution: Duration) -> Arc<Self> {
        static SHARED: Mutex<Vec<Weak<Dial>>> = Mutex::new(Vec::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|dial| dial.strong_count() > 0);
        let same = |dial: Arc<Self>| (dial.resolution == resolution).then_some(dial);
        if let Some(dial) = shared.iter().find_map(|dial| dial.upgrade().and_then(same)) {
            return dial;
        }
        let dial = Arc::new(Self::new(resolution));
        shared.push(Arc::downgrade(&dial));
        dial
    }

    fn new(resolution: Duration) -> Self {
        let origin = Instant::now();
        Self::from(resolution, origin, has_counter().then(counter))
    }

    pub(super) fn from(resolution: Duration, origin: Instant, first: Option<u64>) -> Self {
        let face = Face {
            time: Relaxed::<AtomicU64>::new(0),
            stamp: AtomicU64::new(0),
            patience: Relaxed::<AtomicU64>::new(0),
        };
        Self { face: CachePadded::new(face), resolution, origin, first }
    }

    pub(super) fn resolution(&self) -> Duration {
        self.resolution
    }

    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    /// The time, not older than the resolution.
    #[inline]
    pub(super) fn read(&self) -> Moment {
        match self.young(counter()) {
            Some(now) => now,
            None => self.turn(),
        }
    }

    /// The time that the dial shows, if it is young enough where the counter shows this.
    #[inline]
    pub(super) fn young(&self, counter: u64) -> Option<Moment> {
        // ORDERING S-b: Acquire: the time that is read next is at least as young (C2); pairs with
        // `set`.
        let stamp = self.face.stamp.load(Ordering::Acquire);
        // A stamp beyond the counter wraps, and is not young: somebody has turned the dial in this
        // moment, or the counters of two processors differ.
        let age = counter.wrapping_sub(stamp);
        (age < self.face.patience.get()).then(|| Moment::of_dial(self.face.time.get()))
    }

    /// Asks the system's clock.
    #[cold]
    fn turn(&self) -> Moment {
        // The counter first: what comes in between makes the time look older than it is.
        let counter = counter();
        let elapsed = nanos(self.origin.elapsed());
        self.set(counter, elapsed)
    }

    /// Shows the time that has passed since the origin, read just after the counter showed this;
    /// returns it, or a later one that another thread has put there.
    pub(super) fn set(&self, counter: u64, elapsed: u64) -> Moment {
        let Some(first) = self.first else { return Moment::at(elapsed) };
        let stamp_first = seeded("clock-stamp-first");
        if stamp_first {
            // ORDERING S-b: Release: the seed's wrong order.
            self.face.stamp.store(counter, Ordering::Release);
        }
        // ORDERING S-h: Relaxed: for the patience alone, which other bounds hold.
        let stamp = self.face.stamp.load(Ordering::Relaxed);
        let time = self.face.time.max(elapsed);
        let now = time.max(elapsed);
        if !stamp_first {
            // ORDERING S-b: Release: whoever reads this stamp reads the time above, or a later one
            // (C2); pairs with `young`.
            self.face.stamp.store(counter, Ordering::Release);
        }
        if elapsed >= SETTLING {
            let all = (counter.saturating_sub(first), elapsed);
            let last = (counter.saturating_sub(stamp), elapsed.saturating_sub(time));
            self.face.patience.set(self.patience(all, last));
        }
        Moment::at(now)
    }

    /// How long to be patient, by what was counted in how many nanoseconds: in all, and since the last turn.
    fn patience(&self, all: (u64, u64), last: (u64, u64)) -> u64 {
        let (resolution, before) = (nanos(self.resolution), self.face.patience.get());
        let overall = patience(all, resolution);
        if before == 0 {
            return overall;
        }
        // A short stretch says little: what comes in between the two readings is a large part of it.
        let lately = if last.1 > resolution / 2 { patience(last, resolution) } else { before };
        overall.min(lately).min(before.saturating_mul(2))
    }
}

/// How far the counter counts in `resolution`, having counted so far in `elapsed` nanoseconds.
fn patience((counted, elapsed): (u64, u64), resolution: u64) -> u64 {
    let counted = u128::from(counted) * u128::from(resolution) / u128::from(elapsed);
    u64::try_from(counted).unwrap_or(u64::MAX)
}

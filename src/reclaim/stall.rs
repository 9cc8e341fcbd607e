//! Since when the epoch could not be moved.
//!
//! Pinned participants show the epoch or the one before it, as it moves only when all show it. So those that hold
//! it up have all done so for as long as it could not be moved, and one word for each of epoch and time says
//! that of all of them. A pin takes no part in it: the time is read by the thread that tries to move the epoch in
//! vain, and only the first time.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering, Relaxed};

/// Tells the time, in nanoseconds.
pub(super) type Timer = Box<dyn Fn() -> u64 + Send + Sync>;

pub(super) struct Stall {
    timer: OnceLock<Timer>,
    /// When an advance was last found to be in vain for the first time; only raised, so that of several
    /// which find it the latest counts.
    at: Relaxed<AtomicU64>,
    /// The epoch from which, and one more.
    epoch: AtomicU64,
    /// The same time by the system's clock, whatever the timer tells, in nanoseconds since the origin.
    origin: Instant,
    system: Relaxed<AtomicU64>,
}

impl Default for Stall {
    fn default() -> Self {
        Self {
            timer: OnceLock::new(),
            at: Relaxed::<AtomicU64>::new(0),
            epoch: AtomicU64::new(0),
            origin: Instant::now(),
            system: Relaxed::<AtomicU64>::new(0),
        }
    }
}

impl Stall {
    /// Has the time told by `timer` from now on, unless it was given one before.
    pub(super) fn time_by(&self, timer: Timer) {
        let _ = self.timer.set(timer);
    }

    /// An advance from this epoch was in vain.
    pub(super) fn note(&self, epoch: u64) {
        // ORDERING R-p: Relaxed: a hint; at worst the time is read once more.
        if self.epoch.load(Ordering::Relaxed) == epoch + 1 {
            return;
        }
        if let Some(timer) = self.timer.get() {
            self.at.max(timer());
            self.system.max(self.nanos());
            // ORDERING R-p: Release: after the time; pairs with the load in `since`.
            self.epoch.store(epoch + 1, Ordering::Release);
        }
    }

    /// For how long it is known that this epoch cannot be moved, in nanoseconds.
    pub(super) fn since(&self, epoch: u64) -> u64 {
        // ORDERING R-p: Acquire: the time that belongs to it, or a later one; pairs with the store in
        // `note`.
        let is_stalled = self.epoch.load(Ordering::Acquire) == epoch + 1;
        let timer = self.timer.get().filter(|_| is_stalled);
        timer.map_or(0, |timer| timer().saturating_sub(self.at.get()))
    }

    /// The same by the system's clock, for those who wait.
    pub(super) fn lasted(&self, epoch: u64) -> Duration {
        // ORDERING R-p: Acquire: as in `since`.
        let is_stalled = self.epoch.load(Ordering::Acquire) == epoch + 1;
        let lasted = self.nanos().saturating_sub(self.system.get());
        Duration::from_nanos(if is_stalled { lasted } else { 0 })
    }

    /// When the advance from this epoch was found to be in vain, by the timer and by the system's clock; now, if no thread has
    /// noted it.
    pub(super) fn began(&self, epoch: u64) -> [u64; 2] {
        // ORDERING R-p: Acquire: as in `since`.
        let is_stalled = self.epoch.load(Ordering::Acquire) == epoch + 1;
        if is_stalled {
            return [self.at.get(), self.system.get()];
        }
        [self.timer.get().map_or(0, |timer| timer()), self.nanos()]
    }

    /// For how long it is since then by the timer, in nanoseconds.
    pub(super) fn elapsed(&self, at: u64) -> u64 {
        self.timer.get().map_or(0, |timer| timer().saturating_sub(at))
    }

    /// The same by the system's clock.
    pub(super) fn lasted_since(&self, nanos: u64) -> Duration {
        Duration::from_nanos(self.nanos().saturating_sub(nanos))
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stall").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

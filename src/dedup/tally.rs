//! Counters, for each thread on a cache line of its own.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use super::metrics::Metrics;
use crate::health::DedupCounts;
use crate::narrow::in_memory;
use crate::sync::{AtomicU64, CachePadded, Relaxed, unique};

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// A claim of a new id was granted.
    New,
    /// An id was found done.
    Duplicate,
    /// An id was found in progress.
    InProgress,
    /// `is_processed` did not find the id done.
    Unknown,
    Added,
    Abandoned,
    LeaseExpired,
    Late,
    /// A completion changed nothing.
    Overtaken,
    ForgottenEarly,
    Expired,
    /// An id was forgotten by a call of `forget`.
    Forgotten,
    /// A claim was forgotten whose lease had run out.
    Leaked,
    Restored,
    Saved,
    SaveFailed,
    Untracked,
    /// A negative offset.
    Invalid,
    /// An offset was delivered that had been folded as not existing.
    Unfolded,
    /// A ticket of an older generation was completed or dropped.
    Fenced,
    Cleanup,
    CleanupNanos,
}

const EVENTS: usize = Event::CleanupNanos as usize + 1;
/// A thread's counters fill whole cache lines.
type Stripe = CachePadded<[Relaxed<AtomicU64>; EVENTS]>;

/// The counters. Adding is one locked instruction, on a cache line that is shared with another
/// thread only if there are many threads.
#[derive(Debug)]
pub(super) struct Tally(Box<[Stripe]>);

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A number for the calling thread.
fn own() -> usize {
    // While the thread ends, any stripe does.
    let number = OWN.try_with(|own| {
        if own.get() == usize::MAX {
            own.set(in_memory(unique()));
        }
        own.get()
    });
    number.unwrap_or(0)
}

impl Tally {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(8, usize::from);
        let stripes = (2 * cores).next_power_of_two().clamp(16, 64);
        let stripe = |_| CachePadded::new(std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)));
        Self((0..stripes).map(stripe).collect())
    }

    #[inline]
    pub(super) fn count(&self, event: Event) {
        self.add(event, 1);
    }

    #[inline]
    pub(super) fn add(&self, event: Event, by: u64) {
        self.0[own() % self.0.len()][event as usize].add(by);
    }

    fn sum(&self, event: Event) -> u64 {
        self.0.iter().map(|stripe| stripe[event as usize].get()).fold(0, u64::wrapping_add)
    }

    /// Claims whose tickets exist.
    pub(super) fn in_progress(&self) -> u64 {
        use Event::{Abandoned, Added, Leaked, LeaseExpired, Untracked};
        let ended =
            [Untracked, LeaseExpired, Added, Abandoned, Leaked].map(|event| self.sum(event));
        self.sum(Event::New).saturating_sub(ended.iter().sum())
    }

    /// Ids that are remembered, except those whose completion is under way.
    pub(super) fn done(&self) -> u64 {
        use Event::{Added, Expired, Forgotten, ForgottenEarly, Restored};
        let gone = [Expired, ForgottenEarly, Forgotten].map(|event| self.sum(event));
        (self.sum(Added) + self.sum(Restored)).saturating_sub(gone.iter().sum())
    }

    /// All metrics except those that are counted elsewhere: `size`, and `in_progress` of offsets.
    pub(super) fn metrics(&self) -> Metrics {
        let duplicates = self.sum(Event::Duplicate);
        let in_progress_hits = self.sum(Event::InProgress);
        let claims = self.sum(Event::New);
        Metrics {
            checks: claims + duplicates + in_progress_hits + self.sum(Event::Unknown),
            claims,
            adds: self.sum(Event::Added),
            duplicates,
            in_progress_hits,
            abandoned: self.sum(Event::Abandoned),
            lease_expired: self.sum(Event::LeaseExpired),
            late: self.sum(Event::Late),
            overtaken: self.sum(Event::Overtaken),
            forgotten_early: self.forgotten_early(),
            expired: self.sum(Event::Expired),
            leaked: self.sum(Event::Leaked),
            restored: self.sum(Event::Restored),
            untracked: self.sum(Event::Untracked),
            invalid: self.sum(Event::Invalid),
            unfolded: self.sum(Event::Unfolded),
            fenced: self.sum(Event::Fenced),
            cleanups: self.sum(Event::Cleanup),
            cleanup_time: Duration::from_nanos(self.sum(Event::CleanupNanos)),
            size: 0,
            in_progress: self.in_progress(),
            snapshots: self.sum(Event::Saved),
            snapshot_failures: self.sum(Event::SaveFailed),
        }
    }

    pub(super) fn forgotten_early(&self) -> u64 {
        self.sum(Event::ForgottenEarly)
    }

    /// The counts by which health is judged.
    pub(super) fn health_counts(&self) -> DedupCounts {
        DedupCounts {
            completed: self.sum(Event::Added),
            abandoned: self.sum(Event::Abandoned),
            overtaken: self.sum(Event::Overtaken),
            leases_expired: self.sum(Event::LeaseExpired),
            leaked: self.sum(Event::Leaked),
            forgotten_early: self.forgotten_early(),
            unfolded: self.sum(Event::Unfolded),
            cleanups: self.sum(Event::Cleanup),
            cleanup_time: Duration::from_nanos(self.sum(Event::CleanupNanos)),
        }
    }

    /// How many ids and claims were forgotten because they expired.
    pub(super) fn cleaned(&self) -> u64 {
        self.sum(Event::Expired) + self.sum(Event::Leaked)
    }
}

//! What an engine keeps for each thread: counters and credit.

use std::time::Duration;

use super::running::ThinRunning;
use crate::accounting::Stripe;
use crate::error::InsertErrorKind;
use crate::evidence::Evidence;
use crate::latency::Timings;
use crate::narrow::in_memory;
use crate::outcome::RemovalCause;
use crate::policy::EvictionCursor;
use crate::stats::Stats;
use crate::sync::{AtomicU64, OwnerCounter, Relaxed};

/// One thread's part of the cache. It is part of the thread's participant, so what a thread counted and what
/// it was lent outlive it.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(super) tally: Tally,
    /// Credit with the capacity, and with the retired capacity.
    pub(super) credit: Stripe,
    pub(super) retired: Stripe,
    pub(super) cursor: EvictionCursor,
    pub(super) loads: LoadTally,
    pub(super) thin_running: ThinRunning,
    pub(super) notifying: Notifying,
    pub(super) timings: Timings,
    pub(super) evidence: Evidence,
    /// Where its searches for expired entries begin, as a number; zero until it has one.
    place: Relaxed<AtomicU64>,
    /// Writes, as a number that only this thread changes.
    writes: Relaxed<AtomicU64>,
    /// The latest write that starved for which this thread stood back in vain.
    pub(super) yielded_to: Relaxed<AtomicU64>,
}

impl Local {
    /// A number for where its searches begin: how many threads there were when it searched for the first time. So
    /// threads begin at different places, and a run on one thread is the same every time.
    #[inline]
    pub(super) fn place(&self, threads: impl FnOnce() -> usize) -> usize {
        if self.place.get() == 0 {
            self.place.set(threads() as u64);
        }
        in_memory(self.place.get())
    }

    /// Counts a write; how many there were.
    #[inline]
    pub(super) fn count_write(&self) -> u64 {
        let writes = self.writes.get() + 1;
        self.writes.set(writes);
        writes
    }
}

/// Entries that a listener's writes may evict while it is told that another one was.
const MAX_NESTED_EVICTIONS: u64 = 8;

/// Whether this thread is telling the listener of an eviction, and how many more its own writes have evicted
/// meanwhile. It is told of those inside of itself, and may write again: without an end to that, as deep as there are
/// entries.
#[derive(Debug, Default)]
pub(super) struct Notifying(Relaxed<AtomicU64>);

impl Notifying {
    /// Whether the thread may evict an entry here.
    #[inline]
    pub(super) fn may_evict(&self) -> bool {
        self.0.get() <= MAX_NESTED_EVICTIONS
    }

    /// Runs `tell`, which does not panic.
    pub(super) fn of_eviction(&self, tell: impl FnOnce()) {
        let inside = self.0.get();
        self.0.set(inside + 1);
        tell();
        if inside == 0 {
            self.0.set(0);
        }
    }
}

/// What one thread has counted of loads.
#[derive(Debug, Default)]
pub(crate) struct LoadTally {
    pub(crate) started: OwnerCounter,
    pub(crate) succeeded: OwnerCounter,
    pub(crate) failed: OwnerCounter,
    /// Those that failed as they were given up: another caller took over, or the key was removed.
    #[cfg(feature = "predict")]
    pub(crate) given_up: OwnerCounter,
    pub(crate) joined: OwnerCounter,
    pub(crate) timed_out: OwnerCounter,
    pub(crate) relieved: OwnerCounter,
    pub(crate) renewals: OwnerCounter,
    pub(crate) renewals_failed: OwnerCounter,
    /// What loads took, in nanoseconds.
    pub(crate) nanos: OwnerCounter,
}

impl LoadTally {
    pub(super) fn add_to(&self, stats: &mut Stats) {
        stats.loads_started += self.started.get();
        stats.loads_succeeded += self.succeeded.get();
        stats.loads_failed += self.failed.get();
        stats.loads_joined += self.joined.get();
        stats.loads_timed_out += self.timed_out.get();
        stats.loads_relieved += self.relieved.get();
        stats.renewals += self.renewals.get();
        stats.renewals_failed += self.renewals_failed.get();
        stats.load_time += Duration::from_nanos(self.nanos.get());
    }
}

/// What one thread has not found.
#[derive(Debug, Default)]
pub(super) struct MissTally {
    pub(super) never_seen: OwnerCounter,
    pub(super) evicted: OwnerCounter,
    pub(super) expired: OwnerCounter,
    pub(super) invalidated: OwnerCounter,
    pub(super) refused: OwnerCounter,
    pub(super) absent: OwnerCounter,
}

impl MissTally {
    fn add_to(&self, stats: &mut Stats) {
        stats.misses_by.never_seen += self.never_seen.get();
        stats.misses_by.evicted += self.evicted.get();
        stats.misses_by.expired += self.expired.get();
        stats.misses_by.invalidated += self.invalidated.get();
        stats.misses_by.refused += self.refused.get();
        stats.misses_by.absent += self.absent.get();
    }
}

/// What one thread could not bring in.
#[derive(Debug, Default)]
pub(super) struct RefusalTally {
    too_large: OwnerCounter,
    no_room: OwnerCounter,
    contended: OwnerCounter,
}

impl RefusalTally {
    pub(super) fn count(&self, kind: InsertErrorKind) {
        match kind {
            InsertErrorKind::TooLarge { .. } => self.too_large.bump(),
            InsertErrorKind::NoRoom => self.no_room.bump(),
            InsertErrorKind::Contended => self.contended.bump(),
            // Another thread's value is there, or the call could not have succeeded.
            InsertErrorKind::Occupied | InsertErrorKind::Untimed | InsertErrorKind::Untagged => {}
        }
    }

    fn add_to(&self, stats: &mut Stats) {
        stats.refusals_by.too_large += self.too_large.get();
        stats.refusals_by.no_room += self.no_room.get();
        stats.refusals_by.contended += self.contended.get();
    }
}

/// The charge of what one thread has taken out.
#[derive(Debug, Default)]
pub(super) struct ChargeTally {
    replaced: OwnerCounter,
    evicted: OwnerCounter,
    expired: OwnerCounter,
    invalidated: OwnerCounter,
}

impl ChargeTally {
    fn add_to(&self, stats: &mut Stats) {
        stats.removed_charge.replaced += self.replaced.get();
        stats.removed_charge.evicted += self.evicted.get();
        stats.removed_charge.expired += self.expired.get();
        stats.removed_charge.invalidated += self.invalidated.get();
    }
}

/// What one thread has done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) hits: OwnerCounter,
    pub(super) misses: MissTally,
    pub(super) insertions: OwnerCounter,
    pub(super) replacements: OwnerCounter,
    pub(super) evictions: OwnerCounter,
    pub(super) expirations: OwnerCounter,
    pub(super) invalidations: OwnerCounter,
    pub(super) refusals: RefusalTally,
    /// The charge of the entries that were replaced, or left.
    pub(super) removed_charge: ChargeTally,
    /// Entries with a token that were linked, and placeholders that were removed.
    pub(super) token_changes: OwnerCounter,
    /// Placeholders that were linked, and those that were removed, or replaced by a value.
    pub(super) placeholders: OwnerCounter,
    pub(super) placeholders_gone: OwnerCounter,
}

impl Tally {
    /// Counts an entry that was replaced, or left.
    #[inline]
    pub(super) fn count_out(&self, cause: RemovalCause, charge: u64) {
        let (count, sum) = match cause {
            RemovalCause::Replaced => (&self.replacements, &self.removed_charge.replaced),
            RemovalCause::Evicted => (&self.evictions, &self.removed_charge.evicted),
            RemovalCause::Expired => (&self.expirations, &self.removed_charge.expired),
            RemovalCause::Invalidated => (&self.invalidations, &self.removed_charge.invalidated),
            // What was refused was never in.
            RemovalCause::Refused => return,
        };
        count.bump();
        sum.add(charge);
    }

    /// Entries that left, for whatever cause.
    #[inline]
    pub(super) fn departures(&self) -> u64 {
        self.evictions.get() + self.expirations.get() + self.invalidations.get()
    }

    /// Changes to the table by this thread.
    pub(super) fn changes(&self) -> u64 {
        self.insertions.get()
            + self.replacements.get()
            + self.departures()
            + self.token_changes.get()
    }

    #[inline]
    pub(super) fn add_to(&self, stats: &mut Stats) {
        stats.hits += self.hits.get();
        self.misses.add_to(stats);
        stats.insertions += self.insertions.get();
        stats.replacements += self.replacements.get();
        stats.evictions += self.evictions.get();
        stats.expirations += self.expirations.get();
        stats.invalidations += self.invalidations.get();
        self.removed_charge.add_to(stats);
        self.refusals.add_to(stats);
    }
}

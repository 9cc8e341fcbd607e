//! What an engine keeps for each thread: counters and credit.

use crate::accounting::Stripe;
use crate::policy::Rounds;
use crate::report::Stats;
use crate::sync::Own;

/// One thread's part of the cache. It lies in the thread's seat, so what a thread counted and what
/// it was lent outlive it.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(super) tally: Tally,
    /// Credit with the capacity, and with the retired capacity.
    pub(super) credit: Stripe,
    pub(super) retired: Stripe,
    pub(super) rounds: Rounds,
}

/// What one thread has done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) hits: Own,
    pub(super) misses: Own,
    pub(super) insertions: Own,
    pub(super) replacements: Own,
    pub(super) evictions: Own,
    pub(super) expirations: Own,
    pub(super) invalidations: Own,
    pub(super) refusals: Own,
}

impl Tally {
    /// Entries that left, for whatever cause.
    #[inline]
    pub(super) fn departures(&self) -> u64 {
        self.evictions.get() + self.expirations.get() + self.invalidations.get()
    }

    #[inline]
    pub(super) fn add_to(&self, stats: &mut Stats) {
        stats.hits += self.hits.get();
        stats.misses += self.misses.get();
        stats.insertions += self.insertions.get();
        stats.replacements += self.replacements.get();
        stats.evictions += self.evictions.get();
        stats.expirations += self.expirations.get();
        stats.invalidations += self.invalidations.get();
        stats.refusals += self.refusals.get();
    }
}

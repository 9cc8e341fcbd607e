//! What the engine tells about itself.

use super::Engine;
use crate::health::{CacheCounts, CacheState, Health, Thresholds};
use crate::stats::{Stats, Usage};

impl<K, V, S> Engine<K, V, S> {
    /// What the cache is called.
    pub(crate) fn name(&self) -> &str {
        &self.rules.name
    }

    /// The capacity that was asked for last.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.capacity()
    }

    /// The number of entries; by G3 never more than the capacity allows.
    pub(crate) fn len(&self) -> usize {
        let arrivals: u64 = self.locals().map(|local| local.tally.insertions.get()).sum();
        let departures: u64 = self.locals().map(|local| local.tally.departures()).sum();
        arrivals.saturating_sub(departures) as usize
    }

    pub(crate) fn stats(&self) -> Stats {
        let usage = self.usage();
        let mut stats = Stats {
            name: std::sync::Arc::clone(&self.rules.name),
            at: self.timer.elapsed(),
            entries: usage.entries,
            charged: usage.charged,
            lingering: usage.lingering,
            capacity: usage.capacity,
            retired: usage.retired,
            retired_capacity: usage.retired_capacity,
            reclamation_lag: self.reclamation_lag(),
            backlog: self.table.domain().backlog(),
            ..Stats::default()
        };
        for local in self.locals() {
            local.tally.add_to(&mut stats);
            local.loads.add_to(&mut stats);
        }
        let refusals = stats.refusals_by;
        stats.refusals = refusals.too_large + refusals.no_room + refusals.contended;
        stats
    }

    /// Whether all is well.
    pub(crate) fn health(&self, thresholds: &Thresholds) -> Health {
        let process = thresholds.memory_taken();
        let look = || {
            let stats = self.stats();
            let (cleanups, cleanup_time) = self.cleanups.get();
            let state = CacheState {
                charged: stats.charged,
                lingering: stats.lingering,
                retired: stats.retired,
                capacity: stats.capacity,
                retired_capacity: stats.retired_capacity,
                process,
            };
            let counts = CacheCounts {
                hits: stats.hits,
                misses: stats.misses,
                evictions: stats.evictions,
                refusals: stats.refusals,
                loads_succeeded: stats.loads_succeeded,
                loads_failed: stats.loads_failed,
                renewals_failed: stats.renewals_failed,
                cleanups,
                cleanup_time,
                full: state.is_full(),
            };
            (counts, state)
        };
        self.monitor.judge(thresholds, look, CacheState::measure)
    }

    pub(crate) fn usage(&self) -> Usage {
        // The bound may be moved meanwhile: the higher one was in force for a part of the time.
        let before = self.capacity.limit();
        let taken = self.capacity.charged(self.credits());
        let entries = self.len();
        let capacity = before.max(self.capacity.limit());
        let taken = taken.min(capacity);
        let lingering = self.lingering.charge().min(taken);
        Usage {
            charged: taken - lingering,
            lingering,
            retired: self.retired.charged(self.retired_credits()),
            entries,
            capacity,
            retired_capacity: self.retired.limit(),
        }
    }

    /// The most backward pinned seat, in epochs.
    pub(crate) fn reclamation_lag(&self) -> u64 {
        self.table.domain().reclamation_lag()
    }
}

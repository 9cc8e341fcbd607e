//! What the engine tells about itself.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Local};
use crate::health::{CacheCounts, CacheState, Health, Thresholds, Times};
#[cfg(feature = "histograms")]
use crate::latency::{Latencies, Latency, Operation};
use crate::narrow::in_memory;
use crate::policy::Fill;
use crate::reclaim::Laggard;
use crate::settings::Settings;
use crate::stats::{Holder, RegionUsage, Stats, Usage};

impl<K, V, S> Engine<K, V, S> {
    /// What the cache is called.
    pub(crate) fn name(&self) -> &str {
        &self.rules.name
    }

    /// The capacity that was asked for last.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.capacity()
    }

    /// How the cache was configured.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of entries; by G3 never more than the capacity allows.
    pub(crate) fn len(&self) -> usize {
        let insertions: u64 = self.locals().map(|local| local.tally.insertions.get()).sum();
        let departures: u64 = self.locals().map(|local| local.tally.departures()).sum();
        in_memory(insertions.saturating_sub(departures))
    }

    pub(crate) fn stats(&self) -> Stats {
        let usage = self.usage();
        let mut stats = Stats {
            name: Arc::clone(&self.rules.name),
            at: self.elapsed(),
            entries: usage.entries,
            charged: usage.charged,
            lingering: usage.lingering,
            capacity: usage.capacity,
            peak_charged: self.capacity.peak(),
            retired: usage.retired,
            retired_capacity: usage.retired_capacity,
            peak_retired: self.retired.peak(),
            reclamation_lag: self.reclamation_lag(),
            backlog: self.table.domain().backlog(),
            holders: self.table.domain().laggards().into_iter().map(holder).collect(),
            ..Stats::default()
        };
        for local in self.locals() {
            local.tally.add_to(&mut stats);
            local.loads.add_to(&mut stats);
        }
        stats.loads_failed = stats.loads_failed.wrapping_add(self.running.lost());
        stats.misses = stats.misses_by.sum();
        stats.refusals = stats.refusals_by.sum();
        self.add_regions(&mut stats);
        stats
    }

    /// Whether all is well.
    pub(crate) fn health(&self, thresholds: &Thresholds) -> Health {
        let process = thresholds.memory_taken();
        let look = || {
            let stats = self.stats();
            let load_age = self.oldest_load_age();
            let (cleanups, cleanup_time) = self.cleanups.get();
            let state = CacheState {
                charged: stats.charged,
                lingering: stats.lingering,
                retired: stats.retired,
                capacity: stats.capacity,
                retired_capacity: stats.retired_capacity,
                backlog: stats.backlog,
                load_age,
                holder: stats
                    .holders
                    .into_iter()
                    .max_by_key(|holder| holder.since)
                    .map(|Holder { thread, since, .. }| (thread, since)),
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
                reads: self.read_times(),
                full: state.is_full(),
            };
            (counts, state)
        };
        self.monitor.judge(thresholds, look, CacheState::measure)
    }

    fn add_regions(&self, stats: &mut Stats) {
        let sum = |of: fn(&Local) -> u64| self.locals().map(of).fold(0, u64::wrapping_add);
        // Those gone are counted first, as with the entries: so no difference is below zero.
        let gone = sum(|local| local.tally.placeholders_gone.get());
        let awaited = sum(|local| local.tally.placeholders.get()).saturating_sub(gone);
        let awaited = in_memory(awaited);
        let on_probation = sum(|local| local.cursor.on_probation()) as i64;
        let all = stats.entries + awaited;
        let (entries, share) =
            (in_memory(on_probation.max(0).cast_unsigned()), self.policy.probation_charge());
        let others = all.saturating_sub(entries);
        stats.awaited = awaited;
        let weighed = self.rules.weigher.is_some();
        let others_charge =
            if weighed { stats.charged.saturating_sub(share) } else { others as u64 };
        stats.probation = RegionUsage { entries, charge: share };
        stats.protected = RegionUsage { entries: others, charge: others_charge };
        let capacity = stats.capacity.max(1) as f64;
        let fill = Fill { capacity: stats.capacity, free: 0 };
        stats.probation_share = share as f64 / capacity;
        stats.probation_target = self.policy.target(fill) / capacity;
    }

    /// How long things took, if anything is timed.
    #[cfg(feature = "histograms")]
    pub(crate) fn latencies(&self) -> Option<Latencies> {
        let of = |operation| self.latency(operation);
        self.sampling.is_on().then(|| Latencies::of(self.sampling, of))
    }

    #[cfg(feature = "histograms")]
    fn latency(&self, operation: Operation) -> Latency {
        Latency::of(operation, self.locals().map(|local| &local.timings))
    }

    /// How long reads took.
    #[cfg(feature = "histograms")]
    fn read_times(&self) -> Times {
        let reads = || Times::new(self.latency(Operation::Get).buckets());
        if self.sampling.is_on() { reads() } else { Times::default() }
    }

    #[cfg(not(feature = "histograms"))]
    fn read_times(&self) -> Times {
        Times::default()
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

    /// The most backward pinned participant, in epochs.
    pub(crate) fn reclamation_lag(&self) -> u64 {
        self.table.domain().reclamation_lag()
    }
}

fn holder(laggard: Laggard) -> Holder {
    let Laggard { thread, since, epochs_behind } = laggard;
    Holder { thread, since: Duration::from_nanos(since), epochs_behind }
}

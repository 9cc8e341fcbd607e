//! The figures of a deduplicator, and of a tracker as a whole.

use clockhand::dedup::Metrics;
use clockhand::health::Health;

use super::Family;
use super::Number::{Real, Whole};
use super::Unit;

/// What is known of a deduplicator or a tracker at a scrape.
pub(crate) struct DedupReport {
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
}

type Dedup = Family<DedupReport>;

/// The prefix for deduplicators.
pub(crate) const DEDUP: &str = "clockhand_dedup";
/// The prefix for trackers.
pub(crate) const OFFSETS: &str = "clockhand_offsets";

pub(crate) const FAMILIES: &[Dedup] = &[
    Dedup::counter("checks", "Ids that were asked for.", |r, tell| {
        tell(&[], Whole(r.metrics.checks));
    }),
    Dedup::counter("claims", "Claims that were granted.", |r, tell| {
        tell(&[], Whole(r.metrics.claims));
    }),
    Dedup::counter("adds", "Ids that were completed.", |r, tell| {
        tell(&[], Whole(r.metrics.adds));
    }),
    Dedup::counter("duplicates", "Checks that found the id done.", |r, tell| {
        tell(&[], Whole(r.metrics.duplicates));
    }),
    Dedup::counter("in_progress_hits", "Checks that found the id in progress.", |r, tell| {
        tell(&[], Whole(r.metrics.in_progress_hits));
    }),
    Dedup::counter("abandoned", "Claims that were given back.", |r, tell| {
        tell(&[], Whole(r.metrics.abandoned));
    }),
    Dedup::counter(
        "leases_expired",
        "Claims that were taken over after their lease.",
        |r, tell| {
            tell(&[], Whole(r.metrics.lease_expired));
        },
    ),
    Dedup::counter("late", "Tickets that came after their claim was taken over.", |r, tell| {
        tell(&[], Whole(r.metrics.late));
    }),
    Dedup::counter(
        "fenced",
        "Tickets that came after their partition was assigned anew, revoked or sought in.",
        |r, tell| {
            tell(&[], Whole(r.metrics.fenced));
        },
    ),
    Dedup::counter(
        "forgotten_early",
        "Ids that were forgotten before their time, to make room.",
        |r, tell| {
            tell(&[], Whole(r.metrics.forgotten_early));
        },
    ),
    Dedup::counter("expired", "Ids that were forgotten because they expired.", |r, tell| {
        tell(&[], Whole(r.metrics.expired));
    }),
    Dedup::counter(
        "leaked",
        "Claims that were forgotten as their holders never came back.",
        |r, tell| {
            tell(&[], Whole(r.metrics.leaked));
        },
    ),
    Dedup::counter(
        "unfolded",
        "Offsets that were taken for absent and were delivered after all.",
        |r, tell| {
            tell(&[], Whole(r.metrics.unfolded));
        },
    ),
    Dedup::counter("cleanups", "Cleanups.", |r, tell| {
        tell(&[], Whole(r.metrics.cleanups));
    }),
    Dedup::counter("cleanup", "Time that the cleanups took.", |r, tell| {
        tell(&[], Real(r.metrics.cleanup_time.as_secs_f64()));
    })
    .of(Unit::Seconds),
    Dedup::counter("snapshots", "Snapshots that were written.", |r, tell| {
        tell(&[], Whole(r.metrics.snapshots));
    }),
    Dedup::counter("snapshot_failures", "Snapshots that could not be written.", |r, tell| {
        tell(&[], Whole(r.metrics.snapshot_failures));
    }),
    Dedup::gauge(
        "remembered",
        "What is remembered: ids, or offsets that are done above the watermark.",
        |r, tell| {
            tell(&[], Whole(r.metrics.size));
        },
    ),
    Dedup::gauge("in_progress", "Claims in progress.", |r, tell| {
        tell(&[], Whole(r.metrics.in_progress));
    }),
    Dedup::gauge(
        "health",
        "The verdict: 0 healthy, 1 warning, 2 degraded, 3 critical.",
        |r, tell| {
            tell(&[], Whole(r.health.status as u64));
        },
    ),
];

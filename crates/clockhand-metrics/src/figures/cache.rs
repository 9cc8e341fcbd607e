//! The figures of a cache.

use clockhand::Stats;
use clockhand::health::Health;

use super::Number::{Real, Whole};
use super::{Family, Tell, Unit};

/// What is known of a cache at a scrape.
pub(crate) struct CacheReport {
    pub(crate) stats: Stats,
    pub(crate) health: Health,
    #[cfg(feature = "histograms")]
    pub(crate) latencies: Option<clockhand::Latencies>,
}

type Cache = Family<CacheReport>;

pub(crate) const PREFIX: &str = "clockhand_cache";

/// Tells one number for each cause.
fn by_cause(causes: &[(&str, u64)], tell: &mut Tell<'_>) {
    for &(cause, number) in causes {
        tell(&[("cause", cause)], Whole(number));
    }
}

pub(crate) const FAMILIES: &[Cache] = &[
    Cache::counter("hits", "Reads that found their key.", |r, tell| {
        tell(&[], Whole(r.stats.hits));
    }),
    Cache::counter(
        "misses",
        "Reads that did not find their key, by what is known of it.",
        |r, tell| {
            let by = &r.stats.misses_by;
            by_cause(
                &[
                    ("never_seen", by.never_seen),
                    ("evicted", by.evicted),
                    ("expired", by.expired),
                    ("invalidated", by.invalidated),
                    ("refused", by.refused),
                    ("absent", by.absent),
                ],
                tell,
            );
        },
    ),
    Cache::counter("insertions", "Keys that came in.", |r, tell| {
        tell(&[], Whole(r.stats.insertions));
    }),
    Cache::counter("removals", "Values that left, by what became of them.", |r, tell| {
        let stats = &r.stats;
        by_cause(
            &[
                ("replaced", stats.replacements),
                ("evicted", stats.evictions),
                ("expired", stats.expirations),
                ("invalidated", stats.invalidations),
            ],
            tell,
        );
    }),
    Cache::counter(
        "removed_charge",
        "Charge of the values that left, by what became of them.",
        |r, tell| {
            let by = &r.stats.removed_charge;
            by_cause(
                &[
                    ("replaced", by.replaced),
                    ("evicted", by.evicted),
                    ("expired", by.expired),
                    ("invalidated", by.invalidated),
                ],
                tell,
            );
        },
    )
    .of(Unit::Charge),
    Cache::counter("refusals", "Entries that the cache did not take, by why not.", |r, tell| {
        let by = &r.stats.refusals_by;
        by_cause(
            &[("too_large", by.too_large), ("no_room", by.no_room), ("contended", by.contended)],
            tell,
        );
    }),
    Cache::counter("loads_started", "Loads that were started.", |r, tell| {
        tell(&[], Whole(r.stats.loads_started));
    }),
    Cache::counter(
        "loads_succeeded",
        "Loads that brought a value, or the answer that there is none.",
        |r, tell| {
            tell(&[], Whole(r.stats.loads_succeeded));
        },
    ),
    Cache::counter(
        "loads_failed",
        "Loads that ended with an error or a panic, or were given up.",
        |r, tell| {
            tell(&[], Whole(r.stats.loads_failed));
        },
    ),
    Cache::counter("loads_joined", "Calls that waited for the load of another call.", |r, tell| {
        tell(&[], Whole(r.stats.loads_joined));
    }),
    Cache::counter(
        "loads_timed_out",
        "Calls that did not wait for a load any longer.",
        |r, tell| {
            tell(&[], Whole(r.stats.loads_timed_out));
        },
    ),
    Cache::counter(
        "loads_relieved",
        "Loads that were taken over from a leader that died or stalled.",
        |r, tell| {
            tell(&[], Whole(r.stats.loads_relieved));
        },
    ),
    Cache::counter("load", "Time that the loads took that have ended.", |r, tell| {
        tell(&[], Real(r.stats.load_time.as_secs_f64()));
    })
    .of(Unit::Seconds),
    Cache::counter(
        "renewals",
        "Loads in the background, ahead of expiry or in the place of what has expired.",
        |r, tell| {
            tell(&[], Whole(r.stats.renewals));
        },
    ),
    Cache::counter("renewals_failed", "Loads in the background that failed.", |r, tell| {
        tell(&[], Whole(r.stats.renewals_failed));
    }),
    Cache::gauge("entries", "Entries in the cache, by region.", |r, tell| {
        tell(&[("region", "probation")], Whole(r.stats.probation.entries as u64));
        tell(&[("region", "protected")], Whole(r.stats.protected.entries as u64));
    }),
    Cache::gauge("charge", "Charge of the entries.", |r, tell| {
        tell(&[], Whole(r.stats.charged));
    })
    .of(Unit::Charge),
    Cache::gauge(
        "lingering_charge",
        "Charge of removed entries that counts against the capacity.",
        |r, tell| {
            tell(&[], Whole(r.stats.lingering));
        },
    )
    .of(Unit::Charge),
    Cache::gauge("capacity", "Bound of the charge.", |r, tell| {
        tell(&[], Whole(r.stats.capacity));
    })
    .of(Unit::Charge),
    Cache::gauge("peak_charge", "The highest charge so far.", |r, tell| {
        tell(&[], Whole(r.stats.peak_charged));
    })
    .of(Unit::Charge),
    Cache::gauge(
        "retired_charge",
        "Charge of removed entries that are not freed yet.",
        |r, tell| {
            tell(&[], Whole(r.stats.retired));
        },
    )
    .of(Unit::Charge),
    Cache::gauge("retired_capacity", "Bound of the retired charge.", |r, tell| {
        tell(&[], Whole(r.stats.retired_capacity));
    })
    .of(Unit::Charge),
    Cache::gauge("peak_retired_charge", "The highest retired charge so far.", |r, tell| {
        tell(&[], Whole(r.stats.peak_retired));
    })
    .of(Unit::Charge),
    Cache::gauge(
        "reclamation_lag",
        "Epochs that the most backward reader is behind.",
        |r, tell| {
            tell(&[], Whole(r.stats.reclamation_lag));
        },
    ),
    Cache::gauge(
        "reclamation_holders",
        "Threads that keep removed entries from being freed.",
        |r, tell| {
            tell(&[], Whole(r.stats.holders.len() as u64));
        },
    ),
    Cache::gauge(
        "reclamation_held",
        "How long the thread has been in the way that is in the way longest.",
        |r, tell| {
            let longest =
                r.stats.holders.iter().map(|holder| holder.since).max().unwrap_or_default();
            tell(&[], Real(longest.as_secs_f64()));
        },
    )
    .of(Unit::Seconds),
    Cache::gauge("backlog", "Removed entries that are not freed yet.", |r, tell| {
        tell(&[], Whole(r.stats.backlog as u64));
    }),
    Cache::gauge("probation", "Charge on probation as a part of the capacity.", |r, tell| {
        tell(&[], Real(r.stats.probation_share));
    })
    .of(Unit::Ratio),
    Cache::gauge(
        "probation_target",
        "Charge that there should be on probation as a part of the capacity.",
        |r, tell| {
            tell(&[], Real(r.stats.probation_target));
        },
    )
    .of(Unit::Ratio),
    Cache::gauge(
        "health",
        "The verdict: 0 healthy, 1 warning, 2 degraded, 3 critical.",
        |r, tell| {
            tell(&[], Whole(r.health.status as u64));
        },
    ),
];

//! What a cache tells about itself.

use std::sync::Arc;
use std::time::Duration;

use clockhand::{
    Absence, Cache, Explanation, Holder, MissCauses, Rates, Refusals, Region, RegionUsage,
    RemovedCharge, Stats,
};

#[test]
fn figures() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).name(String::from("figures")).build().expect("sound");
    let _: &str = cache.name();
    let stats: Stats = cache.stats();
    let _: (Arc<str>, Duration) = (stats.name.clone(), stats.at);
    let MissCauses { never_seen, evicted, expired, invalidated, refused, absent, .. } =
        stats.misses_by;
    let _: [u64; 6] = [never_seen, evicted, expired, invalidated, refused, absent];
    let _: u64 = stats.misses_by.sum();
    let RemovedCharge { replaced, evicted, expired, invalidated, .. } = stats.removed_charge;
    let _: [u64; 4] = [replaced, evicted, expired, invalidated];
    let Refusals { too_large, no_room, contended, .. } = stats.refusals_by;
    let _: [u64; 3] = [too_large, no_room, contended];
    let _: [u64; 3] = [stats.loads_started, stats.loads_succeeded, stats.loads_failed];
    let _: [u64; 3] = [stats.loads_joined, stats.loads_timed_out, stats.loads_relieved];
    let _: (Duration, u64, u64) = (stats.load_time, stats.renewals, stats.renewals_failed);
    let _: usize = stats.awaited;
    let _: (usize, u64, u64, u64) = (stats.entries, stats.charged, stats.lingering, stats.capacity);
    let _: [u64; 3] = [stats.peak_charged, stats.retired, stats.retired_capacity];
    let _: (u64, u64, usize) = (stats.peak_retired, stats.reclamation_lag, stats.backlog);
    let RegionUsage { entries, charge, .. } = stats.probation;
    let _: (usize, u64, RegionUsage) = (entries, charge, stats.protected);
    let _: (f64, f64) = (stats.probation_share, stats.probation_target);
    let of = |holder: &Holder| (holder.thread.clone(), holder.since, holder.epochs_behind);
    let _: Vec<(String, Duration, u64)> = stats.holders.iter().map(of).collect();
}

#[test]
fn spans_and_rates() {
    let cache: Cache<u64, u64> = Cache::new(10);
    let earlier: Stats = cache.stats();
    let span: Stats = cache.stats().since(&earlier);
    let rates: Rates = span.per_second();
    let _: [f64; 4] = [rates.hits, rates.misses, rates.insertions, rates.replacements];
    let _: [f64; 4] = [rates.evictions, rates.expirations, rates.invalidations, rates.refusals];
    let _: [f64; 3] = [rates.loads_started, rates.loads_succeeded, rates.loads_failed];
    let _: [f64; 3] = [rates.loads_joined, rates.loads_timed_out, rates.loads_relieved];
    let _: [f64; 3] = [rates.load_time, rates.renewals, rates.renewals_failed];
}

#[test]
fn explanations() {
    let cache: Cache<String, u64> = Cache::new(10);
    let why: Explanation = cache.explain("a");
    let _: (bool, String) = (why.is_resident(), why.to_string());
    match why {
        Explanation::Resident {
            region,
            reads,
            age,
            time_left,
            idle_time_left,
            charge,
            being_loaded,
            prefetched,
            ..
        } => {
            let _: (Region, u8, u64, bool) = (region, reads, charge, being_loaded || prefetched);
            let _: [Option<Duration>; 3] = [age, time_left, idle_time_left];
            assert!(matches!(region, Region::Probation | Region::Protected));
        }
        Explanation::Missing { why, being_loaded, .. } => match why {
            Absence::Evicted { misses_ago, .. } => {
                let _: (u64, bool) = (misses_ago, being_loaded);
            }
            Absence::NeverSeen
            | Absence::Expired
            | Absence::Invalidated
            | Absence::Refused
            | Absence::Absent => {}
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    fn plain<T: Copy + PartialEq + std::fmt::Debug + std::fmt::Display + Send + Sync>() {}
    plain::<Explanation>();
    plain::<Absence>();
    plain::<Region>();
    let loading = Cache::<u64, u64>::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    let _: Explanation = loading.explain(&1);
    let _: Stats = loading.stats();
}

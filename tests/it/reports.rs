//! Reports are written as JSON and read back: their names, their words, and durations in seconds.

use std::fmt::Debug;
use std::time::Duration;

use clockhand::health::{Figure, Health, Levels, Status, Thresholds};
use clockhand::load::WarmerStatus;
use clockhand::{Absence, Cache, Clock, Explanation, Maintained, ManualClock, Stats, Usage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MILLI: Duration = Duration::from_millis(1);

fn written<T: Serialize + DeserializeOwned + PartialEq + Debug>(report: &T) -> Value {
    let value = serde_json::to_value(report).unwrap();
    let back: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(back, *report, "{value}");
    value
}

fn cache() -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).name("quotes").clock(clock);
    (builder.time_to_live(Duration::from_secs(10)).build().unwrap(), manual)
}

#[test]
fn statistics_are_written_and_read() {
    let (cache, manual) = cache();
    (0..150).for_each(|key| cache.insert(key, key));
    cache.get(&1_000);
    cache
        .try_get_or_load(1_001, |_| {
            manual.advance(250 * MILLI);
            Ok::<_, String>(1)
        })
        .unwrap();
    let stats = cache.stats();
    let value = written(&stats);
    assert_eq!((&value["name"], &value["entries"]), (&json!("quotes"), &json!(100)));
    assert_eq!((&value["at"], &value["load_time"]), (&json!(0.25), &json!(0.25)));
    assert_eq!(value["misses_by"]["never_seen"], json!(stats.misses_by.never_seen));
    assert_eq!(value["removed_charge"]["evicted"], json!(stats.removed_charge.evicted));
    assert_eq!(value["probation"]["entries"], json!(stats.probation.entries));
    assert_eq!(value["holders"], json!([]));
    let rates = written(&stats.per_second());
    assert_eq!(rates["insertions"], json!(stats.insertions as f64 / 0.25));
    assert_eq!(written::<Usage>(&cache.usage())["charged"], json!(100));
    assert_eq!(written::<Maintained>(&cache.maintain(10))["expired"], json!(0));
    written(&WarmerStatus::default());
}

#[test]
fn what_an_older_version_has_written_is_read() {
    let stats: Stats = serde_json::from_value(json!({ "hits": 3, "unknown": [] })).unwrap();
    assert_eq!((stats.hits, stats.misses, stats.at), (3, 0, Duration::ZERO));
    for wrong in [json!({ "at": -1.0 }), json!({ "at": "soon" }), json!({ "hits": -1 })] {
        serde_json::from_value::<Stats>(wrong).unwrap_err();
    }
}

#[test]
fn explanations_are_written_and_read() {
    let (cache, manual) = cache();
    cache.insert(1, 1);
    manual.advance(1_500 * MILLI);
    let resident = json!({
        "state": "resident",
        "region": "probation",
        "reads": 0,
        "age": 1.5,
        "time_left": 8.5,
        "idle_time_left": null,
        "charge": 1,
        "being_loaded": false,
        "prefetched": false,
    });
    assert_eq!(written(&cache.explain(&1)), resident);
    let missing = |cause| json!({ "state": "missing", "why": cause, "being_loaded": false });
    assert_eq!(written(&cache.explain(&2)), missing(json!({ "cause": "never_seen" })));
    cache.set_capacity(0);
    let evicted = json!({ "cause": "evicted", "misses_ago": 0 });
    assert_eq!(written(&cache.explain(&1)), missing(evicted));
    let Explanation::Missing { why: Absence::Evicted { .. }, .. } = cache.explain(&1) else {
        panic!("{}", cache.explain(&1))
    };
}

#[test]
fn health_is_written_and_read() {
    let (cache, _hand) = cache();
    assert_eq!(written(&cache.health(&Thresholds::default()))["status"], json!("healthy"));
    let levels = Levels::new().critical(0.001);
    let thresholds = Thresholds::default().set(Figure::Garbage, levels).unwrap();
    (0..100).for_each(|key| cache.insert(key, key));
    let guard = cache.pin();
    cache.invalidate_all();
    let health: Health = cache.health(&thresholds);
    drop(guard);
    let value = written(&health);
    assert_eq!((&value["status"], health.status), (&json!("critical"), Status::Critical));
    assert_eq!(value["reasons"][0]["figure"], json!("garbage"));
    // As people and alerts know them.
    for figure in [Figure::HitRate, Figure::LoadErrors, Figure::PendingAge, Figure::Lag] {
        assert_eq!(json!(figure), json!(figure.to_string()));
    }
    assert_eq!(json!(Status::Degraded), json!(Status::Degraded.name()));
}

#[cfg(feature = "dedup")]
#[test]
fn metrics_of_deduplicators_are_written_and_read() {
    let seen = clockhand::Deduplicator::builder().build().unwrap();
    seen.mark_processed(7);
    let value = written(&seen.metrics());
    assert_eq!((&value["adds"], value["cleanup_time"].is_f64()), (&json!(1), true));
}

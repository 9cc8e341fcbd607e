//! With the feature `serde`, reports are told under the names that their fields have, and can be read back.

use std::fmt::Debug;
use std::time::Duration;

use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::health::{Figure, Levels, Thresholds};
use clockhand::load::WarmerStatus;
use clockhand::{Absence, Cache, Clock, Explanation, Warmer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, json, to_string, to_value};

fn told(report: &impl Serialize) -> Value {
    to_value(report).expect("a report in JSON")
}

/// What is written is read as it was.
#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(report: &T) {
    let text = to_string(report).expect("a report in JSON");
    let read: T = from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read, *report, "{text}");
}

#[test]
fn statistics_have_the_names_of_their_fields() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).name("prices");
    let cache: Cache<u64, u64> = builder.build().expect("a cache");
    cache.insert(1, 1);
    assert!(cache.get(&1).is_some() && cache.get(&2).is_none());
    manual.advance(Duration::from_millis(1500));
    let stats = told(&cache.stats());
    assert_eq!(stats["name"], "prices");
    assert_eq!(stats["at"], 1.5);
    assert_eq!((&stats["hits"], &stats["misses"]), (&json!(1), &json!(1)));
    assert_eq!(stats["misses_by"]["never_seen"], 1);
    assert_eq!(stats["removed_charge"]["evicted"], 0);
    assert_eq!(stats["refusals_by"]["no_room"], 0);
    let regions = [&stats["probation"]["entries"], &stats["protected"]["entries"]];
    assert_eq!(regions.into_iter().filter_map(Value::as_u64).sum::<u64>(), 1);
    assert_eq!(stats["holders"], json!([]));
    assert_eq!(told(&cache.usage())["capacity"], 10);
    assert_eq!(told(&cache.maintain(0))["backlog"], 0);
    assert!(told(&cache.stats().per_second())["hits"].is_f64());
}

#[test]
fn explanations_say_what_they_are() {
    let cache: Cache<u64, u64> = Cache::new(10);
    cache.insert(1, 1);
    assert!(cache.invalidate(&1));
    cache.insert(2, 2);
    let missing = told(&cache.explain(&1));
    assert_eq!(missing["state"], "missing");
    assert_eq!(missing["why"], json!({ "cause": "invalidated" }));
    let resident = told(&cache.explain(&2));
    assert_eq!((&resident["state"], &resident["charge"]), (&json!("resident"), &json!(1)));
    assert!(resident["region"] == "probation" || resident["region"] == "protected");
}

#[test]
fn verdicts_name_figures_as_their_text_does() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).weigher(|_: &u64, charge: &u64| *charge).clock(clock);
    let cache = cache.build().expect("a cache");
    let levels = Levels::new().critical(0.0);
    let thresholds = Thresholds::default().set(Figure::Refusals, levels).expect("levels");
    assert_eq!(told(&cache.health(&thresholds)), json!({ "status": "healthy", "reasons": [] }));
    manual.advance(Duration::from_secs(1));
    cache.insert(1, 11);
    let health = told(&cache.health(&thresholds));
    assert_eq!(health["status"], "critical");
    assert_eq!(health["reasons"][0]["figure"], "refusals");
    for &figure in Figure::ALL {
        assert_eq!(told(&figure), figure.name());
    }
}

#[test]
fn deduplicators_and_trackers_are_told() {
    let seen: Deduplicator<u64> = Deduplicator::builder().build().expect("settings");
    assert!(seen.mark_processed(1) && !seen.mark_processed(1));
    assert_eq!(told(&seen.metrics())["duplicates"], 1);
    let tracker = OffsetTracker::builder().build().expect("settings");
    tracker.assign("orders", 3, 1000);
    tracker.polled("orders", 3, 1000..1010);
    let partition = &told(&tracker.partitions())[0];
    assert_eq!((&partition["topic"], &partition["committable"]), (&json!("orders"), &json!(1000)));
    assert_eq!(partition["oldest_pending"]["offset"], 1000);
}

#[test]
fn figures_of_a_cache_come_back() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).name("prices");
    let cache: Cache<u64, u64> = builder.retired_capacity(5).build().expect("a cache");
    // A guard of the same thread holds what is replaced, until some are refused; and another one holds a little.
    let guard = cache.pin();
    (0..100).for_each(|key| cache.insert(key % 10, key % 10));
    drop(guard);
    (0..100).for_each(|key| cache.insert(key % 10, key % 10));
    let _guard = cache.pin();
    (0..3).for_each(|key| cache.insert(key, key));
    manual.advance(Duration::from_nanos(1_234_567_891));
    (0..100).for_each(|key| assert!(cache.get(&key).is_none_or(|value| value == key)));
    let stats = cache.stats();
    assert!(stats.misses > 0 && stats.refusals > 0 && stats.probation_share > 0.0, "{stats:?}");
    assert_eq!(stats.holders.len(), 1);
    comes_back(&stats);
    comes_back(&stats.per_second());
    comes_back(&cache.usage());
    comes_back(&cache.maintain(5));
    let health = cache.health(&Thresholds::default());
    assert!(health.reasons.len() > 1);
    comes_back(&health);
    Figure::ALL.iter().for_each(comes_back);
}

#[test]
fn explanations_come_back() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).time_to_idle(Duration::from_secs(9));
    let cache = builder.weigher(|_: &u64, charge: &u64| *charge).build().expect("a cache");
    cache.insert(1, 5);
    manual.advance(Duration::from_millis(1250));
    comes_back(&cache.explain(&1));
    cache.insert(2, 11);
    cache.insert(3, 1);
    assert!(cache.invalidate(&3));
    (4..1000).for_each(|key| cache.insert(key, 1));
    let why = |key| match cache.explain(&key) {
        Explanation::Missing { why, .. } => Some(why),
        _ => None,
    };
    let evicted = (4..1000).rev().find(|&key| matches!(why(key), Some(Absence::Evicted { .. })));
    comes_back(&cache.explain(&evicted.expect("nearly all of them")));
    for why in [Absence::NeverSeen, Absence::Expired, Absence::Invalidated] {
        comes_back(&why);
    }
    comes_back(&Absence::Refused);
    comes_back(&Absence::Absent);
    cache.get_or_load(1001, |key| {
        comes_back(&cache.explain(key));
        1
    });
}

#[test]
fn figures_of_deduplicators_trackers_and_warmers_come_back() {
    let seen: Deduplicator<u64> = Deduplicator::builder().build().expect("settings");
    assert!(seen.mark_processed(1) && !seen.mark_processed(1));
    comes_back(&seen.metrics());
    let (clock, manual) = Clock::manual();
    let tracker = OffsetTracker::builder().clock(clock).build().expect("settings");
    tracker.assign("orders", 3, 1000);
    tracker.polled("orders", 3, 1000..1010);
    manual.advance(Duration::from_millis(4321));
    let partitions = tracker.partitions();
    assert_eq!(partitions[0].oldest_pending.expect("ten").age, Duration::from_millis(4321));
    comes_back(&partitions);
    comes_back(&tracker.metrics());
    let source = |key: &u64| Err::<u64, _>(key.to_string());
    let cache: Cache<u64, u64> = Cache::new(10);
    let hour = Duration::from_secs(3600);
    let warmer = Warmer::start(&cache.loading(source), [1], hour).expect("a thread");
    let stopped: WarmerStatus = warmer.stop();
    comes_back(&stopped);
    comes_back(&WarmerStatus::default());
}

#[cfg(feature = "histograms")]
mod histograms {
    use super::*;

    use clockhand::{Latencies, Latency};

    fn taken() -> Latencies {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(10).sample_every(1).clock(clock);
        let cache: Cache<u64, u64> = builder.build().expect("a cache");
        for key in 0..1000 {
            cache.get_or_load(key, |_| {
                manual.advance(Duration::from_nanos(1 << (key % 45)));
                key
            });
        }
        cache.latencies().expect("they are taken")
    }

    #[test]
    fn latencies_come_back() {
        let latencies = taken();
        assert!(latencies.load.count() == 1000 && latencies.get.count() == 1000);
        comes_back(&latencies);
        let load = told(&latencies.load);
        assert_eq!(
            (&load["count"], &load["p50"]),
            (&json!(1000), &json!(latencies.load.p50().as_secs_f64()))
        );
        // What was read can be subtracted from what comes later.
        let read: Latencies = from_str(&to_string(&latencies).expect("JSON")).expect("as written");
        assert_eq!(latencies.since(&read).load.count(), 0);
    }

    #[test]
    fn what_is_no_latency_is_not_read() {
        let read =
            |buckets: Value| serde_json::from_value::<Latency>(json!({ "buckets": buckets }));
        let two = read(json!([[0.25, 1], [0.5, 2]])).expect("the other figures follow");
        assert_eq!(two.count(), 3);
        assert_eq!(read(json!([])).expect("nothing was timed").max(), Duration::ZERO);
        for wrong in [
            json!([[-1.0, 1]]),
            json!([[1e300, 1]]),
            json!([[2000.0, 1]]),
            json!([[0.5, -1]]),
            json!([[0.5, u64::MAX], [0.25, 1]]),
            json!([[0.5]]),
            Value::Null,
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}

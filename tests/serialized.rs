//! With the feature `serde`, reports are told under the names that their fields have.
#![cfg(all(feature = "serde", feature = "dedup"))]

use std::time::Duration;

use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::health::{Figure, Levels, Thresholds};
use clockhand::{Cache, Clock};
use serde_json::{Value, json, to_value};

fn told(report: &impl serde::Serialize) -> Value {
    to_value(report).expect("a report in JSON")
}

#[test]
fn statistics_have_the_names_of_their_fields() {
    let (clock, hand) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).name("prices");
    let cache: Cache<u64, u64> = builder.build().expect("a cache");
    cache.insert(1, 1);
    assert!(cache.get(&1).is_some() && cache.get(&2).is_none());
    hand.advance(Duration::from_millis(1500));
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
    let (clock, hand) = Clock::manual();
    let cache = Cache::builder().capacity(10).weigher(|_: &u64, charge: &u64| *charge).clock(clock);
    let cache = cache.build().expect("a cache");
    let levels = Levels::new().critical(0.0);
    let thresholds = Thresholds::default().set(Figure::Refusals, levels).expect("levels");
    assert_eq!(told(&cache.health(&thresholds)), json!({ "status": "healthy", "reasons": [] }));
    hand.advance(Duration::from_secs(1));
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

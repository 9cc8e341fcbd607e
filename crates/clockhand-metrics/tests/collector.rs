//! Every figure against a known sequence of operations, as Prometheus reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::{Cache, Clock};
use clockhand_metrics::Collector;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

fn told(collector: Collector) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text");
    text
}

fn plain(name: &str) -> Cache<u64, u64> {
    Cache::builder().capacity(7).name(name).build().expect("a cache")
}

/// The samples of a text: names with labels, and values.
fn samples(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a value")).collect()
}

#[test]
fn counts_of_a_cache_are_told_by_cause() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).weigher(|_: &u64, charge: &u64| *charge);
    let builder = builder.time_to_live(Duration::from_secs(10)).clock(clock);
    let cache = builder.name("charges").build().expect("a cache");
    cache.insert(1, 4);
    cache.insert(1, 3);
    cache.insert(2, 2);
    cache.insert(3, 11);
    assert!(cache.get(&1).is_some() && cache.get(&3).is_none() && cache.get(&9).is_none());
    assert!(cache.invalidate(&2) && cache.get(&2).is_none());
    manual.advance(Duration::from_secs(11));
    assert_eq!(cache.remove_expired(), 1);
    let text = told(Collector::new().cache(&cache));
    let samples = samples(&text);
    for (name, cause, value) in [
        ("hits_total", "", "1"),
        ("misses_total", "refused", "1"),
        ("misses_total", "never_seen", "1"),
        ("misses_total", "invalidated", "1"),
        ("misses_total", "evicted", "0"),
        ("insertions_total", "", "2"),
        ("removals_total", "replaced", "1"),
        ("removals_total", "invalidated", "1"),
        ("removals_total", "expired", "1"),
        ("removed_charge_total", "replaced", "4"),
        ("removed_charge_total", "invalidated", "2"),
        ("removed_charge_total", "expired", "3"),
        ("refusals_total", "too_large", "1"),
        ("refusals_total", "no_room", "0"),
        ("charge", "", "0"),
        ("capacity", "", "10"),
    ] {
        let cause = if cause.is_empty() { String::new() } else { format!(",cause=\"{cause}\"") };
        let name = format!("clockhand_cache_{name}{{cache=\"charges\"{cause}}}");
        assert_eq!(samples.get(&*name), Some(&value), "{name}\n{text}");
    }
}

#[test]
fn loads_are_told_with_their_time() {
    let cache = plain("loads");
    assert_eq!(cache.get_or_load(1, |&key| key), 1);
    assert!(cache.try_get_or_load(2, |_| Err::<u64, _>("no")).is_err());
    let text = told(Collector::new().cache(&cache));
    let samples = samples(&text);
    let of = |name: &str| samples[&*format!("clockhand_cache_load{name}_total{{cache=\"loads\"}}")];
    assert_eq!((of("s_started"), of("s_succeeded"), of("s_failed")), ("2", "1", "1"));
    let seconds: f64 = of("_seconds").parse().expect("a number");
    assert_eq!(seconds, cache.stats().load_time.as_secs_f64());
}

#[test]
fn charges_have_the_unit_of_their_weigher() {
    let (units, bytes) = (plain("units"), plain("bytes"));
    let text = told(Collector::new().cache(&units).cache_in_bytes(&bytes));
    let samples = samples(&text);
    assert_eq!(samples["clockhand_cache_capacity{cache=\"units\"}"], "7");
    assert_eq!(samples["clockhand_cache_capacity_bytes{cache=\"bytes\"}"], "7");
    assert!(!samples.contains_key("clockhand_cache_capacity{cache=\"bytes\"}"));
    assert!(!samples.contains_key("clockhand_cache_capacity_bytes{cache=\"units\"}"));
    // What is no charge is in one family.
    assert!(samples.contains_key("clockhand_cache_hits_total{cache=\"bytes\"}"));
    assert!(samples.contains_key("clockhand_cache_hits_total{cache=\"units\"}"));
}

#[test]
fn ids_and_offsets_are_told_with_their_partitions() {
    let seen: Deduplicator<u64> = Deduplicator::builder().capacity(100).build().expect("settings");
    assert!(seen.mark_processed(1) && !seen.mark_processed(1));
    let tracker = OffsetTracker::builder().build().expect("settings");
    tracker.assign("ticks", 3, 1000);
    tracker.polled("ticks", 3, 1000..1010);
    assert!(tracker.mark_processed("ticks", 3, 1000));
    let text = told(Collector::new().deduplicator("orders", &seen).tracker("feed", &tracker));
    let samples = samples(&text);
    assert_eq!(samples["clockhand_dedup_checks_total{dedup=\"orders\"}"], "2");
    assert_eq!(samples["clockhand_dedup_duplicates_total{dedup=\"orders\"}"], "1");
    assert_eq!(samples["clockhand_dedup_remembered{dedup=\"orders\"}"], "1");
    assert_eq!(samples["clockhand_offsets_adds_total{tracker=\"feed\"}"], "1");
    let of = |name: &str| {
        let labels = "{tracker=\"feed\",topic=\"ticks\",partition=\"3\"}";
        samples[&*format!("clockhand_offsets_{name}{labels}")]
    };
    assert_eq!((of("watermark"), of("lag")), ("1001", "9"));
    assert!(of("oldest_pending_seconds").parse::<f64>().is_ok_and(|seconds| seconds >= 0.0));
}

#[test]
fn every_family_comes_once_with_help_and_type() {
    let collector = Collector::new().cache(&plain("a")).cache(&plain("b"));
    let text = told(collector.cache_in_bytes(&plain("c")));
    let named = |mark: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark));
        lines.map(|line| line.split(' ').next().unwrap_or_default().to_string()).collect()
    };
    let (helped, typed) = (named("# HELP "), named("# TYPE "));
    assert!(helped.len() > 30);
    assert_eq!(helped, typed);
    let mut once = helped.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), helped.len(), "a family comes twice");
}

/// Two series of one name make a whole text unusable.
#[test]
fn sources_of_one_name_are_told_apart() {
    let caches = [plain("a"), plain("a-2"), plain("a"), plain("a"), plain(""), plain("")];
    for (nth, cache) in caches.iter().enumerate() {
        (0..=nth as u64).for_each(|key| assert_eq!(cache.get(&key), None));
    }
    let tracker = OffsetTracker::builder().build().expect("settings");
    tracker.assign("ticks", 3, 1000);
    let seen: Deduplicator<u64> = Deduplicator::builder().build().expect("settings");
    let collector = caches.iter().fold(Collector::new(), Collector::cache);
    let collector = collector.deduplicator("a", &seen).deduplicator("a", &seen);
    let text = told(collector.tracker("a", &tracker).tracker("a", &tracker));
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(samples(&text).len(), series.len(), "a series comes twice\n{text}");
    let samples = samples(&text);
    for (label, misses) in
        [("a", "1"), ("a-2", "2"), ("a-3", "3"), ("a-4", "4"), ("", "5"), ("-2", "6")]
    {
        let name =
            format!("clockhand_cache_misses_total{{cache=\"{label}\",cause=\"never_seen\"}}");
        assert_eq!(samples.get(&*name), Some(&misses), "{label}");
    }
    assert!(samples.contains_key("clockhand_dedup_checks_total{dedup=\"a-2\"}"));
    let watermark = "clockhand_offsets_watermark{tracker=\"a-2\",topic=\"ticks\",partition=\"3\"}";
    assert_eq!(samples.get(watermark), Some(&"1000"));
}

#[test]
fn names_are_escaped() {
    let text = told(Collector::new().cache(&plain("a \"b\" \\ c\nd")));
    let wanted = "clockhand_cache_hits_total{cache=\"a \\\"b\\\" \\\\ c\\nd\"} 0\n";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn units_are_told_in_open_metrics() {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Collector::new().cache_in_bytes(&plain("a"))));
    let mut told = String::new();
    text::encode(&mut told, &registry).expect("a text");
    assert!(told.contains("# UNIT clockhand_cache_load_seconds seconds\n"));
    assert!(told.contains("# UNIT clockhand_cache_charge_bytes bytes\n"));
    assert!(told.contains("# TYPE clockhand_cache_hits counter\n"));
}

#[cfg(feature = "histograms")]
#[test]
fn latencies_are_told_as_histograms() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(7).name("timed").sample_every(1).build().expect("a cache");
    cache.insert(1, 1);
    (0..10).for_each(|_| assert_eq!(cache.get(&1), Some(1)));
    let text = told(Collector::new().cache(&cache).cache(&plain("untimed")));
    let samples = samples(&text);
    assert!(text.contains("# TYPE clockhand_cache_latency_seconds histogram\n"), "{text}");
    let of = |name: &str, more: &str| {
        let labels = format!("cache=\"timed\",operation=\"get\"{more}");
        let number = samples[&*format!("clockhand_cache_latency_seconds_{name}{{{labels}}}")];
        number.parse::<f64>().expect("a number")
    };
    assert_eq!((of("count", ""), of("bucket", ",le=\"+Inf\"")), (10.0, 10.0));
    let latencies = cache.latencies().expect("they are taken");
    assert_eq!(of("sum", ""), latencies.get.sum().as_secs_f64());
    // Every bucket has what took no longer than its bound.
    for power in 4..=34 {
        let bound = Duration::from_nanos(1 << power);
        let counts = latencies.get.buckets().filter(|(until, _)| *until <= bound);
        let wanted: u64 = counts.map(|(_, count)| count).sum();
        let found = samples.iter().find(|(name, _)| {
            let labels =
                "clockhand_cache_latency_seconds_bucket{cache=\"timed\",operation=\"get\",le=\"";
            let text = name.strip_prefix(labels).and_then(|rest| rest.strip_suffix("\"}"));
            text.and_then(|text| text.parse().ok()) == Some(bound.as_secs_f64())
        });
        assert_eq!(found.map(|(_, count)| *count), Some(&*wanted.to_string()), "{bound:?}");
    }
    assert!(!text.contains("clockhand_cache_latency_seconds_count{cache=\"untimed\""));
}

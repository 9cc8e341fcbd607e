//! Every route answers what it says, with the status that it says; without a server.

use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::health::{Figure, Levels, Thresholds};
use clockhand::{Cache, Clock, ManualClock};
use clockhand_http::{Keys, Reply, Request, Service, ServiceError};
use serde_json::Value;

/// A small cache that charges the length of its values.
fn cache(name: &str) -> (Cache<String, String>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let weigher = |_: &String, value: &String| value.len() as u64;
    let builder = Cache::builder().capacity(100).weigher(weigher).clock(clock).name(name);
    (builder.build().expect("a cache"), manual)
}

fn json(reply: &Reply) -> Value {
    assert_eq!(reply.content_type, "application/json");
    serde_json::from_str(&reply.body).expect("JSON")
}

fn get(service: &Service, path: &str, query: &str) -> Reply {
    service.answer(&Request::new("GET", path).query(query))
}

/// The message of an error, whose status has to be in its body, too.
fn error(reply: &Reply, status: u16) -> String {
    let body = json(reply);
    assert_eq!(reply.status, status, "{body}");
    assert_eq!(body["error"]["status"], status);
    body["error"]["message"].as_str().expect("a message").to_string()
}

#[test]
fn stats_are_those_of_the_cache() {
    let (prices, _) = cache("prices");
    let service = Service::builder().cache(&prices, Keys::text()).build().expect("a service");
    prices.insert("a".into(), "12345".into());
    prices.get("a");
    prices.get("b");
    let reply = get(&service, "/cache/stats", "");
    assert_eq!(reply.status, 200);
    let body = json(&reply);
    let shown = &body["caches"][0];
    assert_eq!(shown["name"], "prices");
    assert_eq!(shown["unit"], "units");
    assert_eq!(shown["hottest"][0]["key"], "a");
    assert_eq!(shown["stats"], serde_json::to_value(prices.stats()).expect("statistics in JSON"));
    assert_eq!(shown["stats"]["hits"], 1);
    assert_eq!(shown["stats"]["misses_by"]["never_seen"], 1);
    assert_eq!(shown["stats"]["charged"], 5);
    assert_eq!(body["status"], "healthy");
}

#[test]
fn a_cache_is_found_by_its_name() {
    let ((prices, _), (names, _)) = (cache("prices"), cache("names"));
    let builder = Service::builder().cache(&prices, Keys::text()).cache(&names, Keys::text());
    let service = builder.build().expect("a service");
    let one = json(&get(&service, "/cache/stats", "cache=names"));
    assert_eq!(one["caches"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["caches"][0]["name"], "names");
    assert!(error(&get(&service, "/cache/stats", "cache=name"), 404).contains("no cache"));
    assert!(error(&get(&service, "/cache/health", "cache=name"), 404).contains("no cache"));
    assert!(error(&get(&service, "/cache/explain", "key=a"), 400).contains("several"));
    assert_eq!(get(&service, "/cache/explain", "cache=prices&key=a").status, 200);
}

#[test]
fn a_critical_part_makes_health_unavailable() {
    let (prices, manual) = cache("prices");
    let thresholds =
        Thresholds::default().set(Figure::Refusals, Levels::new().critical(0.0)).expect("levels");
    let builder = Service::builder().cache(&prices, Keys::text()).thresholds(thresholds);
    let service = builder.build().expect("a service");
    let reply = get(&service, "/cache/health", "");
    assert_eq!((reply.status, &json(&reply)["status"]), (200, &"healthy".into()));

    manual.advance(std::time::Duration::from_secs(1));
    prices.insert("a".into(), "x".repeat(101));
    let reply = get(&service, "/cache/health", "");
    let body = json(&reply);
    assert_eq!(reply.status, 503);
    assert_eq!(body["status"], "critical");
    assert_eq!(body["reasons"][0]["name"], "prices");
    assert_eq!(body["reasons"][0]["figure"], "refusals");
    assert_eq!(body["reasons"][0]["value"], 1.0);
    assert_eq!(body["parts"][0]["status"], "critical");
    assert_eq!(body["metrics"]["cache"]["prices"]["refusals"], 1);
    let timestamp = body["timestamp"].as_str().expect("a timestamp");
    assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{timestamp}");

    // The window that has seen it is over.
    manual.advance(std::time::Duration::from_secs(61));
    get(&service, "/cache/health", "");
    manual.advance(std::time::Duration::from_secs(61));
    assert_eq!(get(&service, "/cache/health", "").status, 200);
}

#[test]
fn an_explanation_names_the_key_as_it_came() {
    let (prices, _) = cache("prices");
    let service = Service::builder().cache(&prices, Keys::text()).build().expect("a service");
    let long = "k".repeat(10_000);
    for (key, query) in [
        ("<script>alert(1)</script>", "key=%3Cscript%3Ealert(1)%3C/script%3E"),
        ("\u{202e}\"\\\n", "key=%E2%80%AE%22%5C%0A"),
        ("a b", "key=a+b"),
        ("", "key="),
        (&long, &format!("key={long}")),
    ] {
        prices.insert(key.to_string(), "1".to_string());
        let reply = get(&service, "/cache/explain", query);
        let body = json(&reply);
        assert_eq!((reply.status, body["key"].as_str()), (200, Some(key)));
        assert_eq!(body["explanation"], prices.explain(key).to_string());
    }
}

#[test]
fn what_is_no_key_is_an_error_that_says_so() {
    let ids: Cache<u64, u64> = Cache::builder().capacity(10).name("ids").build().expect("a cache");
    let service = Service::builder().cache(&ids, Keys::text()).build().expect("a service");
    let message = error(&get(&service, "/cache/explain", "key=seven"), 400);
    assert!(message.contains("no key of `ids`") && message.contains("digit"), "{message}");
    assert!(error(&get(&service, "/cache/explain", ""), 400).contains("`key` is missing"));
    assert!(error(&get(&service, "/cache/explain", "key=1&key=2"), 400).contains("twice"));
    assert!(error(&get(&service, "/cache/explain", "key=%FF"), 400).contains("UTF-8"));
    let long = format!("key={}", "1".repeat(48 << 10));
    assert!(error(&get(&service, "/cache/explain", &long), 414).contains("longer"));
}

#[test]
fn what_is_not_there_is_an_error() {
    let service = Service::builder().build().expect("a service");
    for path in ["/", "/cache/", "/cache/nothing", "/caches", "/cache/admin/resize", "/metrics/"] {
        error(&get(&service, path, ""), 404);
    }
    for path in ["/cache", "/cache/health", "/metrics"] {
        let reply = service.answer(&Request::new("POST", path));
        error(&reply, 405);
        assert!(reply.headers.contains(&("allow", "GET, HEAD".into())));
    }
    assert!(error(&get(&service, "/cache/explain", "key=1"), 404).contains("no cache"));
    assert_eq!(get(&service, "/cache/health", "").status, 200);
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let (prices, _) = cache("prices");
    let service = Service::builder().cache(&prices, Keys::text()).build().expect("a service");
    let old = get(&service, "/metrics", "");
    assert!(old.content_type.starts_with("text/plain; version=0.0.4"));
    assert!(old.body.contains("# TYPE clockhand_cache_hits_total counter\n"));
    assert!(!old.body.contains("# EOF"));
    let accept = Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    let open = service.answer(&Request::new("GET", "/metrics").accept(accept));
    assert!(open.content_type.starts_with("application/openmetrics-text"));
    assert!(open.body.contains("# TYPE clockhand_cache_hits counter\n"));
    assert!(open.body.ends_with("# EOF\n"));
}

#[test]
fn deduplicators_and_trackers_are_told_with_their_partitions() {
    let seen: Deduplicator<u64> = Deduplicator::builder().capacity(100).build().expect("settings");
    let tracker = OffsetTracker::builder().build().expect("settings");
    let builder = Service::builder().deduplicator("orders", &seen).tracker("feed", &tracker);
    let service = builder.build().expect("a service");
    assert!(seen.mark_processed(7) && !seen.mark_processed(7));
    tracker.assign("ticks", 3, 1000);
    tracker.polled("ticks", 3, 1000..1010);
    assert!(tracker.mark_processed("ticks", 3, 1000));
    let body = json(&get(&service, "/cache/stats", ""));
    assert_eq!(body["interval"], 1.0);
    assert_eq!(body["deduplicators"][0]["name"], "orders");
    assert_eq!(body["deduplicators"][0]["metrics"]["duplicates"], 1);
    assert_eq!(body["deduplicators"][0]["capacity"], 100);
    let partition = &body["trackers"][0]["partitions"][0];
    assert_eq!((&partition["topic"], &partition["partition"]), (&"ticks".into(), &3.into()));
    assert_eq!((&partition["watermark"], &partition["lag"]), (&1001.into(), &9.into()));
    assert_eq!(partition["pending_offset"], 1001);
    let health = json(&get(&service, "/cache/health", ""));
    assert_eq!(health["parts"][0]["kind"], "deduplicator");
    assert_eq!(health["parts"][1]["kind"], "tracker");
    assert_eq!(health["metrics"]["deduplicator"]["orders"]["duplicates"], 1);
    assert!(health["metrics"]["tracker"].is_object());
}

#[test]
fn hot_keys_are_shortened() {
    let (prices, _) = cache("prices");
    let service = Service::builder().cache(&prices, Keys::text()).build().expect("a service");
    prices.insert("é".repeat(1000), "1".into());
    let body = json(&get(&service, "/cache/stats", ""));
    let hot = &body["caches"][0]["hottest"][0];
    assert_eq!(hot["key"], "é".repeat(256));
    assert_eq!(hot["left_out"], 744);
}

#[test]
fn an_event_has_the_statistics() {
    let (prices, _) = cache("prices");
    let service = Service::builder().cache(&prices, Keys::text()).build().expect("a service");
    let reply = get(&service, "/cache/events", "");
    assert_eq!((reply.status, reply.content_type), (200, "text/event-stream"));
    let text = reply.body.strip_suffix("\n\n").expect("a blank line at the end");
    let body: Value = serde_json::from_str(
        text.lines().last().and_then(|line| line.strip_prefix("data: ")).expect("figures"),
    )
    .expect("JSON");
    assert_eq!(body["caches"], json(&get(&service, "/cache/stats", ""))["caches"]);
    // All that ask within an interval get the same.
    assert_eq!(get(&service, "/cache/events", "").body, reply.body);
}

#[test]
fn names_are_told_apart() {
    let ((one, _), (other, _)) = (cache("prices"), cache("prices"));
    let builder = Service::builder().cache(&one, Keys::text()).cache(&other, Keys::text());
    let error = builder.build().expect_err("no service");
    assert_eq!(error, ServiceError::NameTwice { name: "prices".into() });
    assert!(error.to_string().contains("`prices`"));
}

#[cfg(feature = "histograms")]
#[test]
fn latencies_are_told_where_they_are_taken() {
    let build = |name: &str| Cache::<u64, u64>::builder().capacity(10).name(name);
    let timed = build("timed").sample_every(1).build().expect("a cache");
    let untimed = build("untimed").build().expect("a cache");
    let builder = Service::builder().cache(&timed, Keys::text()).cache(&untimed, Keys::text());
    let service = builder.build().expect("a service");
    timed.insert(1, 1);
    (0..10).for_each(|_| assert_eq!(timed.get(&1), Some(1)));
    let body = json(&get(&service, "/cache/stats", ""));
    let latencies = timed.latencies().expect("they are taken");
    let told = &body["caches"][0]["latencies"];
    assert_eq!((&told["get"]["count"], &told["insert"]["count"]), (&10.into(), &1.into()));
    assert_eq!(told["get"]["p99"], latencies.get.p99().as_secs_f64());
    assert_eq!(told["sample_every"], 1);
    assert!(body["caches"][1]["latencies"].is_null());
}

/// As that of a crate beside this one.
#[derive(Debug)]
struct Beside;

impl prometheus_client::collector::Collector for Beside {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> std::fmt::Result {
        use prometheus_client::encoding::EncodeMetric;
        let kind = prometheus_client::metrics::MetricType::Gauge;
        let metric = encoder.encode_descriptor("beside", "what is beside", None, kind)?;
        prometheus_client::metrics::gauge::ConstGauge::new(7_i64).encode(metric)
    }
}

#[test]
fn other_parts_are_in_health_and_their_metrics_with_the_others() {
    use clockhand::health::Status;
    use clockhand_http::PartHealth;

    let (prices, _) = cache("prices");
    let tier = || PartHealth::healthy().reason(Status::Degraded, "no connection").figure("hits", 7);
    let build = || Service::builder().cache(&prices, Keys::text());
    let service = build().part("tier", "a", tier).part("tier", "b", PartHealth::healthy);
    let service = service.collector(Beside).build().expect("a service");
    let body = json(&get(&service, "/cache/health", ""));
    assert_eq!(body["status"], "degraded");
    let text = body.to_string();
    assert!(text.contains("no connection") && text.contains("\"hits\":7"), "{text}");
    let metrics = get(&service, "/metrics", "");
    assert!(metrics.body.contains("beside 7"), "{}", metrics.body);
    // Of one cache, only that is told.
    assert_eq!(json(&get(&service, "/cache/health", "cache=prices"))["status"], "healthy");
    let twice = build().part("tier", "a", tier).part("tier", "a", tier).build();
    assert!(twice.is_err());
}

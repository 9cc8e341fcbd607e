//! The recorder of the `metrics` facade gets the figures that Prometheus gets.
#![cfg(feature = "metrics")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clockhand::Cache;
use clockhand::dedup::Deduplicator;
use clockhand_metrics::Collector;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit, with_local_recorder,
};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

type Told = Arc<Mutex<BTreeMap<String, f64>>>;

/// Notes the last value of everything.
#[derive(Default)]
struct Notes(Told);

struct Note {
    name: String,
    told: Told,
}

impl Note {
    fn of(key: &Key, told: &Told) -> Arc<Self> {
        let labels = key.labels().map(|label| format!("{}=\"{}\"", label.key(), label.value()));
        let labels: Vec<String> = labels.collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Self { name, told: Arc::clone(told) })
    }

    fn note(&self, value: f64) {
        self.told.lock().expect("no panic").insert(self.name.clone(), value);
    }
}

impl CounterFn for Note {
    fn increment(&self, _: u64) {
        panic!("counters are told as what they are");
    }

    fn absolute(&self, value: u64) {
        self.note(value as f64);
    }
}

impl GaugeFn for Note {
    fn increment(&self, _: f64) {
        panic!("gauges are told as what they are");
    }

    fn decrement(&self, _: f64) {
        panic!("gauges are told as what they are");
    }

    fn set(&self, value: f64) {
        self.note(value);
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Note::of(key, &self.0))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Note::of(key, &self.0))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn it_gets_what_prometheus_gets() {
    let build =
        |name| Cache::<u64, u64>::builder().capacity(7).name(name).build().expect("a cache");
    let (units, bytes) = (build("units"), build("bytes"));
    units.insert(1, 1);
    assert!(units.get(&1).is_some() && units.get(&2).is_none());
    let seen: Deduplicator<u64> = Deduplicator::builder().capacity(100).build().expect("settings");
    assert!(seen.mark_processed(1));
    let collector = || {
        let caches = Collector::new().cache(&units).cache_in_bytes(&bytes);
        caches.deduplicator("orders", &seen)
    };

    let notes = Notes::default();
    with_local_recorder(&notes, || collector().report());
    let told = notes.0.lock().expect("no panic");

    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector()));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    let wanted: BTreeMap<String, f64> =
        samples.map(|(name, value)| (name.to_string(), value.parse().expect("a number"))).collect();
    assert_eq!(*told, wanted);
    assert_eq!(told["clockhand_cache_hits_total{cache=\"units\"}"], 1.0);
}

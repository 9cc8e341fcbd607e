//! The figures of a predictor.
#![cfg(feature = "predict")]

use std::time::Duration;

use clockhand::predict::{Budget, Predictor};
use clockhand::{Cache, Clock};
use clockhand_metrics::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

#[test]
fn what_a_predictor_does_is_told_by_model() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(Duration::from_secs(10));
    let quotes = builder.build().expect("sound").loading(|key: &u64| Ok::<_, String>(*key));
    let predictor = Predictor::builder(&quotes)
        .budget(Budget::per_second(10.0))
        .successors(false)
        .unix_time(Duration::from_secs(1_800_000_000))
        .build()
        .expect("sound");
    let collector = Collector::new().predictor("quotes", &predictor);
    for _ in 0..600 {
        (0..5).for_each(|key| assert_eq!(quotes.get(&key), Ok(key)));
        for _ in 0..4 {
            manual.advance(Duration::from_millis(250));
            assert!(predictor.step());
        }
    }
    let stats = predictor.stats();
    assert!(stats.reuse.useful > 100, "{stats:?}");
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text");
    let has = |line: String| assert!(text.lines().any(|told| told == line), "{line} in {text}");
    let of_model = "predictor=\"quotes\",model=\"reuse\"";
    has(format!("clockhand_predict_loads_total{{{of_model}}} {}", stats.reuse.loads));
    has(format!(
        "clockhand_predict_outcomes_total{{{of_model},outcome=\"useful\"}} {}",
        stats.reuse.useful
    ));
    has(format!("clockhand_predict_model_state{{{of_model}}} 2"));
    has("clockhand_predict_breaker{predictor=\"quotes\"} 0".to_string());
    has("clockhand_predict_running{predictor=\"quotes\"} 1".to_string());
    assert!(!text.contains("successors"), "a model that is off: {text}");
    drop(predictor);
    let mut after = String::new();
    prometheus_text::encode(&mut after, &registry).expect("a text");
    assert!(after.contains("clockhand_predict_running{predictor=\"quotes\"} 0"), "{after}");
}

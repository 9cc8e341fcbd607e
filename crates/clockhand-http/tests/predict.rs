//! What is told of a predictor.
#![cfg(feature = "predict")]

use std::time::Duration;

use clockhand::predict::{Budget, Predictor};
use clockhand::{Cache, Clock};
use clockhand_http::{Keys, Service, ServiceError};
use serde_json::Value;

fn body(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_predictor_is_in_statistics_health_metrics_and_explanations() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(Duration::from_secs(10));
    let quotes = builder.name("quotes").build().expect("sound");
    let fails = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let down = std::sync::Arc::clone(&fails);
    let quotes =
        quotes.loading(move |key: &u64| match down.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err("down".to_string()),
            false => Ok(*key),
        });
    let predictor = Predictor::builder(&quotes)
        .budget(Budget::per_second(10.0))
        .unix_time(Duration::from_secs(1_800_000_000))
        .build()
        .expect("sound");
    let service = Service::builder()
        .cache(quotes.cache(), Keys::text())
        .predictor("quotes", &predictor)
        .build()
        .expect("one of each name");
    let run = |seconds: u64| {
        for _ in 0..seconds {
            (0..5).for_each(|key| drop(quotes.get(&key)));
            for _ in 0..4 {
                manual.advance(Duration::from_millis(250));
                assert!(predictor.step());
            }
        }
    };
    run(300);
    let stats = body(&service.stats(None).body);
    assert_eq!(stats["predictors"][0]["name"], "quotes");
    assert_eq!(stats["predictors"][0]["stats"]["reuse"]["state"], "active");
    assert!(stats["predictors"][0]["stats"]["reuse"]["useful"].as_u64() > Some(50));
    let health = body(&service.health(None).body);
    let part = |health: &Value| {
        let parts = health["parts"].as_array().expect("parts").clone();
        parts.into_iter().find(|part| part["kind"] == "predictor").expect("it is a part")
    };
    assert_eq!(part(&health)["status"], "healthy");
    assert_eq!(health["metrics"]["predictor"]["quotes"]["breaker"], "closed");
    assert!(service.metrics(None).body.contains("clockhand_predict_loads_total"));
    assert!(service.explain(None, "1").body.contains("prefetched"));

    fails.store(true, std::sync::atomic::Ordering::SeqCst);
    run(12);
    let health = body(&service.health(None).body);
    assert_ne!(health["metrics"]["predictor"]["quotes"]["breaker"], "closed", "{health}");
    assert_eq!(part(&health)["status"], "warning");
    let reasons = health["reasons"].as_array().expect("reasons");
    assert!(reasons.iter().any(|reason| reason["kind"] == "predictor"), "{health}");

    let twice = Service::builder().predictor("a", &predictor).predictor("a", &predictor).build();
    assert!(matches!(twice, Err(ServiceError::NameTwice { .. })));
}

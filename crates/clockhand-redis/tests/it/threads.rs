//! Threads without a runtime, and how the tier does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use clockhand::health::Status;
use clockhand_redis::{TierError, TierProblem};

use crate::support::{Server, builder, connected, instance, key, wait_until};

#[test]
fn threads_read_load_and_write_without_a_runtime() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let loads = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let loaded = one.blocking().get_or_load(&key("a"), || {
                    loads.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    Ok::<_, TierError>(key("1"))
                });
                assert_eq!(loaded.expect("a value"), "1");
            });
        }
    });
    assert_eq!(loads.into_inner(), 1);
    let (one, other) = (one.blocking(), other.blocking());
    assert_eq!(other.get(&key("a")), Some(key("1")));
    one.insert(key("a"), key("2")).expect("stored");
    other.sync().expect("connected");
    assert_eq!(other.get_many(&[key("a"), key("b")]), [Some(key("2")), None]);
    other.invalidate(&key("a")).expect("removed");
    one.sync().expect("connected");
    assert_eq!(one.get(&key("a")), None);
    one.insert_with_ttl(key("c"), key("3"), Duration::from_secs(9)).expect("stored");
    one.invalidate_all().expect("advanced");
    assert_eq!(one.get(&key("c")), None);
    let failed = one.get_or_load(&key("d"), || Err::<String, _>(TierError::Codec));
    assert_eq!(failed.expect_err("an error").to_string(), TierError::Codec.to_string());
}

#[test]
fn health_says_what_is_wrong() {
    let Some(mut server) = Server::start() else { return };
    let settings = builder(&server.url())
        .operation_timeout(Duration::from_millis(50))
        .watch(Duration::from_secs(600), Duration::from_secs(600))
        .breaker(2, Duration::from_secs(600))
        .repairs(1);
    let texts = connected(settings);
    let problems = || -> Vec<TierProblem> {
        texts.tier().health().reasons.iter().map(|reason| reason.problem).collect()
    };
    assert!(texts.tier().health().is_healthy() && problems().is_empty());
    assert_eq!(texts.tier().health().to_string(), "healthy");
    server.signal("-STOP");
    texts.blocking().invalidate(&key("a")).expect_err("no answer");
    assert_eq!(problems(), [TierProblem::RepairsPending]);
    assert_eq!(texts.tier().health().status, Status::Warning);
    texts.blocking().invalidate(&key("b")).expect_err("no answer");
    assert_eq!(problems(), [TierProblem::BreakerOpen, TierProblem::RepairsOverflowed]);
    assert_eq!(texts.tier().health().status, Status::Degraded);
    server.kill();
    wait_until("the loss is noticed", || !texts.tier().status().is_connected);
    assert_eq!(problems()[0], TierProblem::Disconnected);
    let text = texts.tier().health().to_string();
    assert!(text.starts_with("degraded\n- degraded: no connection for"), "{text}");
}

#[cfg(feature = "metrics")]
#[test]
fn all_figures_are_told_once_for_each_tier() {
    use clockhand_redis::TierCollector;
    use prometheus_client::{encoding::prometheus_text, registry::Registry};

    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    one.blocking().insert(key("a"), key("1")).expect("stored");
    other.blocking().get(&key("a"));
    let collector = TierCollector::new().tier("one", one.tier()).tier("other", other.tier());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector.tier("one", other.tier())));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text");
    for line in [
        "# TYPE clockhand_tier_hits_total counter",
        "clockhand_tier_inserts_total{tier=\"one\"} 1",
        "clockhand_tier_hits_total{tier=\"one\"} 0",
        "clockhand_tier_hits_total{tier=\"other\"} 1",
        "clockhand_tier_connected{tier=\"one\"} 1",
        "clockhand_tier_health{tier=\"other\"} 0",
        "clockhand_tier_breaker{tier=\"one\"} 0",
        "clockhand_tier_repairs{tier=\"one\"} 0",
    ] {
        assert_eq!(text.lines().filter(|told| *told == line).count(), 1, "{line}\n{text}");
    }
    for (name, help, _) in one.tier().stats().figures() {
        assert!(text.contains(&format!("clockhand_tier_{name}_total{{")), "{name}");
        assert!(!help.is_empty());
    }
}

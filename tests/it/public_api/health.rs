//! The names and signatures of health.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::time::Duration;

use clockhand::health::{Figure, Levels, MemoryLimit, Reason, Status, ThresholdsError};
use clockhand::{Cache, Health, Thresholds};

#[test]
fn caches_are_judged() {
    let set: Result<Thresholds, ThresholdsError> = Thresholds::default()
        .set(Figure::HitRate, Levels::new().warning(0.9_f64).degraded(0.8_f64).critical(0.1_f64));
    let thresholds: Thresholds = set
        .and_then(|thresholds| thresholds.margin(0.1_f64))
        .expect("in order")
        .off(Figure::Evictions)
        .window(Duration::from_secs(10))
        .warm_up(Duration::ZERO)
        .min_reads(10_u64)
        .min_events(10_u64)
        .memory_limit(MemoryLimit::Bytes(1 << 50));
    let levels: Levels = thresholds.get(Figure::HitRate);
    let _: Option<f64> = levels.get(Status::Warning);
    let cache: Cache<u64, u64> = Cache::new(10);
    let health: Health = cache.health(&thresholds);
    let _: (Status, &Vec<Reason>, bool) = (health.status, &health.reasons, health.is_healthy());
    let reason: Option<&Reason> = health.reason(Figure::Memory);
    assert!(reason.is_none());
    let _ = |reason: Reason| -> (Status, Figure, f64, f64, String) {
        (reason.status, reason.figure, reason.value, reason.threshold, reason.message)
    };
    let _: Vec<&'static str> = Figure::ALL.iter().map(|figure: &Figure| figure.name()).collect();
    let _: [MemoryLimit; 2] = [MemoryLimit::Unlimited, MemoryLimit::Cgroup];
    assert_eq!((Figure::HitRate.name(), Status::Critical.name()), ("hit_rate", "critical"));
    assert!(Status::Healthy < Status::Warning && Status::Warning < Status::Degraded);
    assert!(Status::Degraded < Status::Critical);
}

#[test]
fn caches_that_fill_themselves_are_judged() {
    let loading = Cache::<u64, u64>::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    let health: Health = loading.health(&Thresholds::default());
    assert!(health.is_healthy());
}

#[test]
fn what_health_gives_can_be_shared_and_shown() {
    fn shown<T: Clone + PartialEq + Debug + Display + Send + Sync + 'static>() {}
    fn plain<T: Copy + PartialEq + Debug + Send + Sync + 'static>() {}
    fn error<T: Error + Send + Sync + 'static>() {}
    shown::<Health>();
    shown::<Reason>();
    shown::<Figure>();
    shown::<Status>();
    plain::<Figure>();
    plain::<Status>();
    plain::<Levels>();
    plain::<MemoryLimit>();
    error::<ThresholdsError>();
}

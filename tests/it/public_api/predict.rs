//! The names and signatures of prediction.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use clockhand::predict::{
    BreakerState, Budget, CLASSES, FEATURES, Features, MIN_MEMORY, ModelState, ModelStats,
    PredictError, Predictor, PredictorBuilder, PredictorStats,
};
use clockhand::{Cache, LoadingCache};

type Load = fn(&u64) -> Result<u64, String>;

struct Nothing;

impl Features<u64> for Nothing {
    fn class(&self, _: &u64) -> u8 {
        (CLASSES - 1) as u8
    }
    fn features(&self, _: &u64, features: &mut [f64; FEATURES]) {
        features[0] = 1.0;
    }
    fn miss_cost(&self, _: &u64) -> f64 {
        1.0
    }
    fn load_cost(&self, _: &u64) -> f64 {
        0.5
    }
    fn key_bytes(&self, _: &u64) -> usize {
        8
    }
}

#[test]
fn a_predictor_is_set_up_and_told() {
    let quotes: LoadingCache<u64, u64, Load> = Cache::new(10).loading(|key| Ok(*key));
    let builder: PredictorBuilder<u64, u64, Load> = Predictor::builder(&quotes);
    let predictor: Result<Predictor, PredictError> = builder
        .budget(Budget::per_second(1.0_f64))
        .budget(Budget::share(0.5_f64))
        .memory(2 * MIN_MEMORY)
        .horizon(Duration::from_secs(1))
        .precision_floor(0.3_f64)
        .reuse(true)
        .successors(true)
        .features(Nothing)
        .max_running(16_usize)
        .cpu_share(0.02_f64)
        .unix_time(Duration::from_secs(1))
        .build();
    let predictor = predictor.expect("sound settings");
    let there: bool = predictor.step();
    assert!(there);
    predictor.pause();
    predictor.resume();
    let source = predictor.stats_source();
    let stats: PredictorStats = source.clone()();
    assert_eq!(stats, predictor.stats());
    let _: (bool, BreakerState, f64, usize, usize, Duration) =
        (stats.running, stats.breaker, stats.tokens, stats.memory, stats.keys, stats.working);
    let _: [u64; 7] = [
        stats.rounds,
        stats.steps,
        stats.evidence,
        stats.evidence_dropped,
        stats.loads,
        stats.loads_failed,
        stats.loads_held_back,
    ];
    let _: [&ModelStats; 2] = [&stats.reuse, &stats.successors];
    let ModelStats { state, stopped_classes, judged, loads, useful, .. } = stats.reuse;
    let ModelStats { wasted, missed, unknown, precision, recall, recent_precision, .. } =
        stats.successors;
    let _: (ModelState, usize) = (state, stopped_classes);
    let _: [u64; 7] = [judged, loads, useful, wasted, missed, unknown, stats.panics];
    let _: [Option<f64>; 3] = [precision, recall, recent_precision];
    let started: Result<Predictor, PredictError> =
        Predictor::builder(&quotes).budget(Budget::per_second(1.0)).start();
    assert!(matches!(started, Err(PredictError::AlreadyRunning)));
    let _: PredictorStats = predictor.stop();
    let _ = (BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen);
    let _ = [ModelState::Off, ModelState::Learning, ModelState::Active];
    let _ = [ModelState::Stopped, ModelState::Trying];
}

#[test]
fn errors_and_handles_are_what_others_expect() {
    fn error<T: Error + Display + Debug + Send + Sync + 'static>() {}
    fn handle<T: Debug + Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
    fn value<T: Clone + PartialEq + Debug + Send + Sync + 'static>() {}
    error::<PredictError>();
    handle::<Predictor>();
    value::<Budget>();
    value::<PredictorStats>();
    let is_known = |error: &PredictError| {
        matches!(
            error,
            PredictError::Budget
                | PredictError::Memory { .. }
                | PredictError::PrecisionFloor
                | PredictError::Horizon
                | PredictError::CpuShare
                | PredictError::NoModel
                | PredictError::AlreadyRunning
                | PredictError::NoSpawner
                | PredictError::Thread(_)
        )
    };
    assert!(is_known(&PredictError::Memory { bytes: 1 }));
}

#[cfg(feature = "async")]
#[test]
fn a_predictor_has_an_async_loader() {
    use std::future::Ready;

    type LoadLater = fn(&u64) -> Ready<Result<u64, String>>;
    let load: LoadLater = |key| std::future::ready(Ok(*key));
    let quotes: LoadingCache<u64, u64, LoadLater> = Cache::new(10).loading(load);
    let builder: PredictorBuilder<u64, u64, LoadLater> = Predictor::builder_async(&quotes);
    let refused: Result<Predictor, PredictError> = builder.budget(Budget::per_second(1.0)).start();
    assert!(matches!(refused, Err(PredictError::NoSpawner)));
}

#[cfg(feature = "persist")]
#[test]
fn what_was_learned_is_saved() {
    use clockhand::PersistError;

    let quotes: LoadingCache<u64, u64, Load> = Cache::new(10).loading(|key| Ok(*key));
    let builder = || Predictor::builder(&quotes).budget(Budget::per_second(1.0));
    let folder = std::env::temp_dir().join(format!("clockhand-none-{}", std::process::id()));
    let refused: Result<PredictorBuilder<_, _, _>, PersistError> = builder().restore_file(&folder);
    assert!(matches!(refused, Err(PersistError::Io(_))));
    let predictor = builder().build().expect("sound");
    let saved: Result<(), PersistError> = predictor.save_file(folder.join("none"));
    assert!(saved.is_err());
    let mut bytes = Vec::new();
    let saved: Result<(), PersistError> = predictor.save_to(&mut bytes);
    assert!(saved.is_ok());
    drop(predictor);
    let restored: Result<PredictorBuilder<_, _, _>, PersistError> =
        builder().save_keys().restore_from(&*bytes);
    assert!(restored.is_ok());
}

//! The figures of a predictor.

use clockhand::predict::{BreakerState, ModelState, ModelStats, PredictorStats};

use super::Number::{Real, Whole};
use super::{Family, Tell, Unit};

type Predict = Family<PredictorStats>;

pub(crate) const PREFIX: &str = "clockhand_predict";

/// Tells something of each model that is on.
fn by_model(stats: &PredictorStats, mut each: impl FnMut(&'static str, &ModelStats)) {
    for (model, stats) in [("reuse", &stats.reuse), ("successors", &stats.successors)] {
        if stats.state != ModelState::Off {
            each(model, stats);
        }
    }
}

/// Tells what became of the predictions of a model.
fn outcomes(model: &'static str, stats: &ModelStats, tell: &mut Tell<'_>) {
    let outcomes = [
        ("useful", stats.useful),
        ("wasted", stats.wasted),
        ("missed", stats.missed),
        ("unknown", stats.unknown),
    ];
    for (outcome, number) in outcomes {
        tell(&[("model", model), ("outcome", outcome)], Whole(number));
    }
}

fn number_of(state: ModelState) -> u64 {
    match state {
        ModelState::Learning => 1,
        ModelState::Active => 2,
        ModelState::Stopped => 3,
        ModelState::Trying => 4,
        _ => 0,
    }
}

pub(crate) const FAMILIES: &[Predict] = &[
    Predict::counter(
        "judgements",
        "Predictions that were made, whether a load followed or not.",
        |r, tell| by_model(r, |model, stats| tell(&[("model", model)], Whole(stats.judged))),
    ),
    Predict::counter("loads", "Loads that were started ahead of requests.", |r, tell| {
        by_model(r, |model, stats| tell(&[("model", model)], Whole(stats.loads)));
    }),
    Predict::counter(
        "outcomes",
        "Predictions by what became of them: useful and wasted loads, and keys that were asked for and not loaded.",
        |r, tell| by_model(r, |model, stats| outcomes(model, stats, tell)),
    ),
    Predict::counter("loads_failed", "Loads that failed.", |r, tell| {
        tell(&[], Whole(r.loads_failed));
    }),
    Predict::counter(
        "loads_held_back",
        "Loads that were wanted, and held back by budget, breaker or demand.",
        |r, tell| {
            tell(&[], Whole(r.loads_held_back));
        },
    ),
    Predict::counter("evidence", "Reads that were looked at.", |r, tell| {
        tell(&[], Whole(r.evidence));
    }),
    Predict::counter("steps", "What it has done, in steps.", |r, tell| {
        tell(&[], Whole(r.steps));
    }),
    Predict::counter("working", "Time that it has worked, without loads.", |r, tell| {
        tell(&[], Real(r.working.as_secs_f64()));
    })
    .of(Unit::Seconds),
    Predict::gauge("precision", "The share of the last loads that were of use.", |r, tell| {
        by_model(r, |model, stats| {
            if let Some(precision) = stats.recent_precision {
                tell(&[("model", model)], Real(precision));
            }
        });
    })
    .of(Unit::Ratio),
    Predict::gauge(
        "model_state",
        "1 learning, 2 active, 3 stopped as its precision is too low, 4 trying again.",
        |r, tell| {
            by_model(r, |model, stats| tell(&[("model", model)], Whole(number_of(stats.state))));
        },
    ),
    Predict::gauge("stopped_classes", "Classes of keys that are stopped.", |r, tell| {
        by_model(r, |model, stats| {
            tell(&[("model", model)], Whole(stats.stopped_classes as u64));
        });
    }),
    Predict::gauge("breaker", "0 closed, 1 half open, 2 open as loads fail.", |r, tell| {
        let state = match r.breaker {
            BreakerState::Open => 2,
            BreakerState::HalfOpen => 1,
            _ => 0,
        };
        tell(&[], Whole(state));
    }),
    Predict::gauge("running", "1 if it runs, 0 if it is paused or stopped.", |r, tell| {
        tell(&[], Whole(u64::from(r.running)));
    }),
    Predict::gauge("memory_bytes", "Bytes that it takes, at most.", |r, tell| {
        tell(&[], Whole(r.memory as u64));
    }),
];

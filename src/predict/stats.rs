//! What a predictor tells about itself.

use std::time::Duration;

use super::breaker::BreakerState;
use super::gate::ModelState;

/// What a predictor has done, and how it stands: [`Predictor::stats`](super::Predictor::stats).
///
/// Counters only grow, from when the predictor was built.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct PredictorStats {
    /// Whether it runs: it is neither paused nor stopped, and the cache is there.
    pub running: bool,
    /// The model that renews values before they end.
    pub reuse: ModelStats,
    /// The model that loads what follows.
    pub successors: ModelStats,
    /// Whether loads are held back, as too many have failed.
    pub breaker: BreakerState,
    /// Rounds that are complete.
    pub rounds: u64,
    /// Reads that were looked at.
    pub evidence: u64,
    /// What it has done, in steps: reads that a model was told, keys that it looked at, successors that it watched or gave
    /// up. A round takes a few tens of thousands at most; in a second, its thread takes no more than its
    /// [share](super::PredictorBuilder::cpu_share) of ten million.
    pub steps: u64,
    /// Reads that were not, as there were too many in a round.
    pub evidence_dropped: u64,
    /// Loads that were started, of both models.
    pub loads: u64,
    /// Those that failed.
    pub loads_failed: u64,
    /// Loads that were wanted, and held back by the budget, the breaker, or as others were under way.
    pub loads_held_back: u64,
    /// Loads that may be started at once.
    pub tokens: f64,
    /// Bytes of what it has learned, at most.
    pub memory: usize,
    /// Keys of which it knows something.
    pub keys: usize,
    /// For how long it has worked. Loads are not included; always zero without a thread.
    #[cfg_attr(feature = "serde", serde(with = "crate::stats::seconds"))]
    pub working: Duration,
    /// Panics of the user's [`Features`](super::Features), and of keys that it clones, compares or hashes: what it did with
    /// that key ends there.
    pub panics: u64,
}

/// What a model has done.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct ModelStats {
    /// Whether it starts loads.
    pub state: ModelState,
    /// Classes of keys that are stopped by themselves.
    pub stopped_classes: usize,
    /// Predictions that were made, whether a load followed or not.
    pub judged: u64,
    /// Loads that were started.
    pub loads: u64,
    /// Loads whose value was asked for in time: each has saved a thread a wait.
    pub useful: u64,
    /// Loads whose value was not.
    pub wasted: u64,
    /// Keys that were asked for, and had been judged and not loaded.
    pub missed: u64,
    /// Loads of which it could not be told.
    pub unknown: u64,
    /// `useful` of `useful + wasted`; `None` if both are zero.
    pub precision: Option<f64>,
    /// `useful` of `useful + missed`; `None` if both are zero.
    pub recall: Option<f64>,
    /// The precision of the last about sixty loads, by which the model is stopped.
    pub recent_precision: Option<f64>,
}

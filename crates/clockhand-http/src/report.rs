//! What is told of caches, deduplicators and trackers: the body of `/cache/stats`, and of each event.

use std::time::Duration;

use clockhand::Stats;
use clockhand::dedup::{Metrics, PartitionStatus};
use clockhand::health::{Health, Status};
use serde::Serialize;

#[cfg(feature = "histograms")]
use crate::latency::LatencyReport;
use crate::timestamp;

/// Everything, at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// When, as RFC 3339 writes it.
    timestamp: String,
    /// Seconds between two events.
    interval: f64,
    /// The worst status of all parts.
    status: Status,
    caches: Vec<CacheReport>,
    deduplicators: Vec<DedupReport>,
    trackers: Vec<TrackerReport>,
    #[cfg(feature = "predict")]
    predictors: Vec<PredictorReport>,
}

#[cfg(feature = "predict")]
#[derive(Debug, Serialize)]
pub(crate) struct PredictorReport {
    pub(crate) name: String,
    pub(crate) health: PredictorHealth,
    pub(crate) stats: clockhand::predict::PredictorStats,
}

/// A verdict, as that on a cache is told.
#[cfg(feature = "predict")]
#[derive(Debug, Serialize)]
pub(crate) struct PredictorHealth {
    pub(crate) status: Status,
    pub(crate) reasons: Vec<PredictorReason>,
}

#[cfg(feature = "predict")]
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PredictorReason {
    status: Status,
    figure: &'static str,
    message: &'static str,
}

#[cfg(feature = "predict")]
impl PredictorHealth {
    /// One that is held back by its breaker is a warning: loads fail. One that has stopped a model is doing what it
    /// should.
    pub(crate) fn of(stats: &clockhand::predict::PredictorStats) -> Self {
        if stats.breaker == clockhand::predict::BreakerState::Closed {
            return Self { status: Status::Healthy, reasons: Vec::new() };
        }
        let message = "too many loads fail, so hardly any is started ahead; look at the source that is loaded from";
        let reason = PredictorReason { status: Status::Warning, figure: "breaker", message };
        Self { status: reason.status, reasons: vec![reason] }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct CacheReport {
    pub(crate) name: String,
    /// What charges are: `bytes`, or `units` of the weigher.
    pub(crate) unit: &'static str,
    pub(crate) health: Health,
    pub(crate) stats: Stats,
    #[cfg(feature = "histograms")]
    pub(crate) latencies: Option<LatencyReport>,
    pub(crate) hottest: Vec<HotKey>,
}

/// One of the hottest keys.
#[derive(Debug, Serialize)]
pub(crate) struct HotKey {
    /// Its text, or the beginning of it.
    key: String,
    /// The characters that were left out.
    left_out: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct DedupReport {
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) capacity: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct TrackerReport {
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// Those that are furthest behind.
    pub(crate) partitions: Vec<PartitionReport>,
    /// The number of all partitions.
    pub(crate) partitions_in_all: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct PartitionReport {
    topic: String,
    partition: i32,
    /// The offset to commit.
    watermark: i64,
    /// One more than the last offset that is known.
    end: i64,
    /// How far the watermark is behind the end.
    lag: u64,
    in_progress: u64,
    /// The first offset that is not done, for how many seconds it has been pending, and whether it is claimed.
    pending_offset: Option<i64>,
    pending_seconds: Option<f64>,
    pending_claimed: Option<bool>,
}

impl PartitionReport {
    pub(crate) fn of(status: PartitionStatus) -> Self {
        let pending = status.oldest_pending;
        Self {
            topic: status.topic,
            partition: status.partition,
            watermark: status.committable,
            end: status.end,
            lag: status.lag,
            in_progress: status.in_progress,
            pending_offset: pending.map(|pending| pending.offset),
            pending_seconds: pending.map(|pending| pending.age.as_secs_f64()),
            pending_claimed: pending.map(|pending| pending.claimed),
        }
    }
}

impl Report {
    pub(crate) fn new(
        interval: Duration,
        caches: Vec<CacheReport>,
        deduplicators: Vec<DedupReport>,
        trackers: Vec<TrackerReport>,
    ) -> Self {
        let healths = caches.iter().map(|part| &part.health);
        let healths = healths.chain(deduplicators.iter().map(|part| &part.health));
        let healths = healths.chain(trackers.iter().map(|part| &part.health));
        let status = healths.map(|health| health.status).max().unwrap_or_default();
        Self {
            timestamp: timestamp::now(),
            interval: interval.as_secs_f64(),
            status,
            caches,
            deduplicators,
            trackers,
            #[cfg(feature = "predict")]
            predictors: Vec::new(),
        }
    }

    /// The same with predictors.
    #[cfg(feature = "predict")]
    pub(crate) fn with_predictors(self, predictors: Vec<PredictorReport>) -> Self {
        let worst = predictors.iter().map(|part| part.health.status).max().unwrap_or_default();
        Self { predictors, status: self.status.max(worst), ..self }
    }
}

impl HotKey {
    /// A key of which no more than `most` characters are shown.
    pub(crate) fn new(mut text: String, most: usize) -> Self {
        let Some((end, _)) = text.char_indices().nth(most) else {
            return Self { key: text, left_out: 0 };
        };
        let left_out = text[end..].chars().count();
        text.truncate(end);
        Self { key: text, left_out }
    }
}

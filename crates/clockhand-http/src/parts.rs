//! Deduplicators, trackers and predictors.

use std::cmp::Reverse;
use std::hash::Hash;

use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::health::Thresholds;

use crate::report::{DedupReport, PartitionReport, TrackerReport};

/// The most partitions of a tracker that are shown.
const PARTITIONS: usize = 256;

/// A deduplicator whatever its ids are, and its name.
pub(crate) trait DedupPart: Send + Sync {
    fn name(&self) -> &str;
    fn report(&self, thresholds: &Thresholds) -> DedupReport;
}

impl<Id> DedupPart for (String, Deduplicator<Id>)
where
    Id: Hash + Eq + Clone + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.0
    }

    fn report(&self, thresholds: &Thresholds) -> DedupReport {
        let (name, seen) = self;
        DedupReport {
            name: name.clone(),
            health: seen.health(thresholds),
            metrics: seen.metrics(),
            capacity: seen.capacity(),
        }
    }
}

/// A tracker and its name.
pub(crate) struct TrackerPart {
    name: String,
    tracker: OffsetTracker,
}

impl TrackerPart {
    pub(crate) fn new(name: String, tracker: OffsetTracker) -> Self {
        Self { name, tracker }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn report(&self, thresholds: &Thresholds) -> TrackerReport {
        let mut partitions = self.tracker.partitions();
        let partitions_in_all = partitions.len();
        if partitions_in_all > PARTITIONS {
            // Those that are furthest behind are kept, and shown by name, so that rows stay where they are.
            partitions.sort_by_key(|status| Reverse(status.lag));
            partitions.truncate(PARTITIONS);
            partitions.sort_by(|one, other| {
                (&one.topic, one.partition).cmp(&(&other.topic, other.partition))
            });
        }
        let partitions = partitions.into_iter().map(PartitionReport::of).collect();
        TrackerReport {
            name: self.name.clone(),
            health: self.tracker.health(thresholds),
            metrics: self.tracker.metrics(),
            partitions,
            partitions_in_all,
        }
    }
}

/// What a predictor tells, and its name.
#[cfg(feature = "predict")]
pub(crate) struct PredictorPart {
    pub(crate) name: String,
    pub(crate) stats: Box<dyn Fn() -> clockhand::predict::PredictorStats + Send + Sync>,
}

#[cfg(feature = "predict")]
impl PredictorPart {
    pub(crate) fn report(&self) -> crate::report::PredictorReport {
        let stats = (self.stats)();
        let health = crate::report::PredictorHealth::of(&stats);
        crate::report::PredictorReport { name: self.name.clone(), health, stats }
    }
}

//! Latencies as they are written and read.

use std::time::Duration;

use histogram::Histogram;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Latency;
use super::sampling::config;
use crate::time::nanos;

/// A latency in seconds. All but the buckets is for those who read it elsewhere.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Latency")]
struct SerializedLatency {
    #[serde(default)]
    count: u64,
    #[serde(default)]
    mean: f64,
    #[serde(default)]
    p50: f64,
    #[serde(default)]
    p95: f64,
    #[serde(default)]
    p99: f64,
    #[serde(default)]
    p999: f64,
    #[serde(default)]
    max: f64,
    /// The upper ends of those that are not empty, and how many are in each.
    buckets: Vec<(f64, u64)>,
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = SerializedLatency {
            count: self.count(),
            mean: self.mean().as_secs_f64(),
            p50: self.p50().as_secs_f64(),
            p95: self.p95().as_secs_f64(),
            p99: self.p99().as_secs_f64(),
            p999: self.p999().as_secs_f64(),
            max: self.max().as_secs_f64(),
            buckets: self.buckets().map(|(until, count)| (until.as_secs_f64(), count)).collect(),
        };
        told.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let buckets = SerializedLatency::deserialize(deserializer)?.buckets;
        let all = buckets.iter().try_fold(0_u64, |all, &(_, count)| all.checked_add(count));
        if all.is_none() {
            return Err(D::Error::custom("more operations than can be counted"));
        }
        let mut histogram = Histogram::with_config(&config());
        for (until, count) in buckets {
            let until = Duration::try_from_secs_f64(until).map_err(D::Error::custom)?;
            histogram.add(nanos(until), count).map_err(D::Error::custom)?;
        }
        Ok(Self { histogram })
    }
}

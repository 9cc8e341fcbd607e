//! The figures of tiers, for Prometheus.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::breaker::BreakerState;
use crate::tier::RedisTier;

const PREFIX: &str = "clockhand_tier";

/// A collector of the figures of tiers, for [`prometheus_client`]. Needs feature `metrics`.
///
/// Their names begin with `clockhand_tier_` and have the label `tier`. Counts are those of
/// [`TierStats`](crate::TierStats); gauges are `connected`, `health` (0 healthy, 1 warning, 2 degraded), `breaker` (0
/// closed, 1 half open, 2 open) and `repairs`. What the caches before them do is told by the crate `clockhand-metrics`.
///
/// # Examples
///
/// ```
/// use clockhand_redis::{RedisTier, TierCollector};
/// use prometheus_client::{encoding::prometheus_text, registry::Registry};
///
/// let tier = RedisTier::builder("redis://127.0.0.1:1").build()?;
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(TierCollector::new().tier("prices", &tier)));
/// let mut text = String::new();
/// prometheus_text::encode(&mut text, &registry)?;
/// assert!(text.contains("clockhand_tier_connected{tier=\"prices\"} 0"));
/// assert!(text.contains("clockhand_tier_hits_total{tier=\"prices\"} 0"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct TierCollector {
    tiers: Vec<(String, RedisTier)>,
}

impl TierCollector {
    /// A collector without tiers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tier. Its figures have the label `tier` with this name; of a name that was added before, only the first tier
    /// is told.
    pub fn tier(mut self, name: impl Into<String>, tier: &RedisTier) -> Self {
        let name = name.into();
        if self.tiers.iter().all(|(other, _)| *other != name) {
            self.tiers.push((name, tier.clone()));
        }
        self
    }
}

impl Collector for TierCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats: Vec<_> = self.tiers.iter().map(|(_, tier)| tier.stats()).collect();
        let Some(first) = stats.first() else { return Ok(()) };
        for (nth, (name, help, _)) in first.figures().enumerate() {
            let name = format!("{PREFIX}_{name}");
            let help = help.trim().trim_end_matches('.');
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for ((tier, _), stats) in self.tiers.iter().zip(&stats) {
                let number = stats.figures().nth(nth).map_or(0, |(_, _, number)| number);
                let labels = [("tier", &tier[..])];
                ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, read) in GAUGES {
            let name = format!("{PREFIX}_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for (tier, handle) in &self.tiers {
                let labels = [("tier", &tier[..])];
                ConstGauge::new(read(handle)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// Its name, what it is, and how it is read.
type Gauge = (&'static str, &'static str, fn(&RedisTier) -> i64);

const GAUGES: [Gauge; 4] = [
    ("connected", "Whether the connection is up", |tier| i64::from(tier.status().is_connected)),
    ("health", "0 healthy, 1 warning, 2 degraded", |tier| tier.health().status as i64),
    ("breaker", "0 closed, 1 half open, 2 open", |tier| match tier.status().breaker {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }),
    ("repairs", "Keys that are to be removed from the server; -1 for all", |tier| {
        i64::try_from(tier.status().repairs).unwrap_or(-1)
    }),
];

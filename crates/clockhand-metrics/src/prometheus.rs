//! The collector for `prometheus-client`.

use std::fmt;

use prometheus_client::collector;
#[cfg(feature = "histograms")]
use prometheus_client::encoding::NoLabelSet;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::collector::Collector;
use crate::figures::{Kind, Number};
#[cfg(feature = "histograms")]
use crate::visit::Timed;
use crate::visit::{Heading, Sample, Visitor};

impl collector::Collector for Collector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.visit(&mut Encoded(encoder))
    }
}

struct Encoded<'e>(DescriptorEncoder<'e>);

impl Visitor for Encoded<'_> {
    type Error = fmt::Error;

    fn family(&mut self, heading: &Heading, samples: &[Sample]) -> fmt::Result {
        let unit = heading.unit.map(unit);
        let kind = kind(heading.kind);
        let mut family =
            self.0.encode_descriptor(&heading.name, heading.help, unit.as_ref(), kind)?;
        samples.iter().try_for_each(|sample| {
            let one = family.encode_family(&sample.labels)?;
            write(one, heading.kind, sample.number)
        })
    }

    #[cfg(feature = "histograms")]
    fn histograms(&mut self, heading: &Heading, samples: &[Timed]) -> fmt::Result {
        let unit = heading.unit.map(unit);
        let kind = kind(heading.kind);
        let mut family =
            self.0.encode_descriptor(&heading.name, heading.help, unit.as_ref(), kind)?;
        samples.iter().try_for_each(|Timed { labels, times }| {
            let mut one = family.encode_family(labels)?;
            let (sum, count) = (times.latency.sum().as_secs_f64(), times.latency.count());
            one.encode_histogram::<NoLabelSet>(sum, count, &times.buckets(), None)
        })
    }
}

fn kind(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        #[cfg(feature = "histograms")]
        Kind::Histogram => MetricType::Histogram,
    }
}

fn unit(name: &str) -> Unit {
    match name {
        "seconds" => Unit::Seconds,
        "bytes" => Unit::Bytes,
        other => Unit::Other(other.to_string()),
    }
}

fn write(encoder: MetricEncoder<'_>, kind: Kind, number: Number) -> fmt::Result {
    match (kind, number) {
        (Kind::Counter, Number::Whole(number)) => ConstCounter::new(number).encode(encoder),
        (Kind::Counter, Number::Real(number)) => ConstCounter::new(number).encode(encoder),
        (_, Number::Real(number)) => ConstGauge::new(number).encode(encoder),
        (_, Number::Whole(number)) => ConstGauge::new(number).encode(encoder),
        (_, Number::Signed(number)) => ConstGauge::new(number).encode(encoder),
    }
}

//! The collector for `prometheus-client`.

use std::fmt;

use prometheus_client::collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::collector::Collector;
use crate::figures::{Kind, Number};
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
        let kind = match heading.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let mut family =
            self.0.encode_descriptor(&heading.name, heading.help, unit.as_ref(), kind)?;
        samples.iter().try_for_each(|sample| {
            let one = family.encode_family(&sample.labels)?;
            write(one, heading.kind, sample.number)
        })
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
        (Kind::Gauge, Number::Real(number)) => ConstGauge::new(number).encode(encoder),
        (Kind::Gauge, Number::Whole(number)) => ConstGauge::new(number).encode(encoder),
        (_, Number::Signed(number)) => ConstGauge::new(number).encode(encoder),
    }
}

//! A walk over all families, for whatever they are written to.

use std::iter;

use crate::collector::{Collector, Source};
#[cfg(feature = "histograms")]
use crate::figures::latency::{self, Times};
#[cfg(feature = "predict")]
use crate::figures::predict;
use crate::figures::{Family, Kind, Number, Unit, cache, dedup, partition};

/// A family that is about to be told.
pub(crate) struct Heading {
    /// With its prefix; without unit and `_total`.
    pub(crate) name: String,
    pub(crate) help: &'static str,
    pub(crate) unit: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// The names and values of labels.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// A number and its labels.
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) number: Number,
}

/// A histogram and its labels.
#[cfg(feature = "histograms")]
pub(crate) struct Timed {
    pub(crate) labels: Labels,
    pub(crate) times: Times,
}

/// What families are written to. A family comes in one piece, with at least one sample.
pub(crate) trait Visitor {
    type Error;

    fn family(&mut self, heading: &Heading, samples: &[Sample]) -> Result<(), Self::Error>;

    /// A family of histograms, with at least one.
    #[cfg(feature = "histograms")]
    fn histograms(&mut self, heading: &Heading, samples: &[Timed]) -> Result<(), Self::Error>;
}

impl Collector {
    /// Asks every source once and tells all that there is.
    pub(crate) fn visit<V: Visitor>(&self, visitor: &mut V) -> Result<(), V::Error> {
        let reports =
            self.tell(visitor, (cache::PREFIX, "cache"), cache::FAMILIES, &self.caches)?;
        #[cfg(feature = "histograms")]
        self.tell_latencies(visitor, reports)?;
        #[cfg(not(feature = "histograms"))]
        drop(reports);
        self.tell(visitor, (dedup::DEDUP, "dedup"), dedup::FAMILIES, &self.deduplicators)?;
        self.tell(visitor, (dedup::OFFSETS, "tracker"), dedup::FAMILIES, &self.trackers)?;
        self.tell(visitor, (dedup::OFFSETS, "tracker"), partition::FAMILIES, &self.partitions)?;
        #[cfg(feature = "predict")]
        self.tell(visitor, (predict::PREFIX, "predictor"), predict::FAMILIES, &self.predictors)?;
        Ok(())
    }

    /// The latencies of the caches that take them.
    #[cfg(feature = "histograms")]
    fn tell_latencies<V: Visitor>(
        &self,
        visitor: &mut V,
        reports: Vec<cache::CacheReport>,
    ) -> Result<(), V::Error> {
        let taken = iter::zip(&self.caches, reports)
            .filter_map(|(source, report)| Some((&source.name, report.latencies?)));
        let samples: Vec<Timed> = taken
            .flat_map(|(name, latencies)| {
                latency::operations(latencies).map(|(operation, times)| Timed {
                    labels: vec![("cache", name.clone()), ("operation", operation.to_string())],
                    times,
                })
            })
            .collect();
        if samples.is_empty() {
            return Ok(());
        }
        let name = format!("{}_{}", cache::PREFIX, latency::NAME);
        let unit = Unit::Seconds.suffix(false);
        let heading = Heading { name, help: latency::HELP, unit, kind: Kind::Histogram };
        visitor.histograms(&heading, &samples)
    }

    /// Asks the sources of one kind and tells their figures; returns what they said.
    fn tell<R, V: Visitor>(
        &self,
        visitor: &mut V,
        (prefix, label): (&str, &'static str),
        families: &[Family<R>],
        sources: &[Source<R>],
    ) -> Result<Vec<R>, V::Error> {
        let reports: Vec<R> = sources.iter().map(|source| (source.ask)(&self.thresholds)).collect();
        for family in families {
            // A charge in bytes is another family than one in units of a weigher's own.
            let split: &[bool] =
                if family.unit == Unit::Charge { &[true, false] } else { &[false] };
            for &in_bytes in split {
                let mut samples = Vec::new();
                for (source, report) in iter::zip(sources, &reports) {
                    if family.unit != Unit::Charge || source.in_bytes == in_bytes {
                        read(family, label, source, report, &mut samples);
                    }
                }
                if !samples.is_empty() {
                    visitor.family(&Heading::new(prefix, family, in_bytes), &samples)?;
                }
            }
        }
        Ok(reports)
    }
}

/// Reads a family of one source.
fn read<R>(
    family: &Family<R>,
    label: &'static str,
    source: &Source<R>,
    report: &R,
    samples: &mut Vec<Sample>,
) {
    (family.read)(report, &mut |more, number| {
        let own = iter::once((label, source.name.clone()));
        let labels = own.chain(more.iter().map(|&(name, value)| (name, value.to_string())));
        samples.push(Sample { labels: labels.collect(), number });
    });
}

impl Heading {
    fn new<R>(prefix: &str, family: &Family<R>, in_bytes: bool) -> Self {
        Self {
            name: format!("{prefix}_{}", family.name),
            help: family.help,
            unit: family.unit.suffix(in_bytes),
            kind: family.kind,
        }
    }
    /// With unit and `_total`, as Prometheus has it.
    #[cfg(feature = "metrics")]
    pub(crate) fn full_name(&self) -> String {
        let unit = self.unit.map_or(String::new(), |unit| format!("_{unit}"));
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name)
    }
}

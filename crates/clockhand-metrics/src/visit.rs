//! A walk over all families, for whatever they are written to.

use std::iter;

use crate::collector::{Collector, Source};
use crate::figures::{Family, Kind, Number, Unit, cache, dedup, partition};

/// A family that is about to be told.
pub(crate) struct Heading {
    /// With its prefix; without unit and `_total`.
    pub(crate) name: String,
    pub(crate) help: &'static str,
    pub(crate) unit: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// A number and its labels.
pub(crate) struct Sample {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) number: Number,
}

/// What families are written to. A family comes in one piece, with at least one sample.
pub(crate) trait Visitor {
    type Error;

    fn family(&mut self, heading: &Heading, samples: &[Sample]) -> Result<(), Self::Error>;
}

impl Collector {
    /// Asks every source once and tells all that there is.
    pub(crate) fn visit<V: Visitor>(&self, visitor: &mut V) -> Result<(), V::Error> {
        self.tell(visitor, (cache::PREFIX, "cache"), cache::FAMILIES, &self.caches)?;
        self.tell(visitor, (dedup::DEDUP, "dedup"), dedup::FAMILIES, &self.deduplicators)?;
        self.tell(visitor, (dedup::OFFSETS, "tracker"), dedup::FAMILIES, &self.trackers)?;
        self.tell(visitor, (dedup::OFFSETS, "tracker"), partition::FAMILIES, &self.partitions)
    }

    fn tell<R, V: Visitor>(
        &self,
        visitor: &mut V,
        (prefix, label): (&str, &'static str),
        families: &[Family<R>],
        sources: &[Source<R>],
    ) -> Result<(), V::Error> {
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
        Ok(())
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
}

//! What is told: names, help, units and kinds of the figures, and where each comes from.
//!
//! The tables are read by the collector and by the reporter alike, so both tell the same under the same names.

pub(crate) mod cache;
pub(crate) mod dedup;
#[cfg(feature = "histograms")]
pub(crate) mod latency;
pub(crate) mod partition;
#[cfg(feature = "predict")]
pub(crate) mod predict;

/// A labelled number goes there.
pub(crate) type Tell<'t> = dyn FnMut(&[(&'static str, &str)], Number) + 't;

/// Figures of one name: one for each set of labels.
pub(crate) struct Family<R> {
    /// Without prefix, unit and `_total`.
    pub(crate) name: &'static str,
    /// A sentence.
    pub(crate) help: &'static str,
    pub(crate) unit: Unit,
    pub(crate) kind: Kind,
    /// Tells the figures of one report, labelled with what they have beside the name of the source.
    pub(crate) read: fn(&R, &mut Tell<'_>),
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    None,
    Seconds,
    Ratio,
    /// What the weigher gives: bytes, or anything.
    Charge,
}

/// Whether a number only grows, or is not one but many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    #[cfg(feature = "histograms")]
    Histogram,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(u64),
    Signed(i64),
    Real(f64),
}

impl Unit {
    /// What is put behind the name.
    pub(crate) fn suffix(self, in_bytes: bool) -> Option<&'static str> {
        match self {
            Self::Seconds => Some("seconds"),
            Self::Ratio => Some("ratio"),
            Self::Charge if in_bytes => Some("bytes"),
            Self::None | Self::Charge => None,
        }
    }
}

impl<R> Family<R> {
    const fn counter(name: &'static str, help: &'static str, read: fn(&R, &mut Tell<'_>)) -> Self {
        Self { name, help, unit: Unit::None, kind: Kind::Counter, read }
    }

    const fn gauge(name: &'static str, help: &'static str, read: fn(&R, &mut Tell<'_>)) -> Self {
        Self { name, help, unit: Unit::None, kind: Kind::Gauge, read }
    }

    const fn of(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

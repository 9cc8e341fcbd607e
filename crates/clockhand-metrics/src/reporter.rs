//! The reporter for the `metrics` facade.

use std::convert::Infallible;

use metrics::{Label, counter, gauge};

use crate::collector::Collector;
use crate::figures::{Kind, Number};
use crate::visit::{Heading, Sample, Visitor};

impl Collector {
    /// Tells all figures to the recorder of the [`metrics`] facade, under the names that Prometheus has for them. Call
    /// it before each look at the recorder, or every few seconds: what happens between two calls is not lost, as
    /// counters are told as what they are and not as what was added.
    ///
    /// The facade's counters are whole numbers: times that add up are told as gauges.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    /// use clockhand_metrics::Collector;
    ///
    /// let prices: Cache<u64, f64> = Cache::builder().capacity(1000).name("prices").build()?;
    /// let collector = Collector::new().cache(&prices);
    /// collector.report(); // again and again
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn report(&self) {
        let Ok(()) = self.visit(&mut Facade);
    }
}

struct Facade;

impl Visitor for Facade {
    type Error = Infallible;

    fn family(&mut self, heading: &Heading, samples: &[Sample]) -> Result<(), Infallible> {
        let mut name = heading.name.clone();
        if let Some(unit) = heading.unit {
            name = format!("{name}_{unit}");
        }
        if heading.kind == Kind::Counter {
            name.push_str("_total");
        }
        for sample in samples {
            let labels = sample.labels.iter();
            let labels: Vec<Label> =
                labels.map(|(name, value)| Label::new(*name, value.clone())).collect();
            match (heading.kind, sample.number) {
                (Kind::Counter, Number::Whole(number)) => {
                    counter!(name.clone(), labels).absolute(number);
                }
                (_, Number::Whole(number)) => gauge!(name.clone(), labels).set(number as f64),
                (_, Number::Signed(number)) => gauge!(name.clone(), labels).set(number as f64),
                (_, Number::Real(number)) => gauge!(name.clone(), labels).set(number),
            }
        }
        Ok(())
    }
}

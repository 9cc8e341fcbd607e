//! The reporter for the `metrics` facade.

use std::convert::Infallible;

use metrics::{Label, counter, gauge};

use crate::collector::Collector;
use crate::figures::{Kind, Number};
#[cfg(feature = "histograms")]
use crate::visit::Timed;
use crate::visit::{Heading, Labels, Sample, Visitor};

impl Collector {
    /// Tells all figures to the recorder of the [`metrics`] facade, under the names that Prometheus has for them. Call
    /// it before each look at the recorder, or every few seconds: what happens between two calls is not lost, as
    /// counters are told as what they are and not as what was added.
    ///
    /// The facade's counters are whole numbers: times that add up are told as gauges, and latencies as quantiles.
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
        let name = heading.full_name();
        for sample in samples {
            let labels = facade_labels(&sample.labels);
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

    /// Quantiles, as gauges: the facade's histograms want every time by itself.
    #[cfg(feature = "histograms")]
    fn histograms(&mut self, heading: &Heading, samples: &[Timed]) -> Result<(), Infallible> {
        let name = heading.full_name();
        for Timed { labels, times } in samples {
            for (part, text) in [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99"), (0.999, "0.999")] {
                let mut labels = facade_labels(labels);
                labels.push(Label::new("quantile", text));
                let seconds = times.latency.quantile(part).as_secs_f64();
                gauge!(name.clone(), labels).set(seconds);
            }
        }
        Ok(())
    }
}

fn facade_labels(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect()
}

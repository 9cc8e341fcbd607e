//! Both sides beside what there was before: the table, the JSON object, and the picture.

use std::fmt;

use serde::Serialize;

use crate::latency::Quantiles;
use crate::measure::{list, table};
use crate::report::{grouped, short};

/// Both sides.
#[derive(Debug, Serialize)]
pub(crate) struct BeforeAfter {
    /// What was configured, one fact a line.
    pub setup: Vec<String>,
    /// The naive cache.
    pub before: Side,
    /// `clockhand`.
    pub after: Side,
}

/// What the clients of one side met after the warm-up.
#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub name: &'static str,
    pub by: &'static str,
    pub requests: u64,
    /// On average.
    pub response_seconds: f64,
    pub response_ns: Quantiles,
    pub errors: u64,
    pub error_rate: f64,
    /// Requests that were answered at once.
    pub hits: u64,
    pub hit_ratio: f64,
    /// Bytes of pages that lived, over all samples.
    pub memory_low: u64,
    pub memory_high: u64,
    /// Requests that the store saw, from the beginning, and those of a page that was being loaded already.
    pub loads: u64,
    pub loads_beside_others: u64,
    /// Samples in which the cache had more than it was given, by its own account.
    pub beyond_bounds: u64,
}

/// A figure of a side, and what it was in the systems that `clockhand` replaces.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) replaced: &'static str,
    pub(crate) successor: &'static str,
    pub(crate) of: fn(&Side) -> f64,
    /// Whether it is better than their successor's.
    pub(crate) better: fn(&Side) -> bool,
}

const MB: f64 = 1e6;

/// A count of a side, and its name.
type Count = (&'static str, fn(&Side) -> u64);

/// What is compared.
pub(crate) const FIGURES: [Figure; 5] = [
    Figure {
        name: "response time, mean",
        unit: "ms",
        replaced: "1540",
        successor: "150",
        of: |side| side.response_seconds * 1e3,
        better: |side| side.response_seconds < 0.15,
    },
    Figure {
        name: "errors",
        unit: "%",
        replaced: "15 to 25",
        successor: "0",
        of: |side| side.error_rate * 100.0,
        better: |side| side.errors == 0,
    },
    Figure {
        name: "hits",
        unit: "%",
        replaced: "45",
        successor: "92",
        of: |side| side.hit_ratio * 100.0,
        better: |side| side.hit_ratio > 0.92,
    },
    Figure {
        name: "memory, least",
        unit: "MB",
        replaced: "50",
        successor: "140",
        of: |side| side.memory_low as f64 / MB,
        better: |side| side.spread() < 20.0 * MB,
    },
    Figure {
        name: "memory, most",
        unit: "MB",
        replaced: "800",
        successor: "160",
        of: |side| side.memory_high as f64 / MB,
        better: |side| side.spread() < 20.0 * MB && (side.memory_high as f64) < 160.0 * MB,
    },
];

impl Side {
    fn spread(&self) -> f64 {
        self.memory_high.saturating_sub(self.memory_low) as f64
    }
}

impl BeforeAfter {
    /// How often `clockhand` broke a promise: loaded a page beside another load of it, or had more than
    /// it was given.
    pub(crate) fn broken(&self) -> u64 {
        self.after.loads_beside_others + self.after.beyond_bounds
    }
}

impl fmt::Display for BeforeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Before and after\n")?;
        list(f, &self.setup)?;
        let header =
            ["", "replaced", "successor", "a lock for each step", "clockhand", "better than both"];
        let figures = FIGURES.iter().map(|figure| {
            let told = |side: &Side| format!("{} {}", short((figure.of)(side)), figure.unit);
            let known = |value: &str| format!("{value} {}", figure.unit);
            let better = if (figure.better)(&self.after) { "yes" } else { "no" };
            let [replaced, successor] = [figure.replaced, figure.successor].map(known);
            let [before, after] = [&self.before, &self.after].map(told);
            [figure.name.to_owned(), replaced, successor, before, after, better.to_owned()]
        });
        let counts: [Count; 3] = [
            ("requests", |side| side.requests),
            ("loads, from the beginning", |side| side.loads),
            ("loads of a page that was being loaded", |side| side.loads_beside_others),
        ];
        let counts = counts.map(|(name, of)| {
            let (before, after) = (grouped(of(&self.before)), grouped(of(&self.after)));
            [name, "", "", &before, &after, ""].map(str::to_owned)
        });
        writeln!(f, "\n{}\n", table(&header, 1, figures.chain(counts)))?;
        writeln!(
            f,
            "Replaced, and successor, are what operators of the systems that clockhand replaces have told.\n\
             Memory is the bytes of the pages that live, sampled; hits were answered without waiting."
        )
    }
}

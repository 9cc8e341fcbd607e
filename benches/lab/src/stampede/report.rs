//! What the callers and the store met: the JSON object, and the table.

use std::fmt;

use serde::Serialize;

use crate::before_after::BeforeAfter;
use crate::latency::Quantiles;
use crate::measure::table;
use crate::report::{grouped, short};

/// All ways.
#[derive(Debug, Serialize)]
pub(crate) struct Stampede {
    /// What was measured on.
    pub machine: Vec<String>,
    /// What was configured for the ways, one fact a line.
    pub setup: Vec<String>,
    /// Cores that other processes kept busy.
    pub cores_taken: Option<f64>,
    /// A naive cache, and `clockhand`.
    pub before_after: Option<BeforeAfter>,
    /// One for each; none if they were not asked for.
    pub ways: Vec<Outcome>,
}

/// What one way led to.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// What it is called.
    pub way: &'static str,
    /// What the callers call.
    pub by: &'static str,
    /// How long it ran.
    pub seconds: f64,
    /// Requests of all callers.
    pub requests: u64,
    /// Requests that the store saw.
    pub loads: u64,
    /// The most of them at once.
    pub most_at_once: u64,
    /// How often a value has to be loaded anew: an entry's life, or the age at which it is renewed.
    pub period_seconds: Option<f64>,
    /// Loads, through the keys and the periods.
    pub loads_per_key_and_period: Option<f64>,
    /// The most loads of one key that began within one period.
    pub most_per_key_and_period: Option<u64>,
    /// Whether it promises that this is one.
    pub coalesces: bool,
    /// From a request to its response.
    pub response_ns: Quantiles,
    /// Requests that began after the warm-up and waited for the store.
    pub late_requests_that_waited: u64,
    /// Callers that such requests were from.
    pub late_callers_that_waited: u64,
    /// How much of the callers' time went by until the store had answered.
    pub share_of_time_waiting: f64,
}

impl Stampede {
    /// How often clockhand broke a promise: loaded a key that it had just loaded, or beside another
    /// load of it, or had more than it was given.
    pub(crate) fn broken(&self) -> u64 {
        let beyond = |way: &Outcome| way.most_per_key_and_period.map_or(0, |most| most.max(1) - 1);
        let sides = self.before_after.as_ref().map_or(0, BeforeAfter::broken);
        sides + self.ways.iter().filter(|way| way.coalesces).map(beyond).sum::<u64>()
    }
}

const HEADER: [&str; 13] = [
    "way",
    "requests",
    "loads",
    "at once",
    "period, s",
    "loads per key and period",
    "most",
    "p50, ms",
    "p99, ms",
    "p99.9, ms",
    "max, ms",
    "callers that waited when warm",
    "time waiting, %",
];

impl fmt::Display for Stampede {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.iter().try_for_each(|line| writeln!(f, "- {line}"))?;
        if let Some(sides) = &self.before_after {
            write!(f, "\n{sides}")?;
        }
        if self.ways.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n## Four ways\n")?;
        self.setup.iter().try_for_each(|line| writeln!(f, "- {line}"))?;
        writeln!(f, "\n{}\n", table(&HEADER, 1, self.ways.iter().map(cells)))?;
        writeln!(
            f,
            "Loads are what the store saw, with the most at once; the most loads of one key that began"
        )?;
        writeln!(f, "within one period; and what the callers met, from a request to its response.")
    }
}

fn cells(way: &Outcome) -> Vec<String> {
    let ms = |ns: u64| short(ns as f64 / 1e6);
    let response = &way.response_ns;
    vec![
        way.way.into(),
        grouped(way.requests),
        grouped(way.loads),
        grouped(way.most_at_once),
        way.period_seconds.map_or(String::new(), short),
        way.loads_per_key_and_period.map_or(String::new(), short),
        way.most_per_key_and_period.map_or(String::new(), grouped),
        ms(response.p50),
        ms(response.p99),
        ms(response.p999),
        ms(response.max),
        format!(
            "{} ({} requests)",
            way.late_callers_that_waited,
            grouped(way.late_requests_that_waited)
        ),
        short(100.0 * way.share_of_time_waiting),
    ]
}

//! What the callers and the store met: the JSON object, and the table.

use std::fmt;

use serde::Serialize;

use crate::before_after::BeforeAfter;
use crate::latency::Quantiles;
use crate::measure::{Column, list, table_of};
use crate::report::{grouped, short};

/// All that was asked for; the README says what the fields are.
#[derive(Debug, Serialize)]
pub(crate) struct Stampede {
    pub machine: Vec<String>,
    /// Of the ways.
    pub setup: Vec<String>,
    pub cores_taken: Option<f64>,
    pub before_after: Option<BeforeAfter>,
    pub ways: Vec<Outcome>,
}

/// What one way led to.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub way: &'static str,
    pub by: &'static str,
    pub seconds: f64,
    pub requests: u64,
    /// Requests that the store saw.
    pub loads: u64,
    pub most_at_once: u64,
    /// How often a value has to be loaded anew: an entry's life, or the age at which it is renewed.
    pub period_seconds: Option<f64>,
    pub loads_per_key_and_period: Option<f64>,
    /// Of loads that began within one period.
    pub most_per_key_and_period: Option<u64>,
    /// Whether it promises that this is one.
    pub coalesces: bool,
    pub response_ns: Quantiles,
    /// Requests that began after the warm-up and waited for the store, and the callers that they were from.
    pub late_requests_that_waited: u64,
    pub late_callers_that_waited: u64,
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

impl fmt::Display for Stampede {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.machine)?;
        if let Some(sides) = &self.before_after {
            write!(f, "\n{sides}")?;
        }
        if self.ways.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n## Four ways\n")?;
        list(f, &self.setup)?;
        let ms = |ns: u64| short(ns as f64 / 1e6);
        let columns: [Column<'_, Outcome>; 13] = [
            ("way", &|way| way.way.into()),
            ("requests", &|way| grouped(way.requests)),
            ("loads", &|way| grouped(way.loads)),
            ("at once", &|way| grouped(way.most_at_once)),
            ("period, s", &|way| way.period_seconds.map_or(String::new(), short)),
            ("loads per key and period", &|way| {
                way.loads_per_key_and_period.map_or(String::new(), short)
            }),
            ("most", &|way| way.most_per_key_and_period.map_or(String::new(), grouped)),
            ("p50, ms", &|way| ms(way.response_ns.p50)),
            ("p99, ms", &|way| ms(way.response_ns.p99)),
            ("p99.9, ms", &|way| ms(way.response_ns.p999)),
            ("max, ms", &|way| ms(way.response_ns.max)),
            ("callers that waited when warm", &|way| {
                let requests = grouped(way.late_requests_that_waited);
                format!("{} ({requests} requests)", way.late_callers_that_waited)
            }),
            ("time waiting, %", &|way| short(100.0 * way.share_of_time_waiting)),
        ];
        writeln!(f, "\n{}\n", table_of(&columns, 1, &self.ways))?;
        writeln!(
            f,
            "Loads are what the store saw, with the most at once; the most loads of one key that began\n\
             within one period; and what the callers met, from a request to its response."
        )
    }
}

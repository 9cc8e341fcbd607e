//! The stampede, in real time: callers ask for a few keys all the time, and the store behind the cache
//! is slow.

mod options;
mod report;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use rand::RngExt;
use rand::rngs::SmallRng;

pub(crate) use self::options::Options;
pub(crate) use self::report::{Outcome, Stampede};
use self::ways::{WAYS, Way};
use crate::before_after;
use crate::clients::{Clients, let_pass};
use crate::failure::Failure;
use crate::measure::Machine;
use crate::progress;
use crate::store::Store;

/// Runs both sides, if there are terms for them, and then the four ways, if they are wanted.
pub(crate) fn run(plan: &Options, quiet: bool) -> Result<Stampede, Failure> {
    let (terms, has_ways) = (plan.terms(), plan.has_ways());
    let ways = if has_ways { &WAYS[..] } else { &[] };
    let length: Duration = ways.iter().map(|way| (way.time)(plan)).sum();
    let length = length + terms.map_or(Duration::ZERO, |terms| 2 * terms.time);
    let bar = progress::bar(String::new(), length.as_millis() as u64, "ms", quiet);
    let (found, machine) = Machine::during(&bar, || -> Result<_, Failure> {
        let sides = terms.map(|terms| before_after::run(terms, &bar)).transpose()?;
        let outcomes = ways.iter().map(|way| run_one(way, plan, &bar)).collect::<Result<_, _>>()?;
        Ok((sides, outcomes))
    });
    let (before_after, ways) = found?;
    let setup = if has_ways { plan.lines().into() } else { Vec::new() };
    let cores_taken = machine.cores_taken;
    Ok(Stampede { machine: machine.lines([]), setup, cores_taken, before_after, ways })
}

fn run_one(way: &Way, plan: &Options, bar: &ProgressBar) -> Result<Outcome, Failure> {
    bar.set_message(way.name);
    bar.tick();
    let store = Arc::new(Store::new(plan.store, u64::MAX));
    let ask = (way.make)(plan, &store)?;
    let (time, period) = ((way.time)(plan), (way.period)(plan));
    let mut loads_until_bell = 0;
    let clients = Clients {
        number: plan.callers,
        think: plan.think,
        counts_from: Duration::ZERO,
        warm_up: plan.warm_up(),
    };
    let draw = |random: &mut SmallRng| random.random_range(0..plan.keys);
    let met = clients.run(draw, ask, || {
        let_pass(time, bar, |_| ());
        loads_until_bell = store.loads();
    })?;
    let periods = period.map(|period| time.as_secs_f64() / period.as_secs_f64());
    Ok(Outcome {
        way: way.name,
        by: way.by,
        seconds: time.as_secs_f64(),
        requests: met.requests(),
        loads: loads_until_bell,
        most_at_once: store.most_at_once(),
        period_seconds: period.map(|period| period.as_secs_f64()),
        loads_per_key_and_period: periods
            .map(|periods| loads_until_bell as f64 / plan.keys as f64 / periods),
        most_per_key_and_period: period.map(|period| store.most_within(period)),
        coalesces: way.coalesces,
        response_ns: met.response_ns,
        late_requests_that_waited: met.late[0],
        late_callers_that_waited: met.late[1],
        share_of_time_waiting: met.waited.as_secs_f64() / met.present.as_secs_f64(),
    })
}

//! The stampede, in real time: callers ask for a few keys all the time, and the store behind the cache
//! is slow.

mod order;
mod report;
mod store;
mod ways;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

pub use self::order::{Order, Plan};
pub use self::report::{Outcome, Stampede};
use self::store::Store;
use self::ways::{Ask, WAYS, Way};
use crate::arena::{Bell, work_beside};
use crate::before_after::{self, Terms};
use crate::failure::Failure;
use crate::latency::{Quantiles, Sampler};
use crate::measure::Machine;
use crate::progress;

/// Between two steps of the progress bar.
const STEP: Duration = Duration::from_millis(100);

/// Runs both sides, if there are terms for them, and then the four ways, if they are wanted.
///
/// # Errors
///
/// When the system refuses a thread.
pub fn run(
    plan: &Plan,
    terms: Option<&Terms>,
    has_ways: bool,
    quiet: bool,
) -> Result<Stampede, Failure> {
    let ways = if has_ways { &WAYS[..] } else { &[] };
    let length: Duration = ways.iter().map(|way| (way.time)(plan)).sum();
    let length = length + terms.map_or(Duration::ZERO, |terms| 2 * terms.time);
    let bar = progress::bar(String::new(), length.as_millis() as u64, "ms", quiet);
    let (found, machine) = Machine::beside(&bar, || -> Result<_, Failure> {
        let sides = terms.map(|terms| before_after::run(terms, &bar)).transpose()?;
        let outcomes = ways.iter().map(|way| run_one(way, plan, &bar)).collect::<Result<_, _>>()?;
        Ok((sides, outcomes))
    });
    let (before_after, ways) = found?;
    let setup = if has_ways { plan.lines().into() } else { Vec::new() };
    let cores_taken = machine.cores_taken;
    Ok(Stampede { machine: machine.lines([]), setup, cores_taken, before_after, ways })
}

fn run_one(way: &Way, plan: &Plan, bar: &ProgressBar) -> Result<Outcome, Failure> {
    bar.set_message(way.name);
    bar.tick();
    let store = Arc::new(Store::new(plan.store));
    let ask = (way.make)(plan, &store)?;
    let (time, period) = ((way.time)(plan), (way.period)(plan));
    let work = |id: usize, bell: &Bell| call(id, plan, &*ask, bell);
    let mut loads_until_bell = 0;
    let conduct = || {
        let began = Instant::now();
        while let Some(left) = time.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            thread::sleep(left.min(STEP));
            bar.inc(left.min(STEP).as_millis() as u64);
        }
        loads_until_bell = store.loads();
    };
    let shifts = work_beside(plan.callers, work, conduct)?;
    let calls: Vec<Calls> = shifts.into_iter().map(|shift| shift.result).collect();
    let sum = |of: fn(&Calls) -> u64| calls.iter().map(of).sum::<u64>();
    let asked: Duration = calls.iter().map(|calls| calls.asked).sum();
    let waited: Duration = calls.iter().map(|calls| calls.waited).sum();
    let periods = period.map(|period| time.as_secs_f64() / period.as_secs_f64());
    Ok(Outcome {
        way: way.name,
        by: way.by,
        seconds: time.as_secs_f64(),
        requests: sum(|calls| calls.requests),
        loads: loads_until_bell,
        most_at_once: store.most_at_once(),
        period_seconds: period.map(|period| period.as_secs_f64()),
        loads_per_key_and_period: periods
            .map(|periods| loads_until_bell as f64 / plan.keys as f64 / periods),
        most_per_key_and_period: period.map(|period| store.most_within(period)),
        coalesces: way.coalesces,
        response_ns: Quantiles::of(calls.iter().map(|calls| &calls.responses)),
        late_requests_that_waited: sum(|calls| calls.late_waits),
        late_callers_that_waited: sum(|calls| u64::from(calls.late_waits > 0)),
        share_of_time_waiting: waited.as_secs_f64() / asked.as_secs_f64(),
    })
}

/// What one caller did and met.
struct Calls {
    requests: u64,
    responses: Histogram<u64>,
    /// From the first request to the last response.
    asked: Duration,
    /// As much of it as went by until the store had answered.
    waited: Duration,
    /// Requests after the warm-up that waited for the store.
    late_waits: u64,
}

/// Asks for a key, thinks, and asks for another.
fn call(id: usize, plan: &Plan, ask: &Ask, bell: &Bell) -> Calls {
    let mut random = SmallRng::seed_from_u64(id as u64);
    let mut responses = Sampler::new(1, id as u64);
    let (mut requests, mut waited, mut late_waits) = (0, Duration::ZERO, 0);
    let began = Instant::now();
    let asked = loop {
        let key = random.random_range(0..plan.keys);
        let asked = Instant::now();
        if responses.run(|| ask(key)) {
            waited += asked.elapsed();
            late_waits += u64::from(asked - began >= plan.warm_up);
        }
        requests += 1;
        if bell.rang() {
            break began.elapsed();
        }
        thread::sleep(plan.think.mul_f64(random.random_range(0.5..1.5)));
    };
    Calls { requests, responses: responses.finish(), asked, waited, late_waits }
}

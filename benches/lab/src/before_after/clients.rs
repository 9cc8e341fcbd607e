//! The clients, and who watches the memory meanwhile.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::page::Held;
use super::report::Side;
use super::store::Store;
use super::{Answer, System, Terms};
use crate::arena::{Bell, work_beside};
use crate::failure::Failure;
use crate::latency::{Quantiles, Sampler};
use crate::zipf::Zipf;

/// Between two samples of the memory.
const SAMPLE: Duration = Duration::from_millis(20);

/// What one client met after the warm-up.
struct Met {
    hits: u64,
    loaded: u64,
    failed: u64,
    responses: Histogram<u64>,
    seconds: f64,
}

/// Lets the clients ask a system for the time of the terms.
pub(super) fn serve(
    name: &'static str,
    by: &'static str,
    system: &impl System,
    store: &Store,
    held: &Held,
    terms: &Terms,
    bar: &ProgressBar,
) -> Result<Side, Failure> {
    let law = Zipf::new(terms.pages, terms.exponent);
    let mut watched = Watched::default();
    let work = |id: usize, bell: &Bell| ask(id, system, &law, terms, bell);
    let shifts = work_beside(terms.clients, work, || {
        watched = watch(system, held, terms, bar);
    })?;
    let met: Vec<Met> = shifts.into_iter().map(|shift| shift.result).collect();
    let sum = |of: fn(&Met) -> u64| met.iter().map(of).sum::<u64>();
    let (hits, loaded, failed) =
        (sum(|met| met.hits), sum(|met| met.loaded), sum(|met| met.failed));
    let requests = hits + loaded + failed;
    let share = |part: u64| part as f64 / requests.max(1) as f64;
    let memory = watched.memory.unwrap_or(0..=0);
    Ok(Side {
        name,
        by,
        requests,
        response_seconds: met.iter().map(|met| met.seconds).sum::<f64>() / requests.max(1) as f64,
        response_ns: Quantiles::of(met.iter().map(|met| &met.responses)),
        errors: failed,
        error_rate: share(failed),
        hits,
        hit_ratio: share(hits),
        memory_low: *memory.start(),
        memory_high: *memory.end(),
        loads: store.loads(),
        loads_beside_others: store.loads_beside_others(),
        beyond_bounds: watched.beyond_bounds,
    })
}

/// Asks for a page, thinks, and asks for another.
fn ask(id: usize, system: &impl System, law: &Zipf, terms: &Terms, bell: &Bell) -> Met {
    let mut random = SmallRng::seed_from_u64(id as u64);
    let mut responses = Sampler::new(1, id as u64);
    let (mut hits, mut loaded, mut failed, mut seconds) = (0, 0, 0, 0.0);
    let began = Instant::now();
    loop {
        let key = law.draw(&mut random);
        let asked = Instant::now();
        if asked - began < terms.warm_up {
            system.ask(key);
        } else {
            match responses.run(|| system.ask(key)) {
                Answer::Hit => hits += 1,
                Answer::Loaded => loaded += 1,
                Answer::Failed => failed += 1,
            }
            seconds += asked.elapsed().as_secs_f64();
        }
        if bell.rang() {
            return Met { hits, loaded, failed, responses: responses.finish(), seconds };
        }
        thread::sleep(terms.think.mul_f64(random.random_range(0.5..1.5)));
    }
}

/// What was seen of the memory.
#[derive(Default)]
struct Watched {
    /// Lowest and highest after the warm-up.
    memory: Option<RangeInclusive<u64>>,
    beyond_bounds: u64,
}

fn watch(system: &impl System, held: &Held, terms: &Terms, bar: &ProgressBar) -> Watched {
    let (began, mut watched) = (Instant::now(), Watched::default());
    let mut shown = Duration::ZERO;
    loop {
        let time = began.elapsed();
        bar.inc((time - shown).as_millis() as u64);
        shown = time;
        if time >= terms.time {
            return watched;
        }
        watched.beyond_bounds += u64::from(system.beyond_bounds());
        if time >= terms.warm_up {
            let bytes = held.load(Ordering::Relaxed);
            let memory = watched.memory.unwrap_or(bytes..=bytes);
            watched.memory = Some(bytes.min(*memory.start())..=bytes.max(*memory.end()));
        }
        thread::sleep(SAMPLE);
    }
}

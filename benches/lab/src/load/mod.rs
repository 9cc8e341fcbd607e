//! What loading costs: a hit, a miss, and a caller that waits for the load of another; as threads and
//! as tasks, beside the caches that offer the same.

mod ask;
mod fill;
mod join;
mod options;
mod report;

use indicatif::ProgressBar;

pub(crate) use self::options::Options;
pub(crate) use self::report::{Api, Costs, Row};
use crate::failure::Failure;
use crate::measure::{self, Machine, in_turns, ratio};
use crate::progress;
use crate::report::Spread;

/// One cache before one question. In a turn it measures the nanoseconds per operation of a thread, or per caller, and
/// the loads per operation.
type Contender = measure::Contender<Call>;

/// What is called.
struct Call {
    api: Api,
    cache: &'static str,
    call: &'static str,
}

/// A question, and how many loads an operation has to cause.
struct Question {
    name: &'static str,
    asked: String,
    loads: f64,
    contenders: Vec<Contender>,
}

/// Asks every question of all caches, round by round in turn.
pub(crate) fn run(options: &Options, quiet: bool) -> Result<Costs, Failure> {
    let questions = 2 * options.threads.len() as u64 + 1;
    let steps = questions * (options.rounds() as u64 + 1);
    let bar = progress::bar(String::new(), steps, "rounds", quiet);
    let (rows, machine) = Machine::during(&bar, || ask_all(options, &bar));
    let rows = rows?;
    let (rounds, ms) = (options.rounds(), options.round().as_millis());
    let mut setup = machine.lines([format!("{rounds} rounds of {ms} ms, caches in turn")]);
    setup.extend(ask::setup(options));
    setup.push(join::setup(options));
    let Machine { clock_ns, cores_taken } = machine;
    Ok(Costs { setup, clock_ns, cores_taken, rows })
}

fn ask_all(options: &Options, bar: &ProgressBar) -> Result<Vec<Row>, Failure> {
    let (rounds, time, mut rows) = (options.rounds(), options.round(), Vec::new());
    for &threads in &options.threads {
        rows.extend(ask(ask::hits(threads, time), rounds, bar)?);
        rows.extend(ask(ask::misses(threads, time), rounds, bar)?);
    }
    rows.extend(ask(join::joins(usize::from(options.callers), time), rounds, bar)?);
    Ok(rows)
}

/// Measures all contenders round by round; the first round, which fills the processor's caches, does
/// not count.
fn ask(mut question: Question, rounds: usize, bar: &ProgressBar) -> Result<Vec<Row>, Failure> {
    bar.set_message(format!("{}, {}", question.name, question.asked));
    let mut measured = in_turns(&mut question.contenders, 1 + rounds, || bar.inc(1))?;
    for rounds in measured.iter_mut().flatten() {
        rounds.remove(0);
    }
    let of_clockhand = |api: Api| {
        let is_it = |one: &Contender| one.who.api == api && one.who.cache == CLOCKHAND;
        question.contenders.iter().position(is_it).map(|at| &measured[at][0])
    };
    let row = |(contender, rounds): (&Contender, &Vec<Vec<f64>>)| {
        let Call { api, cache, call } = contender.who;
        let [ns, loads] = [&rounds[0], &rounds[1]];
        Row {
            question: question.name,
            asked: question.asked.clone(),
            api,
            cache,
            call,
            ns: Spread::of(ns),
            clockhand_ratio: of_clockhand(api)
                .filter(|_| cache != CLOCKHAND)
                .and_then(|clockhand| ratio(clockhand, ns)),
            loads_per_operation: loads.iter().sum::<f64>() / loads.len() as f64,
        }
    };
    let rows: Vec<Row> = question.contenders.iter().zip(&measured).map(row).collect();
    let is_wrong = |row: &&Row| {
        row.cache == CLOCKHAND && (row.loads_per_operation - question.loads).abs() > 1e-9
    };
    match rows.iter().find(is_wrong) {
        Some(row) => Err(Failure::Broken(format!(
            "clockhand, {}, {}, {}: {} loads per operation instead of {}",
            row.question, row.asked, row.api, row.loads_per_operation, question.loads
        ))),
        None => Ok(rows),
    }
}

/// The cache that the ratios are of.
const CLOCKHAND: &str = "clockhand";

//! What loading costs: a hit, a miss, and a caller that waits for the load of another; as threads and
//! as tasks, beside the caches that offer the same.

mod ask;
mod fill;
mod join;
mod order;
mod report;

use indicatif::ProgressBar;

pub use self::order::{Effort, Order};
pub use self::report::{Api, Costs, Row};
use crate::failure::Failure;
use crate::measure::{Machine, in_turns};
use crate::progress;
use crate::report::Spread;

/// One cache before one question.
struct Contender {
    api: Api,
    cache: &'static str,
    call: &'static str,
    turn: Box<Turn>,
}

/// Measures one round.
type Turn = dyn FnMut() -> Result<Round, Failure>;

/// What one round measured.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Nanoseconds per operation of a thread, or per caller.
    ns: f64,
    /// Loads per operation.
    loads: f64,
}

/// A question, and how many loads an operation has to cause.
struct Question {
    name: &'static str,
    asked: String,
    loads: f64,
    contenders: Vec<Contender>,
}

/// Asks every question of all caches, round by round in turn.
///
/// # Errors
///
/// When the system refuses a thread, or clockhand loads more or less often than it has to.
pub fn run(effort: &Effort, quiet: bool) -> Result<Costs, Failure> {
    let questions = 2 * effort.threads.len() as u64 + 1;
    let steps = questions * (effort.rounds as u64 + 1);
    let bar = progress::bar(String::new(), steps, "rounds", quiet);
    let (rows, machine) = Machine::beside(&bar, || ask_all(effort, &bar));
    let rows = rows?;
    let mut setup = machine.lines([effort.to_string()]);
    setup.extend(ask::setup(effort));
    setup.push(join::setup(effort));
    let Machine { clock_ns, cores_taken } = machine;
    Ok(Costs { setup, clock_ns, cores_taken, rows })
}

fn ask_all(effort: &Effort, bar: &ProgressBar) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for &threads in &effort.threads {
        rows.extend(ask(ask::hits(threads, effort.round), effort.rounds, bar)?);
        rows.extend(ask(ask::misses(threads, effort.round), effort.rounds, bar)?);
    }
    rows.extend(ask(join::joins(effort.callers, effort.round), effort.rounds, bar)?);
    Ok(rows)
}

/// Measures all contenders round by round; the first round, which fills the processor's caches, does
/// not count.
fn ask(mut question: Question, rounds: usize, bar: &ProgressBar) -> Result<Vec<Row>, Failure> {
    bar.set_message(format!("{}, {}", question.name, question.asked));
    let turn = |contender: &mut Contender| (contender.turn)();
    let mut measured = in_turns(&mut question.contenders, 1 + rounds, turn, || bar.inc(1))?;
    for rounds in &mut measured {
        rounds.remove(0);
    }
    let ns = |rounds: &[Round]| rounds.iter().map(|round| round.ns).collect::<Vec<_>>();
    let of_clockhand = |api: Api| {
        let is_it = |contender: &Contender| contender.api == api && contender.cache == CLOCKHAND;
        let at = question.contenders.iter().position(is_it);
        at.map(|at| ns(&measured[at])).unwrap_or_default()
    };
    let row = |(contender, rounds): (&Contender, &Vec<Round>)| {
        let (own, reference) = (ns(rounds), of_clockhand(contender.api));
        let ratios: Vec<f64> = reference.iter().zip(&own).map(|(this, own)| this / own).collect();
        let loads = rounds.iter().map(|round| round.loads).sum::<f64>() / rounds.len() as f64;
        Row {
            question: question.name,
            asked: question.asked.clone(),
            api: contender.api,
            cache: contender.cache,
            call: contender.call,
            ns: Spread::of(&own),
            clockhand_ratio: (contender.cache != CLOCKHAND).then(|| Spread::of(&ratios)),
            loads_per_operation: loads,
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

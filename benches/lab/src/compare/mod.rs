//! Compares clockhand with its peers, all in one run, round by round in turn.

mod answers;
mod goal;
mod hit_ratio;
mod hit_ratios;
pub(crate) mod keys;
mod known;
mod latency;
mod memory;
mod options;
mod question;
mod reads;
mod speed;
mod text;
mod trace_set;
mod units;
mod weighted_ratio;
mod writes;

use indicatif::ProgressBar;

pub(crate) use self::answers::{Comparison, Row};
pub(crate) use self::hit_ratios::HitRatio;
use self::memory::{Excess, Memory};
use self::options::Effort;
pub(crate) use self::options::Options;
use self::question::{Question, answer};
use self::trace_set::TraceSet;
pub(crate) use self::units::{Group, Unit};
pub(crate) use self::weighted_ratio::WeightedRatio;
use crate::failure::Failure;
use crate::measure::Machine;
use crate::peers::{Peer, Size, Visit, each};
use crate::progress;
use crate::team::cores;

/// Asks every question of the groups that were chosen.
pub(crate) fn run(effort: &Effort, quiet: bool) -> Result<Comparison, Failure> {
    let traces = effort.groups.contains(&Group::HitRatio);
    let traces = traces.then(|| TraceSet::find(effort.traces.as_deref())).transpose()?;
    let steps = traces.as_ref().map_or(0, TraceSet::steps);
    let bar = progress::bar(String::new(), questions(effort) + steps, "questions", quiet);
    let (found, machine) = Machine::during(&bar, || -> Result<_, Failure> {
        let rows = ask_all(&Suite { effort, bar: &bar })?;
        let ratios = traces.map(|traces| hit_ratio::run(&traces, effort.peers, &bar));
        Ok((rows, ratios.transpose()?))
    });
    let (rows, hit_ratios) = found?;
    let setup = setup(effort, &machine);
    let Machine { clock_ns, cores_taken } = machine;
    Ok(Comparison { setup, clock_ns, cores_taken, best: answers::best(&rows), rows, hit_ratios })
}

/// Asks questions, and shows how far it is.
struct Suite<'a> {
    effort: &'a Effort,
    bar: &'a ProgressBar,
}

impl Suite<'_> {
    fn ask(&self, question: &impl Question, rounds: usize) -> Result<Vec<Row>, Failure> {
        let title = question.measurements().first().map(|measurement| measurement.title.clone());
        self.bar.set_message(title.unwrap_or_default());
        self.bar.tick();
        let rows = answer(question, self.effort.peers, rounds);
        self.bar.inc(1);
        rows
    }
}

/// How many questions [`ask_all`] asks.
fn questions(effort: &Effort) -> u64 {
    let of = |group: &Group| match group {
        Group::Speed => speed::questions(effort),
        Group::Latency => 2 * effort.latency_threads.len() as u64,
        Group::Memory => 3,
        Group::HitRatio => 0,
    };
    effort.groups.iter().map(of).sum()
}

fn ask_all(suite: &Suite<'_>) -> Result<Vec<Row>, Failure> {
    let effort = suite.effort;
    let mut rows = Vec::new();
    if effort.groups.contains(&Group::Speed) {
        rows.extend(speed::ask_all(suite)?);
    }
    if effort.groups.contains(&Group::Latency) {
        let (time, rounds) = (effort.latency, effort.rounds);
        for &threads in &effort.latency_threads {
            let question = latency::Latency::mostly_reads(threads, threads > cores(), time);
            rows.extend(suite.ask(&question, rounds)?);
        }
        for &threads in &effort.latency_threads {
            let question = latency::Latency::get_or_insert(threads, threads > cores(), time);
            rows.extend(suite.ask(&question, rounds)?);
        }
    }
    if effort.groups.contains(&Group::Memory) {
        let (hashers, rounds) = (effort.peers.hashers, effort.memory_rounds);
        for size in [Size::Narrow, Size::Wide] {
            rows.extend(suite.ask(&Memory { hashers, size, entries: effort.entries }, rounds)?);
        }
        rows.extend(suite.ask(&Excess { hashers }, rounds)?);
    }
    Ok(rows)
}

fn setup(effort: &Effort, machine: &Machine) -> Vec<String> {
    let mut setup = machine.lines([format!(
        "{} rounds of {} ms (latency {} ms, memory {} rounds), caches in turn",
        effort.rounds,
        effort.throughput.as_millis(),
        effort.latency.as_millis(),
        effort.memory_rounds
    )]);
    each(effort.peers, &mut Configurations(&mut setup));
    setup
}

struct Configurations<'a>(&'a mut Vec<String>);

impl Visit for Configurations<'_> {
    fn visit<P: Peer>(&mut self) {
        self.0.push(format!("{}: {}", P::NAME, P::configuration()));
    }
}

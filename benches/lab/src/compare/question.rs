//! A question that every cache answers, round by round in turn.

use serde::Serialize;

use super::table::Row;
use crate::failure::Failure;
use crate::peers::{Peer, Peers, Visit, each};
use crate::report::Spread;

/// The peer that the others are held against.
const REFERENCE: &str = "quick_cache";

/// Something to measure about every cache.
pub(super) trait Question {
    fn about(&self) -> About;

    /// Sets a cache up, outside the timed part. None if the question is not for this peer.
    fn enter<P: Peer>(&self) -> Option<Contender>;
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) title: String,
    pub(super) threads: usize,
    pub(super) unit: Unit,
    pub(super) goals: &'static [(&'static str, Goal)],
}

/// What the answers are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Millions of operations per second, all threads together; more is better.
    #[serde(rename = "M ops/s")]
    Throughput,
    /// Nanoseconds; less is better.
    #[serde(rename = "ns")]
    Latency,
    /// Bytes per entry; less is better.
    #[serde(rename = "bytes/entry")]
    Memory,
}

/// What clockhand is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtMost(f64),
}

/// One cache that is set up to answer.
pub(super) struct Contender {
    pub(super) peer: &'static str,
    /// Measures one round.
    pub(super) turn: Box<dyn FnMut() -> Result<f64, Failure>>,
    /// What a reader of the answer should know besides.
    pub(super) remark: Box<dyn Fn() -> Option<String>>,
}

/// Asks all peers, and holds each round against the reference's in the same round.
pub(super) fn answer(
    question: &impl Question,
    peers: Peers,
    rounds: usize,
) -> Result<Vec<Row>, Failure> {
    let mut entry = Entry { question, contenders: Vec::new() };
    each(peers, &mut entry);
    let mut contenders = entry.contenders;
    let mut answers = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            answers[at].push((contenders[at].turn)()?);
        }
    }
    let reference = contenders.iter().position(|contender| contender.peer == REFERENCE);
    let reference = reference.map(|at| answers[at].clone());
    let about = question.about();
    let row = |(contender, answers): (&Contender, &Vec<f64>)| {
        let ratio = reference.as_ref().filter(|_| contender.peer != REFERENCE).map(|reference| {
            let ratios = answers.iter().zip(reference).map(|(answer, other)| answer / other);
            Spread::of(&ratios.collect::<Vec<_>>())
        });
        Row::new(&about, contender.peer, Spread::of(answers), ratio, (contender.remark)())
    };
    Ok(contenders.iter().zip(&answers).map(row).collect())
}

/// The remark that a cache refused insertions, which are done faster than others.
pub(super) fn refused(cache: &impl Peer) -> Option<String> {
    let refusals = cache.refusals();
    (refusals > 0).then(|| format!("refused {refusals} insertions"))
}

struct Entry<'a, Q> {
    question: &'a Q,
    contenders: Vec<Contender>,
}

impl<Q: Question> Visit for Entry<'_, Q> {
    fn visit<P: Peer>(&mut self) {
        self.contenders.extend(self.question.enter::<P>());
    }
}

//! A question that every cache answers, round by round in turn.

use std::sync::Arc;
use std::time::Duration;

use super::answers::Row;
use super::goal::PeerGoal;
use super::units::{Group, REFERENCE, Unit};
use crate::arena::{Bell, rate, work_for};
use crate::failure::Failure;
use crate::measure::{self, in_turns, ratio};
use crate::peers::{ClockhandGet, ClockhandReader, Peer, Peers, Visit, each};
use crate::report::Spread;

/// Something to measure about every cache.
pub(super) trait Question {
    /// What each turn measures, in the order of its figures.
    fn measurements(&self) -> Vec<Measurement>;

    /// Sets a cache up, outside the timed part. None if the question is not for this peer.
    fn enter<P: Peer>(&self) -> Option<Contender>;
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Measurement {
    pub(super) group: Group,
    pub(super) title: String,
    pub(super) measure: String,
    pub(super) threads: usize,
    pub(super) unit: Unit,
    pub(super) goals: &'static [PeerGoal],
}

impl Measurement {
    /// A question about operations per second.
    pub(super) fn throughput(title: String, threads: usize, goals: &'static [PeerGoal]) -> Self {
        let (group, unit) = (Group::Speed, Unit::Throughput);
        Self { group, title, measure: "throughput".into(), threads, unit, goals }
    }
}

/// One cache that is set up to answer.
pub(super) type Contender = measure::Contender<Entrant>;

/// Which cache that is.
pub(super) struct Entrant {
    pub(super) peer: &'static str,
    evicts: bool,
    /// What a reader of the answer should know besides.
    remark: Box<dyn Fn() -> Option<String>>,
}

impl Contender {
    pub(super) fn new<P: Peer>(
        turn: impl FnMut() -> Result<Vec<f64>, Failure> + 'static,
        remark: impl Fn() -> Option<String> + 'static,
    ) -> Self {
        let who = Entrant { peer: P::NAME, evicts: P::EVICTS, remark: Box::new(remark) };
        Self { who, turn: Box::new(turn) }
    }
}

/// How many threads work at once, and for how long in one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crew {
    pub(super) threads: usize,
    pub(super) time: Duration,
}

impl Crew {
    /// Lets all threads use one cache. `work` returns how many operations a thread did until the bell, and `refusals` how
    /// many insertions the cache refused: those are done faster than others.
    pub(super) fn contender<P: Peer, C: Send + Sync + 'static>(
        self,
        cache: C,
        work: impl Fn(&C, usize, &Bell) -> u64 + Sync + 'static,
        refusals: fn(&C) -> u64,
    ) -> Contender {
        let cache = Arc::new(cache);
        let asked = Arc::clone(&cache);
        let turn = move || {
            let shifts = work_for(self.time, self.threads, |id, bell| work(&cache, id, bell))?;
            Ok(vec![rate(&shifts, |done| *done)])
        };
        Contender::new::<P>(turn, move || refused(refusals(&asked)))
    }
}

/// Asks all peers, and holds each round against the others' in the same round.
pub(super) fn answer(
    question: &impl Question,
    peers: Peers,
    rounds: usize,
) -> Result<Vec<Row>, Failure> {
    let mut entry = Entry { question, contenders: Vec::new() };
    each(peers, &mut entry);
    let mut contenders = entry.contenders;
    let answers = in_turns(&mut contenders, rounds, || ())?;
    let mut rows = Vec::new();
    for (measure, measurement) in question.measurements().iter().enumerate() {
        let figures = answers.iter().map(|answer| &*answer[measure]);
        let entrants = contenders.iter().map(|contender| &contender.who).zip(figures);
        let entrants = entrants.collect::<Vec<_>>();
        let answers =
            entrants.iter().map(|(who, own)| row(measurement, who, own, &entrants)).collect();
        rows.extend(with_goals(answers, measurement.goals));
    }
    Ok(rows)
}

/// What one cache answered, and how it stands beside others of them.
fn row(measurement: &Measurement, who: &Entrant, own: &[f64], all: &[(&Entrant, &[f64])]) -> Row {
    let of = |peer| all.iter().find(|(other, _)| other.peer == peer && peer != who.peer);
    let through = |peer| of(peer).and_then(|(_, others)| ratio(others, own));
    let value = Spread::of(own);
    Row {
        group: measurement.group,
        question: measurement.title.clone(),
        measure: measurement.measure.clone(),
        threads: measurement.threads,
        peer: who.peer,
        evicts: who.evicts,
        unit: measurement.unit,
        ns_per_operation: (measurement.unit == Unit::Throughput)
            .then(|| 1e3 * measurement.threads as f64 / value.median),
        goals: Vec::new(),
        value,
        ratio: of(REFERENCE).and_then(|(_, reference)| ratio(own, reference)),
        clockhand_ratio: through(ClockhandGet::NAME),
        reader_ratio: through(ClockhandReader::NAME),
        remark: (who.remark)(),
    }
}

/// Tells each row what it is to reach and did.
fn with_goals(mut rows: Vec<Row>, goals: &[PeerGoal]) -> Vec<Row> {
    for (handle, goal) in goals {
        let reached = goal.reached(handle, &rows);
        if let Some(row) = rows.iter_mut().find(|row| row.peer == *handle) {
            row.goals.extend(reached);
        }
    }
    rows
}

/// The remark that a cache refused insertions, which are done faster than others.
pub(super) fn refused(refusals: u64) -> Option<String> {
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

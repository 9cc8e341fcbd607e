//! A question that every cache answers, round by round in turn.

use super::answers::Row;
use super::goal::Aim;
use super::units::{Group, REFERENCE, Unit};
use crate::failure::Failure;
use crate::measure::in_turns;
use crate::peers::{ClockhandGet, ClockhandReader, Peer, Peers, Visit, each};
use crate::report::Spread;

/// Something to measure about every cache.
pub(super) trait Question {
    /// What each turn measures, in the order of its figures.
    fn abouts(&self) -> Vec<About>;

    /// Sets a cache up, outside the timed part. None if the question is not for this peer.
    fn enter<P: Peer>(&self) -> Option<Contender>;
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) group: Group,
    pub(super) title: String,
    pub(super) measure: String,
    pub(super) threads: usize,
    pub(super) unit: Unit,
    pub(super) goals: &'static [Aim],
}

impl About {
    /// A question about operations per second.
    pub(super) fn throughput(title: String, threads: usize, goals: &'static [Aim]) -> Self {
        let (group, unit) = (Group::Speed, Unit::Throughput);
        Self { group, title, measure: "throughput".into(), threads, unit, goals }
    }
}

/// Measures one round: one figure for each measure of the question.
pub(super) type Turn = Box<dyn FnMut() -> Result<Vec<f64>, Failure>>;

/// One cache that is set up to answer.
pub(super) struct Contender {
    pub(super) peer: &'static str,
    pub(super) evicts: bool,
    pub(super) turn: Turn,
    /// What a reader of the answer should know besides.
    pub(super) remark: Box<dyn Fn() -> Option<String>>,
}

impl Contender {
    pub(super) fn new<P: Peer>(
        turn: impl FnMut() -> Result<Vec<f64>, Failure> + 'static,
        remark: impl Fn() -> Option<String> + 'static,
    ) -> Self {
        let (turn, remark) = (Box::new(turn), Box::new(remark));
        Self { peer: P::NAME, evicts: P::EVICTS, turn, remark }
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
    let answers = in_turns(&mut contenders, rounds, |contender| (contender.turn)(), || ())?;
    let mut rows = Vec::new();
    for (measure, about) in question.abouts().iter().enumerate() {
        let figures = |rounds: &Vec<Vec<f64>>| rounds.iter().map(|round| round[measure]).collect();
        let figures = answers.iter().map(figures).collect::<Vec<Vec<f64>>>();
        let of = |name| {
            let at = contenders.iter().position(|contender| contender.peer == name)?;
            Some((name, &*figures[at]))
        };
        let rivals = Rivals {
            reference: of(REFERENCE),
            get: of(ClockhandGet::NAME),
            reader: of(ClockhandReader::NAME),
        };
        let pairs = contenders.iter().zip(&figures);
        let answers = pairs.map(|(contender, own)| rivals.row(about, contender, own)).collect();
        rows.extend(with_goals(answers, about.goals));
    }
    Ok(rows)
}

/// The figures that others are held against, where those caches take part.
struct Rivals<'a> {
    reference: Option<(&'static str, &'a [f64])>,
    get: Option<(&'static str, &'a [f64])>,
    reader: Option<(&'static str, &'a [f64])>,
}

impl Rivals<'_> {
    fn row(&self, about: &About, contender: &Contender, own: &[f64]) -> Row {
        let other = |rival: Option<(_, _)>| rival.filter(|(name, _)| *name != contender.peer);
        let ours = |rival| other(rival).and_then(|(_, rival)| ratio(rival, own));
        let value = Spread::of(own);
        Row {
            group: about.group,
            question: about.title.clone(),
            measure: about.measure.clone(),
            threads: about.threads,
            peer: contender.peer,
            evicts: contender.evicts,
            unit: about.unit,
            ns_per_operation: (about.unit == Unit::Throughput)
                .then(|| 1e3 * about.threads as f64 / value.median),
            goals: Vec::new(),
            value,
            ratio: other(self.reference).and_then(|(_, reference)| ratio(own, reference)),
            clockhand_ratio: ours(self.get),
            reader_ratio: ours(self.reader),
            remark: (contender.remark)(),
        }
    }
}

/// Round by round; nothing if there is nothing to divide by.
fn ratio(above: &[f64], below: &[f64]) -> Option<Spread> {
    let ratios = above.iter().zip(below).map(|(above, below)| above / below).collect::<Vec<_>>();
    below.iter().all(|below| *below > 0.0).then(|| Spread::of(&ratios))
}

/// Tells each row what it is to reach and did.
fn with_goals(mut rows: Vec<Row>, aims: &[Aim]) -> Vec<Row> {
    for (handle, goal) in aims {
        let reached = goal.reached(handle, &rows);
        if let Some(row) = rows.iter_mut().find(|row| row.peer == *handle) {
            row.goals.extend(reached);
        }
    }
    rows
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

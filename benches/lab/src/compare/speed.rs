//! The questions about speed, each with every number of threads.

use super::keys::zipf_streams;
use super::options::Effort;
use super::question::{Crew, Question};
use super::reads::{self, Batches, Reads};
use super::writes::{self, Churn, Fill, Mixed, Weighted};
use super::{Row, Suite};
use crate::failure::Failure;

/// How many questions [`ask_all`] asks.
pub(super) fn questions(effort: &Effort) -> u64 {
    let threads = effort.threads.len() as u64;
    8 * threads + if effort.quick { 2 } else { 2 * threads }
}

pub(super) fn ask_all(suite: &Suite<'_>) -> Result<Vec<Row>, Failure> {
    let effort = suite.effort;
    let most = effort.threads.iter().copied().max().unwrap_or(1);
    let streams = |keys, exponent| zipf_streams(keys, exponent, most);
    let mut asked = Asked { suite, rows: Vec::new() };

    let few = streams(reads::FEW, 0.99);
    asked.with_each(|crew| Reads::hits(reads::FEW, &few, crew))?;
    let many = streams(reads::MANY, 0.99);
    for crew in crews(effort).filter(|crew| !effort.quick || crew.threads == most) {
        asked.one(&Reads::hits(reads::MANY, &many, crew))?;
        asked.one(&Batches { crew, streams: many.clone() })?;
    }
    asked.with_each(Reads::misses)?;
    asked.with_each(Reads::hot_key)?;
    let many = streams(writes::MANY, 0.9);
    asked.with_each(|crew| Fill { crew, streams: many.clone() })?;
    asked.with_each(|crew| Churn { crew })?;
    asked.with_each(|crew| Weighted { crew })?;
    let few = streams(writes::FEW, 0.99);
    for inserts in Mixed::INSERTS {
        asked.with_each(|crew| Mixed { crew, streams: few.clone(), inserts })?;
    }
    Ok(asked.rows)
}

fn crews(effort: &Effort) -> impl Iterator<Item = Crew> {
    effort.threads.iter().map(|&threads| Crew { threads, time: effort.throughput })
}

/// The questions that were asked so far.
struct Asked<'a> {
    suite: &'a Suite<'a>,
    rows: Vec<Row>,
}

impl Asked<'_> {
    fn one(&mut self, question: &impl Question) -> Result<(), Failure> {
        self.rows.extend(self.suite.ask(question, self.suite.effort.rounds)?);
        Ok(())
    }

    fn with_each<Q: Question>(&mut self, question: impl Fn(Crew) -> Q) -> Result<(), Failure> {
        crews(self.suite.effort).try_for_each(|crew| self.one(&question(crew)))
    }
}

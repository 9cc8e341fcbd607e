//! Which traces are replayed, with which capacities, and what is known of them.

use std::path::Path;

use super::known::{BY_ENTRIES, BY_SIZE, Known};
use crate::failure::Failure;
use crate::simulate::{Dense, POLICIES};
use crate::source::Source;
use crate::trace::Trace;

/// How far a simulation may be from what is known: the figures have five digits.
const TOLERANCE: f64 = 1e-4;

/// Traces, each with some capacities.
pub(super) struct TraceSet {
    traces: Vec<TraceRuns>,
    known: Vec<Known>,
    offline: Vec<Known>,
}

/// One trace, and how often it is replayed.
#[derive(Debug)]
pub(super) struct TraceRuns {
    pub(super) source: Source,
    /// Of each cache, in entries.
    pub(super) capacities: Vec<u64>,
}

impl TraceSet {
    /// Finds the traces that a folder's figures are of, or those that are built in.
    pub(super) fn find(folder: Option<&Path>) -> Result<Self, Failure> {
        let (known, offline) = (BY_ENTRIES.read(folder)?, BY_SIZE.read(folder)?);
        let mut traces = Vec::<TraceRuns>::new();
        for row in &known {
            let source = match folder {
                Some(folder) => Source::File(folder.join(format!("{}.u64.zst", row.trace))),
                None => Source::built_in(&row.trace).ok_or_else(|| {
                    Failure::Broken(format!("there is no built-in trace {}", row.trace))
                })?,
            };
            match traces.iter_mut().find(|runs| runs.source.name() == source.name()) {
                Some(runs) if runs.capacities.contains(&row.capacity) => {}
                Some(runs) => runs.capacities.push(row.capacity),
                None => traces.push(TraceRuns { source, capacities: vec![row.capacity] }),
            }
        }
        traces.iter().try_for_each(|runs| runs.source.check())?;
        // A trace that is not sound is found before anything is measured.
        for runs in &traces {
            runs.load()?;
        }
        Ok(Self { traces, known, offline })
    }

    pub(super) fn runs(&self) -> &[TraceRuns] {
        &self.traces
    }

    /// How many capacities there are in all.
    pub(super) fn steps(&self) -> u64 {
        self.traces.iter().map(|runs| runs.capacities.len() as u64).sum()
    }

    /// What policies that know the future reach where entries weigh what they are in size.
    pub(super) fn offline(&self) -> &[Known] {
        &self.offline
    }

    /// What each policy reaches on a trace.
    pub(super) fn simulate(
        &self,
        trace: &str,
        keys: &Dense,
        entries: u64,
    ) -> Result<Vec<(&'static str, f64)>, Failure> {
        let mut reached = Vec::new();
        for (policy, simulation) in POLICIES {
            let same = |known: &&Known| {
                (&*known.trace, known.capacity, &*known.policy) == (trace, entries, policy)
            };
            let known = self.known.iter().find(same).map(|known| known.hit_ratio);
            let ratio = simulation.map(|simulate| {
                simulate(keys, entries as usize) as f64 / keys.accesses.len() as f64
            });
            if let (Some(known), Some(ratio)) = (known, ratio)
                && (known - ratio).abs() > TOLERANCE
            {
                return Err(Failure::Broken(format!(
                    "{trace} with {entries} entries: {policy} hits {ratio:.5}, and {known:.5} is known"
                )));
            }
            reached.extend(ratio.or(known).map(|ratio| (policy, ratio)));
        }
        Ok(reached)
    }
}

impl TraceRuns {
    /// The trace, with its sizes if it has some.
    pub(super) fn load(&self) -> Result<Trace, Failure> {
        self.source.load(false)
    }
}

#[cfg(test)]
mod tests;

//! Hits per lookup in recorded traces: every cache, beside simulated policies and the optimum.

use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;

use super::Effort;
use super::hit_ratios::{HitRatio, HitRatios};
use super::known::{self, Known};
use super::question::REFERENCE;
use crate::failure::Failure;
use crate::peers::{Lookup, Peer, Peers, Visit, each};
use crate::simulate::{Dense, belady, clock, lru};
use crate::source::Source;
use crate::team;

/// Shares of the built-in trace's unique keys.
const PERCENT: [u64; 4] = [1, 5, 10, 20];

/// Some are replayed with so many threads too: clockhand, and the reference beside it, which tells
/// what of the difference is the order of the accesses.
const MANY_THREADS: usize = 8;

/// Accesses that a thread takes at a time, so that many threads keep near the trace's order.
const CHUNK: usize = 128;

/// A policy's name, and the hits it has with so many entries.
type Policy = (&'static str, fn(&Dense, usize) -> u64);

/// The simulated policies; the last is the optimum.
const SIMULATED: [Policy; 3] = [("LRU", lru), ("CLOCK", clock), ("Belady", belady)];

/// How far a simulation may be from what is known.
const TOLERANCE: f64 = 1e-4;

/// The traces to replay, each with some capacities.
pub(super) struct Course {
    peers: Peers,
    traces: Vec<(Source, Vec<u64>)>,
    known: Vec<Known>,
}

impl Course {
    /// Finds the traces and the capacities, and whether they can be had at all.
    pub(super) fn prepare(effort: &Effort) -> Result<Self, Failure> {
        let peers = effort.peers;
        let Some(folder) = &effort.traces else {
            let unique = Source::BuiltIn.load(true)?.footprint().unique_keys;
            let capacities = PERCENT.map(|percent| (unique * percent / 100).max(1)).to_vec();
            return Ok(Self { peers, traces: vec![(Source::BuiltIn, capacities)], known: vec![] });
        };
        let known = known::read(folder)?;
        let mut traces = Vec::<(Source, Vec<u64>)>::new();
        for row in &known {
            let source = Source::File(folder.join(format!("{}.u64.zst", row.trace)));
            match traces.iter_mut().find(|(other, _)| other.name() == source.name()) {
                Some((_, capacities)) if capacities.contains(&row.entries) => {}
                Some((_, capacities)) => capacities.push(row.entries),
                None => traces.push((source, vec![row.entries])),
            }
        }
        traces.iter().try_for_each(|(source, _)| source.check())?;
        Ok(Self { peers, traces, known })
    }

    /// How many capacities there are in all.
    pub(super) fn steps(&self) -> u64 {
        self.traces.iter().map(|(_, capacities)| capacities.len() as u64).sum()
    }

    pub(super) fn run(&self, bar: &ProgressBar) -> Result<HitRatios, Failure> {
        let mut rows = Vec::new();
        for (source, capacities) in &self.traces {
            let keys = source.load(true)?;
            let dense = Dense::of(keys.keys());
            for &entries in capacities {
                bar.set_message(format!("hit ratio, {}, {entries} entries", source.name()));
                bar.tick();
                let mut replay = Replay {
                    trace: &source.name(),
                    keys: keys.keys(),
                    entries,
                    rows: self.simulate(&source.name(), &dense, entries)?,
                    failure: None,
                };
                each(self.peers, &mut replay);
                replay.failure.map_or(Ok(()), Err)?;
                rows.extend(held_against_optimum(replay.rows));
                bar.inc(1);
            }
        }
        Ok(HitRatios::of(rows))
    }

    fn simulate(&self, trace: &str, keys: &Dense, entries: u64) -> Result<Vec<HitRatio>, Failure> {
        let row = |(policy, simulate): Policy| {
            let hits = simulate(keys, entries as usize) as f64;
            let row = HitRatio {
                simulated: true,
                ..HitRatio::new(trace, entries, policy, hits / keys.accesses.len() as f64)
            };
            self.agrees(&row).map(|()| row)
        };
        SIMULATED.into_iter().map(row).collect()
    }

    /// What is known of the same policy must come out here too.
    fn agrees(&self, row: &HitRatio) -> Result<(), Failure> {
        let same = |known: &&Known| {
            (&*known.trace, known.entries, &*known.policy) == (&*row.trace, row.entries, row.cache)
        };
        match self.known.iter().find(same) {
            Some(known) if (known.hit_ratio - row.hit_ratio).abs() > TOLERANCE => {
                Err(Failure::Broken(format!(
                    "{} with {} entries: {} hits {:.5}, and {:.5} is known",
                    row.trace, row.entries, row.cache, row.hit_ratio, known.hit_ratio
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Replays one trace with one capacity through every cache.
struct Replay<'a> {
    trace: &'a str,
    keys: &'a [u64],
    entries: u64,
    rows: Vec<HitRatio>,
    failure: Option<Failure>,
}

impl Visit for Replay<'_> {
    fn visit<P: Peer>(&mut self) {
        if !P::WRITES || !P::EVICTS {
            return;
        }
        let many = P::ID == "clockhand" || P::NAME == REFERENCE;
        let threads: &[_] = if many { &[1, MANY_THREADS] } else { &[1] };
        for &threads in threads {
            match replay::<P>(self.keys, self.entries, threads) {
                Ok((hits, cache)) => {
                    let ratio = hits as f64 / self.keys.len() as f64;
                    let row = HitRatio::new(self.trace, self.entries, P::NAME, ratio);
                    let (held, refusals) = (Some(cache.entries()), Some(cache.refusals()));
                    self.rows.push(HitRatio { threads, held, refusals, ..row });
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
    }
}

/// The hits of one pass from an empty cache, and the cache as it is then.
fn replay<P: Peer>(keys: &[u64], entries: u64, threads: usize) -> Result<(u64, P), Failure> {
    let cache = P::with_capacity(entries);
    let next = AtomicUsize::new(0);
    let work = |_| {
        let mut lookup = cache.lookup();
        let mut hits = 0;
        while let Some(rest) = keys.get(next.fetch_add(CHUNK, Ordering::Relaxed)..) {
            if rest.is_empty() {
                break;
            }
            for key in &rest[..CHUNK.min(rest.len())] {
                if lookup.get(key).is_some() {
                    hits += 1;
                } else {
                    cache.insert(*key, *key);
                }
            }
        }
        hits
    };
    let shifts = team::run(threads, work, || ());
    let shifts = shifts.map_err(Failure::machine("cannot start a thread"))?;
    Ok((shifts.iter().map(|shift| shift.result).sum(), cache))
}

/// Tells the rows of one trace and capacity how far they are from the optimum's.
fn held_against_optimum(mut rows: Vec<HitRatio>) -> Vec<HitRatio> {
    let optimum = rows[SIMULATED.len() - 1].hit_ratio;
    rows.iter_mut().for_each(|row| row.distance = optimum - row.hit_ratio);
    rows
}

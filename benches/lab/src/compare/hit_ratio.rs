//! Hits per lookup in recorded traces: every cache, beside simulated policies and the optimum.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;
use serde::Serialize;

use super::Effort;
use super::known::{self, Known};
use super::text::write_table;
use crate::failure::Failure;
use crate::peers::{Lookup, Peer, Peers, Visit, each};
use crate::simulate::{Dense, belady, clock, lru};
use crate::source::Source;
use crate::team;

/// Shares of the built-in trace's unique keys.
const PERCENT: [u64; 4] = [1, 5, 10, 20];

/// clockhand is replayed with so many threads too.
const MANY_THREADS: usize = 8;

/// Accesses that a thread takes at a time, so that many threads keep near the trace's order.
const CHUNK: usize = 128;

/// A policy's name, and the hits it has with so many entries.
type Policy = (&'static str, fn(&Dense, usize) -> u64);

/// The simulated policies; the last is the optimum.
const SIMULATED: [Policy; 3] = [("LRU", lru), ("CLOCK", clock), ("Belady", belady)];

/// How far a simulation may be from what is known.
const TOLERANCE: f64 = 1e-4;

/// Hit ratios, and what follows from them.
#[derive(Debug, Clone, Serialize)]
pub struct HitRatios {
    /// One cache or policy with one trace and one capacity each.
    pub rows: Vec<HitRatio>,
    /// How far each is from the optimum on average.
    pub means: Vec<Mean>,
}

/// The hits of one pass from an empty cache; unit weights, a get, and an insert if it missed.
#[derive(Debug, Clone, Serialize)]
pub struct HitRatio {
    /// The trace's name.
    pub trace: String,
    /// The capacity.
    pub entries: u64,
    /// The cache or the policy.
    pub cache: &'static str,
    /// Whether it is a policy, simulated.
    pub simulated: bool,
    /// Threads that shared the accesses.
    pub threads: usize,
    /// Hits per access.
    pub hit_ratio: f64,
    /// The optimum's hit ratio less this one.
    pub distance: f64,
    /// What the cache says that it held in the end; some keep more than their capacity.
    pub held: Option<u64>,
}

/// How far a cache or a policy is from the optimum.
#[derive(Debug, Clone, Serialize)]
pub struct Mean {
    /// The cache or the policy.
    pub cache: &'static str,
    /// Threads that shared the accesses.
    pub threads: usize,
    /// Over so many rows.
    pub rows: usize,
    /// The mean of their distances.
    pub distance: f64,
    /// What it held in the end through its capacity, on average; above 1 it is flattered.
    pub held: Option<f64>,
}

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
        Ok(HitRatios { means: means(&rows), rows })
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

impl HitRatio {
    fn new(trace: &str, entries: u64, cache: &'static str, hit_ratio: f64) -> Self {
        let trace = trace.into();
        let (simulated, threads, distance, held) = (false, 1, 0.0, None);
        Self { trace, entries, cache, simulated, threads, hit_ratio, distance, held }
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
        let threads: &[_] = if P::ID == "clockhand" { &[1, MANY_THREADS] } else { &[1] };
        for &threads in threads {
            match replay::<P>(self.keys, self.entries, threads) {
                Ok((hits, held)) => {
                    let ratio = hits as f64 / self.keys.len() as f64;
                    let row = HitRatio::new(self.trace, self.entries, P::NAME, ratio);
                    self.rows.push(HitRatio { threads, held: Some(held), ..row });
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
    }
}

/// The hits of one pass from an empty cache, and the entries that it leaves.
fn replay<P: Peer>(keys: &[u64], entries: u64, threads: usize) -> Result<(u64, u64), Failure> {
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
    Ok((shifts.iter().map(|shift| shift.result).sum(), cache.entries()))
}

/// Tells the rows of one trace and capacity how far they are from the optimum's.
fn held_against_optimum(mut rows: Vec<HitRatio>) -> Vec<HitRatio> {
    let optimum = rows[SIMULATED.len() - 1].hit_ratio;
    rows.iter_mut().for_each(|row| row.distance = optimum - row.hit_ratio);
    rows
}

fn means(rows: &[HitRatio]) -> Vec<Mean> {
    let mut means = Vec::<Mean>::new();
    for row in rows {
        let HitRatio { cache, threads, distance, .. } = *row;
        let held = row.held.map(|held| held as f64 / row.entries as f64);
        let same = |mean: &&mut Mean| (mean.cache, mean.threads) == (cache, threads);
        match means.iter_mut().find(same) {
            Some(mean) => {
                mean.rows += 1;
                mean.distance += distance;
                mean.held = mean.held.zip(held).map(|(sum, held)| sum + held);
            }
            None => means.push(Mean { cache, threads, rows: 1, distance, held }),
        }
    }
    for mean in &mut means {
        mean.distance /= mean.rows as f64;
        mean.held = mean.held.map(|sum| sum / mean.rows as f64);
    }
    means.sort_by(|one, other| one.distance.total_cmp(&other.distance));
    means
}

impl fmt::Display for HitRatios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |row: &HitRatio| name(row.cache, row.threads);
        let groups = self
            .rows
            .chunk_by(|one, next| (&one.trace, one.entries) == (&next.trace, next.entries));
        let mut header = vec!["trace".to_owned(), "entries".to_owned()];
        header.extend(groups.clone().next().unwrap_or_default().iter().map(names));
        let header = header.iter().map(|name| &**name).collect::<Vec<_>>();
        let line = |rows: &[HitRatio]| {
            let mut line = vec![rows[0].trace.clone(), rows[0].entries.to_string()];
            line.extend(rows.iter().map(|row| format!("{:.4}", row.hit_ratio)));
            line
        };
        write_table(f, "Hit ratio", &header, groups.map(line).collect(), 1)?;
        let header = ["cache", "rows", "mean distance to Belady", "held / capacity"];
        let line = |mean: &Mean| {
            let distance = format!("{:.4}", mean.distance);
            let held = mean.held.map_or(String::new(), |held| format!("{held:.3}"));
            vec![name(mean.cache, mean.threads), mean.rows.to_string(), distance, held]
        };
        let means = self.means.iter().map(line).collect();
        write_table(f, "Hit ratio, distance to the optimum", &header, means, 1)
    }
}

fn name(cache: &str, threads: usize) -> String {
    if threads == 1 { cache.into() } else { format!("{cache}, {threads} thr") }
}

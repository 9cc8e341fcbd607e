//! Hits per lookup in recorded traces: every cache, beside policies and the optimum.

use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;

use super::hit_ratios::{HitRatio, HitRatios};
use super::trace_set::TraceSet;
use super::units::REFERENCE;
use super::weighted_ratio;
use crate::failure::Failure;
use crate::peers::{Lookup, Peer, Peers, Visit, each};
use crate::simulate::Dense;
use crate::team;

/// Some are replayed with this many threads too: clockhand, and the reference, which tells
/// what of the difference is the order of the accesses.
const MANY_THREADS: usize = 8;

/// Accesses that a thread takes at a time, so that many threads keep near the trace's order.
const CHUNK: usize = 128;

/// Replays every trace with each of its capacities.
pub(super) fn run(
    traces: &TraceSet,
    peers: Peers,
    bar: &ProgressBar,
) -> Result<HitRatios, Failure> {
    let (mut rows, mut weighted) = (Vec::new(), Vec::new());
    for runs in traces.runs() {
        let (name, trace) = (runs.source.name(), runs.load()?);
        let dense = Dense::of(trace.keys());
        for &entries in &runs.capacities {
            bar.set_message(format!("hit ratio, {name}, {entries} entries"));
            bar.tick();
            let simulated = traces.simulate(&name, &dense, entries)?;
            let row = |(cache, hit_ratio)| HitRatio {
                trace: name.clone(),
                entries,
                cache,
                simulated: true,
                threads: 1,
                hit_ratio,
                ..HitRatio::default()
            };
            let mut replay = Replay {
                trace: &name,
                keys: trace.keys(),
                entries,
                rows: simulated.into_iter().map(row).collect(),
                failure: None,
            };
            each(peers, &mut replay);
            replay.failure.map_or(Ok(()), Err)?;
            rows.extend(replay.rows);
            bar.inc(1);
        }
        weighted.extend(weighted_ratio::replay(&name, &trace, (peers, traces.offline())));
    }
    Ok(HitRatios::of(rows, weighted))
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
                    self.rows.push(HitRatio {
                        trace: self.trace.into(),
                        entries: self.entries,
                        cache: P::NAME,
                        threads,
                        hit_ratio: hits as f64 / self.keys.len() as f64,
                        held: Some(cache.entries()),
                        refusals: Some(cache.refusals()),
                        ..HitRatio::default()
                    });
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

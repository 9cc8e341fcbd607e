//! Reads alone: of many keys with Zipf's law, of one hot key, or of keys that are not there.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::goal::{Aim, Goal, Rival};
use super::keys::{STREAM, Streams, scatter};
use super::question::{About, Contender, Question};
use super::units::REFERENCE;
use crate::arena::{BATCH, Bell, rate, work_for};
use crate::failure::Failure;
use crate::peers::{Lookup, Peer};

/// Keys of the questions with few of them.
pub(super) const FEW: u64 = 10_000;

/// Keys of the question with many of them.
pub(super) const MANY: u64 = 1_000_000;

/// Every read finds its key, or none does.
pub(super) struct Reads {
    title: String,
    goals: &'static [Aim],
    keys: u64,
    hit: bool,
    streams: Streams,
    threads: usize,
    time: Duration,
}

impl Reads {
    /// Reads that hit, with a stream of the first `keys` keys for each thread.
    pub(super) fn hits(keys: u64, streams: &Streams, threads: usize, time: Duration) -> Self {
        let goals: &[_] = match (keys, threads) {
            (FEW, 1) => &[
                ("clockhand get", Goal::AtLeast(1.2, Rival::Named(REFERENCE))),
                ("clockhand Reader", Goal::AtLeast(1.0, Rival::Named("papaya map"))),
            ],
            (FEW, 2) => &[
                ("clockhand get", Goal::AtLeast(2.5, Rival::Named(REFERENCE))),
                ("clockhand Reader", Goal::AtLeast(4.0, Rival::Named(REFERENCE))),
            ],
            (MANY, 2) => &[("clockhand Reader", Goal::AtLeast(1.5, Rival::BestCache))],
            _ => &[],
        };
        let title = format!("hit read, {keys} keys, Zipf 0.99");
        Self { title, goals, keys, hit: true, streams: Arc::clone(streams), threads, time }
    }

    /// Reads of one key, which all threads share.
    pub(super) fn hot_key(threads: usize, time: Duration) -> Self {
        let goals: &[_] = match threads {
            2 => &[
                ("clockhand get", Goal::AtLeast(2.0, Rival::Named("TinyUFO"))),
                ("clockhand get", Goal::AtLeast(6.0, Rival::Named(REFERENCE))),
            ],
            _ => &[],
        };
        let title = "hit read, one hot key".into();
        let streams = Arc::new(vec![vec![scatter(0); STREAM]; threads]);
        Self { title, goals, keys: FEW, hit: true, streams, threads, time }
    }

    /// Reads of keys that were never put in.
    pub(super) fn misses(threads: usize, time: Duration) -> Self {
        let absent = |id: u64| MANY + id * STREAM as u64;
        let stream = |id| (absent(id)..absent(id + 1)).map(scatter).collect();
        let streams = Arc::new((0..threads as u64).map(stream).collect());
        let title = format!("miss, beside {FEW} keys");
        Self { title, goals: &[], keys: FEW, hit: false, streams, threads, time }
    }
}

impl Question for Reads {
    fn abouts(&self) -> Vec<About> {
        vec![About::throughput(self.title.clone(), self.threads, self.goals)]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        // Twice the keys, so that also a sharded cache, whose shards fill unevenly, holds all.
        let cache = P::with_capacity(2 * self.keys);
        (0..self.keys).for_each(|at| cache.insert(scatter(at), at));
        let &Self { threads, time, hit, .. } = self;
        let streams = Arc::clone(&self.streams);
        let (lost, reads) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = (Arc::clone(&lost), Arc::clone(&reads));
        let turn = move || {
            let shifts = work_for(time, threads, |id, bell| read(&cache, &streams[id], bell))?;
            let sum =
                |count: fn(&Done) -> u64| shifts.iter().map(|shift| count(&shift.result)).sum();
            let (reads, hits): (u64, u64) = (sum(|done| done.reads), sum(|done| done.hits));
            judge::<P>(hit, reads, hits)?;
            counted.0.fetch_add(if hit { reads - hits } else { 0 }, Ordering::Relaxed);
            counted.1.fetch_add(reads, Ordering::Relaxed);
            Ok(vec![rate(&shifts, |done| done.reads)])
        };
        let remark = move || {
            let [lost, reads] = [&lost, &reads].map(|count| count.load(Ordering::Relaxed) as f64);
            let percent = 100.0 * lost / reads;
            (lost > 0.0).then(|| format!("{percent:.2} % of its reads missed: it lost keys"))
        };
        Some(Contender::new::<P>(turn, remark))
    }
}

/// No cache may find what was never put in, and clockhand keeps what it has room for.
fn judge<P: Peer>(hit: bool, reads: u64, hits: u64) -> Result<(), Failure> {
    let broken = |what| Err(Failure::Broken(format!("{} {what}", P::NAME)));
    match hit {
        true if hits < reads && P::ID == "clockhand" => broken("lost keys it has room for"),
        false if hits > 0 => broken("found keys that were never put in"),
        _ => Ok(()),
    }
}

/// What one thread did until the bell.
struct Done {
    reads: u64,
    hits: u64,
}

fn read(cache: &impl Peer, keys: &[u64], bell: &Bell) -> Done {
    let mut lookup = cache.lookup();
    let (mut done, mut sum) = (Done { reads: 0, hits: 0 }, 0_u64);
    for batch in keys.chunks_exact(BATCH).cycle() {
        for key in batch {
            if let Some(value) = lookup.get(key) {
                done.hits += 1;
                sum = sum.wrapping_add(value);
            }
        }
        done.reads += BATCH as u64;
        if bell.rang() {
            break;
        }
    }
    black_box(sum);
    done
}

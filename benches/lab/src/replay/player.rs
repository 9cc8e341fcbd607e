//! One thread's part of a replay.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::course::Course;
use super::{Body, SAMPLED_ONE_IN};
use crate::latency::Sampler;
use crate::trace::Trace;
use crate::words::Words;

/// Which read operation of the cache looks the keys up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReadPath {
    /// `Cache::get`
    Get,
    /// `Reader::get`, one reader per thread
    Reader,
}

/// What came of the accesses that were replayed.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) wrong: u64,
    pub(super) gets: Vec<Histogram<u64>>,
    pub(super) inserts: Vec<Histogram<u64>>,
}

impl Replayed {
    pub(super) fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        parts.into_iter().for_each(|part| all.add(part));
        all
    }

    pub(super) fn add(&mut self, part: Self) {
        self.hits += part.hits;
        self.misses += part.misses;
        self.wrong += part.wrong;
        merge(&mut self.gets, part.gets);
        merge(&mut self.inserts, part.inserts);
    }

    pub(super) fn accesses(&self) -> u64 {
        self.hits + self.misses
    }
}

/// Replays chunks of the course until it is over.
pub(super) fn play(
    cache: &Words,
    trace: &Trace,
    course: &Course,
    read: ReadPath,
    id: usize,
) -> Replayed {
    match read {
        ReadPath::Get => play_through(|key| cache.get(key), cache, trace, course, id),
        ReadPath::Reader => {
            let mut reader = cache.reader();
            play_through(|key| reader.get(key).copied(), cache, trace, course, id)
        }
    }
}

fn play_through(
    mut lookup: impl FnMut(&u64) -> Option<u64>,
    cache: &Words,
    trace: &Trace,
    course: &Course,
    id: usize,
) -> Replayed {
    let (keys, sizes) = (trace.keys(), trace.sizes());
    let mut gets = Sampler::new(SAMPLED_ONE_IN, 2 * id as u64);
    let mut inserts = Sampler::new(SAMPLED_ONE_IN, 2 * id as u64 + 1);
    let mut replayed = Replayed::default();
    while let Some(chunk) = course.take() {
        for at in chunk {
            let key = keys[at];
            if let Some(body) = gets.run(|| lookup(&key)) {
                replayed.hits += 1;
                replayed.wrong += u64::from(!Body(body).is_of(key));
            } else {
                replayed.misses += 1;
                let body = Body::new(key, sizes.map_or(1, |sizes| sizes[at]));
                inserts.run(|| cache.insert(key, body.0));
            }
        }
    }
    replayed.gets.push(gets.finish());
    replayed.inserts.push(inserts.finish());
    replayed
}

/// Keeps one histogram, however many threads and rounds there are.
fn merge(all: &mut Vec<Histogram<u64>>, more: Vec<Histogram<u64>>) {
    for histogram in more {
        match all.first_mut() {
            Some(first) => *first += histogram,
            None => all.push(histogram),
        }
    }
}

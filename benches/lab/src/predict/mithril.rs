//! Mithril, by its published rules: J. Yang, R. Karimi, T. Sæmundsson, A. Wildani and Y. Vigfusson, "Mithril: Mining
//! Sporadic Associations for Cache Prefetching", SoCC 2017. Written for the lab from that description.
//!
//! Misses are *recorded* with the time, in requests. What was recorded often enough is moved to the
//! *mining* table; what comes too often is dropped from it. When that table is full it is mined: of two
//! keys whose times lie within the lookahead range of each other, pair by pair, the second is noted as a
//! *successor* of the first. At each request the successors that are not in the cache are fetched. One that
//! is evicted before it was asked for is put in once more.

use std::collections::VecDeque;

use super::drive::{Ahead, Hash, Store};

/// The values of the authors' implementation.
const LOOKAHEAD: u64 = 20;
const MIN_SUPPORT: usize = 2;
const MAX_SUPPORT: usize = 8;
/// Pairs of times, and times without a counterpart, that may be amiss.
const CONFIDENCE: usize = 1;
const SUCCESSORS: usize = 2;
const MINED: usize = 5120 / MIN_SUPPORT;
/// Rows for each entry of the cache: what a fiftieth and a tenth of it hold, in blocks of 4 KiB.
const RECORDED: usize = 5;
const PREFETCHED: usize = 20;

#[derive(Debug)]
struct Row {
    key: u64,
    times: Vec<u64>,
}

/// Rules over tables, which a cache's requests pass through.
pub(super) struct Mithril {
    now: u64,
    /// Times of misses, and the keys in order of the first.
    recorded: Hash<u64, Vec<u64>>,
    in_order: VecDeque<u64>,
    mining: Hash<u64, Vec<u64>>,
    successors: Hash<u64, VecDeque<u64>>,
    with_successors: VecDeque<u64>,
    capacity: usize,
    /// What was fetched and not asked for, and whether it was put in once more.
    fetched: Hash<u64, bool>,
}

impl Mithril {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            now: 0,
            recorded: Hash::default(),
            in_order: VecDeque::new(),
            mining: Hash::default(),
            successors: Hash::default(),
            with_successors: VecDeque::new(),
            capacity: capacity as usize,
            fetched: Hash::default(),
        }
    }

    fn record(&mut self, key: u64) {
        if let Some(times) = self.mining.get_mut(&key) {
            if times.len() == MAX_SUPPORT {
                self.mining.remove(&key);
            } else {
                times.push(self.now);
            }
            return;
        }
        let times = self.recorded.entry(key).or_default();
        if times.is_empty() {
            self.in_order.push_back(key);
        }
        times.push(self.now);
        if times.len() == MIN_SUPPORT {
            let times = self.recorded.remove(&key).unwrap_or_default();
            self.mining.insert(key, times);
        }
        while self.in_order.len() > RECORDED * self.capacity {
            let oldest = self.in_order.pop_front();
            oldest.map(|key| self.recorded.remove(&key));
        }
        if self.mining.len() == MINED {
            self.mine();
        }
    }

    fn mine(&mut self) {
        let row = |(key, times)| Row { key, times };
        let mut rows: Vec<Row> = self.mining.drain().map(row).collect();
        rows.sort_unstable_by_key(|row| row.times[0]);
        for (nth, first) in rows.iter().enumerate() {
            let mut nearest = true;
            for second in &rows[nth + 1..] {
                if second.times[0] - first.times[0] > LOOKAHEAD {
                    break;
                }
                if are_associated(first, second, &mut nearest) {
                    self.note(first.key, second.key);
                }
            }
        }
    }

    fn note(&mut self, first: u64, second: u64) {
        let row = self.successors.entry(first).or_default();
        if row.is_empty() {
            self.with_successors.push_back(first);
        }
        if !row.contains(&second) {
            row.push_back(second);
            if row.len() > SUCCESSORS {
                row.pop_front();
            }
        }
        while self.with_successors.len() > PREFETCHED * self.capacity {
            let oldest = self.with_successors.pop_front();
            oldest.map(|key| self.successors.remove(&key));
        }
    }
}

/// Whether the times of two keys go together; and two of them are neighbours, or the second is the nearest
/// that may follow the first.
fn are_associated(first: &Row, second: &Row, nearest: &mut bool) -> bool {
    if first.times.len().abs_diff(second.times.len()) > CONFIDENCE {
        return false;
    }
    let gaps = || first.times.iter().zip(&second.times).map(|(a, b)| a.abs_diff(*b));
    let amiss = gaps().filter(|gap| *gap > LOOKAHEAD).count();
    let is_near = std::mem::take(nearest) || gaps().any(|gap| gap == 1);
    is_near && amiss <= CONFIDENCE
}

impl Ahead for Mithril {
    fn asked(&mut self, store: &Store, key: u64, hit: bool) {
        self.fetched.remove(&key);
        if !hit {
            self.record(key);
        }
        let successors = self.successors.get(&key).cloned().unwrap_or_default();
        for next in successors {
            if !store.cache().contains_key(&next) {
                let _ = store.refresh(&next);
                self.fetched.insert(next, false);
            }
        }
        self.now += 1;
    }

    fn evicted(&mut self, store: &Store, key: u64) {
        match self.fetched.get_mut(&key) {
            Some(again) if !*again => {
                *again = true;
                store.cache().insert(key, key);
            }
            _ => _ = self.fetched.remove(&key),
        }
    }

    fn memory(&self) -> usize {
        let word = size_of::<u64>();
        (self.recorded.len() * (1 + MIN_SUPPORT)
            + self.mining.len() * (1 + MAX_SUPPORT)
            + self.successors.len() * (1 + SUCCESSORS))
            * word
    }
}

//! A slow store that remembers when it was asked, and what for.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::races::step;

/// Why the store does not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store has too many connections")]
pub(crate) struct TooMany;

#[derive(Debug)]
pub(crate) struct Store {
    time: Duration,
    /// Requests that it answers in its usual time, all at once. More take longer, and more than twice as many are refused.
    at_once: u64,
    asked: Mutex<Vec<(u64, Instant)>>,
    loading: Mutex<HashSet<u64>>,
    running: AtomicU64,
    most: AtomicU64,
    beside: AtomicU64,
}

impl Store {
    pub(crate) fn new(time: Duration, at_once: u64) -> Self {
        let [running, most, beside] = [const { AtomicU64::new(0) }; 3];
        let (asked, loading) = (Mutex::default(), Mutex::default());
        Self { time, at_once, asked, loading, running, most, beside }
    }

    /// Takes its time, and answers with the key.
    pub(crate) fn load(&self, key: u64) -> Result<u64, TooMany> {
        let running = 1 + self.running.fetch_add(1, Ordering::Relaxed);
        if running > self.at_once.saturating_mul(2) {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return Err(TooMany);
        }
        self.most.fetch_max(running, Ordering::Relaxed);
        let first = step(&self.loading).insert(key);
        step(&self.asked).push((key, Instant::now()));
        self.beside.fetch_add(u64::from(!first), Ordering::Relaxed);
        thread::sleep(self.time.mul_f64((running as f64 / self.at_once as f64).max(1.0)));
        self.running.fetch_sub(1, Ordering::Relaxed);
        if first {
            step(&self.loading).remove(&key);
        }
        Ok(key)
    }

    /// How many loads have begun.
    pub(crate) fn loads(&self) -> u64 {
        step(&self.asked).len() as u64
    }

    /// How many of them began while the same key was being loaded.
    pub(crate) fn loads_beside_others(&self) -> u64 {
        self.beside.load(Ordering::Relaxed)
    }

    /// How many ran at the same time, at most.
    pub(crate) fn most_at_once(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// The most loads of one key that began within one period.
    pub(crate) fn most_within(&self, period: Duration) -> u64 {
        let mut asked = step(&self.asked).clone();
        asked.sort_unstable();
        let (mut first, mut most) = (0, 0);
        for (at, &(key, time)) in asked.iter().enumerate() {
            while asked[first].0 != key || time - asked[first].1 >= period {
                first += 1;
            }
            most = most.max(at + 1 - first);
        }
        most as u64
    }
}

#[cfg(test)]
mod tests;

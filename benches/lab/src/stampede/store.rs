//! A slow store that remembers when it was asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Answers after a while, any number of requests at once.
#[derive(Debug)]
pub(super) struct Store {
    time: Duration,
    /// What was asked for, and when.
    asked: Mutex<Vec<(u64, Instant)>>,
    running: AtomicU64,
    most: AtomicU64,
}

impl Store {
    pub(super) fn new(time: Duration) -> Self {
        let (running, most) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { time, asked: Mutex::default(), running, most }
    }

    /// The value of a key.
    pub(super) fn load(&self, key: u64) -> u64 {
        let running = 1 + self.running.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(running, Ordering::Relaxed);
        self.asked().push((key, Instant::now()));
        thread::sleep(self.time);
        self.running.fetch_sub(1, Ordering::Relaxed);
        key
    }

    /// How often it was asked.
    pub(super) fn loads(&self) -> u64 {
        self.asked().len() as u64
    }

    /// How many requests it served at once, at most.
    pub(super) fn most_at_once(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// How often it was asked for the same key within a period, at most.
    pub(super) fn most_within(&self, period: Duration) -> u64 {
        let mut asked = self.asked().clone();
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

    fn asked(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

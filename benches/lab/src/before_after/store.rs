//! The store behind the cache: slow, and slower when it is asked for too much at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::page::{Held, Page};

/// The store has as many requests as it takes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store has too many connections")]
pub(super) struct TooMany;

/// A store that serves so many requests at once. With more of them each takes longer in proportion; with
/// more than twice as many, it refuses.
pub(super) struct Store {
    time: Duration,
    at_once: u64,
    held: Held,
    /// Keys that are being loaded.
    loading: Mutex<HashSet<u64>>,
    running: AtomicU64,
    loads: AtomicU64,
    /// Loads of a key that was being loaded.
    beside: AtomicU64,
}

impl Store {
    pub(super) fn new(time: Duration, at_once: u64, held: Held) -> Self {
        let [running, loads, beside] = [const { AtomicU64::new(0) }; 3];
        Self { time, at_once, held, loading: Mutex::default(), running, loads, beside }
    }

    pub(super) fn load(&self, key: u64) -> Result<Arc<Page>, TooMany> {
        let running = 1 + self.running.fetch_add(1, Ordering::Relaxed);
        if running > 2 * self.at_once {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return Err(TooMany);
        }
        let first = self.loading().insert(key);
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.beside.fetch_add(u64::from(!first), Ordering::Relaxed);
        thread::sleep(self.time.mul_f64((running as f64 / self.at_once as f64).max(1.0)));
        let page = Page::new(key, &self.held);
        self.running.fetch_sub(1, Ordering::Relaxed);
        if first {
            self.loading().remove(&key);
        }
        Ok(page)
    }

    pub(super) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    pub(super) fn loads_beside_others(&self) -> u64 {
        self.beside.load(Ordering::Relaxed)
    }

    fn loading(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

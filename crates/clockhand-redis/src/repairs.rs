//! Writes that did not reach the server, and so may have left an older value there.
//!
//! Their keys are remembered, up to a limit, and removed from the server as soon as that is possible. Until then this
//! instance does not read them from there. Beyond the limit nothing is remembered but that: the whole generation is
//! advanced then, and until that is done nothing is read from the server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub(crate) struct Repairs {
    limit: usize,
    /// How many there are: nothing is locked by reads while there is none. `usize::MAX` after an overflow.
    count: AtomicUsize,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// The keys, and the number of the last write of each that failed.
    keys: HashMap<Vec<u8>, u64>,
    next: u64,
    /// The number of the last failure that the log did not hold.
    overflow: Option<u64>,
}

/// What is to be done.
pub(crate) enum Due {
    /// Remove these keys. Each with a number to say that it is done.
    Keys(Vec<(Vec<u8>, u64)>),
    /// Advance the generation.
    Everything(u64),
}

impl Repairs {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, count: AtomicUsize::new(0), log: Mutex::default() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Log) -> R) -> R {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = f(&mut log);
        let count = if log.overflow.is_some() { usize::MAX } else { log.keys.len() };
        // ORDERING: Release: a read that sees the count, or that is told of the failed write by other means, finds the
        // log as it is; partner is the load in `concerns`.
        self.count.store(count, Ordering::Release);
        answer
    }

    /// Remembers a key. Returns true if that made the log overflow.
    pub(crate) fn add(&self, key: &[u8]) -> bool {
        self.with(|log| {
            let number = log.next;
            log.next += 1;
            if log.overflow.is_none() && (log.keys.len() < self.limit || log.keys.contains_key(key))
            {
                log.keys.insert(key.to_vec(), number);
                return false;
            }
            let first = log.overflow.is_none();
            log.keys = HashMap::new();
            log.overflow = Some(number);
            first
        })
    }

    /// Everything on the server is to be taken for outdated, as after an overflow.
    pub(crate) fn add_everything(&self) {
        self.with(|log| {
            log.keys = HashMap::new();
            log.overflow = Some(log.next);
            log.next += 1;
        });
    }

    /// Whether the server may have an older value of this key.
    pub(crate) fn concerns(&self, key: &[u8]) -> bool {
        // ORDERING: Acquire: partner is the store in `with`.
        match self.count.load(Ordering::Acquire) {
            0 => false,
            usize::MAX => true,
            _ => self.with(|log| log.keys.contains_key(key) || log.overflow.is_some()),
        }
    }

    /// What is to be done first, up to `most` keys.
    pub(crate) fn due(&self, most: usize) -> Option<Due> {
        self.with(|log| {
            if let Some(number) = log.overflow {
                return Some(Due::Everything(number));
            }
            let keys: Vec<_> = log.keys.iter().take(most).map(|(k, n)| (k.clone(), *n)).collect();
            (!keys.is_empty()).then_some(Due::Keys(keys))
        })
    }

    /// A key was removed from the server, or written anew there, and no write of it has failed since.
    pub(crate) fn done(&self, key: &[u8], number: u64) {
        self.with(|log| {
            if log.keys.get(key) == Some(&number) {
                log.keys.remove(key);
            }
        });
    }

    /// A number for [`done`](Self::done), if the key is in the log.
    pub(crate) fn number(&self, key: &[u8]) -> Option<u64> {
        self.with(|log| log.keys.get(key).copied())
    }

    /// The generation was advanced, and no write has failed since.
    pub(crate) fn everything_done(&self, number: u64) {
        self.with(|log| {
            if log.overflow == Some(number) {
                log.overflow = None;
            }
        });
    }

    /// How many keys there are; `usize::MAX` after an overflow.
    pub(crate) fn len(&self) -> usize {
        self.with(|log| if log.overflow.is_some() { usize::MAX } else { log.keys.len() })
    }
}

#[cfg(test)]
mod tests;

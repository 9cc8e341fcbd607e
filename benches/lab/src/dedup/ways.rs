//! `clockhand`'s way to process a message once, and the obvious ones.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clockhand::dedup::{Deduplicator, Outcome};

use super::{Consumer, Delivered, Process, TTL, answer};

pub(super) struct Claims(pub(super) Deduplicator<u64>);

impl Consumer for Claims {
    fn consume(&self, id: u64, process: Process<'_>) -> Delivered {
        match self.0.process(id, process) {
            Outcome::Processed(()) | Outcome::Duplicate => Delivered::Acknowledged,
            _ => Delivered::Again,
        }
    }
}

pub(super) type Times = Mutex<HashMap<u64, Instant, ahash::RandomState>>;

fn live(times: &HashMap<u64, Instant, ahash::RandomState>, id: u64) -> bool {
    times.get(&id).is_some_and(|added| added.elapsed() < TTL)
}

/// Is it new? Then process it, and add it. A lock for each step.
pub(super) struct Locked(pub(super) Times);

impl Consumer for Locked {
    fn consume(&self, id: u64, process: Process<'_>) -> Delivered {
        let step = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if live(&step(), id) {
            return Delivered::Acknowledged;
        }
        let result = process();
        if result.is_ok() {
            step().insert(id, Instant::now());
        }
        answer(result)
    }
}

/// The same with one lock over check and add, before the message is processed.
pub(super) struct LockedAddFirst(pub(super) Times);

impl Consumer for LockedAddFirst {
    fn consume(&self, id: u64, process: Process<'_>) -> Delivered {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if live(&times, id) {
            return Delivered::Acknowledged;
        }
        times.insert(id, Instant::now());
        drop(times);
        answer(process())
    }
}

//! Other caches and maps, used the obvious way.

use std::time::Instant;

use super::{Consumer, Delivered, Log, Process, TTL, Way, answer};
use crate::failure::Failure;

type Times = dashmap::DashMap<u64, Instant, ahash::RandomState>;

struct DashMap(Times);

impl Consumer for DashMap {
    fn consume(&self, id: u64, process: Process<'_>) -> Delivered {
        if self.0.get(&id).is_some_and(|added| added.elapsed() < TTL) {
            return Delivered::Acknowledged;
        }
        let result = process();
        if result.is_ok() {
            self.0.insert(id, Instant::now());
        }
        answer(result)
    }
}

struct Moka(moka::sync::Cache<u64, (), ahash::RandomState>);

impl Consumer for Moka {
    fn consume(&self, id: u64, process: Process<'_>) -> Delivered {
        if self.0.contains_key(&id) {
            return Delivered::Acknowledged;
        }
        let result = process();
        if result.is_ok() {
            self.0.insert(id, ());
        }
        answer(result)
    }
}

/// Consumes the log with each of them.
pub(super) fn consume(log: Log) -> Result<[Way; 2], Failure> {
    let hasher = ahash::RandomState::new;
    let moka = moka::sync::Cache::builder().max_capacity(log.messages()).time_to_live(TTL);
    Ok([
        log.consume("dashmap, check then add", &DashMap(Times::with_hasher(hasher())))?,
        log.consume("moka, check then add", &Moka(moka.build_with_hasher(hasher())))?,
    ])
}

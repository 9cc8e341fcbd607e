//! TinyUFO, S3-FIFO with TinyLFU's admission, lock-free.

use std::fmt;

use tinyufo::TinyUfo;

use super::{Lookup, Peer};

type Queues = TinyUfo<u64, u64>;

/// TinyUFO in its fast form; it has a hasher of its own only.
pub struct TinyUfoFast {
    cache: Queues,
    capacity: u64,
}

impl Peer for TinyUfoFast {
    const NAME: &'static str = "TinyUFO";

    const ID: &'static str = "tinyufo";

    type Lookup<'a> = &'a Queues;

    fn with_capacity(entries: u64) -> Self {
        Self { cache: TinyUfo::new(entries as usize, entries as usize), capacity: entries }
    }

    fn configuration() -> String {
        "0.9, TinyUfo::new(capacity, capacity), its own ahash; does not tell its entries".into()
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.cache
    }

    fn insert(&self, key: u64, value: u64) {
        drop(self.cache.put(key, value, 1));
    }

    /// The capacity: it evicts nothing before it is full.
    fn entries(&self) -> u64 {
        self.capacity
    }
}

impl Lookup for &Queues {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        TinyUfo::get(self, key)
    }
}

impl fmt::Debug for TinyUfoFast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAME)
    }
}

//! TinyUFO, S3-FIFO with TinyLFU's admission, lock-free.

use tinyufo::TinyUfo;

use super::{Lookup, Peer, Weigh, Weight, Wide, WideKey, WideValue};

type Queues = TinyUfo<u64, u64>;

/// TinyUFO in its fast form; it has a hasher of its own only.
pub(crate) struct TinyUfoFast {
    cache: Queues,
    capacity: u64,
}

impl Peer for TinyUfoFast {
    const NAME: &'static str = "TinyUFO";

    const ID: &'static str = "tinyufo";

    type Lookup<'a> = &'a Queues;

    type Weighing<V: Weight> = TinyUfo<u64, V>;

    type Wide = WideQueues;

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

/// Its weights have 16 bits.
impl<V: Weight> Weigh<V> for TinyUfo<u64, V> {
    const HEAVIEST: u32 = u16::MAX as u32;

    fn with_bound(weight: u64, entries: u64) -> Option<Self> {
        Some(TinyUfo::new(weight as usize, entries as usize))
    }

    #[inline]
    fn get(&self, key: &u64) -> Option<V> {
        TinyUfo::get(self, key)
    }

    #[inline]
    fn insert(&self, key: u64, value: V) {
        let weight = value.weight().min(<Self as Weigh<V>>::HEAVIEST) as u16;
        drop(self.put(key, value, weight));
    }
}

/// TinyUFO with larger entries.
pub(crate) struct WideQueues {
    cache: TinyUfo<WideKey, WideValue>,
    capacity: u64,
}

impl Wide for WideQueues {
    fn with_capacity(entries: u64) -> Option<Self> {
        let cache = TinyUfo::new(entries as usize, entries as usize);
        Some(Self { cache, capacity: entries })
    }

    fn insert(&self, key: WideKey, value: WideValue) {
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

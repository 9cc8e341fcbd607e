//! clockhand, through `Cache::get` and through `Reader`.

use super::{Lookup, Nobody, Peer, Weigh, Weight, Wide, WideKey, WideValue};

type Cache = clockhand::Cache<u64, u64>;

/// clockhand, read through [`clockhand::Cache::get`].
pub(crate) struct ClockhandGet(Cache);

/// clockhand, read through a [`clockhand::Reader`] per thread.
pub(crate) struct ClockhandReader(Cache);

impl Peer for ClockhandGet {
    const NAME: &'static str = "clockhand get";

    const ID: &'static str = "clockhand";

    type Lookup<'a> = &'a Cache;

    type Weighing<V: Weight> = clockhand::Cache<u64, V>;

    type Wide = clockhand::Cache<WideKey, WideValue>;

    fn with_capacity(entries: u64) -> Self {
        Self(Cache::new(entries))
    }

    fn configuration() -> String {
        "Cache::new(capacity): ahash, unit weights".into()
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        &self.0
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.usage().entries as u64
    }

    fn refusals(&self) -> u64 {
        self.0.stats().refusals
    }
}

impl Peer for ClockhandReader {
    const NAME: &'static str = "clockhand Reader";

    const ID: &'static str = "clockhand";

    const WRITES: bool = false;

    type Lookup<'a> = clockhand::Reader<u64, u64>;

    type Weighing<V: Weight> = Nobody;

    type Wide = Nobody;

    fn with_capacity(entries: u64) -> Self {
        Self(Cache::new(entries))
    }

    fn configuration() -> String {
        "the same, one Reader per thread".into()
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        self.0.reader()
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.usage().entries as u64
    }

    fn refusals(&self) -> u64 {
        self.0.stats().refusals
    }
}

impl<V: Weight> Weigh<V> for clockhand::Cache<u64, V> {
    fn with_bound(weight: u64, entries: u64) -> Option<Self> {
        let builder = clockhand::Cache::builder().capacity(weight);
        let builder = builder.expected_entries(entries as usize);
        builder.weigher(|_: &u64, value: &V| u64::from(value.weight())).build().ok()
    }

    #[inline]
    fn get(&self, key: &u64) -> Option<V> {
        clockhand::Cache::get(self, key)
    }

    #[inline]
    fn insert(&self, key: u64, value: V) {
        clockhand::Cache::insert(self, key, value);
    }

    fn refusals(&self) -> u64 {
        self.stats().refusals
    }

    fn charge(&self) -> Option<u64> {
        Some(self.usage().charged)
    }

    fn retired_capacity(&self) -> u64 {
        self.usage().retired_capacity
    }
}

impl Wide for clockhand::Cache<WideKey, WideValue> {
    fn with_capacity(entries: u64) -> Option<Self> {
        Some(clockhand::Cache::new(entries))
    }

    fn insert(&self, key: WideKey, value: WideValue) {
        clockhand::Cache::insert(self, key, value);
    }

    fn entries(&self) -> u64 {
        self.usage().entries as u64
    }
}

impl Lookup for &Cache {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        clockhand::Cache::get(self, key)
    }

    #[inline]
    fn get_many(&mut self, keys: &[u64], found: impl FnMut(u64)) {
        self.pin().get_many(keys).flatten().copied().for_each(found);
    }
}

impl Lookup for clockhand::Reader<u64, u64> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        clockhand::Reader::get(self, key).copied()
    }

    #[inline]
    fn get_many(&mut self, keys: &[u64], found: impl FnMut(u64)) {
        clockhand::Reader::get_many(self, keys).flatten().copied().for_each(found);
    }
}

//! clockhand, through `Cache::get` and through `Reader`.

use std::fmt;

use super::{Lookup, Peer};

type Cache = clockhand::Cache<u64, u64>;

/// clockhand, read through [`clockhand::Cache::get`].
pub struct ClockhandGet(Cache);

/// clockhand, read through a [`clockhand::Reader`] per thread.
pub struct ClockhandReader(Cache);

impl Peer for ClockhandGet {
    const NAME: &'static str = "clockhand get";

    const ID: &'static str = "clockhand";

    type Lookup<'a> = &'a Cache;

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

impl Lookup for &Cache {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        clockhand::Cache::get(self, key)
    }
}

impl Lookup for clockhand::Reader<u64, u64> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        clockhand::Reader::get(self, key).copied()
    }
}

impl fmt::Debug for ClockhandGet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAME)
    }
}

impl fmt::Debug for ClockhandReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAME)
    }
}

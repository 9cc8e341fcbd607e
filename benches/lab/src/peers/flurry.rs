//! flurry's map, a yardstick of reads: it never evicts.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;

use flurry::{HashMap, HashMapRef};

use super::{Lookup, Nobody, Peer, Weight};

/// flurry's map with a hasher of choice.
pub struct Flurry<B>(HashMap<u64, u64, B>);

impl<B> Peer for Flurry<B>
where
    B: BuildHasher + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "flurry map";

    const ID: &'static str = "flurry";

    const EVICTS: bool = false;

    type Lookup<'a> = HashMapRef<'a, u64, u64, B>;

    type Weighing<V: Weight> = Nobody;

    type Wide = Nobody;

    fn with_capacity(entries: u64) -> Self {
        Self(HashMap::with_capacity_and_hasher(entries as usize, B::default()))
    }

    fn configuration() -> String {
        format!("0.5, a map, one pin per thread and round, {}", type_name::<B>())
    }

    fn lookup(&self) -> Self::Lookup<'_> {
        self.0.pin()
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.pin().insert(key, value);
    }

    fn entries(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<B: BuildHasher> Lookup for HashMapRef<'_, u64, u64, B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        HashMapRef::get(self, key).copied()
    }
}

impl<B> fmt::Debug for Flurry<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flurry map")
    }
}

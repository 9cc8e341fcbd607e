//! papaya's map, a yardstick of reads: it never evicts.

use std::any::type_name;
use std::fmt;
use std::hash::BuildHasher;

use papaya::{HashMap, HashMapRef, LocalGuard};

use super::{Lookup, Nobody, Peer, Weight};

type Pinned<'a, B> = HashMapRef<'a, u64, u64, B, LocalGuard<'a>>;

/// papaya's map with a hasher of choice.
pub struct Papaya<B>(HashMap<u64, u64, B>);

impl<B> Peer for Papaya<B>
where
    B: BuildHasher + Default + Send + Sync + 'static,
{
    const NAME: &'static str = "papaya map";

    const ID: &'static str = "papaya";

    const EVICTS: bool = false;

    type Lookup<'a> = Pinned<'a, B>;

    type Weighing<V: Weight> = Nobody;

    type Wide = Nobody;

    fn with_capacity(entries: u64) -> Self {
        Self(HashMap::with_capacity_and_hasher(entries as usize, B::default()))
    }

    fn configuration() -> String {
        format!("0.2, a map, one pin per thread and round, {}", type_name::<B>())
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

impl<B: BuildHasher> Lookup for Pinned<'_, B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        HashMapRef::get(self, key).copied()
    }
}

impl<B> fmt::Debug for Papaya<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("papaya map")
    }
}

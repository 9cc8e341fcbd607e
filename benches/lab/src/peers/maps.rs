//! Maps of the field, yardsticks of reads: they never evict.

use std::any::type_name;

use super::{Hasher, Lookup, Nobody, Peer, Store, Value};

/// Peers that are a map: its type, what users call it, how it is configured, what a thread reads through and how it gets
/// that, how it finds a key, and how it takes an entry.
macro_rules! maps {
    ($($map:ty, $id:literal, $configuration:literal, $lookup:ty: |$from:ident| $look:expr,
       |$read:ident, $key:ident| $get:expr, |$to:ident, $new:ident, $value:ident| $put:expr;)*) => {$(
        impl<B: Hasher> Peer for $map {
            const NAME: &'static str = concat!($id, " map");
            const ID: &'static str = $id;
            const EVICTS: bool = false;

            type Lookup<'a> = $lookup;
            type Weighing<V: Value> = Nobody;
            type Wide = Nobody;

            fn configuration() -> String {
                format!(concat!($configuration, ", {}"), type_name::<B>())
            }

            fn with_capacity(entries: u64) -> Self {
                Self::with_capacity_and_hasher(entries as usize, B::default())
            }

            fn lookup(&self) -> Self::Lookup<'_> {
                let $from = self;
                $look
            }
        }

        impl<B: Hasher> Store<u64, u64> for $map {
            #[inline]
            fn get(&self, $key: &u64) -> Option<u64> {
                let $read = self;
                $get
            }

            fn insert(&self, $new: u64, $value: u64) {
                let $to = self;
                $put;
            }

            fn entries(&self) -> u64 {
                self.len() as u64
            }
        }
    )*};
}

maps! {
    papaya::HashMap<u64, u64, B>, "papaya", "0.2, a map, one pin per thread and round",
    papaya::HashMapRef<'a, u64, u64, B, papaya::LocalGuard<'a>>: |map| map.pin(),
    |map, key| map.pin().get(key).copied(), |map, key, value| map.pin().insert(key, value);

    flurry::HashMap<u64, u64, B>, "flurry", "0.5, a map, one pin per thread and round",
    flurry::HashMapRef<'a, u64, u64, B>: |map| map.pin(),
    |map, key| map.pin().get(key).copied(), |map, key, value| map.pin().insert(key, value);

    dashmap::DashMap<u64, u64, B>, "dashmap", "6, a map, default options (4 shards per core)",
    &'a Self: |map| map,
    |map, key| dashmap::DashMap::get(map, key).map(|entry| *entry),
    |map, key, value| dashmap::DashMap::insert(map, key, value);
}

impl<B: Hasher> Lookup for papaya::HashMapRef<'_, u64, u64, B, papaya::LocalGuard<'_>> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        Self::get(self, key).copied()
    }
}

impl<B: Hasher> Lookup for flurry::HashMapRef<'_, u64, u64, B> {
    #[inline]
    fn get(&mut self, key: &u64) -> Option<u64> {
        Self::get(self, key).copied()
    }
}

//! Maps of the field, yardsticks of reads: they never evict.

use std::any::type_name;
use std::hash::BuildHasher;

use super::{Lookup, Nobody, Peer, Weight};

/// Peers that are a map: its type, what users call it, how it is configured, what a thread reads through, how it gets
/// that, finds a key there, and puts an entry in.
macro_rules! maps {
    ($($(#[$doc:meta])* $peer:ident($map:ty), $id:literal, $configuration:literal,
       $lookup:ty: |$from:ident| $look:expr, |$read:ident, $key:ident| $get:expr,
       |$to:ident, $new:ident, $value:ident| $put:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $peer<B>($map);

        impl<B> Peer for $peer<B>
        where
            B: BuildHasher + Clone + Default + Send + Sync + 'static,
        {
            const NAME: &'static str = concat!($id, " map");

            const ID: &'static str = $id;

            const EVICTS: bool = false;

            type Lookup<'a> = $lookup;

            type Weighing<V: Weight> = Nobody;

            type Wide = Nobody;

            fn with_capacity(entries: u64) -> Self {
                Self(<$map>::with_capacity_and_hasher(entries as usize, B::default()))
            }

            fn configuration() -> String {
                format!(concat!($configuration, ", {}"), type_name::<B>())
            }

            fn lookup(&self) -> Self::Lookup<'_> {
                let $from = &self.0;
                $look
            }

            fn insert(&self, $new: u64, $value: u64) {
                let $to = &self.0;
                $put;
            }

            fn entries(&self) -> u64 {
                self.0.len() as u64
            }
        }

        impl<'a, B: BuildHasher + Clone> Lookup for $lookup {
            #[inline]
            fn get(&mut self, $key: &u64) -> Option<u64> {
                let $read = self;
                $get
            }
        }
    )*};
}

maps! {
    /// papaya's map with a hasher of choice.
    Papaya(papaya::HashMap<u64, u64, B>), "papaya", "0.2, a map, one pin per thread and round",
    papaya::HashMapRef<'a, u64, u64, B, papaya::LocalGuard<'a>>: |map| map.pin(),
    |pinned, key| papaya::HashMapRef::get(pinned, key).copied(),
    |map, key, value| map.pin().insert(key, value);

    /// flurry's map with a hasher of choice.
    Flurry(flurry::HashMap<u64, u64, B>), "flurry", "0.5, a map, one pin per thread and round",
    flurry::HashMapRef<'a, u64, u64, B>: |map| map.pin(),
    |pinned, key| flurry::HashMapRef::get(pinned, key).copied(),
    |map, key, value| map.pin().insert(key, value);

    /// `DashMap` with a hasher of choice.
    Dash(dashmap::DashMap<u64, u64, B>), "dashmap", "6, a map, default options (4 shards per core)",
    &'a dashmap::DashMap<u64, u64, B>: |map| map,
    |map, key| dashmap::DashMap::get(map, key).map(|entry| *entry),
    |map, key, value| map.insert(key, value);
}

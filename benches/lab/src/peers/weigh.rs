//! Caches whose entries weigh something, for the peers that can.

/// A value that says what its entry weighs.
pub(crate) trait Weight: Clone + Send + Sync + 'static {
    /// More than zero: of some peers, an entry that weighs nothing stays for ever.
    fn weight(&self) -> u32;
}

/// A number that weighs itself.
impl Weight for u32 {
    #[inline]
    fn weight(&self) -> u32 {
        *self
    }
}

/// A cache of `u64` keys that weighs its entries.
pub(crate) trait Weigh<V: Weight>: Send + Sync + Sized + 'static {
    /// Whether it weighs at all.
    const WEIGHS: bool = true;

    /// The heaviest entry that it can count.
    const HEAVIEST: u32 = u32::MAX;

    /// A cache of this weight, which is expected to hold so many entries; none if it cannot weigh.
    fn with_bound(weight: u64, entries: u64) -> Option<Self>;

    /// The value of a key.
    fn get(&self, key: &u64) -> Option<V>;

    /// Puts an entry in.
    fn insert(&self, key: u64, value: V);

    /// Number of insertions refused, where the cache may refuse.
    fn refusals(&self) -> u64 {
        0
    }

    /// What its entries weigh now, where it tells.
    fn charge(&self) -> Option<u64> {
        None
    }

    /// What was evicted and not freed yet may weigh so much beside the bound, as configured.
    fn retired_capacity(&self) -> u64 {
        0
    }
}

/// In the place of a cache that cannot do what is asked.
#[derive(Debug)]
pub(crate) enum Nobody {}

impl<V: Weight> Weigh<V> for Nobody {
    const WEIGHS: bool = false;

    fn with_bound(_: u64, _: u64) -> Option<Self> {
        None
    }

    fn get(&self, _: &u64) -> Option<V> {
        match *self {}
    }

    fn insert(&self, _: u64, _: V) {
        match *self {}
    }
}

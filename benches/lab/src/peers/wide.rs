//! Caches of larger entries, for the question how much memory these take.

use super::Nobody;

/// A key of 16 bytes.
pub(crate) type WideKey = [u8; 16];

/// A value of 100 bytes.
pub(crate) type WideValue = [u8; 100];

/// A cache of entries with larger keys and values.
pub(crate) trait Wide: Sized + 'static {
    /// A cache that holds this many entries; none if nobody asks for it.
    fn with_capacity(entries: u64) -> Option<Self>;

    /// Puts an entry in.
    fn insert(&self, key: WideKey, value: WideValue);

    /// Number of entries held.
    fn entries(&self) -> u64;
}

impl Wide for Nobody {
    fn with_capacity(_: u64) -> Option<Self> {
        None
    }

    fn insert(&self, _: WideKey, _: WideValue) {
        match *self {}
    }

    fn entries(&self) -> u64 {
        match *self {}
    }
}

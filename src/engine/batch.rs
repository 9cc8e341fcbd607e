//! Reading many keys at a time.

use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::ReadView;

/// Keys that are looked up together: as many as a core can wait for at the same time.
const PREFETCH_GROUP: usize = 16;

/// The values of some keys, one after the other.
///
/// A group of keys is hashed, and their buckets are asked for, all at once; then the entries that
/// the buckets lead to; then each key is read, and finds both in the core's own cache. In a table
/// that is larger than that, a read alone waits twice for memory. (The idea is that of S. Chen et
/// al., *Improving hash join performance through prefetching*, ICDE 2004.)
pub(crate) struct Batch<'g, 'k, K, V, S, Q> {
    read_view: ReadView<'g, K, V, S>,
    keys: &'k [Q],
    hashes: [u64; PREFETCH_GROUP],
    /// How many keys of the group at the beginning of `keys` are hashed, and how many were read.
    hashed: usize,
    read: usize,
}

impl<'g, 'k, K, V, S, Q> Batch<'g, 'k, K, V, S, Q> {
    pub(super) fn new(read_view: ReadView<'g, K, V, S>, keys: &'k [Q]) -> Self {
        Self { read_view, keys, hashes: [0; PREFETCH_GROUP], hashed: 0, read: 0 }
    }
}

impl<'g, K, V, S, Q> Batch<'g, '_, K, V, S, Q>
where
    K: Eq,
    S: BuildHasher,
    Q: Hash + Equivalent<K>,
{
    /// Leaves the group behind that was read, and prefetches what the next one needs.
    fn prepare(&mut self) {
        self.keys = &self.keys[self.read..];
        (self.read, self.hashed) = (0, 0);
        for (hash, key) in self.hashes.iter_mut().zip(self.keys) {
            *hash = self.read_view.hash(key);
            self.read_view.prefetch_bucket(*hash);
        }
        self.hashed = self.keys.len().min(PREFETCH_GROUP);
        self.hashes[..self.hashed].iter().for_each(|&hash| self.read_view.prefetch_entry(hash));
    }
}

impl<'g, K, V, S, Q> Iterator for Batch<'g, '_, K, V, S, Q>
where
    K: Eq,
    S: BuildHasher,
    Q: Hash + Equivalent<K>,
{
    type Item = Option<&'g V>;

    #[inline]
    fn next(&mut self) -> Option<Option<&'g V>> {
        if self.read == self.hashed {
            self.prepare();
        }
        let key = self.keys[..self.hashed].get(self.read)?;
        let hash = self.hashes[self.read];
        self.read += 1;
        Some(self.read_view.get_hashed(hash, key))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.keys.len() - self.read;
        (left, Some(left))
    }
}

impl<K, V, S, Q> ExactSizeIterator for Batch<'_, '_, K, V, S, Q>
where
    K: Eq,
    S: BuildHasher,
    Q: Hash + Equivalent<K>,
{
}

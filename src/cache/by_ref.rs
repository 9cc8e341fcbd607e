//! A key that is looked for and lies elsewhere.

use std::hash::{Hash, Hasher};

use equivalent::Equivalent;

/// Hashes and compares as what it refers to, so that keys of any size can be listed.
#[derive(Debug)]
pub(super) struct ByRef<'q, Q: ?Sized>(pub(super) &'q Q);

impl<Q: Hash + ?Sized> Hash for ByRef<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K, Q: Equivalent<K> + ?Sized> Equivalent<K> for ByRef<'_, Q> {
    fn equivalent(&self, key: &K) -> bool {
        self.0.equivalent(key)
    }
}

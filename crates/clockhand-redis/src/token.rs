//! Numbers that no other thread has.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// The length of a token.
pub(crate) const TOKEN: usize = 24;

/// Tokens of one instance: 16 random bytes of its own, and a count.
pub(crate) struct Tokens {
    own: [u8; 16],
    next: AtomicU64,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let mut own = [0; 16];
        own[..8].copy_from_slice(&random());
        own[8..].copy_from_slice(&random());
        Self { own, next: AtomicU64::new(0) }
    }

    /// A token for a load.
    pub(crate) fn next(&self) -> Vec<u8> {
        // ORDERING: Relaxed: a count that orders nothing.
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        [&self.own[..], &nth.to_le_bytes()].concat()
    }
}

/// Eight bytes of the system's randomness: the keys of std's hasher.
pub(crate) fn random() -> [u8; 8] {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish().to_le_bytes()
}

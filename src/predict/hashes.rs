//! A hasher for what is a hash already.

use std::hash::Hasher;

/// Passes a hash on, mixed once more, as its lowest bits are zero.
#[derive(Debug, Default)]
pub(super) struct HashOfHash(u64);

impl Hasher for HashOfHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash ^ hash >> 32 ^ hash >> 48;
    }
}

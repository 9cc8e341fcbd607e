//! What is cached: pages with real bytes, which are counted for as long as they live.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{AT_ONCE, Terms};
use crate::store::{Store, TooMany};

/// The smallest page, in bytes; the largest has three times as many.
const SMALLEST: u64 = 500_000;

/// The bytes of all pages that live.
type Held = Arc<AtomicU64>;

/// A page.
pub(super) struct Page {
    bytes: Box<[u8]>,
    held: Held,
}

impl Page {
    /// The page of a key; each time of the same size.
    fn new(key: u64, held: &Held) -> Arc<Self> {
        let spread = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let size = SMALLEST + ((spread * 2 * SMALLEST) >> 32);
        // Written, so that the memory is really taken.
        let bytes = vec![key as u8 | 1; size as usize].into_boxed_slice();
        held.fetch_add(size, Ordering::Relaxed);
        Arc::new(Self { bytes, held: Arc::clone(held) })
    }

    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.held.fetch_sub(self.size(), Ordering::Relaxed);
    }
}

/// The pages of a slow store.
pub(super) struct Pages {
    pub(super) store: Store,
    held: Held,
}

impl Pages {
    pub(super) fn new(terms: Terms) -> Arc<Self> {
        let store = Store::new(terms.store, AT_ONCE);
        Arc::new(Self { store, held: Held::default() })
    }

    pub(super) fn load(&self, key: u64) -> Result<Arc<Page>, TooMany> {
        self.store.load(key).map(|key| Page::new(key, &self.held))
    }

    /// The bytes of all pages that live.
    pub(super) fn bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

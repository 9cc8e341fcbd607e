//! What an entry takes, all told: table, policy and the entry itself.
//!
//! Alone in its file, as it counts what the whole process allocates.

mod support;

use clockhand::Cache;
use support::heap;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const ENTRIES: u64 = 1_000_000;

/// Bytes that were asked of the allocator for each entry, when this was reached, rounded up. What the
/// allocator adds is its own; the lab measures that too.
const REACHED: f64 = 60.5;

#[test]
fn an_entry_takes_as_little_as_it_did() {
    let before = heap::live();
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let cache = Cache::builder().capacity(ENTRIES).hasher(hasher).build().expect("sound");
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.usage().entries as u64, ENTRIES);
    let each = (heap::live() - before) as f64 / ENTRIES as f64;
    assert!(each <= REACHED, "{each} bytes an entry, once {REACHED}");
}

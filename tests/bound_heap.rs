//! P3 and P4 in bytes: with a weigher that returns real sizes, the live heap stays within capacity,
//! retired capacity and a stated overhead at every instant.
//!
//! Alone in its file, as it counts what the whole process allocates.

mod support;

use clockhand::Cache;
use support::{Random, heap, ignore, size, together, watched};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const CAPACITY: u64 = 8 << 20;
const RETIRED: u64 = 1 << 20;
const WRITERS: usize = 8;
const LARGEST: u64 = 4096;

/// What an entry takes beside the bytes of its value: see `Builder::weigher`.
const ENTRY: u64 = (size_of::<u64>() + size_of::<Box<[u8]>>()) as u64 + 80;

/// What the table does not take from the start: a seat for each thread, threads, chains and batches,
/// and the value that each writer has in its hands before it is charged.
const OVERHEAD: u64 = (256 << 10) + WRITERS as u64 * (2 * LARGEST + (16 << 10));

fn churn(cache: &Cache<u64, Box<[u8]>>, nth: usize) {
    let mut random = Random::new(nth as u64);
    for _ in 0..size(6_000, 1_000_000) {
        let (key, len) = (random.below(10_000), random.below(LARGEST));
        let value = vec![key as u8; len as usize].into_boxed_slice();
        match random.below(10) {
            0 => ignore(cache.invalidate(&key)),
            1 => drop(cache.insert_if_absent(key, value)),
            2 => assert!(cache.read(&key, |v| v.iter().all(|&b| b == key as u8)) != Some(false)),
            _ => cache.insert(key, value),
        }
    }
}

#[test]
#[allow(clippy::borrowed_box, reason = "a weigher is given the value as it is")]
fn the_heap_stays_within_both_capacities_and_overhead() {
    let bare = heap::live();
    // Large enough from the start, so that what the table takes is known: it does not double.
    let cache = Cache::builder()
        .expected_entries(8_192)
        .capacity(CAPACITY)
        .retired_capacity(RETIRED)
        .weigher(|_: &u64, value: &Box<[u8]>| value.len() as u64 + ENTRY)
        .build()
        .expect("sound");
    let before = heap::live();
    heap::forget_peak();
    let most = before + (CAPACITY + RETIRED + OVERHEAD).cast_signed();
    let check = || {
        let live = heap::live();
        assert!(live <= most, "{live} bytes, {most} allowed: {:?}", cache.usage());
    };
    watched(check, || together(WRITERS, |nth| churn(&cache, nth)));
    assert!(heap::peak() <= most, "{} bytes at the worst, {most} allowed", heap::peak());
    assert!(heap::live() - before >= (CAPACITY * 9 / 10).cast_signed(), "the capacity was used");

    drop(cache);
    let left = heap::live() - bare;
    assert!(left <= 64 << 10, "{left} bytes are left after the cache is gone");
}

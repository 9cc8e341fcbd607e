//! What does it cost to time operations? Reads and inserts of a cache that times nothing, and of one that times one of 64.
//!
//! One thread; 10,000 keys in an order that no prefetcher guesses.

use std::hint::black_box;

use clockhand::Cache;
use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

/// The next key of a walk that comes to all of them.
fn stride(key: &mut u64) -> u64 {
    *key = (*key + 7_919) % ENTRIES;
    *key
}

fn filled(sample_every: Option<u32>) -> Cache<u64, u64> {
    let mut builder = Cache::builder().capacity(2 * ENTRIES);
    if let Some(operations) = sample_every {
        builder = builder.sample_every(operations);
    }
    let cache = builder.build().expect("a sound cache");
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    cache
}

fn timed(c: &mut Criterion) {
    for (name, sample_every) in [("none timed", None), ("one of 64 timed", Some(64))] {
        let cache = filled(sample_every);
        let mut group = c.benchmark_group("latency");
        let mut key = 0;
        group.bench_function(format!("get, {name}"), |b| {
            b.iter(|| cache.get(black_box(&stride(&mut key))));
        });
        let mut reader = cache.reader();
        group.bench_function(format!("Reader, {name}"), |b| {
            b.iter(|| reader.get(black_box(&stride(&mut key))).copied());
        });
        reader.park();
        group.bench_function(format!("replace, {name}"), |b| {
            b.iter(|| cache.insert(stride(&mut key), 1));
        });
        group.finish();
    }
}

criterion_group!(benches, timed);
criterion_main!(benches);

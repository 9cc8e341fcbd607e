//! What does an insert cost? A new key where there is room, another value for a key, and a new key
//! for which another one has to go.

use std::hint::black_box;

use clockhand::Cache;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

fn filled(capacity: u64) -> Cache<u64, u64> {
    let cache = Cache::new(capacity);
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    cache
}

fn inserts(c: &mut Criterion) {
    let mut group = c.benchmark_group("insert");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("new, 10,000 into an empty cache", |b| {
        b.iter_batched_ref(
            || Cache::new(ENTRIES),
            |cache| (0..ENTRIES).for_each(|key| cache.insert(black_box(key), key)),
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    let (cache, mut key) = (filled(2 * ENTRIES), 0);
    group.bench_function("replace", |b| {
        b.iter(|| {
            key = (key + 7_919) % ENTRIES;
            cache.insert(black_box(key), key);
        });
    });
    let (cache, mut key) = (filled(ENTRIES), ENTRIES);
    group.bench_function("evict", |b| {
        b.iter(|| {
            key += 1;
            cache.insert(black_box(key), key);
        });
    });
    group.finish();
}

criterion_group!(benches, inserts);
criterion_main!(benches);
